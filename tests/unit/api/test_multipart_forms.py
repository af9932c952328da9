from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.multipart import MAX_PARTS, PartBegins, PartEnds, boundary_of, field_text, read_form
from utils.errors import InvalidRequestError


def part(name: str, data: bytes, extra: str = "") -> bytes:
    return f'--b\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n'.encode() + data + b"\r\n"


def read(body: bytes, chunk_bytes: int = 1 << 20) -> list[tuple[str, bytes]]:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), chunk_bytes):
            yield body[start : start + chunk_bytes]

    async def go() -> list[tuple[str, bytes]]:
        found: list[tuple[str, bytes]] = []
        async for event in read_form(chunks(), b"b"):
            if isinstance(event, PartBegins):
                current, data = event, b""
            elif isinstance(event, PartEnds):
                found.append((current.name, data))
            else:
                data += event
        return found

    return anyio.run(go)


@given(st.binary(max_size=300), st.integers(1, 40))
def test_bytes_come_out_as_they_went_in_however_they_are_cut(data: bytes, chunk_bytes: int) -> None:
    body = part("format", b"png") + part("file", data, '; filename="a.png"') + b"--b--\r\n"
    if b"\r\n--b" in b"\r\n" + data:
        return
    assert read(body, chunk_bytes) == [("format", b"png"), ("file", data)]


def test_file_names_of_any_kind_are_passed_over() -> None:
    body = part("x", b"1", "; filename*=UTF-8''gr%C3%BCn.png") + part("y", b"2", '; filename="\xff.png"') + b"--b--"
    assert read(body) == [("x", b"1"), ("y", b"2")]


def test_what_follows_the_closing_boundary_is_ignored() -> None:
    assert read(part("x", b"1") + b"--b--\r\nepilogue", 5) == [("x", b"1")]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no form at all",
        part("file", b"cut off"),
        part("file", b"cut")[:-1],
        b"--b\r\nContent-Type: text/plain\r\n\r\nno name\r\n--b--",
        b'--b\r\nContent-Disposition: attachment; name="a"\r\n\r\nx\r\n--b--',
        b'--b\r\nContent-Disposition: form-data; name="\xff"\r\n\r\nx\r\n--b--',
        b"--b\r\n" + b"X: " + b"y" * 10_000 + b"\r\n\r\nx\r\n--b--",
        part("x", b"1") * (MAX_PARTS + 1) + b"--b--",
    ],
)
def test_what_is_not_a_whole_form_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read(body)
    assert "body" in caught.value.details["fields"]


@pytest.mark.parametrize("header", ["multipart/form-data", "multipart/form-data; boundary=", "a; boundary=" + "x" * 71])
def test_a_form_needs_a_boundary(header: str) -> None:
    with pytest.raises(InvalidRequestError):
        boundary_of(header)
    assert boundary_of('multipart/form-data; boundary="a b"') == b"a b"


@pytest.mark.parametrize("data", [b"\xff", b"a\x00"])
def test_a_field_is_text(data: bytes) -> None:
    with pytest.raises(InvalidRequestError):
        field_text("format", data)
