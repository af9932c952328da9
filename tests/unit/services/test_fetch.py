from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from pathlib import Path

import pytest
from tests.unit.services.certificates import make_certificate
from tests.unit.services.webserver import server

from services.fetch import Fetcher, is_public
from utils.errors import FileTooLargeError, UrlFetchFailedError, UrlNotAllowedError

HOSTS = frozenset({"plans.example.com"})
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplan!"


def fetch(url: str, *, addresses: list[str] | None = None, **options: object) -> bytes:
    fetcher = Fetcher(resolve=lambda host, port: addresses or [], deadline_s=2.0)
    return fetcher.fetch(url, **{"hosts": HOSTS, "max_bytes": 1000, **options})  # type: ignore[arg-type]


def fetch_local(port: int, *, path: str = "/a.png?x=1", **options: object) -> bytes:
    host = f"127.0.0.1:{port}"
    return fetch(f"http://{host}{path}", addresses=["127.0.0.1"], exempt=host, **options)


@pytest.mark.parametrize(
    "url",
    [
        "http://plans.example.com/a.png",
        "ftp://plans.example.com/a.png",
        "file:///etc/passwd",
        "https:///a.png",
        "https://",
        "https://other.example.com/a.png",
        "https://plans.example.com.evil.test/a.png",
        "https://plans.example.com./a.png",
        "https://plans.example.com:8443/a.png",
        "https://plans.example.com:22/a.png",
        "https://plans.example.com:99999/a.png",
        "https://plans.example.com:x/a.png",
        "https://user@plans.example.com/a.png",
        "https://plans.example.com:pw@evil.test/a.png",
        "https://evil.test\\@plans.example.com/a.png",
        "https://plans.example.com/a b.png",
        "https://plans.example.com/a\r\nX: y",
        "https://plans.example.com\x00/a",
        "https://pläns.example.com/a.png",
        "https://%70lans.example.com/a.png",
        "https://[::1]/a.png",
        "https://[::1/a.png",
        "https://127.0.0.1/a.png",
        "https://2130706433/a.png",
        "https://plans.example.com/" + "a" * 5000,
    ],
)
def test_what_may_not_be_fetched_is_refused_without_resolving_it(url: str) -> None:
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["93.184.216.34"]

    with pytest.raises(UrlNotAllowedError):
        Fetcher(resolve=resolve).fetch(url, hosts=HOSTS, max_bytes=9)
    assert asked == []


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "100.127.255.254", "192.0.0.8", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.9", "192.88.99.1",
        "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "::", "::1", "::7f00:1", "::ffff:127.0.0.1",
        "::ffff:8.8.8.8", "64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1", "2001::1", "2001:db8::1",
        "2002:7f00:1::", "fc00::1", "fd12:3456::1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "ff0e::1",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public_are_refused_even_beside_public_ones(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))
    with pytest.raises(UrlNotAllowedError):
        fetch("https://plans.example.com/a.png", addresses=["8.8.8.8", address])


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "100.63.255.255", "100.128.0.1", "2606:4700::1111"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


def test_an_own_url_may_have_any_host_but_no_inside_address() -> None:
    with pytest.raises(UrlNotAllowedError, match="not one") as refused:
        fetch("https://bucket.s3.example.net/k?sig=1", addresses=["10.0.0.1"], any_host=True)
    assert "not public" in refused.value.details["reason"]


def test_the_file_comes_back_and_the_fragment_is_not_sent() -> None:
    requests: list[bytes] = []

    def answer(talk: socket.socket, request: bytes) -> None:
        requests.append(request)
        talk.sendall(OK)

    with server(answer) as port:
        assert fetch_local(port, path="/a.png?x=1#top") == b"plan!"
    assert requests[0].startswith(b"GET /a.png?x=1 HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % port)
    with server(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nplan!\r\n3\r\nabc\r\n0\r\n\r\n") as port:
        assert fetch_local(port) == b"plan!abc"


def test_the_exempt_host_must_be_loopback() -> None:
    with pytest.raises(UrlNotAllowedError):
        fetch("http://inside.test:8080/a", addresses=["10.0.0.1"], exempt="inside.test:8080")


def test_the_exemption_is_for_its_port_alone() -> None:
    with pytest.raises(UrlNotAllowedError):
        fetch("http://127.0.0.1:81/a", addresses=["127.0.0.1"], exempt="127.0.0.1:80")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 206 Partial Content\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
    ],
)
def test_other_answers_than_a_whole_file_fail(answer: bytes) -> None:
    with server(answer) as port, pytest.raises(UrlFetchFailedError):
        fetch_local(port)


@pytest.mark.parametrize("head", [b"Content-Length: 1001\r\n\r\n", b"\r\n" + b"x" * 1001])
def test_more_bytes_than_allowed_are_refused(head: bytes) -> None:
    with server(b"HTTP/1.1 200 OK\r\n" + head) as port, pytest.raises(FileTooLargeError) as refused:
        fetch_local(port)
    assert refused.value.details == {"limit": "max_file_bytes", "value": 1000}


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\nX-", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_trickle_ends_at_the_deadline(start: bytes) -> None:
    def drip(talk: socket.socket, _request: bytes) -> None:
        talk.sendall(start)
        for _ in range(100):
            talk.sendall(b"a")
            time.sleep(0.02)

    begun = time.monotonic()
    with server(drip) as port:
        host = f"127.0.0.1:{port}"
        fetcher = Fetcher(resolve=lambda *_: ["127.0.0.1"], deadline_s=0.3)
        with pytest.raises(UrlFetchFailedError, match="in time"):
            fetcher.fetch(f"http://{host}/", hosts=HOSTS, exempt=host, max_bytes=1000)
        assert time.monotonic() - begun < 1.5


def test_a_resolver_that_hangs_ends_at_the_deadline() -> None:
    release = threading.Event()

    def resolve(host: str, port: int) -> list[str]:
        release.wait(5)
        return []

    with pytest.raises(UrlFetchFailedError, match="resolved in time"):
        Fetcher(resolve=resolve, deadline_s=0.1).fetch("https://plans.example.com/", hosts=HOSTS, max_bytes=9)
    release.set()


def test_an_unknown_host_fails() -> None:
    def resolve(host: str, port: int) -> list[str]:
        raise socket.gaierror("no such host")

    with pytest.raises(UrlFetchFailedError, match="could not be resolved"):
        Fetcher(resolve=resolve).fetch("https://plans.example.com/", hosts=HOSTS, max_bytes=9)


def test_a_closed_port_fails() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(UrlFetchFailedError) as failed:
        fetch_local(port)
    assert failed.value.details == {"reason": "the connection failed"}


def test_tls_is_for_the_name_while_the_connection_goes_to_the_checked_address(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path, "plans.example.com")
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate, key)
    names: list[str | None] = []
    serving.sni_callback = lambda _socket, name, _context: names.append(name)
    trusting = ssl.create_default_context(cafile=str(certificate))
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    with server(OK, serving) as port:
        exempt = f"plans.example.com:{port}"
        fetcher = Fetcher(resolve=resolve, tls=trusting, deadline_s=5)
        assert fetcher.fetch(f"https://{exempt}/a", hosts=HOSTS, exempt=exempt, max_bytes=9) == b"plan!"
        assert asked == ["plans.example.com"]
        assert names == ["plans.example.com"]

        exempt = f"other.example.com:{port}"
        with pytest.raises(UrlFetchFailedError) as failed:
            fetcher.fetch(f"https://{exempt}/a", hosts=HOSTS, exempt=exempt, max_bytes=9)
        assert failed.value.details["reason"] == "its certificate is not valid for the host"
        untrusting = Fetcher(resolve=resolve, deadline_s=5)
        with pytest.raises(UrlFetchFailedError):
            untrusting.fetch(
                f"https://plans.example.com:{port}/", hosts=HOSTS, exempt=f"plans.example.com:{port}", max_bytes=9
            )
