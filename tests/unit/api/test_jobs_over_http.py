from __future__ import annotations

import base64
import json
import threading
import time
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.unit.services.plans import MODEL_VERSION, Engine, png

from api.limits import ONE_MACHINE
from models.blueprint import MAX_FILE_BYTES
from models.floorplan import Floorplan
from services.detection_service import DetectionService
from storage.base import Storage

JOBS = "/api/v1/jobs"
UNKNOWN = "job_20260101_abcdefghijklmnop"


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def body(data: bytes = b"", **blueprint: Any) -> dict[str, Any]:
    return {"blueprint": {"file": b64(data or png()), "format": "png", **blueprint}}


def create(client: TestClient, **more: Any) -> dict[str, Any]:
    answer = client.post(JOBS, **({"json": body()} | more))
    assert answer.status_code == 201, answer.text
    assert answer.json()["status"] == "success"
    data: dict[str, Any] = answer.json()["data"]
    assert answer.headers["Location"] == f"{JOBS}/{data['job_id']}"
    return data


def work(storage: Storage, engine: Engine | None = None) -> None:
    delivery = storage.queue.receive(30)
    assert delivery is not None
    DetectionService(storage, engine or Engine(), model_version=MODEL_VERSION).run(delivery)


def code(answer: Any) -> tuple[int, str]:
    assert answer.json()["status"] == "error"
    assert set(answer.json()["error"]) == {"code", "message", "details"}
    return answer.status_code, answer.json()["error"]["code"]


def fields(answer: Any) -> dict[str, str]:
    found: dict[str, str] = answer.json()["error"]["details"]["fields"]
    return found


def test_the_whole_walk_of_a_job(client: TestClient, storage: Storage) -> None:
    job = create(client)
    assert (job["status"], job["result_s3_key"], job["error"]) == ("pending", None, None)
    assert job["blueprint_s3_key"] == f"blueprints/{job['job_id']}/blueprint.png"
    path = f"{JOBS}/{job['job_id']}"
    assert client.get(path).json()["data"] == job
    assert code(client.get(f"{path}/result")) == (409, "RESULT_NOT_READY")
    assert code(client.get(f"{path}/pages/1.png")) == (404, "NOT_FOUND")
    work(storage)
    done = client.get(path).json()["data"]
    assert (done["status"], done["progress"]) == ("completed", 1.0)
    result = client.get(f"{path}/result")
    assert result.headers["Content-Type"] == "application/json"
    assert Floorplan.from_json(result.content).room_count == 1
    picture = client.get(f"{path}/pages/1.png")
    assert picture.headers["Content-Type"] == "image/png"
    assert picture.content == png(shade=1)
    assert code(client.get(f"{path}/pages/2.png")) == (404, "NOT_FOUND")
    assert code(client.delete(path)) == (409, "JOB_ALREADY_COMPLETED")


@pytest.mark.parametrize(
    "request_of",
    [
        lambda data: {"json": body(data)},
        lambda data: {"json": {"blueprint": {"file": "data:image/png;base64," + b64(data), "format": "png"}}},
        lambda data: {"content": json.dumps(body(data)), "headers": {}},
        lambda data: {
            "content": json.dumps(body(data)),
            "headers": {"Content-Type": "Application/JSON; charset=UTF-8"},
        },
        lambda data: {
            "content": json.dumps(body(data)).replace("/", "\\/"),
            "headers": {"Content-Type": "application/json"},
        },
        lambda data: {"files": {"file": ("plan.png", data)}},
        lambda data: {"files": {"file": ("plan", data, "application/octet-stream")}, "data": {"format": "png"}},
        lambda data: {"files": {"file": ("grün.png", data)}, "data": {"format": "", "pages": "", "options": ""}},
        lambda data: {"files": {"file": (None, data)}},
    ],
)
def test_a_file_comes_in_by_every_way(client: TestClient, storage: Storage, request_of: Any) -> None:
    job = create(client, **{"json": None, **request_of(png(shade=7))})
    assert storage.blueprints.get(job["blueprint_s3_key"]) == png(shade=7)


@pytest.mark.parametrize(
    ("request_of", "pages"),
    [
        (lambda: {"json": {**body(), "options": {"pages": "1-3, 7"}}}, "1-3,7"),
        (lambda: {"json": {**body(), "options": {}}}, None),
        (lambda: {"json": {**body(), "options": {"pages": ""}}}, None),
        (lambda: {"files": {"file": png()}, "data": {"pages": "2"}}, "2"),
        (lambda: {"files": {"file": png()}, "data": {"options[pages]": "2"}}, "2"),
        (lambda: {"files": {"file": png()}, "data": {"options.pages": "2"}}, "2"),
        (lambda: {"files": {"file": png()}, "data": {"options": '{"pages": "4-5"}'}}, "4-5"),
    ],
)
def test_pages_are_chosen(client: TestClient, storage: Storage, request_of: Any, pages: str | None) -> None:
    job = create(client, **{"json": None, **request_of()})
    record = storage.jobs.get(job["job_id"])
    assert record is not None
    assert record.pages == pages


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ([], "body"),
        (None, "body"),
        ({}, "blueprint"),
        ({"blueprint": "x"}, "blueprint"),
        ({"blueprint": {}}, "blueprint.format"),
        ({"blueprint": {"format": "png"}}, "blueprint"),
        ({"blueprint": {"file": "AAAA"}}, "blueprint.format"),
        ({"blueprint": {"file": 5, "format": "png"}}, "blueprint.file"),
        ({"blueprint": {"file": None, "format": "png"}}, "blueprint.file"),
        ({"blueprint": {"file": "AAAA", "format": 1}}, "blueprint.format"),
        ({"blueprint": {"file": "%%%", "format": "png"}}, "blueprint.file"),
        ({"blueprint": {"file": "data:image/png,abc", "format": "png"}}, "blueprint.file"),
        ({"blueprint": {"file": "AAAA", "key": "uploads/x", "format": "png"}}, "blueprint"),
        ({"blueprint": {"key": "uploads/x/blueprint", "format": "png"}}, "blueprint.key"),
        ({"blueprint": {"key": f"uploads/{UNKNOWN}/blueprint", "format": "png"}}, "blueprint.key"),
        ({**body(), "more": 1}, "more"),
        (body(name="x"), "blueprint.name"),
        ({**body(), "options": None}, "options"),
        ({**body(), "options": {"pages": 3}}, "options.pages"),
        ({**body(), "options": {"pages": "3-1"}}, "options.pages"),
        ({**body(), "options": {"pages": "x"}}, "options.pages"),
        ({**body(), "options": {"pages": "1," * 600}}, "options.pages"),
        ({**body(), "options": {"dpi": 300}}, "options.dpi"),
    ],
)
def test_a_body_that_is_not_valid_names_its_fields(client: TestClient, value: Any, named: str) -> None:
    answer = client.post(JOBS, json=value)
    assert code(answer) == (400, "INVALID_REQUEST")
    assert named in fields(answer)


@pytest.mark.parametrize("text", [b"", b"{", b"[" * 9000, b'{"a":NaN}', b'{"blueprint":"\xff"}', b'{"\\u0000":1}'])
def test_broken_json_is_an_invalid_request(client: TestClient, text: bytes) -> None:
    answer = client.post(JOBS, content=text, headers={"Content-Type": "application/json"})
    assert code(answer) == (400, "INVALID_REQUEST")
    assert fields(answer)


@pytest.mark.parametrize(
    ("form", "named"),
    [
        ({"data": {"format": "png"}, "files": {"other": png()}}, ["file", "other"]),
        ({"files": [("file", png()), ("file", png())]}, ["file"]),
        ({"files": {"file": png()}, "data": {"colour": "red", "size": "1"}}, ["colour", "size"]),
        ({"files": {"file": png()}, "data": {"format": ["png", "png"]}}, ["format"]),
        ({"files": {"file": png()}, "data": {"pages": "x"}}, ["pages"]),
        ({"files": {"file": png()}, "data": {"pages": "1", "options": '{"pages": "1"}'}}, ["pages", "options"]),
        ({"files": {"file": png()}, "data": {"options": "{"}}, ["options"]),
        ({"files": {"file": png()}, "data": {"options": '{"dpi": 1}'}}, ["options.dpi"]),
        ({"files": {"file": png()}, "data": {"pages": "1," * 20_000}}, ["pages"]),
        ({"files": {"file": png()}, "data": {"format": b"\xff"}}, ["format"]),
    ],
)
def test_a_form_that_is_not_valid_names_its_fields(client: TestClient, form: Any, named: list[str]) -> None:
    answer = client.post(JOBS, **form)
    assert code(answer) == (400, "INVALID_REQUEST")
    assert set(named) <= set(fields(answer))


def test_a_form_that_was_cut_off_makes_no_job(client: TestClient) -> None:
    whole = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + png() + b"\r\n--b--"
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    assert client.post(JOBS, content=whole, headers=kind).status_code == 201
    assert code(client.post(JOBS, content=whole[:-5], headers=kind)) == (400, "INVALID_REQUEST")
    assert code(client.post(JOBS, content=whole, headers={"Content-Type": "multipart/form-data"}))[0] == 400
    assert len(client.get(JOBS).json()["data"]["jobs"]) == 1


@pytest.mark.parametrize(
    ("data", "declared", "details"),
    [
        (b"GIF89a" + bytes(50), "png", {"seen": "a GIF image"}),
        (b"BM" + bytes(50), "png", {"seen": "a BMP image"}),
        (b"II*\x00" + bytes(50), "jpg", {"seen": "a TIFF image"}),
        (b"<svg xmlns='x'/>", "png", {}),
        (b"<!doctype html><html>", "pdf", {}),
        (b"MZ" + bytes(50), "pdf", {}),
        (b"just text named .png", "png", {"seen": "plain text"}),
        (png(), "jpg", {"declared": "jpg", "seen": "png"}),
        (png(), "gif", {"declared": "gif"}),
        (png(), "PNG", {"declared": "PNG"}),
        (png(), "", {}),
        (png()[:-12], "png", {"seen": "png"}),
    ],
)
def test_what_is_no_blueprint(client: TestClient, data: bytes, declared: str, details: dict[str, str]) -> None:
    answers = [client.post(JOBS, json={"blueprint": {"file": b64(data), "format": declared}})]
    if declared:
        answers.append(client.post(JOBS, files={"file": data}, data={"format": declared}))
    for answer in answers:
        assert code(answer) == (400, "INVALID_FILE_FORMAT")
        assert details.items() <= answer.json()["error"]["details"].items()
    assert client.get(JOBS).json()["data"]["jobs"] == []


def test_an_empty_file_is_no_blueprint(client: TestClient) -> None:
    for answer in [
        client.post(JOBS, json={"blueprint": {"file": "", "format": "png"}}),
        client.post(JOBS, files={"file": ("", b"")}),
    ]:
        assert code(answer) == (400, "INVALID_FILE_FORMAT")


def test_an_image_of_too_many_pixels(client: TestClient) -> None:
    data = bytearray(png())
    data[16:24] = (60_000).to_bytes(4, "big") * 2
    answer = client.post(JOBS, files={"file": bytes(data)})
    assert code(answer) == (413, "FILE_TOO_LARGE")
    assert answer.json()["error"]["details"]["limit"] == "max_image_side_px"


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=b"])
def test_an_announced_length_beyond_the_limit_is_refused_unread(client: TestClient, kind: str) -> None:
    headers = {"Content-Type": kind, "Content-Length": str(ONE_MACHINE.json_bytes + 1)}
    answer = client.post(JOBS, content=b"{}", headers=headers)
    assert code(answer) == (413, "FILE_TOO_LARGE")
    assert answer.json()["error"]["details"] == {"limit": "max_file_bytes", "value": MAX_FILE_BYTES}


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
def test_a_body_of_another_kind(client: TestClient, headers: dict[str, str]) -> None:
    assert code(client.post(JOBS, content=b"{}", headers=headers)) == (415, "UNSUPPORTED_MEDIA_TYPE")


def test_a_url_of_an_unlisted_host_is_not_fetched(client: TestClient) -> None:
    for url in ["https://a.example/plan.png", "http://127.0.0.1/plan.png", "file:///etc/passwd"]:
        answer = client.post(JOBS, json={"blueprint": {"file": url, "format": "png"}})
        assert code(answer) == (400, "URL_NOT_ALLOWED")


def test_the_same_key_gives_the_same_job_by_whatever_way(client: TestClient) -> None:
    key = {"Idempotency-Key": "order-17"}
    first = create(client, headers=key)
    assert create(client, headers=key)["job_id"] == first["job_id"]
    again = {"blueprint": {"format": "png", "file": "data:image/png;base64," + b64(png())}}
    assert create(client, json=again, headers=key)["job_id"] == first["job_id"]
    form = {"files": {"file": png()}, "data": {"format": "png"}}
    assert create(client, **{"json": None, **form}, headers=key)["job_id"] == first["job_id"]
    assert create(client)["job_id"] != first["job_id"]
    for other in [body(png(shade=3)), {**body(), "options": {"pages": "1"}}]:
        answer = client.post(JOBS, json=other, headers=key)
        assert code(answer) == (409, "IDEMPOTENCY_KEY_REUSED")


@pytest.mark.parametrize("key", ["", "two words", "x" * 256, "\xe9"])
def test_a_key_that_is_none(client: TestClient, key: str) -> None:
    answer = client.post(JOBS, json=body(), headers={"Idempotency-Key": key.encode("latin-1")})
    assert code(answer) == (400, "INVALID_REQUEST")
    assert "idempotency-key" in {name.lower() for name in fields(answer)}


def test_unknown_parameters_are_named(client: TestClient) -> None:
    answer = client.post(f"{JOBS}?dry=1", json=body())
    assert code(answer) == (400, "INVALID_REQUEST")
    assert fields(answer) == {"dry": "is not a parameter of this request"}
    job = create(client)
    for method, path in [
        ("GET", f"{JOBS}?page=2"),
        ("GET", f"{JOBS}/{job['job_id']}?timeout=2"),
        ("DELETE", f"{JOBS}/{job['job_id']}?purg=true"),
        ("GET", f"{JOBS}/{job['job_id']}/result?x"),
        ("GET", f"{JOBS}/{job['job_id']}/pages/1.png?x=1"),
        ("POST", "/api/v1/uploads?x=1"),
    ]:
        assert code(client.request(method, path)) == (422, "VALIDATION_FAILED")
    assert client.get(f"{JOBS}/{job['job_id']}").json()["data"]["status"] == "pending"


@pytest.mark.parametrize(
    ("path", "named"),
    [
        (f"{JOBS}?limit=0", "limit"),
        (f"{JOBS}?limit=101", "limit"),
        (f"{JOBS}?limit=x", "limit"),
        (f"{JOBS}?cursor=x", "cursor"),
        (f"{JOBS}?cursor=%00", "cursor"),
        (f"{JOBS}/{UNKNOWN}?wait=-1", "wait"),
        (f"{JOBS}/{UNKNOWN}?wait=20.1", "wait"),
        (f"{JOBS}/{UNKNOWN}?wait=nan", "wait"),
        (f"{JOBS}/{UNKNOWN}?wait=inf", "wait"),
        (f"{JOBS}/{UNKNOWN}?wait=", "wait"),
        (f"{JOBS}/{UNKNOWN}/pages/0.png", "page"),
        (f"{JOBS}/{UNKNOWN}/pages/x.png", "page"),
        (f"{JOBS}/{UNKNOWN}/pages/201.png", "page"),
    ],
)
def test_parameters_out_of_range_are_named(client: TestClient, path: str, named: str) -> None:
    answer = client.get(path)
    assert code(answer) == (422, "VALIDATION_FAILED")
    assert list(fields(answer)) == [named]


@pytest.mark.parametrize(
    "job_id", [UNKNOWN, "x", "job_1", "%00", "%2e%2e", "a%2Fb", "%F0%9F%98%80", "x" * 3000, "' or 1=1"]
)
def test_a_job_that_is_not_there(client: TestClient, job_id: str) -> None:
    for method, path in [("GET", ""), ("DELETE", ""), ("DELETE", "?purge=true"), ("GET", "/result")]:
        answer = client.request(method, f"{JOBS}/{job_id}{path}")
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "JOB_NOT_FOUND"


def test_jobs_are_listed_newest_first_in_pieces(client: TestClient) -> None:
    ids = [create(client)["job_id"] for _ in range(5)]
    found: list[str] = []
    cursor = ""
    for _ in range(3):
        data = client.get(JOBS, params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()["data"]
        found += [job["job_id"] for job in data["jobs"]]
        cursor = data["next_cursor"]
    assert cursor is None
    assert sorted(found) == sorted(ids)
    times = [client.get(f"{JOBS}/{job_id}").json()["data"]["created_at"] for job_id in found]
    assert times == sorted(times, reverse=True)


def test_cancel_is_final_and_may_be_repeated(client: TestClient, storage: Storage) -> None:
    job = create(client)
    path = f"{JOBS}/{job['job_id']}"
    cancelled = client.delete(path)
    assert (cancelled.status_code, cancelled.json()["data"]["status"]) == (200, "cancelled")
    assert client.delete(path).json() == cancelled.json()
    work(storage)
    assert client.get(path).json() == cancelled.json()


@pytest.mark.parametrize("word", ["true", "True"])
def test_purge_leaves_nothing(client: TestClient, storage: Storage, word: str) -> None:
    job = create(client)
    work(storage)
    path = f"{JOBS}/{job['job_id']}"
    answer = client.delete(f"{path}?purge={word}")
    assert answer.json() == {"status": "success", "data": {"job_id": job["job_id"], "purged": True}}
    for gone in [client.get(path), client.delete(f"{path}?purge=true"), client.get(f"{path}/result")]:
        assert code(gone) == (404, "JOB_NOT_FOUND")
    assert storage.blueprints.get(job["blueprint_s3_key"]) is None


@pytest.mark.parametrize("word", ["", "1", "yes", "on", "null"])
def test_purge_is_true_or_false_and_nothing_near_it(client: TestClient, word: str) -> None:
    job = create(client)
    assert code(client.delete(f"{JOBS}/{job['job_id']}?purge={word}")) == (422, "VALIDATION_FAILED")
    assert client.get(f"{JOBS}/{job['job_id']}").json()["data"]["status"] == "pending"
    assert client.delete(f"{JOBS}/{job['job_id']}?purge=false").json()["data"]["status"] == "cancelled"


def test_waiting_ends_with_the_change(client: TestClient, storage: Storage) -> None:
    job = create(client)
    timer = threading.Timer(0.3, work, [storage])
    timer.start()
    started = time.monotonic()
    data = client.get(f"{JOBS}/{job['job_id']}?wait=20").json()["data"]
    timer.join()
    assert data["status"] in ("processing", "completed")
    assert 0.2 < time.monotonic() - started < 10


def test_waiting_ends_with_the_time(client: TestClient) -> None:
    job = create(client)
    started = time.monotonic()
    assert client.get(f"{JOBS}/{job['job_id']}?wait=0.3").json()["data"] == job
    assert 0.3 <= time.monotonic() - started < 5


def test_nothing_is_waited_for_where_nothing_will_change(client: TestClient) -> None:
    job = create(client)
    client.delete(f"{JOBS}/{job['job_id']}")
    started = time.monotonic()
    assert client.get(f"{JOBS}/{job['job_id']}?wait=20").json()["data"]["status"] == "cancelled"
    assert code(client.get(f"{JOBS}/{UNKNOWN}?wait=20")) == (404, "JOB_NOT_FOUND")
    assert time.monotonic() - started < 5
