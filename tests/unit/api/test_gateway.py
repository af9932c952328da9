from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send
from tests.conftest import Broken, MakeApp
from tests.unit.services.plans import png

from api.gateway import Answered, Gateway
from storage.base import Storage
from utils.config import load_settings
from utils.errors import ServiceUnavailableError


def test_every_answer_has_an_id_and_headers_that_keep_browsers_careful(client: TestClient) -> None:
    seen = set()
    for path in ["/health", "/", "/docs", "/nowhere", "/api/v1/jobs", "/openapi.json", "/static/docs.js"]:
        answer = client.get(path)
        assert re.fullmatch(r"req_[0-9a-f]{16}", answer.headers["X-Request-Id"])
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "default-src" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        seen.add(answer.headers["X-Request-Id"])
    assert len(seen) == 7


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/nowhere", "NOT_FOUND"),
        ("/health/", "NOT_FOUND"),
        ("/docs/", "NOT_FOUND"),
        ("/api/v1", "NOT_FOUND"),
        ("/api/v1/jobs/", "JOB_NOT_FOUND"),
        ("/api/v1/jobs//result", "JOB_NOT_FOUND"),
        ("/api/v1/jobs/job_x/", "JOB_NOT_FOUND"),
        ("/api/v1/jobs/job_20260101_abcdefghijklmnop/rooms", "NOT_FOUND"),
        ("/static/../rest_api.py", "NOT_FOUND"),
        ("/static/%2e%2e/rest_api.py", "NOT_FOUND"),
        ("/static/..%2frest_api.py", "NOT_FOUND"),
        ("/static//etc/passwd", "NOT_FOUND"),
        ("/static/", "NOT_FOUND"),
        ("/static/a%00.js", "NOT_FOUND"),
        ("/static/none.js", "NOT_FOUND"),
    ],
)
def test_unknown_addresses_answer_404_in_the_envelope_and_redirect_nowhere(
    client: TestClient, path: str, code: str
) -> None:
    answer = client.get(path, follow_redirects=False)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, code)
    assert answer.json()["status"] == "error"
    assert answer.json()["meta"]["request_id"] == answer.headers["X-Request-Id"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/v1/jobs", "GET, HEAD, POST"),
        ("DELETE", "/api/v1/jobs", "GET, HEAD, POST"),
        ("PATCH", "/api/v1/jobs/x", "DELETE, GET, HEAD"),
        ("POST", "/api/v1/jobs/x", "DELETE, GET, HEAD"),
        ("POST", "/api/v1/jobs/x/result", "GET, HEAD"),
        ("DELETE", "/api/v1/jobs/x/pages/1.png", "GET, HEAD"),
        ("GET", "/api/v1/uploads", "POST"),
        ("HEAD", "/api/v1/uploads", "POST"),
        ("POST", "/health", "GET, HEAD"),
        ("OPTIONS", "/health", "GET, HEAD"),
        ("TRACE", "/", "GET, HEAD"),
        ("POST", "/static/docs.js", "GET, HEAD"),
    ],
)
def test_a_method_that_an_address_does_not_take(client: TestClient, method: str, path: str, allowed: str) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)
    if method != "HEAD":
        assert answer.json()["error"]["code"] == "METHOD_NOT_ALLOWED"
        assert answer.json()["error"]["details"]["allowed"] == allowed.split(", ")


@pytest.mark.parametrize("path", ["/health", "/docs", "/api/v1/jobs", "/api/v1/jobs/x", "/openapi.json"])
def test_head_is_get_without_the_body(client: TestClient, path: str) -> None:
    got, head = client.get(path), client.head(path)
    assert head.content == b""
    assert (head.status_code, head.headers["Content-Type"]) == (got.status_code, got.headers["Content-Type"])
    assert head.headers["Content-Length"] == got.headers["Content-Length"] == str(len(got.content))


def test_preflight_tells_a_browser_what_it_may_ask(client: TestClient) -> None:
    asks = {"Origin": "https://a.example", "Access-Control-Request-Method": "DELETE"}
    for path in ["/api/v1/jobs/x", "/nowhere", "/health"]:
        answer = client.options(path, headers=asks)
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "DELETE" in answer.headers["Access-Control-Allow-Methods"]
        assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
        assert "Idempotency-Key" in answer.headers["Access-Control-Allow-Headers"]
        assert int(answer.headers["Access-Control-Max-Age"]) > 0


def test_pages_of_listed_origins_alone_read_answers(make_app: MakeApp, settings: Any) -> None:
    listed = load_settings(data_dir=settings.data_dir, cors_origins="https://a.example,https://b.example")
    client = TestClient(make_app(settings=listed))
    allowed = client.get("/health", headers={"Origin": "https://b.example"})
    assert allowed.headers["Access-Control-Allow-Origin"] == "https://b.example"
    assert "X-Request-Id" in allowed.headers["Access-Control-Expose-Headers"]
    assert allowed.headers["Vary"] == "Origin"
    for headers in [{"Origin": "https://evil.example"}, {"Origin": "null"}, {}]:
        refused = client.get("/health", headers=headers)
        assert "Access-Control-Allow-Origin" not in refused.headers
        assert refused.headers["Vary"] == "Origin"


@pytest.mark.parametrize("headers", [{"Origin": "https://a.example"}, {}])
def test_without_origins_nothing_is_said_of_cors(make_app: MakeApp, settings: Any, headers: dict[str, str]) -> None:
    """Nothing that a gateway in front, which answers for CORS then, would say once more."""
    client = TestClient(make_app(settings=load_settings(data_dir=settings.data_dir, cors_origins="")))
    told = client.get("/health", headers=headers).headers
    assert "vary" not in told
    assert not [name for name in told if name.startswith("access-control-")]


def test_the_origins_may_change_while_the_service_runs() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    known, asked = [["https://a.example"], ["https://b.example"]], []

    def live() -> list[str]:
        asked.append(True)
        return known[0]

    client = TestClient(Gateway(app, cors_origins=[], live_origins=live, audit=lambda _: None))
    assert "Access-Control-Allow-Origin" not in client.get("/").headers
    assert asked == []  # nobody reads the answer, so nobody waits for it
    a, b = ({"Origin": origins[0]} for origins in known)
    assert client.get("/", headers=a).headers["Access-Control-Allow-Origin"] == "https://a.example"
    assert "Access-Control-Allow-Origin" not in client.get("/", headers=b).headers
    known.pop(0)
    assert client.get("/", headers=b).headers["Access-Control-Allow-Origin"] == "https://b.example"


def test_what_nobody_foresaw_is_told_without_a_trace(
    make_app: MakeApp, storage: Storage, capsys: pytest.CaptureFixture[str]
) -> None:
    broken: Any = Broken(ZeroDivisionError("secret inside"))
    client = TestClient(make_app(storage=replace(storage, jobs=broken)))
    answer = client.get("/api/v1/jobs")
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "INTERNAL_ERROR"
    assert "secret inside" not in answer.text
    assert "Traceback" not in answer.text
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    log = capsys.readouterr().err
    assert "ZeroDivisionError" in log  # what it was and where it came from, but not what it said
    assert "services/job_service.py" in log
    assert "secret inside" not in log
    assert answer.headers["X-Request-Id"] in log


def test_an_outage_says_when_to_ask_again(make_app: MakeApp, storage: Storage) -> None:
    broken: Any = Broken(ServiceUnavailableError())
    answer = TestClient(make_app(storage=replace(storage, jobs=broken))).get("/api/v1/jobs")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert int(answer.headers["Retry-After"]) > 0


def test_the_audit_line_tells_who_did_what_and_nothing_more(
    client: TestClient, audit_lines: list[Answered], capsys: pytest.CaptureFixture[str]
) -> None:
    answer = client.post("/api/v1/jobs", files={"file": ("secret-name.png", png())})
    client.get(f"/api/v1/jobs/{answer.json()['data']['job_id']}")
    client.get("/nowhere/with-secret")
    lines = [(line.method, line.route, line.status, line.owner) for line in audit_lines]
    assert lines == [
        ("POST", "/api/v1/jobs", 201, "local"),
        ("GET", "/api/v1/jobs/{job_id}", 200, "local"),
        ("GET", "(none)", 404, None),
    ]
    assert all(line.duration_ms > 0 for line in audit_lines)
    assert "secret" not in capsys.readouterr().err + repr(audit_lines)


def test_the_audit_line_is_logged_as_json(
    make_app: MakeApp, settings: Any, storage: Storage, capsys: pytest.CaptureFixture[str]
) -> None:
    from api.rest_api import create_app

    client = TestClient(create_app(storage, settings, tokens=None))
    answer = client.get("/health", headers={"X-Correlation-Id": "corr-1"})
    bad = client.get("/health", headers={"X-Correlation-Id": "two words"})
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    first, second = (line for line in lines if line.get("action") == "request")
    assert (first["method"], first["route"], first["status"]) == ("GET", "/health", 200)
    assert (first["request_id"], first["correlation_id"]) == (answer.headers["X-Request-Id"], "corr-1")
    assert second["correlation_id"] == bad.headers["X-Request-Id"]
    assert answer.headers["X-Correlation-Id"] == "corr-1"
    assert bad.headers["X-Correlation-Id"] == bad.headers["X-Request-Id"]


def drive(
    app: Any, chunks: list[bytes], headers: dict[str, str], **limits: Any
) -> tuple[dict[bytes, bytes], int, list[Message]]:
    """What an ASGI app sends behind a gateway, and how many chunks of the body were left unread."""
    sent: list[Message] = []
    waiting = list(chunks)

    async def receive() -> Message:
        if not waiting:
            await asyncio.sleep(60)
        return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    asyncio.run(Gateway(app, cors_origins=["*"], audit=lambda _: None, **limits)(scope, receive, send))
    return dict(sent[0]["headers"]) if sent else {}, len(waiting), sent


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 413, "headers": []})
    await send({"type": "http.response.body", "body": b"no"})


CHUNKED = {"transfer-encoding": "chunked"}


def test_a_refused_body_is_read_away_before_the_answer() -> None:
    headers, left, sent = drive(refuse, [b"x"] * 5, CHUNKED)
    assert left == 0
    assert b"connection" not in headers
    assert sent[1]["body"] == b"no"


def test_draining_ends_at_its_limit_of_bytes() -> None:
    headers, left, _ = drive(refuse, [b"xx"] * 9, CHUNKED, drain_bytes=7)
    assert left == 5
    assert headers[b"connection"] == b"close"


def test_draining_ends_at_its_limit_of_time() -> None:
    headers, _, sent = drive(refuse, [], CHUNKED, drain_s=0.05)
    assert headers[b"connection"] == b"close"
    assert sent[0]["status"] == 413


def test_a_client_that_asks_before_sending_is_told_at_once() -> None:
    headers, left, _ = drive(refuse, [b"x"] * 5, {"content-length": "5", "expect": "100-continue"})
    assert left == 5
    assert headers[b"connection"] == b"close"


def test_a_client_that_left_is_not_answered(audit_lines: list[Answered]) -> None:
    async def leave(scope: Scope, receive: Receive, send: Send) -> None:
        raise ClientDisconnect

    _, _, sent = drive(leave, [b"x"], CHUNKED)
    assert sent == []


def test_a_failure_in_the_middle_of_an_answer_cuts_it_off() -> None:
    async def half(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ZeroDivisionError

    with pytest.raises(Exception, match="Something went wrong"):
        drive(half, [b""], {})


def test_what_is_not_http_passes_through() -> None:
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    async def nothing(*_: Any) -> Any:
        return None

    asyncio.run(Gateway(app, cors_origins=["*"])({"type": "lifespan"}, nothing, nothing))
    assert seen == ["lifespan"]


def test_a_body_of_generated_chunks_is_drained_by_the_whole_app(client: TestClient) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(50):
            yield b"x" * 1000

    answer = client.post("/nowhere", content=chunks())
    assert answer.status_code == 404
