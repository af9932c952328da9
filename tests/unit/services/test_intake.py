from __future__ import annotations

import base64
import socket
from pathlib import Path

import pytest
from tests.unit.services.plans import png
from tests.unit.services.webserver import server

from models.blueprint import MAX_FILE_BYTES, BlueprintFormat
from services import intake
from services.fetch import Fetcher
from services.job_service import Idempotency, JobService
from storage.base import Storage
from utils.config import Settings, load_settings
from utils.errors import FileTooLargeError, InvalidFileFormatError, InvalidRequestError, UrlNotAllowedError

TEXT = base64.b64encode(png()).decode()


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        f"data:image/png;base64,{TEXT}",
        f"data:;base64,{TEXT}",
        f"data:image/png;name=a.png;base64,{TEXT}",
        base64.encodebytes(png()).decode(),
        base64.encodebytes(png()).decode().replace("\n", "\r\n"),
    ],
)
@pytest.mark.parametrize("declared", ["png", None])
def test_base64_becomes_a_blueprint(text: str, declared: str | None) -> None:
    blueprint = intake.read_inline(text, declared)
    assert (blueprint.data, blueprint.format) == (png(), BlueprintFormat.PNG)


@pytest.mark.parametrize(
    "text",
    [
        "not base64!",
        TEXT[:-1],
        TEXT + "====",
        TEXT[:8] + " " + TEXT[8:],
        TEXT[:8] + "-_" + TEXT[10:],
        f"data:image/png,{TEXT}",
        "data:",
        "bläupause",
        f"data:image/png;base64 {TEXT}",
        "\x00" * 8,
    ],
)
def test_what_is_not_base64_is_refused_by_field(text: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        intake.read_inline(text, "png")
    assert list(refused.value.details["fields"]) == ["blueprint.file"]


def test_the_bytes_decide() -> None:
    with pytest.raises(InvalidFileFormatError) as refused:
        intake.read_inline(TEXT, "jpg")
    assert (refused.value.details["declared"], refused.value.details["seen"]) == ("jpg", "png")
    for text, declared in ((TEXT, "gif"), ("", "png"), (base64.b64encode(b"hello").decode(), "png")):
        with pytest.raises(InvalidFileFormatError):
            intake.read_inline(text, declared)


def test_the_limit_is_to_the_byte() -> None:
    tail = b"\x00" * (MAX_FILE_BYTES - len(png()) - 12) + b"\x00\x00\x00\x00IEND\xaeB`\x82"
    assert len(intake.read_inline(base64.b64encode(png() + tail).decode(), "png").data) == MAX_FILE_BYTES
    with pytest.raises(FileTooLargeError):
        intake.read_inline(base64.b64encode(png() + b"\x00" + tail).decode(), "png")


@pytest.mark.parametrize("text", ["https://a/b", "http://a", "ftp://a", " HTTPS://a", "file:///etc/passwd", "s3://b/k"])
def test_urls_are_told_from_base64(text: str) -> None:
    assert intake.is_url(text)


@pytest.mark.parametrize("text", [TEXT, f"data:image/png;base64,{TEXT}", "", "//a/b", "://", "1http://a"])
def test_base64_is_told_from_urls(text: str) -> None:
    assert not intake.is_url(text)


def test_no_host_is_fetched_from_by_default(storage: Storage, settings: Settings) -> None:
    with pytest.raises(UrlNotAllowedError):
        intake.read_url("https://example.com/a.png", "png", settings, storage=storage)
    with pytest.raises(InvalidFileFormatError):
        intake.read_url("https://example.com/a.png", "gif", settings, storage=storage)
    with pytest.raises(UrlNotAllowedError):
        intake.read_url("https://[::1/a.png", "png", settings, storage=storage)


def test_a_listed_host_with_an_inside_address_is_not_fetched_from(storage: Storage) -> None:
    settings = load_settings(url_hosts=["Plans.example.com"])
    fetcher = Fetcher(resolve=lambda *_: ["10.0.0.1"])
    with pytest.raises(UrlNotAllowedError) as refused:
        intake.read_url("https://plans.example.com/a.png", None, settings, storage=storage, fetcher=fetcher)
    assert "not public" in refused.value.details["reason"]


def test_an_exempt_server_is_fetched_from(storage: Storage) -> None:
    with server(b"HTTP/1.1 200 OK\r\n\r\n" + png()) as port:
        host = f"127.0.0.1:{port}"
        settings = load_settings(url_test_exempt=host)
        assert intake.read_url(f"http://{host}/plan", "png", settings, storage=storage).data == png()


def test_a_job_from_a_url_is_made_once_and_fetched_once(storage: Storage, tmp_path: Path) -> None:
    asked: list[bytes] = []

    def answer(talk: socket.socket, request: bytes) -> None:
        asked.append(request)
        talk.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + png())

    with server(answer) as port:
        host = f"127.0.0.1:{port}"
        service = JobService(storage, load_settings(data_dir=tmp_path / "data", url_test_exempt=host))
        key = Idempotency("k", "f")
        job = service.create_from_url(f"http://{host}/plan", "png", owner="me", idempotency=key)
        assert service.create_from_url(f"http://{host}/plan", "png", owner="me", idempotency=key) == job
        with pytest.raises(UrlNotAllowedError):
            service.create_from_url("https://elsewhere.example.com/plan", "png", owner="me")
    assert len(asked) == 1
    assert storage.blueprints.get(job.blueprint_s3_key) == png()
