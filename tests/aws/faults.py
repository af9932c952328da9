"""Faults on the way to real stores: a proxy on loopback that spoils the calls it is told to, as a context manager.

    with faulty(emulator_url) as faults:
        faults.happen(Fault("dynamodb", answer=(400, "ThrottlingException"), for_s=5))
        ...  # clients that take faults.url for AWS meet it
        faults.end()

What it passes on is left as it was, the Host included, so that signatures stay good. microburst would do the same, but
loses the length that a HEAD is answered with, and takes half a minute of a processor to start.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import urlsplit

HOLD_S: Final = 60.0
"""How long a call is held at most; the end of the faults lets it go."""
_SCOPE: Final = re.compile(r"Credential=[^/]+/\d{8}/[^/]+/([^/]+)/aws4_request")
_HOPS: Final = frozenset({"connection", "content-length", "keep-alive", "transfer-encoding"})


@dataclass(frozen=True)
class Fault:
    """What happens to some calls; to them alone whose every condition holds.

    Attributes:
        service: as signatures name it.
        operation: the call's name, or the HTTP method where the service is S3.
        part: what its path or its body contains.
        every: only each so manieth of these calls.
        times: so often at most.
        for_s: for so long.
        answer: the status and code that it is answered with instead.
        late_s: how much later it is passed on.
        lost: it is passed on, but the answer does not arrive.
        cut: the connection ends before it is passed on.
        held: nothing happens until the faults end; then the connection does.
    """

    service: str
    operation: str = ""
    part: str = ""
    every: int = 1
    times: float = float("inf")
    for_s: float = float("inf")
    answer: tuple[int, str] | None = None
    late_s: float = 0.0
    lost: bool = False
    cut: bool = False
    held: bool = False


@dataclass
class _Standing:
    """A fault that was told to happen, and what it has done."""

    fault: Fault
    ended: threading.Event
    began_s: float = field(default_factory=time.monotonic)
    seen: int = 0
    happened: int = 0

    def strikes(self, service: str, operation: str, text: bytes) -> bool:
        """Whether the fault is for this call."""
        fault = self.fault
        if service != fault.service or fault.operation not in ("", operation) or fault.part.encode() not in text:
            return False
        if time.monotonic() - self.began_s >= fault.for_s or self.happened >= fault.times:
            return False
        self.seen += 1
        return self.seen % fault.every == 0


class Faults:
    """The way to the stores, which is clear until something is told to happen.

    Args:
        upstream: the store's URL.
        services: the URLs of services that are elsewhere.
    """

    def __init__(self, upstream: str, services: Mapping[str, str]) -> None:
        self.url = ""
        self._upstream, self._services = upstream, services
        self._standing: list[_Standing] = []
        self._lock = threading.Condition()

    def happen(self, *faults: Fault) -> None:
        """These and no other faults happen from now on."""
        with self._lock:
            for standing in self._standing:
                standing.ended.set()
            self._standing = [_Standing(fault, threading.Event()) for fault in faults]

    def end(self) -> None:
        """No more faults happen."""
        self.happen()

    @property
    def happened(self) -> int:
        """How often one has happened since `happen`."""
        with self._lock:
            return sum(standing.happened for standing in self._standing)

    def await_one(self, limit_s: float = 60.0) -> None:
        """Return when a fault has happened.

        Raises:
            TimeoutError: none has in time.
        """
        with self._lock:
            if not self._lock.wait_for(lambda: any(one.happened for one in self._standing), limit_s):
                raise TimeoutError(f"no fault has happened in {limit_s} s")

    def upstream(self, service: str) -> str:
        """Where the service is."""
        return self._services.get(service, self._upstream)

    def strike(self, service: str, operation: str, text: bytes) -> _Standing | None:
        """The fault that this call meets."""
        with self._lock:
            for standing in self._standing:
                if standing.strikes(service, operation, text):
                    standing.happened += 1
                    self._lock.notify_all()
                    return standing
        return None


@contextmanager
def faulty(upstream: str, **services: str) -> Iterator[Faults]:
    """The way to the store at that address, and to services that are elsewhere, until the block ends."""
    faults = Faults(upstream, services)
    handler = type("Handler", (_Handler,), {"faults": faults})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads, server.block_on_close = True, False
        faults.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield faults
        finally:
            faults.end()
            server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    """Passes calls on, and spoils some."""

    protocol_version = "HTTP/1.1"
    timeout = 2 * HOLD_S
    wbufsize = -1  # an answer leaves in one piece
    faults: Faults

    def handle_expect_100(self) -> bool:
        """Have the client send the body: it would wait for a second."""
        going_on = super().handle_expect_100()
        self.wfile.flush()
        return going_on

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        scope = _SCOPE.search(self.headers.get("Authorization", ""))
        service = scope[1] if scope else "s3"
        operation = self.headers.get("X-Amz-Target", self.command).rpartition(".")[2]
        met = self.faults.strike(service, operation, self.path.encode() + b" " + body)
        fault = Fault(service) if met is None else met.fault
        if met is not None and fault.held:
            met.ended.wait(HOLD_S)
        if fault.held or fault.cut:
            self.close_connection = True
            return
        if fault.answer is not None:
            self._refuse(*fault.answer, is_s3=service == "s3")
            return
        time.sleep(fault.late_s)
        status, headers, answer = self._pass_on(self.faults.upstream(service), body)
        if fault.lost:
            self.close_connection = True
            return
        length = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(answer))
        kept = [(name, value) for name, value in headers.items() if name.lower() not in _HOPS]
        self._answer(status, [*kept, ("Content-Length", length)], answer)

    do_DELETE = do_GET = do_HEAD = do_POST = do_PUT = _handle  # noqa: N815

    def _pass_on(self, upstream: str, body: bytes) -> tuple[int, HTTPMessage, bytes]:
        connection = HTTPConnection(urlsplit(upstream).netloc, timeout=HOLD_S)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in ("connection", "expect"):
                    connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def _refuse(self, status: int, code: str, *, is_s3: bool) -> None:
        kind = "application/xml" if is_s3 else "application/x-amz-json-1.0"
        text = f"<Error><Code>{code}</Code><Message>m</Message></Error>"
        body = (text if is_s3 else json.dumps({"__type": f"com.amazonaws#{code}", "message": "m"})).encode()
        headers = [("Content-Type", kind), ("Content-Length", str(len(body)))]
        self._answer(status, headers, b"" if self.command == "HEAD" else body)

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""
