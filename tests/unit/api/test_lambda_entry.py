"""The API as a Lambda function: events of an HTTP API in, the same answers out as over HTTP."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.unit.api.events import DOMAIN, Context, body_of, event
from tests.unit.services.plans import MODEL_VERSION, Engine, png

import api.rest_api
from api.auth import hash_token
from api.cloud import known_tokens, make_function
from services.detection_service import DetectionService
from storage import open_storage
from utils.config import load_settings
from utils.errors import ServiceUnavailableError

ROOT = Path(__file__).parents[3]
JOBS = "/api/v1/jobs"
TOKEN = "token-of-anna-0123"
AUTH = {"authorization": f"Bearer {TOKEN}"}
JSON = {"content-type": "application/json"}
Call = Callable[..., dict[str, Any]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Call]:
    """The function with an event: what it answers."""
    monkeypatch.setenv("LOCATION_DETECTION_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LOCATION_DETECTION_TOKENS", json.dumps({"anna": [hash_token(TOKEN)]}))
    api.rest_api._function.cache_clear()

    def call(method: str, path: str, body: bytes = b"", *, context: Any = None, **more: Any) -> dict[str, Any]:
        answer: dict[str, Any] = api.rest_api.handler(event(method, path, body, **more), context or Context())
        return answer

    yield call
    api.rest_api._function.cache_clear()


def create_body(data: bytes | None = None) -> bytes:
    file = base64.b64encode(data or png()).decode()
    return json.dumps({"blueprint": {"file": file, "format": "png"}}).encode()


def data_of(answer: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(body_of(answer))["data"]
    return found


def work() -> None:
    storage = open_storage(load_settings())
    delivery = storage.queue.receive(30)
    assert delivery is not None
    DetectionService(storage, Engine(), model_version=MODEL_VERSION).run(delivery)


def test_events_are_answered(call: Call) -> None:
    health = call("GET", "/health")
    assert health["statusCode"] == 200
    assert json.loads(health["body"])["status"] == "healthy"
    created = call("POST", JOBS, create_body(), **JSON, **AUTH)
    assert created["statusCode"] == 201
    path = created["headers"]["location"]
    assert data_of(call("GET", path, **AUTH))["status"] == "pending"
    work()
    assert data_of(call("GET", path, **AUTH))["status"] == "completed"
    picture = call("GET", f"{path}/pages/1.png", **AUTH)
    assert (picture["headers"]["content-type"], body_of(picture)) == ("image/png", png(shade=1))
    page = call("GET", "/docs")
    assert page["headers"]["content-type"].startswith("text/html")


def test_behind_a_gateway_nobody_is_local(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCATION_DETECTION_TOKENS")
    assert call("GET", JOBS)["statusCode"] == 401


def test_tokens_that_are_not_well_formed_are_an_outage(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCATION_DETECTION_TOKENS", '{"anna": "s3cret')
    answer = call("GET", JOBS, **AUTH)
    assert answer["statusCode"] == 503
    assert int(answer["headers"]["retry-after"]) > 0
    with pytest.raises(ServiceUnavailableError):
        known_tokens()


# Every request twice: over ASGI and as an event. What is random or counts time differs, and nothing else.
_FORM = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n' + png() + b"\r\n--b--\r\n"
_JOB = f"{JOBS}/job_20260101_abcdefghijklmnop"
REQUESTS: list[tuple[str, str, bytes, dict[str, str]]] = [
    ("GET", "/health", b"", {}),
    ("HEAD", "/health", b"", {}),
    ("GET", "/", b"", {}),
    ("GET", "/docs", b"", {}),
    ("GET", "/openapi.json", b"", {}),
    ("GET", "/static/app.js", b"", {}),
    ("GET", "/static/none.js", b"", {}),
    ("GET", "/api/v1/schema/floorplan.json", b"", {}),
    ("GET", "/nowhere", b"", {}),
    ("PUT", JOBS, b"", AUTH),
    ("GET", JOBS, b"", {}),
    ("GET", JOBS, b"", {"authorization": "Bearer wrong"}),
    ("GET", JOBS, b"", AUTH),
    ("GET", f"{JOBS}?limit=5", b"", AUTH),
    ("GET", f"{JOBS}?limit=0", b"", AUTH),
    ("GET", f"{JOBS}?limit=1&limit=2", b"", AUTH),
    ("GET", f"{JOBS}?cursor=a%2Fb", b"", AUTH),
    ("GET", f"{JOBS}?surprise=1", b"", AUTH),
    ("GET", _JOB, b"", AUTH),
    ("GET", f"{_JOB}?wait=-1", b"", AUTH),
    ("GET", f"{JOBS}/%E2%82%AC", b"", AUTH),
    ("DELETE", _JOB, b"", AUTH),
    ("DELETE", f"{_JOB}?purge=maybe", b"", AUTH),
    ("DELETE", f"{_JOB}?purge=true", b"", AUTH),
    ("GET", f"{_JOB}/result", b"", AUTH),
    ("GET", f"{_JOB}/pages/0.png", b"", AUTH),
    ("GET", f"{_JOB}/pages/1.png", b"", AUTH),
    ("POST", JOBS, create_body(), {**JSON, **AUTH}),
    ("POST", JOBS, create_body(), {**JSON}),
    ("POST", JOBS, create_body(b"GIF89a"), {**JSON, **AUTH}),
    ("POST", JOBS, create_body(b"\x89PNG\r\n\x1a\n" + bytes(5 * 1024**2)), {**JSON, **AUTH}),
    ("POST", JOBS, '{"blueprint": "é"}'.encode(), {**JSON, **AUTH}),
    ("POST", JOBS, b"{", {**JSON, **AUTH}),
    ("POST", JOBS, b"", {**JSON, **AUTH}),
    ("POST", JOBS, b"a,b", {"content-type": "text/csv", **AUTH}),
    ("POST", JOBS, _FORM, {"content-type": "multipart/form-data; boundary=b", **AUTH}),
    ("POST", JOBS, _FORM[:-9], {"content-type": "multipart/form-data; boundary=b", **AUTH}),
    ("POST", JOBS, bytes(5 * 1024**2), {"content-type": "multipart/form-data; boundary=b", **AUTH}),
    ("POST", "/api/v1/uploads", b"", AUTH),
    ("POST", "/api/v1/uploads", b'{"a": 1}', {**JSON, **AUTH}),
    ("POST", "/api/v1/uploads/x", _FORM, {"content-type": "multipart/form-data; boundary=b"}),
    (
        "OPTIONS",
        JOBS,
        b"",
        {"origin": "https://a.example", "access-control-request-method": "POST"},
    ),
    ("GET", "/health", b"", {"origin": "https://a.example", "x-correlation-id": "order-7"}),
]
_VARYING = [
    (rb"req_[0-9a-f]{16}", b"req"),
    (rb"job_\d{8}_[a-z2-7]{16}", b"job"),
    (rb"\d{4}-\d\d-\d\dT[0-9:.]+Z", b"time"),
    (rb'"(signature|expires)":"[0-9a-f]+"', b'"varies"'),
    (rb"uploads/[0-9a-f]{16}", b"uploads/ticket"),
]


def steady(text: bytes) -> bytes:
    for pattern, word in _VARYING:
        text = re.sub(pattern, word, text)
    return text


@pytest.mark.parametrize(("method", "path", "body", "headers"), REQUESTS)
def test_an_event_is_answered_like_a_request(
    call: Call, method: str, path: str, body: bytes, headers: dict[str, str]
) -> None:
    client = TestClient(api.rest_api.cloud_app(), base_url=f"https://{DOMAIN}", raise_server_exceptions=False)
    over_http = client.request(method, path, content=body, headers=headers)
    answer = call(method, path, body, request_id="", **headers)
    assert answer["statusCode"] == over_http.status_code
    assert steady(body_of(answer)) == steady(over_http.content)

    def compared(headers: Any) -> dict[str, str]:
        return {
            name: steady(value.encode()).decode()
            for name, value in headers.items()
            if name not in ("content-length", "connection") or method != "HEAD"
        }

    found, expected = compared(answer["headers"]), compared(over_http.headers)
    if over_http.status_code == 204:
        found.pop("content-type", None)  # the adapter's word on an answer without a body
    for name in ("content-length", "connection"):
        found.pop(name, None)
        expected.pop(name, None)
    assert found == expected


class TestWhatTheGatewayTells:
    def test_its_id_of_the_request_follows_the_job_to_the_worker(
        self, call: Call, capsys: pytest.CaptureFixture[str]
    ) -> None:
        created = call("POST", JOBS, create_body(), request_id="JKJaXmPLvHcESHA=", **JSON, **AUTH)
        work()
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        assert {line["correlation_id"] for line in lines} == {"JKJaXmPLvHcESHA="}
        assert {line["request_id"] for line in lines} == {created["headers"]["x-request-id"]}
        (audit,) = [line for line in lines if line["action"] == "request"]
        assert (audit["gateway_request_id"], audit["owner"]) == ("JKJaXmPLvHcESHA=", "anna")
        assert created["headers"]["x-correlation-id"] == "JKJaXmPLvHcESHA="

    def test_the_clients_own_correlation_id_goes_before_it(
        self, call: Call, capsys: pytest.CaptureFixture[str]
    ) -> None:
        created = call("POST", JOBS, create_body(), x_correlation_id="order-7", **JSON, **AUTH)
        assert created["headers"]["x-correlation-id"] == "order-7"
        capsys.readouterr()
        work()
        assert {json.loads(line)["correlation_id"] for line in capsys.readouterr().err.splitlines()} == {"order-7"}

    @pytest.mark.parametrize("stage", ["$default", "dev", "api"])
    @pytest.mark.parametrize("domain", [DOMAIN, "plans.example.org"])
    def test_addresses_are_right_under_any_stage_and_domain(self, call: Call, stage: str, domain: str) -> None:
        place = {"stage": stage, "domain": domain}
        prefix = "" if stage == "$default" else f"/{stage}"
        created = call("POST", JOBS, create_body(), **place, **JSON, **AUTH)
        assert created["statusCode"] == 201
        location = created["headers"]["location"]
        assert location.startswith(f"{prefix}{JOBS}/job_")
        assert call("GET", location.removeprefix(prefix), **place, **AUTH)["statusCode"] == 200
        ticket = data_of(call("POST", "/api/v1/uploads", **place, **AUTH))
        assert ticket["url"].startswith(f"https://{domain}{prefix}/api/v1/uploads/")
        assert call("GET", "/", **place)["statusCode"] == 200
        for path, code in [("/nowhere", "NOT_FOUND"), (f"{JOBS}/x", "JOB_NOT_FOUND"), ("/developer", "NOT_FOUND")]:
            refused = call("GET", path, **place, **AUTH)
            assert (refused["statusCode"], json.loads(refused["body"])["error"]["code"]) == (404, code)
        bad = call("POST", f"{JOBS}?x=1", create_body(), **place, **JSON, **AUTH)
        assert json.loads(bad["body"])["error"]["code"] == "INVALID_REQUEST"

    def test_the_app_sees_who_asked_and_how_long_it_has(self) -> None:
        seen: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            seen.append(scope)
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        make_function(app)(event("GET", "/a?b=c", stage="dev"), Context(12.5))
        (scope,) = seen
        assert (scope["client"][0], scope["scheme"], scope["server"]) == ("192.0.2.1", "https", (DOMAIN, 443))
        assert (scope["path"], scope["root_path"], scope["query_string"]) == ("/dev/a", "/dev", b"b=c")
        assert scope["state"] == {"gateway_request_id": "JKJaXmPLvHcESHA=", "time_left_s": 12.5}

    def test_a_waiting_request_is_answered_before_it_is_cut_off(self, call: Call) -> None:
        location = call("POST", JOBS, create_body(), **JSON, **AUTH)["headers"]["location"]
        began = time.monotonic()
        answer = call("GET", f"{location}?wait=20", context=Context(5.3), **AUTH)
        assert data_of(answer)["status"] == "pending"
        assert 0.3 <= time.monotonic() - began < 3


class TestSizes:
    @pytest.mark.parametrize("as_form", [False, True])
    def test_a_file_that_lambda_could_not_take_is_sent_to_the_uploads(self, call: Call, as_form: bool) -> None:
        data = png() + bytes(4 * 1024**2 + 200 * 1024)
        kind, body = JSON, create_body(data)
        if as_form:
            kind, body = {"content-type": "multipart/form-data; boundary=b"}, _FORM.replace(png(), data)
        answer = call("POST", JOBS, body, **kind, **AUTH)
        assert answer["statusCode"] == 413
        error = json.loads(answer["body"])["error"]
        assert error["code"] == "FILE_TOO_LARGE"
        assert error["details"] == {"limit": "max_inline_bytes", "value": 4 * 1024**2, "upload": "/api/v1/uploads"}
        assert "POST /api/v1/uploads" in error["message"]

    def test_a_file_of_4_mb_is_taken(self, call: Call) -> None:
        data = png() + bytes(4 * 1024**2 - 1000)
        body = create_body(data)
        asked = event("POST", JOBS, body, **JSON, **AUTH)
        assert len(json.dumps(asked)) < 6 * 1024**2
        assert api.rest_api.handler(asked, Context())["statusCode"] == 201


def test_importing_the_api_opens_nothing_and_reaches_no_engine(tmp_path: Path) -> None:
    check = (
        "import sys, json, api.rest_api, api.health, api.auth;"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", check],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "LOCATION_DETECTION_DATA_DIR": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    loaded = set(json.loads(done.stdout))
    assert "fastapi" in loaded
    assert not loaded & {"numpy", "cv2", "PIL", "pypdfium2", "shapely", "detection", "boto3", "sqlite3", "mangum"}
    assert list(tmp_path.iterdir()) == []
