"""Jobs through the deployed API, as a client has them: the gateway, both functions, the real engine, the real stores.

`make test-aws` runs this.
"""

from __future__ import annotations

import base64
import functools
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from tests.aws.deployment import Deployment
from tests.infra.template import ROOT, load, of_type

from models.blueprint import MAX_FILE_BYTES

JOBS = "/api/v1/jobs"
UNKNOWN = f"{JOBS}/job_20260101_abcdefghijklmnop"
EXAMPLES = ROOT / "examples"
FLAT = (EXAMPLES / "flat.png").read_bytes()
OFFICE = (EXAMPLES / "office.pdf").read_bytes()
PATIENCE_S = 150.0

pytestmark = pytest.mark.timeout(400)  # the first test of a session waits for the deployment


def inline(data: bytes = FLAT, form: str = "png") -> dict[str, Any]:
    """The JSON body that brings the file along."""
    return {"blueprint": {"file": base64.b64encode(data).decode(), "format": form}}


@functools.cache
def large_pdf() -> bytes:
    """A PDF of exactly as many bytes as a file may have: a plan, a comment, and where its table is once more."""
    start = OFFICE.rindex(b"startxref")
    end = b"\n" + OFFICE[start:].rstrip() + b"\n"
    return OFFICE + b"%" + b"." * (MAX_FILE_BYTES - len(OFFICE) - 1 - len(end)) + end


def error(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The error in the envelope that every answer of ours has."""
    assert answer.status_code == status, answer.text
    found = answer.json()
    assert set(found) == {"status", "error", "meta"}
    assert found["status"] == "error"
    assert set(found["error"]) == {"code", "message", "details"}
    assert found["meta"]["request_id"].startswith("req_")
    told: dict[str, Any] = found["error"]
    return told


def created(answer: httpx.Response) -> str:
    """The id of the job that was created."""
    assert answer.status_code == 201, answer.text
    assert answer.json()["status"] == "success"
    job_id: str = answer.json()["data"]["job_id"]
    return job_id


def ended(api: httpx.Client, job_id: str) -> dict[str, Any]:
    """The job, once the worker is done with it."""
    ends = time.monotonic() + PATIENCE_S
    while True:
        answer = api.get(f"{JOBS}/{job_id}", params={"wait": 5})
        assert answer.status_code == 200, answer.text
        job: dict[str, Any] = answer.json()["data"]
        if job["status"] not in {"pending", "processing"}:
            return job
        assert time.monotonic() < ends, job


def rooms(api: httpx.Client, job_id: str) -> list[dict[str, Any]]:
    """The rooms of the job's first page, from its result."""
    answer = api.get(f"{JOBS}/{job_id}/result")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["pages"][0]["rooms"]
    return found


@pytest.fixture(scope="module")
def api(deployment: Deployment) -> Iterator[httpx.Client]:
    """A client that shows its token and follows no redirect."""
    headers = {"authorization": f"Bearer {deployment.token}"}
    with httpx.Client(base_url=deployment.url, headers=headers, timeout=90) as client:
        yield client


@pytest.fixture(scope="module")
def completed(api: httpx.Client) -> Iterator[str]:
    """The id of a job of examples/flat.png that the worker has completed; purged in the end."""
    job_id = created(api.post(JOBS, json=inline()))
    assert ended(api, job_id)["status"] == "completed"
    yield job_id
    api.delete(f"{JOBS}/{job_id}", params={"purge": "true"})


@pytest.fixture(scope="module")
def plans(deployment: Deployment) -> Iterator[str]:
    """Where on loopback the functions find examples/, while https is for the one host that Parameter Store names."""
    deployment.client("ssm").put_parameter(
        Name="/location-detection/dev/url-hosts", Value="localhost", Type="String", Overwrite=True
    )
    with serving_examples(deployment.url_host):
        yield f"http://{deployment.url_host}"


@contextmanager
def serving_examples(address: str) -> Iterator[None]:
    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: the tests' output is not the place."""

    host, _, port = address.partition(":")
    handler = functools.partial(Handler, directory=str(EXAMPLES))
    with ThreadingHTTPServer((host, int(port)), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        thread.start()
        yield
        server.shutdown()
        thread.join(10)


def test_health_needs_no_token_and_names_the_parts(deployment: Deployment) -> None:
    answer = httpx.get(f"{deployment.url}/health", timeout=60)
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "healthy",
        "services": {"dynamodb": "healthy", "s3": "healthy", "sqs": "healthy"},
    }


def test_a_plan_becomes_rooms(api: httpx.Client, completed: str) -> None:
    job = ended(api, completed)
    assert job["error"] is None
    assert (job["stage"], job["progress"]) == ("done", 1.0)
    assert job["result_s3_key"] == f"cache/final/{completed}/floorplan.json"
    drawn = len(json.loads((EXAMPLES / "flat.rooms.json").read_text())["rooms"])
    found = rooms(api, completed)
    assert drawn - 2 <= len(found) <= drawn + 2
    for room in found:
        assert len(room["polygon"]) >= 3
        assert 0 < room["confidence"] <= 1


def test_the_page_is_a_picture(api: httpx.Client, completed: str) -> None:
    answer = api.get(f"{JOBS}/{completed}/pages/1.png")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/png"
    assert answer.content.startswith(b"\x89PNG")
    assert error(api.get(f"{JOBS}/{completed}/pages/2.png"), 404)["code"] == "NOT_FOUND"


def test_the_list_has_it(api: httpx.Client, completed: str) -> None:
    assert completed in [job["job_id"] for job in api.get(JOBS).json()["data"]["jobs"]]


def test_a_repeated_key_is_the_same_job_and_another_request_is_refused(api: httpx.Client) -> None:
    key = {"idempotency-key": "deployed-once"}
    first = created(api.post(JOBS, json=inline(), headers=key))
    assert created(api.post(JOBS, json=inline(), headers=key)) == first
    other = api.post(JOBS, json=inline(OFFICE, "pdf"), headers=key)
    assert error(other, 409)["code"] == "IDEMPOTENCY_KEY_REUSED"
    assert api.delete(f"{JOBS}/{first}", params={"purge": "true"}).status_code == 200


def test_cancelled_is_final(api: httpx.Client, deployment: Deployment) -> None:
    job_id = created(api.post(JOBS, json=inline((EXAMPLES / "scan.png").read_bytes())))
    early = api.get(f"{JOBS}/{job_id}/result")
    cancelled = api.delete(f"{JOBS}/{job_id}")
    assert error(early, 409)["code"] == "RESULT_NOT_READY"
    assert cancelled.status_code == 200
    assert cancelled.json()["data"]["status"] == "cancelled"
    queue = deployment.resources("AWS::SQS::Queue")["JobQueue"]
    _until_empty(deployment.client("sqs"), queue)
    assert api.get(f"{JOBS}/{job_id}").json()["data"]["status"] == "cancelled"
    assert error(api.get(f"{JOBS}/{job_id}/result"), 409)["code"] == "RESULT_NOT_READY"
    assert api.delete(f"{JOBS}/{job_id}", params={"purge": "true"}).status_code == 200


def _until_empty(sqs: Any, queue: str) -> None:
    """Wait until no message waits or is being worked on."""
    counts = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    ends = time.monotonic() + PATIENCE_S
    while True:
        found = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=counts)["Attributes"]
        if not any(int(found[name]) for name in counts):
            return
        assert time.monotonic() < ends, found
        time.sleep(0.2)


def test_an_ended_job_is_not_cancelled(api: httpx.Client, completed: str) -> None:
    assert error(api.delete(f"{JOBS}/{completed}"), 409)["code"] == "JOB_ALREADY_COMPLETED"


def test_purged_is_gone(api: httpx.Client, deployment: Deployment) -> None:
    job_id = created(api.post(JOBS, json=inline((EXAMPLES / "house.jpg").read_bytes(), "jpg")))
    assert ended(api, job_id)["status"] == "completed"
    assert kept(deployment, job_id)
    assert api.delete(f"{JOBS}/{job_id}", params={"purge": "true"}).status_code == 200
    assert error(api.get(f"{JOBS}/{job_id}"), 404)["code"] == "JOB_NOT_FOUND"
    assert kept(deployment, job_id) == []


def kept(deployment: Deployment, job_id: str) -> list[str]:
    """What the table of jobs and the buckets have of the job: its item's key and its files'."""
    s3, table = deployment.client("s3"), deployment.resources("AWS::DynamoDB::Table")["JobsTable"]
    key = {"job_id": {"S": job_id}}
    found = [job_id] if "Item" in deployment.client("dynamodb").get_item(TableName=table, Key=key) else []
    for bucket in deployment.resources("AWS::S3::Bucket").values():
        found += [one["Key"] for one in s3.list_objects_v2(Bucket=bucket).get("Contents", []) if job_id in one["Key"]]
    return found


def test_a_file_of_50_mb_goes_through_a_ticket(api: httpx.Client, deployment: Deployment) -> None:
    data = large_pdf()
    assert len(data) == 52_428_800
    ticket = api.post("/api/v1/uploads").json()["data"]
    assert ticket["method"] == "POST"
    upload = {"data": ticket["fields"], "timeout": 90}
    over = httpx.post(ticket["url"], files={"file": ("plan.pdf", data + b"\n")}, **upload)
    assert over.status_code == 400
    assert "EntityTooLarge" in over.text
    assert httpx.post(ticket["url"], files={"file": ("plan.pdf", data)}, **upload).status_code in {200, 204}
    body = {"blueprint": {"key": ticket["key"], "format": "pdf"}, "options": {"pages": "1"}}
    job_id = created(api.post(JOBS, json=body))
    assert created(api.post(JOBS, json=body)) == job_id, "an upload becomes one job, however often that is asked"
    job = ended(api, job_id)
    assert job["status"] == "completed", job
    assert len(rooms(api, job_id)) >= 5
    s3, bucket = deployment.client("s3"), deployment.resources("AWS::S3::Bucket")["BlueprintsBucket"]
    assert s3.head_object(Bucket=bucket, Key=job["blueprint_s3_key"])["ContentLength"] == 52_428_800
    assert api.delete(f"{JOBS}/{job_id}", params={"purge": "true"}).status_code == 200


def test_a_file_behind_a_url_becomes_rooms(api: httpx.Client, plans: str) -> None:
    job_id = created(api.post(JOBS, json={"blueprint": {"file": f"{plans}/flat.png", "format": "png"}}))
    assert ended(api, job_id)["status"] == "completed"
    assert len(rooms(api, job_id)) >= 8
    assert api.delete(f"{JOBS}/{job_id}", params={"purge": "true"}).status_code == 200


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://plans.example/flat.png", "its host is not on this service's list"),
        ("https://localhost/flat.png", "its host has an address that is not public"),
        ("http://localhost/flat.png", "only https is fetched"),
    ],
)
def test_only_hosts_that_parameter_store_names_are_asked(api: httpx.Client, plans: str, url: str, reason: str) -> None:
    told = error(api.post(JOBS, json={"blueprint": {"file": url, "format": "png"}}), 400)
    assert (told["code"], told["details"]["reason"]) == ("URL_NOT_ALLOWED", reason)


def test_a_url_that_leads_to_nothing(api: httpx.Client, plans: str) -> None:
    told = error(api.post(JOBS, json={"blueprint": {"file": f"{plans}/none.png", "format": "png"}}), 400)
    assert told["code"] == "URL_FETCH_FAILED"


@pytest.mark.parametrize("token", [None, "Bearer no-such-token-0123456789", "Basic YW5uYTpwbGFuCg=="])
@pytest.mark.parametrize(("method", "path"), [("POST", JOBS), ("GET", JOBS), ("GET", UNKNOWN), ("DELETE", UNKNOWN)])
def test_without_a_good_token_nothing_is_said(
    deployment: Deployment, method: str, path: str, token: str | None
) -> None:
    headers = {} if token is None else {"authorization": token}
    answer = httpx.request(method, deployment.url + path, headers=headers, timeout=60)
    assert error(answer, 401)["code"] == "UNAUTHORIZED"
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "INVALID_REQUEST"),
        ({"blueprint": {"format": "png"}}, "INVALID_REQUEST"),
        (inline(FLAT, "gif"), "INVALID_FILE_FORMAT"),
        (inline(FLAT, "pdf"), "INVALID_FILE_FORMAT"),
        (inline(b"not a picture"), "INVALID_FILE_FORMAT"),
        ({"blueprint": {"key": "uploads/job_20260101_abcdefghijklmnop/blueprint", "format": "pdf"}}, "INVALID_REQUEST"),
    ],
)
def test_what_is_no_blueprint_is_refused(api: httpx.Client, body: dict[str, Any], code: str) -> None:
    assert error(api.post(JOBS, json=body), 400)["code"] == code


def test_a_job_that_is_not_there(api: httpx.Client) -> None:
    for method, path in [("GET", UNKNOWN), ("DELETE", UNKNOWN), ("GET", f"{UNKNOWN}/result")]:
        assert error(api.request(method, path), 404)["code"] == "JOB_NOT_FOUND"
    assert error(api.get("/api/v1/nothing"), 404)["code"] == "NOT_FOUND"


def test_a_large_file_is_sent_to_the_tickets(api: httpx.Client) -> None:
    told = error(api.post(JOBS, json=inline(large_pdf()[: 4 * 1024**2 + 1], "pdf")), 413)
    assert told["code"] == "FILE_TOO_LARGE"
    assert told["details"] == {"limit": "max_inline_bytes", "value": 4 * 1024**2, "upload": "/api/v1/uploads"}


def test_browsers_are_told_what_they_may_ask(deployment: Deployment) -> None:
    origin = {"origin": "https://plans.example"}
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}
    answer = httpx.options(deployment.url + JOBS, headers={**origin, **asked}, timeout=60)
    assert answer.status_code in {200, 204}
    (properties,) = of_type(load(), "AWS::ApiGatewayV2::Api").values()
    cors, told = properties["CorsConfiguration"], answer.headers
    assert told["access-control-allow-origin"] == "*"
    assert told["access-control-allow-methods"].split(",") == cors["AllowMethods"]
    assert told["access-control-allow-headers"].split(",") == cors["AllowHeaders"]
    assert told["access-control-max-age"] == "86400"
    plain = httpx.get(f"{deployment.url}/health", headers=origin, timeout=60)
    assert plain.headers.get_list("access-control-allow-origin") == ["*"], "once, and not by the app too"
    assert plain.headers["access-control-expose-headers"].split(",") == cors["ExposeHeaders"]
