"""What every request passes, whatever its route: ids, CORS, security headers, draining, audit line, last net.

A gateway in front of the service may leave its own id of the request in the scope's state, as `gateway_request_id`.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import anyio
from anyio import to_thread
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.envelope import JSON, failure_body, failure_headers
from models.job import is_job_id
from utils import metrics
from utils.errors import InternalError, ServiceError
from utils.logging import bind_context, get_logger

DRAIN_BYTES: Final = 80 * 1024 * 1024
DRAIN_S: Final = 10.0
METHODS: Final = "GET, HEAD, POST, DELETE, OPTIONS"
REQUEST_HEADERS: Final = "Authorization, Content-Type, Idempotency-Key, X-Correlation-Id"
RESPONSE_HEADERS: Final = "X-Request-Id, X-Correlation-Id, Location, Retry-After, Allow, WWW-Authenticate"
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
    job_id: str | None = None
    gateway_request_id: str | None = None


def log_answered(answered: Answered) -> None:
    """Write the audit line of a request."""
    told = {name: value for name, value in asdict(answered).items() if value is not None}
    _log.info("A request was answered.", extra={"action": "request", **told})


class Gateway:
    """The outermost layer around the routes, as ASGI."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        cors_origins: Sequence[str],
        live_origins: Callable[[], Sequence[str]] | None = None,
        audit: Callable[[Answered], None] = log_answered,
        clock: Callable[[], float] = time.perf_counter,
        drain_bytes: int = DRAIN_BYTES,
        drain_s: float = DRAIN_S,
    ) -> None:
        self._app, self._audit, self._clock = app, audit, clock
        self._cors_origins, self._live_origins = cors_origins, live_origins
        self._drain_bytes, self._drain_s = drain_bytes, drain_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = self._clock()
        headers = Headers(scope=scope)
        request_id = f"req_{secrets.token_hex(8)}"
        method, gateway_id = scope["method"], scope.get("state", {}).get("gateway_request_id")
        asked_ids = (headers.get("x-correlation-id", ""), gateway_id or "", request_id)
        correlation_id = next(text for text in asked_ids if _CORRELATION_ID.fullmatch(text))
        inner = dict(scope, method="GET" if method == "HEAD" else method)
        inner["state"] = {**scope.get("state", {}), "request_id": request_id}
        body = _Body(receive, headers)
        ids = {"X-Request-Id": request_id, "X-Correlation-Id": correlation_id}
        answer = _Answer(self, send, headers, body, ids, head=method == "HEAD")
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
                owner, job_id = inner["state"].get("owner"), inner.get("path_params", {}).get("job_id", "")
                self._audit(
                    Answered(
                        method,
                        route,
                        answer.status,
                        owner,
                        duration_ms,
                        job_id if is_job_id(job_id) else None,
                        gateway_id,
                    )
                )
                metrics.count("Requests", route=route, status_class=f"{answer.status // 100}xx")
                metrics.flush()

    async def cors_headers(self, origin: str | None) -> dict[str, str]:
        """The headers that let a page of the origin read the answer."""
        origins = self._cors_origins
        if origin is not None and self._live_origins is not None:  # without an origin nobody reads them
            origins = await to_thread.run_sync(self._live_origins)
        if not origins:  # nobody's pages, or a gateway in front says it
            return {}
        if "*" in origins:
            return {"Access-Control-Allow-Origin": "*"}
        if origin is not None and origin in origins:
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
        self, gateway: Gateway, send: Send, headers: Headers, body: _Body, ids: dict[str, str], *, head: bool
    ) -> None:
        self.status = 0
        self.is_preflight = False
        self._gateway, self._send, self._body = gateway, send, body
        self._origin = headers.get("origin")
        self._ids, self._head = ids, head

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
            failure_body(error, self._ids["X-Request-Id"]),
        )

    async def _whole(self, status: int, headers: dict[str, str], body: bytes) -> None:
        if status != 204:
            headers = {**headers, "Content-Length": str(len(body))}
        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": raw})
        await self.send({"type": "http.response.body", "body": body})

    async def _start(self, message: Message) -> None:
        headers = MutableHeaders(scope=message)
        headers.update(self._ids)
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Referrer-Policy"] = "no-referrer"
        headers.setdefault("Content-Security-Policy", API_POLICY)
        headers.setdefault("Cache-Control", "no-store")
        for name, value in (await self._gateway.cors_headers(self._origin)).items():
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
