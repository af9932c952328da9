"""What the deployed API answers where something is wrong, and to browsers: in our envelope, not the gateway's."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import httpx
import pytest
from tests.aws.clients import FLAT, JOBS, UNKNOWN, UPLOADS, Record, completed, create, inline, refused
from tests.aws.deployment import Deployment

from api.auth import hash_token

pytestmark = [pytest.mark.slow, pytest.mark.timeout(500)]
ORIGIN = {"origin": "https://plans.example"}


@pytest.fixture(scope="module")
def http(deployment: Deployment) -> httpx.Client:
    return deployment.http


@pytest.fixture(scope="module")
def stranger(deployment: Deployment) -> Iterator[httpx.Client]:
    """A client without a token."""
    with deployment.http_as(None) as client:
        yield client


def test_it_is_healthy_and_says_of_which_parts(stranger: httpx.Client) -> None:
    answer = stranger.get("/health")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "healthy",
        "services": {"dynamodb": "healthy", "s3": "healthy", "sqs": "healthy"},
    }


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/static/app.js", "/api/v1/schema/floorplan.json"])
def test_the_page_and_the_descriptions_are_open(stranger: httpx.Client, path: str) -> None:
    assert stranger.get(path).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", JOBS),
        ("POST", JOBS),
        ("POST", UPLOADS),
        ("GET", UNKNOWN),
        ("DELETE", UNKNOWN),
        ("GET", f"{UNKNOWN}/result"),
        ("GET", f"{UNKNOWN}/pages/1.png"),
    ],
)
@pytest.mark.parametrize("token", [None, "ld_made_up"])
def test_nobody_gets_in_without_a_token(deployment: Deployment, method: str, path: str, token: str | None) -> None:
    with deployment.http_as(token) as client:
        answer = client.request(method, path)
    assert refused(answer) == (401, "UNAUTHORIZED")
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_the_secret_holds_a_hash_and_the_token_is_nowhere(deployment: Deployment) -> None:
    name = deployment.outputs["TokensSecretName"]
    secret = deployment.client("secretsmanager").get_secret_value(SecretId=name)["SecretString"]
    assert json.loads(secret)["anna"] == [hash_token(deployment.token)]
    assert deployment.token not in secret


def test_a_job_is_its_owners_alone(deployment: Deployment, http: httpx.Client) -> None:
    job_id = create(http, inline(FLAT))["job_id"]
    with deployment.http_as(deployment.other_token) as other:
        assert refused(other.get(f"{JOBS}/{job_id}")) == (404, "JOB_NOT_FOUND")
        assert refused(other.delete(f"{JOBS}/{job_id}")) == (404, "JOB_NOT_FOUND")
        assert job_id not in [job["job_id"] for job in other.get(JOBS).json()["data"]["jobs"]]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "INVALID_REQUEST"),
        ({"blueprint": {"file": "*", "format": "png"}}, "INVALID_REQUEST"),
        (inline(FLAT, "tiff"), "INVALID_FILE_FORMAT"),
        (inline(FLAT, "pdf"), "INVALID_FILE_FORMAT"),
        (inline(b"GIF89a"), "INVALID_FILE_FORMAT"),
        ({"blueprint": {"file": "https://elsewhere.example/a.png", "format": "png"}}, "URL_NOT_ALLOWED"),
        ({"blueprint": {"key": "uploads/job_20260101_abcdefghijklmnop/blueprint", "format": "png"}}, "INVALID_REQUEST"),
    ],
)
def test_what_is_no_blueprint_is_a_400(http: httpx.Client, body: Record, code: str) -> None:
    assert refused(http.post(JOBS, json=body)) == (400, code)


def test_what_is_no_json_is_a_400(http: httpx.Client) -> None:
    answer = http.post(JOBS, content=b"{", headers={"content-type": "application/json"})
    assert refused(answer) == (400, "INVALID_REQUEST")


def test_what_is_not_there_is_a_404(http: httpx.Client) -> None:
    assert refused(http.get(UNKNOWN)) == (404, "JOB_NOT_FOUND")
    assert refused(http.delete(UNKNOWN)) == (404, "JOB_NOT_FOUND")
    assert refused(http.get(f"{JOBS}/nonsense")) == (404, "JOB_NOT_FOUND")
    assert refused(http.get("/nowhere")) == (404, "NOT_FOUND")
    assert refused(http.put(UNKNOWN)) == (405, "METHOD_NOT_ALLOWED")


def test_a_file_too_large_for_a_request_is_a_413_that_says_where_to(http: httpx.Client) -> None:
    large = FLAT + bytes(4 * 1024**2 - len(FLAT) + 1)
    answer = http.post(JOBS, json=inline(large))
    assert refused(answer) == (413, "FILE_TOO_LARGE")
    assert answer.json()["error"]["details"] == {"limit": "max_inline_bytes", "value": 4 * 1024**2, "upload": UPLOADS}
    assert len(base64.b64encode(large)) < 6 * 1024**2  # Lambda itself would take it


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_browser_is_told_what_it_may_ask(stranger: httpx.Client, method: str) -> None:
    asked = {
        **ORIGIN,
        "access-control-request-method": method,
        "access-control-request-headers": "authorization,content-type,idempotency-key",
    }
    answer = stranger.request("OPTIONS", JOBS, headers=asked)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert method in answer.headers["access-control-allow-methods"].split(",")
    allowed = answer.headers["access-control-allow-headers"].lower().split(",")
    assert {"authorization", "content-type", "idempotency-key", "x-correlation-id"} <= set(allowed)
    assert answer.headers["access-control-max-age"] == "86400"


def test_a_browsers_page_reads_answers_and_refusals(http: httpx.Client, stranger: httpx.Client) -> None:
    for answer in (http.get(JOBS, headers=ORIGIN), stranger.get(JOBS, headers=ORIGIN)):
        assert answer.headers.get_list("access-control-allow-origin") == ["*"]
        exposed = answer.headers["access-control-expose-headers"].lower().split(",")
        assert {"x-request-id", "location", "retry-after"} <= set(exposed)


def test_ids_come_back_and_lead_through_the_logs_of_both_functions(deployment: Deployment, http: httpx.Client) -> None:
    job_id = create(http, inline(FLAT), **{"x-correlation-id": "order-4711"})["job_id"]
    completed(http, job_id)
    for name in ("RestApiFunctionName", "WorkerFunctionName"):
        lines = deployment.await_log(deployment.outputs[name], job_id)
        assert any(line.get("correlation_id") == "order-4711" for line in lines), lines
        assert any(line.get("action") == "job_moved" for line in lines), lines
