"""What clients do with jobs, through the deployed API: its functions, its queue and the real engine."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import jsonschema
import pytest
from tests.aws.clients import (
    EXAMPLES,
    FLAT,
    JOBS,
    UPLOADS,
    Record,
    completed,
    create,
    grown,
    inline,
    labelled_rooms,
    look,
    refused,
    upload,
)
from tests.aws.deployment import Deployment

from models.blueprint import MAX_FILE_BYTES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(500)]


@pytest.fixture(scope="module")
def http(deployment: Deployment) -> httpx.Client:
    return deployment.http


@pytest.fixture(scope="module")
def done(http: httpx.Client) -> Record:
    """A job of examples/flat.png that is completed."""
    return completed(http, create(http, inline(FLAT))["job_id"])


def test_a_plan_comes_in_and_its_rooms_come_out(http: httpx.Client, done: Record) -> None:
    assert (done["progress"], done["error"]) == (1.0, None)
    answer = http.get(f"{JOBS}/{done['job_id']}/result")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    floorplan = answer.json()
    jsonschema.validate(floorplan, http.get("/api/v1/schema/floorplan.json").json())
    (page,) = floorplan["pages"]
    assert len(page["rooms"]) >= 0.8 * labelled_rooms("flat")
    assert all(len(room["polygon"]) >= 3 for room in page["rooms"])
    assert floorplan["source"]["sha256"] == done["blueprint_hash"]


def test_its_page_is_a_picture_of_the_plans_form(http: httpx.Client, done: Record) -> None:
    page = http.get(f"{JOBS}/{done['job_id']}/result").json()["pages"][0]
    answer = http.get(f"{JOBS}/{done['job_id']}/pages/1.png")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert answer.content.startswith(b"\x89PNG\r\n")
    width_px, height_px = (int.from_bytes(answer.content[at : at + 4], "big") for at in (16, 20))
    assert width_px / height_px == pytest.approx(page["width"] / page["height"], rel=0.01)
    assert refused(http.get(f"{JOBS}/{done['job_id']}/pages/2.png")) == (404, "NOT_FOUND")


def test_it_is_in_the_list_of_its_owner(http: httpx.Client, done: Record) -> None:
    assert done["job_id"] in [job["job_id"] for job in http.get(JOBS).json()["data"]["jobs"]]


def test_the_same_plan_again_gives_the_same_rooms(http: httpx.Client, done: Record) -> None:
    again = completed(http, create(http, inline(FLAT))["job_id"])
    assert again["blueprint_hash"] == done["blueprint_hash"]
    results = [http.get(f"{JOBS}/{job['job_id']}/result").json() for job in (done, again)]
    assert results[0] == results[1]


def test_a_file_of_50_mb_comes_in_on_a_ticket(http: httpx.Client) -> None:
    ticket = http.post(UPLOADS).json()["data"]
    largest = grown(FLAT, MAX_FILE_BYTES)
    assert len(largest) == 52_428_800
    assert upload(ticket, largest + b"\0") == 400
    assert refused(http.post(JOBS, json=by_key(ticket))) == (400, "INVALID_REQUEST")
    assert upload(ticket, largest) in (200, 204)
    job = completed(http, create(http, by_key(ticket))["job_id"])
    rooms = http.get(f"{JOBS}/{job['job_id']}/result").json()["pages"][0]["rooms"]
    assert len(rooms) >= 0.8 * labelled_rooms("flat")
    # However often it is asked for, an upload is one job.
    again = http.post(JOBS, json=by_key(ticket))
    assert (again.status_code, again.json()["data"]["job_id"]) == (201, job["job_id"])
    assert http.delete(f"{JOBS}/{job['job_id']}", params={"purge": "true"}).status_code == 200


def by_key(ticket: Record) -> Record:
    return {"blueprint": {"key": ticket["key"], "format": "png"}}


@contextmanager
def serving(host: str, data: bytes) -> Iterator[str]:
    """The URL of the file at that host and port of loopback, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None: ...

    name, port = host.split(":")
    with HTTPServer((name, int(port)), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://{host}/plans/office.pdf"
        finally:
            server.shutdown()
            thread.join()


def test_a_plan_is_fetched_from_a_url(http: httpx.Client, deployment: Deployment) -> None:
    with serving(deployment.url_host, (EXAMPLES / "office.pdf").read_bytes()) as url:
        job = create(http, {"blueprint": {"file": url, "format": "pdf"}, "options": {"pages": "2"}})
    job = completed(http, job["job_id"])
    assert job["blueprint_s3_key"] == f"blueprints/{job['job_id']}/blueprint.pdf"
    (page,) = http.get(f"{JOBS}/{job['job_id']}/result").json()["pages"]
    assert page["page"] == 2
    assert len(page["rooms"]) >= 0.8 * labelled_rooms("office.p2")


def test_what_comes_from_a_url_has_the_same_limit(http: httpx.Client, deployment: Deployment) -> None:
    with serving(deployment.url_host, b"%PDF-1.7\n" + bytes(MAX_FILE_BYTES)) as url:
        answer = http.post(JOBS, json={"blueprint": {"file": url, "format": "pdf"}})
    assert refused(answer) == (413, "FILE_TOO_LARGE")
    assert answer.json()["error"]["details"] == {"limit": "max_file_bytes", "value": MAX_FILE_BYTES}


def test_a_repeated_request_is_one_job(http: httpx.Client) -> None:
    key = secrets.token_hex(8)
    job = create(http, inline(FLAT), **{"idempotency-key": key})
    again = http.post(JOBS, json=inline(FLAT), headers={"idempotency-key": key})
    assert (again.status_code, again.json()["data"]["job_id"]) == (201, job["job_id"])
    other = http.post(JOBS, json=inline((EXAMPLES / "house.jpg").read_bytes(), "jpg"), headers={"idempotency-key": key})
    assert refused(other) == (409, "IDEMPOTENCY_KEY_REUSED")


def test_a_cancelled_job_stays_cancelled(http: httpx.Client, deployment: Deployment) -> None:
    with deployment.worker_paused():
        job_id = create(http, inline(FLAT))["job_id"]
        assert refused(http.get(f"{JOBS}/{job_id}/result")) == (409, "RESULT_NOT_READY")
        for _ in range(2):
            answer = http.delete(f"{JOBS}/{job_id}")
            assert (answer.status_code, answer.json()["data"]["status"]) == (200, "cancelled")
    # What is created after it is done after it: its message has been looked at by then.
    completed(http, create(http, inline(FLAT))["job_id"])
    assert look(http, job_id)["status"] == "cancelled"
    assert refused(http.get(f"{JOBS}/{job_id}/result")) == (409, "RESULT_NOT_READY")


def test_a_completed_job_cannot_be_cancelled(http: httpx.Client, done: Record) -> None:
    assert refused(http.delete(f"{JOBS}/{done['job_id']}")) == (409, "JOB_ALREADY_COMPLETED")
    assert look(http, done["job_id"])["status"] == "completed"


def test_a_purged_job_leaves_nothing(http: httpx.Client, deployment: Deployment) -> None:
    plan = (EXAMPLES / "house.jpg").read_bytes()
    job = completed(http, create(http, inline(plan, "jpg"))["job_id"])
    assert len(deployment.kept_of(job["job_id"], job["blueprint_hash"])) >= 4
    assert http.delete(f"{JOBS}/{job['job_id']}", params={"purge": "true"}).status_code == 200
    assert deployment.kept_of(job["job_id"], job["blueprint_hash"]) == []
    assert refused(http.get(f"{JOBS}/{job['job_id']}")) == (404, "JOB_NOT_FOUND")
    assert refused(http.delete(f"{JOBS}/{job['job_id']}", params={"purge": "true"})) == (404, "JOB_NOT_FOUND")
