"""Files from URLs that strangers name, without reaching what strangers should not: the guard against SSRF.

The name is resolved once, every address it has must be public, and the connection goes to the address that was
checked, with TLS for the name. Nothing is redirected or decompressed, and bytes and time are bounded while reading.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from utils.errors import FileTooLargeError, UrlFetchFailedError, UrlNotAllowedError

FETCH_DEADLINE_S: Final = 20.0
MAX_URL_LENGTH: Final = 4096
_CHUNK_BYTES: Final = 64 * 1024

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], list[str]]

# Public by the registry's letter, but they lead somewhere else: to an IPv4 address inside them, or to a relay.
_DETOURS: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        "::/96",  # IPv4-compatible (deprecated)
        "::ffff:0:0/96",  # IPv4-mapped
        "64:ff9b::/96",  # NAT64
        "64:ff9b:1::/48",  # NAT64, local use
        "2001::/32",  # Teredo
        "2002::/16",  # 6to4
        "192.88.99.0/24",  # 6to4 relays
        "192.0.0.0/24",  # protocol assignments
        "fec0::/10",  # site-local (deprecated)
    )
)


def is_public(address: IpAddress) -> bool:
    """Whether the address belongs to the open internet and to nobody's inside."""
    if address.is_multicast or address.is_reserved or address.is_unspecified:
        return False
    return address.is_global and not any(
        address.version == network.version and address in network for network in _DETOURS
    )


def resolve_by_system(host: str, port: int) -> list[str]:
    """The addresses that the system's resolver knows for the host."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True, slots=True)
class _Target:
    """A URL that may be fetched, taken apart."""

    secure: bool
    host: str
    port: int
    path: str
    loopback: bool

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


class Fetcher:
    """Fetches files; resolver, clock and TLS trust are arguments so that tests need no network."""

    def __init__(
        self,
        *,
        resolve: Resolve = resolve_by_system,
        clock: Callable[[], float] = time.monotonic,
        tls: ssl.SSLContext | None = None,
        deadline_s: float = FETCH_DEADLINE_S,
    ) -> None:
        self._resolve, self._clock = resolve, clock
        self._tls, self._deadline_s = tls, deadline_s

    def fetch(
        self, url: str, *, hosts: frozenset[str], any_host: bool = False, exempt: str | None = None, max_bytes: int
    ) -> bytes:
        """The bytes that a GET of the URL answers.

        Args:
            url: what the client named.
            hosts: the names (lower case) that may be fetched from.
            any_host: whether the URL is known to be the service's own store, whatever its host.
            exempt: for tests, one `host:port` on loopback, where plain http is allowed too.
            max_bytes: more than these are not read.

        Raises:
            UrlNotAllowedError: the URL or an address of its host is not allowed.
            UrlFetchFailedError: no answer in time, or not status 200, or cut off.
            FileTooLargeError: more bytes than allowed.
        """
        ends = self._clock() + self._deadline_s
        target = _check_url(url, hosts, any_host, exempt)
        addresses = self._addresses(target, ends)
        try:
            with self._connect(target, addresses, ends) as connection:
                return _get(connection, target, ends, self._clock, max_bytes)
        except TimeoutError as error:
            raise UrlFetchFailedError("The file behind the URL did not arrive in time.") from error
        except (OSError, http.client.HTTPException) as error:  # ssl.SSLError is an OSError
            raise UrlFetchFailedError(reason=_reason(error)) from error

    def _addresses(self, target: _Target, ends: float) -> list[IpAddress]:
        """Every address of the host, all of them allowed."""
        answer: queue.SimpleQueue[list[str] | Exception] = queue.SimpleQueue()

        def ask() -> None:
            try:
                answer.put(self._resolve(target.host, target.port))
            except (OSError, UnicodeError) as error:
                answer.put(error)

        # The system's resolver has no timeout of its own, hence the thread.
        threading.Thread(target=ask, name="resolve", daemon=True).start()
        try:
            found = answer.get(timeout=max(0.0, ends - self._clock()))
        except queue.Empty:
            raise UrlFetchFailedError("The URL's host could not be resolved in time.") from None
        if isinstance(found, Exception) or not found:
            raise UrlFetchFailedError("The URL's host could not be resolved.")
        addresses = [ipaddress.ip_address(text) for text in found]
        for address in addresses:
            if not (address.is_loopback if target.loopback else is_public(address)):
                raise UrlNotAllowedError(reason="its host has an address that is not public")
        return addresses

    def _connect(self, target: _Target, addresses: list[IpAddress], ends: float) -> socket.socket:
        """A connection to the first of the addresses that answers; TLS is for the name."""
        failure: OSError = ConnectionError("no address")
        for address in addresses:
            left_s = ends - self._clock()
            if left_s <= 0:
                raise TimeoutError
            try:
                plain = socket.create_connection((str(address), target.port), timeout=left_s)
            except OSError as error:
                failure = error
                continue
            if not target.secure:
                return plain
            try:
                plain.settimeout(max(0.01, ends - self._clock()))
                return (self._tls or ssl.create_default_context()).wrap_socket(plain, server_hostname=target.host)
            except BaseException:
                plain.close()
                raise
        raise failure


class _Timed(io.RawIOBase):
    """A socket's bytes, every read of which ends by the one deadline, so that no trickle goes on for ever."""

    def __init__(self, connection: socket.socket, ends: float, clock: Callable[[], float]) -> None:
        self._connection, self._ends, self._clock = connection, ends, clock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        left_s = self._ends - self._clock()
        if left_s <= 0:
            raise TimeoutError
        self._connection.settimeout(left_s)
        return self._connection.recv_into(buffer)


class _Readable:
    """As much of a socket as `http.client.HTTPResponse` asks for."""

    def __init__(self, raw: _Timed) -> None:
        self._raw = raw

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self._raw, _CHUNK_BYTES)


def _check_url(url: str, hosts: frozenset[str], any_host: bool, exempt: str | None) -> _Target:
    if len(url) > MAX_URL_LENGTH:
        raise UrlNotAllowedError(reason=f"it is longer than {MAX_URL_LENGTH} characters")
    # Readers of URLs disagree about these; unicode host names are to be given in their ASCII form.
    if not url.isascii() or any(character <= " " or character in '\\"<>^`{|}\x7f' for character in url):
        raise UrlNotAllowedError(reason="it has characters that a URL may not have; encode them")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise UrlNotAllowedError(reason="it is not a valid URL") from None
    if "@" in parts.netloc:
        raise UrlNotAllowedError(reason="it carries a user name")
    secure = parts.scheme == "https"
    port = port if port is not None else 443 if secure else 80
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if exempt is not None and f"{host}:{port}" == exempt.lower() and parts.scheme in ("http", "https"):
        return _Target(secure, host, port, path, loopback=True)
    if not secure:
        raise UrlNotAllowedError(reason="only https is fetched")
    if port != 443:
        raise UrlNotAllowedError(reason="only port 443 is fetched from")
    if not host or not (any_host or host in hosts):
        raise UrlNotAllowedError(reason="its host is not on this service's list")
    return _Target(secure, host, port, path, loopback=False)


def _get(connection: socket.socket, target: _Target, ends: float, clock: Callable[[], float], max_bytes: int) -> bytes:
    connection.settimeout(max(0.01, ends - clock()))
    connection.sendall(
        f"GET {target.path} HTTP/1.1\r\nHost: {target.authority}\r\nUser-Agent: location-detection\r\n"
        "Accept: image/png, image/jpeg, application/pdf, */*;q=0.1\r\nAccept-Encoding: identity\r\n"
        "Connection: close\r\n\r\n".encode("ascii")
    )
    response = http.client.HTTPResponse(_Readable(_Timed(connection, ends, clock)), method="GET")  # type: ignore[arg-type]
    response.begin()
    if response.status != 200:
        words = "a redirect, and none is followed" if 300 <= response.status < 400 else f"status {response.status}"
        raise UrlFetchFailedError(f"The URL answered with {words}.", status=response.status)
    if response.getheader("Content-Encoding", "identity").lower() != "identity":
        raise UrlFetchFailedError("The URL answered with compressed content, which was not asked for.")
    length = response.length
    if length is not None and length > max_bytes:
        raise _too_large(max_bytes)
    data = bytearray()
    while chunk := response.read(_CHUNK_BYTES):
        data += chunk
        if len(data) > max_bytes:
            raise _too_large(max_bytes)
    if length is not None and len(data) < length:
        raise UrlFetchFailedError("The URL's answer was cut off.")
    return bytes(data)


def _too_large(max_bytes: int) -> FileTooLargeError:
    return FileTooLargeError(
        f"The file behind the URL is larger than {max_bytes // 1024**2} MB.", limit="max_file_bytes", value=max_bytes
    )


def _reason(error: Exception) -> str:
    """What failed, in words that tell nothing of the inside."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return "its certificate is not valid for the host"
    if isinstance(error, ssl.SSLError):
        return "TLS failed"
    if isinstance(error, http.client.HTTPException):
        return "the answer was not valid HTTP"
    return "the connection failed"
