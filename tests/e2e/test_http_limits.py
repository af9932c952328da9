"""Large, lying, stalling and many clients, over real sockets."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from tests.unit.services.plans import png

import api.uploads
from models.blueprint import MAX_FILE_BYTES
from storage.base import Storage
from utils.config import Settings

Curl = Callable[..., tuple[int, dict[str, Any]]]
PDF = b"%PDF-1.4\n"


def kept_bytes(settings: Settings) -> int:
    files = [path for path in settings.data_dir.rglob("*") if path.is_file() and "sqlite" not in path.name]
    return sum(path.stat().st_size for path in files)


@pytest.fixture(scope="module")
def too_large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "large.pdf"
    path.write_bytes(PDF + bytes(MAX_FILE_BYTES))
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    "manner",
    [
        [],
        ["-H", "Expect:"],
        ["-H", "Expect:", "-H", "Transfer-Encoding: chunked"],
        ["-H", "Transfer-Encoding: chunked"],
    ],
)
def test_curl_reads_the_answer_to_a_form_that_is_too_large(
    server: str, curl: Curl, settings: Settings, too_large: Path, manner: list[str]
) -> None:
    status, answer = curl(*manner, "-F", f"file=@{too_large}", f"{server}/api/v1/jobs")
    assert (status, answer["error"]["code"]) == (413, "FILE_TOO_LARGE")
    assert answer["error"]["details"] == {"limit": "max_file_bytes", "value": MAX_FILE_BYTES}
    assert kept_bytes(settings) == 0


@pytest.mark.slow
@pytest.mark.parametrize("manner", [[], ["-H", "Expect:"], ["-H", "Expect:", "-H", "Transfer-Encoding: chunked"]])
@pytest.mark.parametrize("file_bytes", [MAX_FILE_BYTES + 1, MAX_FILE_BYTES + 6_000_000])
def test_curl_reads_the_answer_to_base64_that_is_too_large(
    server: str, curl: Curl, settings: Settings, tmp_path: Path, manner: list[str], file_bytes: int
) -> None:
    body = tmp_path / "body.json"
    data = PDF + bytes(file_bytes - len(PDF))
    body.write_text(json.dumps({"blueprint": {"file": base64.b64encode(data).decode(), "format": "pdf"}}))
    kind = ("-H", "Content-Type: application/json")
    status, answer = curl(*kind, *manner, "--data-binary", f"@{body}", f"{server}/api/v1/jobs")
    assert (status, answer["error"]["code"]) == (413, "FILE_TOO_LARGE")
    assert kept_bytes(settings) == 0


@pytest.mark.slow
def test_a_file_of_exactly_the_limit_goes_in_by_every_way(server: str, storage: Storage) -> None:
    data = PDF + bytes(MAX_FILE_BYTES - len(PDF))
    with httpx.Client(base_url=server, timeout=60) as client:
        form = client.post("/api/v1/jobs", files={"file": data})
        assert form.status_code == 201, form.text
        text = base64.b64encode(data).decode()
        inline = client.post("/api/v1/jobs", json={"blueprint": {"file": text, "format": "pdf"}})
        assert inline.status_code == 201, inline.text
        ticket = client.post("/api/v1/uploads").json()["data"]
        assert client.post(ticket["url"], data=ticket["fields"], files={"file": data}).status_code == 204
        order = {"blueprint": {"key": ticket["key"], "format": "pdf"}}
        uploaded = client.post("/api/v1/jobs", json=order)
        assert uploaded.status_code == 201, uploaded.text
    for answer in (form, inline, uploaded):
        assert storage.blueprints.size_bytes(answer.json()["data"]["blueprint_s3_key"]) == MAX_FILE_BYTES


@pytest.mark.slow
def test_ten_creates_of_5_mb_at_once(server: str, storage: Storage) -> None:
    data = PDF + bytes(5 * 1024 * 1024)

    def create(number: int) -> str:
        answer = httpx.post(f"{server}/api/v1/jobs", files={"file": data + bytes([number])}, timeout=60)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["data"]["job_id"])

    with ThreadPoolExecutor(10) as pool:
        ids = list(pool.map(create, range(10)))
    assert len(set(ids)) == 10
    assert len(storage.jobs.list("local", 20).jobs) == 10


def talk(server: str, request: bytes, *, then_close: bool = False) -> bytes:
    """What the server answers to raw bytes, until it closes or says nothing for two seconds."""
    parts = urlsplit(server)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=2) as connection:
        connection.sendall(request)
        if then_close:
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while chunk := connection.recv(65536):
                answer += chunk
        except TimeoutError:
            pass
        return answer


def test_a_length_that_lies(server: str, storage: Storage) -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + png() + b"\r\n--b--\r\n"
    head = b"POST /api/v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    cut = talk(server, head + b"Content-Length: %d\r\n\r\n" % (len(part) - 20) + part)
    assert cut.startswith(b"HTTP/1.1 400")
    assert b"INVALID_REQUEST" in cut
    gone = talk(server, head + b"Content-Length: %d\r\n\r\n" % (len(part) + 20) + part, then_close=True)
    assert b"201" not in gone
    both = talk(server, head + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    assert b" 201 " not in both
    assert storage.jobs.list("local", 20).jobs == []
    assert httpx.get(f"{server}/health").status_code == 200


def test_a_client_that_stops_in_the_middle_of_an_upload_is_let_go(
    server: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api.uploads, "SILENCE_S", 0.2)
    ticket = httpx.post(f"{server}/api/v1/uploads").json()["data"]
    fields = b"".join(
        b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (name.encode(), text.encode())
        for name, text in ticket["fields"].items()
    )
    start = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + png()
    head = (
        f"POST {urlsplit(ticket['url']).path} HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    )
    before = kept_bytes(settings)
    # The rest is awaited for the drain's ten seconds; what matters here is that nothing was kept, and others go on.
    talk(server, head.encode() + b"Content-Length: 100000\r\n\r\n" + fields + start)
    assert kept_bytes(settings) == before
    assert httpx.get(f"{server}/health").status_code == 200


def test_many_waiters_cost_others_nothing(server: str) -> None:
    job = httpx.post(f"{server}/api/v1/jobs", files={"file": png()}).json()["data"]
    path = f"{server}/api/v1/jobs/{job['job_id']}"

    async def go() -> tuple[list[str], float]:
        limits = httpx.Limits(max_connections=200)
        async with httpx.AsyncClient(limits=limits, timeout=60) as client:
            waiters = [asyncio.create_task(client.get(f"{path}?wait=20")) for _ in range(100)]
            await asyncio.sleep(1)
            assert not any(waiter.done() for waiter in waiters)
            started = time.perf_counter()
            assert (await client.get(f"{server}/api/v1/jobs")).status_code == 200
            took_s = time.perf_counter() - started
            await client.delete(path)
            answers = await asyncio.gather(*waiters)
            return [answer.json()["data"]["status"] for answer in answers], took_s

    statuses, took_s = asyncio.run(go())
    assert statuses == ["cancelled"] * 100
    assert took_s < 2


def test_an_endless_form_is_cut_off(server: str, storage: Storage) -> None:
    def endless() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="pages"\r\n\r\n'
        for _ in range(2000):
            yield b"1," * 512

    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = httpx.post(f"{server}/api/v1/jobs", content=endless(), headers=kind, timeout=30)
    assert answer.status_code == 400
    assert storage.jobs.list("local", 20).jobs == []
