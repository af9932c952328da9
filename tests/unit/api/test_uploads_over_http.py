from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.conftest import MakeApp
from tests.unit.services.plans import png

from models.blueprint import MAX_FILE_BYTES
from storage.base import Storage
from utils.config import Settings

UPLOADS = "/api/v1/uploads"
JOBS = "/api/v1/jobs"


def ticket(client: TestClient) -> dict[str, Any]:
    answer = client.post(UPLOADS)
    assert answer.status_code == 201, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


def send(client: TestClient, given: dict[str, Any], data: bytes = b"", **fields: str) -> Any:
    return client.post(given["url"], data={**given["fields"], **fields}, files={"file": ("plan.png", data or png())})


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def staged(settings: Settings) -> list[Path]:
    return [path for path in settings.data_dir.rglob("*") if path.is_file() and "sqlite" not in path.name]


def test_a_file_goes_up_and_becomes_exactly_one_job(client: TestClient, storage: Storage) -> None:
    given = ticket(client)
    assert given["method"] == "POST"
    assert given["url"].startswith("http://testserver/api/v1/uploads/")
    assert datetime.fromisoformat(given["expires_at"]).tzinfo is not None
    kept = send(client, given)
    assert (kept.status_code, kept.content) == (204, b"")
    order = {"blueprint": {"key": given["key"], "format": "png"}}
    first, second = (client.post(JOBS, json=order) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    job = first.json()["data"]
    assert second.json()["data"]["job_id"] == job["job_id"]
    assert job["job_id"] in given["key"]
    assert storage.blueprints.get(job["blueprint_s3_key"]) == png()
    assert len(client.get(JOBS).json()["data"]["jobs"]) == 1


def test_a_job_needs_the_file_first(client: TestClient) -> None:
    order = {"blueprint": {"key": ticket(client)["key"], "format": "png"}}
    answer = client.post(JOBS, json=order)
    assert code(answer) == (400, "INVALID_REQUEST")
    assert "blueprint.key" in answer.json()["error"]["details"]["fields"]


def test_what_was_uploaded_is_checked_when_the_job_is_made(client: TestClient) -> None:
    given = ticket(client)
    assert send(client, given, b"GIF89a and more").status_code == 204
    answer = client.post(JOBS, json={"blueprint": {"key": given["key"], "format": "png"}})
    assert code(answer) == (400, "INVALID_FILE_FORMAT")


def test_a_ticket_lets_in_only_what_it_says(client: TestClient, settings: Settings) -> None:
    given = ticket(client)
    before = staged(settings)
    for forged in [
        {"key": "blueprints/x/blueprint.png"},
        {"max_bytes": "999999999999"},
        {"expires": "99999999999"},
        {"signature": ""},
        {"signature": "0" * 64},
    ]:
        assert code(send(client, given, b"", **forged)) == (403, "UPLOAD_NOT_ALLOWED")
    assert code(client.post(given["url"], files={"file": png()})) == (403, "UPLOAD_NOT_ALLOWED")
    assert staged(settings) == before


def test_a_file_beyond_the_limit_is_not_kept(client: TestClient, settings: Settings) -> None:
    given = ticket(client)
    before = staged(settings)
    answer = send(client, given, bytes(MAX_FILE_BYTES + 1))
    assert code(answer) == (413, "FILE_TOO_LARGE")
    assert answer.json()["error"]["details"]["value"] == MAX_FILE_BYTES
    assert staged(settings) == before


def form(given: dict[str, Any], *, file_last: bool = True, closing: bytes = b"--b--\r\n") -> bytes:
    fields = b"".join(
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'.encode()
        for name, text in given["fields"].items()
    )
    file = b'--b\r\nContent-Disposition: form-data; name="file"; filename="p"\r\n\r\n' + png() + b"\r\n"
    return (fields + file if file_last else file + fields) + closing


KIND = {"Content-Type": "multipart/form-data; boundary=b"}


def test_a_form_that_was_cut_off_is_not_kept(client: TestClient, settings: Settings) -> None:
    given = ticket(client)
    before = staged(settings)
    whole = form(given)
    for cut in (whole[:-3], whole[:-12], whole[: len(whole) // 2]):
        assert code(client.post(given["url"], content=cut, headers=KIND)) == (400, "INVALID_REQUEST")
        assert staged(settings) == before
    assert client.post(given["url"], content=whole, headers=KIND).status_code == 204


def test_the_file_comes_after_the_fields_and_last(client: TestClient) -> None:
    given = ticket(client)
    first = client.post(given["url"], content=form(given, file_last=False), headers=KIND)
    assert code(first) == (403, "UPLOAD_NOT_ALLOWED")
    more = b'--b\r\nContent-Disposition: form-data; name="late"\r\n\r\nx\r\n--b--\r\n'
    late = client.post(given["url"], content=form(given, closing=more), headers=KIND)
    assert code(late) == (400, "INVALID_REQUEST")


@pytest.mark.parametrize(
    ("fields", "named"),
    [([("key", b"a"), ("key", b"b")], "key"), ([("key", b"x" * 20_000)], "key"), ([("key", b"a")], "file")],
)
def test_a_form_that_no_ticket_describes(client: TestClient, fields: list[tuple[str, bytes]], named: str) -> None:
    parts = [b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (n.encode(), v) for n, v in fields]
    answer = client.post(ticket(client)["url"], content=b"".join(parts) + b"--b--", headers=KIND)
    assert code(answer) == (400, "INVALID_REQUEST")
    assert named in answer.json()["error"]["details"]["fields"]


def test_a_form_is_what_goes_up(client: TestClient) -> None:
    given = ticket(client)
    assert code(client.post(given["url"], json={})) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert code(client.post(f"{UPLOADS}/a/b", content=form(given), headers=KIND)) == (404, "NOT_FOUND")


@pytest.mark.parametrize("body", [b"", b"{}", b" { } "])
def test_a_ticket_needs_no_body(client: TestClient, body: bytes) -> None:
    assert client.post(UPLOADS, content=body).status_code == 201


@pytest.mark.parametrize(
    ("body", "named"),
    [(b"{", "body"), (b"[]", "body"), (b"null", "body"), (b'{"name": "x"}', "name"), (b" " * 5000, "body")],
)
def test_a_ticket_takes_nothing_else(client: TestClient, body: bytes, named: str) -> None:
    answer = client.post(UPLOADS, content=body, headers={"Content-Type": "application/json"})
    assert code(answer) == (422, "VALIDATION_FAILED")
    assert named in answer.json()["error"]["details"]["fields"]


def test_a_ticket_body_of_another_kind(client: TestClient) -> None:
    answer = client.post(UPLOADS, content=b"x", headers={"Content-Type": "text/plain"})
    assert code(answer) == (415, "UNSUPPORTED_MEDIA_TYPE")


def test_where_the_world_takes_files_itself_there_is_no_door(make_app: MakeApp, storage: Storage) -> None:
    client = TestClient(make_app(storage=replace(storage, uploads=None)))
    assert code(client.post(f"{UPLOADS}/x", data={}, files={"file": b"x"})) == (404, "NOT_FOUND")
