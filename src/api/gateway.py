"""What every request passes, whatever its route: ids, CORS, security headers, draining, audit line, last net."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.envelope import JSON, failure_body, failure_headers
from utils.errors import InternalError, ServiceError
from utils.logging import bind_context, get_logger

DRAIN_BYTES: Final = 80 * 1024 * 1024
DRAIN_S: Final = 10.0
METHODS: Final = "GET, HEAD, POST, DELETE, OPTIONS"
REQUEST_HEADERS: Final = "Authorization, Content-Type, Idempotency-Key, X-Correlation-Id"
RESPONSE_HEADERS: Final = "X-Request-Id, Location, Retry-After, Allow, WWW-Authenticate"
PREFLIGHT_S: Final = 86400
# An answer of the API is data: no browser is to run or frame it. Pages bring a policy of their own.
API_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"
_CORRELATION_ID: Final = re.compile(r"[A-Za-z0-9._:=/@+-]{1,128}")

_log = get_logger()


@dataclass(frozen=True, slots=True)
class Answered:
    """What the audit log keeps of a request: no file name, no bytes, no token, no parameter."""

    method: str
    route: str
    status: int
    owner: str | None
    duration_ms: float


def log_answered(answered: Answered) -> None:
    """Write the audit line of a request."""
    _log.info(
        "A request was answered.",
        extra={
            "action": "request",
            "method": answered.method,
            "route": answered.route,
            "status": answered.status,
            "owner": answered.owner,
            "duration_ms": answered.duration_ms,
        },
    )


class Gateway:
    """The outermost layer around the routes, as ASGI."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        cors_origins: Sequence[str],
        audit: Callable[[Answered], None] = log_answered,
        clock: Callable[[], float] = time.perf_counter,
        drain_bytes: int = DRAIN_BYTES,
        drain_s: float = DRAIN_S,
    ) -> None:
        self._app, self._audit, self._clock = app, audit, clock
        self._cors_origins = frozenset(cors_origins)
        self._drain_bytes, self._drain_s = drain_bytes, drain_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = self._clock()
        headers = Headers(scope=scope)
        request_id = f"req_{secrets.token_hex(8)}"
        correlation_id = headers.get("x-correlation-id", "")
        if _CORRELATION_ID.fullmatch(correlation_id) is None:
            correlation_id = request_id
        method = scope["method"]
        inner = dict(scope, method="GET" if method == "HEAD" else method)
        inner["state"] = {**scope.get("state", {}), "request_id": request_id}
        body = _Body(receive, headers)
        answer = _Answer(self, send, headers, body, request_id, head=method == "HEAD")
        with bind_context(request_id=request_id, correlation_id=correlation_id):
            try:
                if _is_preflight(method, headers):
                    await answer.preflight()
                else:
                    await self._app(inner, body.receive, answer.send)
            except ClientDisconnect:
                answer.status = answer.status or 499  # nobody is left to be answered
            except Exception as error:  # noqa: BLE001 -- the last net; the client gets a code, the log the cause
                _log.exception("A request failed unforeseen.", extra={"action": "request_failed"})
                await answer.fail(error if isinstance(error, ServiceError) else InternalError())
            finally:
                route = getattr(inner.get("route"), "path", "(preflight)" if answer.is_preflight else "(none)")
                duration_ms = round((self._clock() - started) * 1000, 1)
                self._audit(Answered(method, route, answer.status, inner["state"].get("owner"), duration_ms))

    def cors_headers(self, origin: str | None) -> dict[str, str]:
        """The headers that let a page of the origin read the answer."""
        if "*" in self._cors_origins:
            return {"Access-Control-Allow-Origin": "*"}
        if origin is not None and origin in self._cors_origins:
            return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
        return {"Vary": "Origin"}

    async def drain(self, body: _Body) -> bool:
        """Whether the rest of the body was read away within the limits, so that the client now reads the answer."""
        left_bytes = self._drain_bytes
        with anyio.move_on_after(self._drain_s):
            while not body.finished and left_bytes > 0:
                message = await body.receive()
                left_bytes -= len(message.get("body", b""))
        return body.finished


class _Body:
    """The request's body, and whether all of it has been read."""

    def __init__(self, receive: Receive, headers: Headers) -> None:
        self._receive = receive
        announced = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
        self.finished = not announced
        self.started = False
        self.asks_first = headers.get("expect", "").lower() == "100-continue"

    async def receive(self) -> Message:
        message = await self._receive()
        self.started = True
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self.finished = True
        return message


class _Answer:
    """The response on its way out."""

    def __init__(
        self, gateway: Gateway, send: Send, headers: Headers, body: _Body, request_id: str, *, head: bool
    ) -> None:
        self.status = 0
        self.is_preflight = False
        self._gateway, self._send, self._body = gateway, send, body
        self._origin = headers.get("origin")
        self._request_id, self._head = request_id, head

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            await self._start(message)
        elif self._head:
            # The length of what a GET would answer has been told; none of it is sent.
            if not message.get("more_body", False):
                await self._send({"type": "http.response.body", "body": b""})
        else:
            await self._send(message)

    async def preflight(self) -> None:
        """Tell a browser what a page of another origin may ask."""
        self.is_preflight = True
        headers = {
            "Access-Control-Allow-Methods": METHODS,
            "Access-Control-Allow-Headers": REQUEST_HEADERS,
            "Access-Control-Max-Age": str(PREFLIGHT_S),
        }
        await self._whole(204, headers, b"")

    async def fail(self, error: ServiceError) -> None:
        """Answer with the error, if nothing was answered yet."""
        if self.status:
            raise error  # cut off in the middle: the server closes the connection, so that the client notices
        await self._whole(
            error.http_status,
            {"Content-Type": JSON, **failure_headers(error)},
            failure_body(error, self._request_id),
        )

    async def _whole(self, status: int, headers: dict[str, str], body: bytes) -> None:
        if status != 204:
            headers = {**headers, "Content-Length": str(len(body))}
        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": raw})
        await self.send({"type": "http.response.body", "body": body})

    async def _start(self, message: Message) -> None:
        headers = MutableHeaders(scope=message)
        headers["X-Request-Id"] = self._request_id
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Referrer-Policy"] = "no-referrer"
        headers.setdefault("Content-Security-Policy", API_POLICY)
        headers.setdefault("Cache-Control", "no-store")
        for name, value in self._gateway.cors_headers(self._origin).items():
            headers[name] = value
        if "access-control-allow-origin" in headers:
            headers["Access-Control-Expose-Headers"] = RESPONSE_HEADERS
        if not self._body.finished and self.status >= 400:
            # A client that still sends does not read: take in the rest, unless it asked before sending.
            asked = self._body.asks_first and not self._body.started
            if asked or not await self._gateway.drain(self._body):
                headers["Connection"] = "close"
        await self._send(message)


def _is_preflight(method: str, headers: Headers) -> bool:
    return method == "OPTIONS" and "origin" in headers and "access-control-request-method" in headers
