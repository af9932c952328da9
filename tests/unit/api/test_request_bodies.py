from __future__ import annotations

import json
from collections.abc import AsyncIterator

import anyio
import pytest

from api.bodies import MAX_DEPTH, Spool, bounded, strict_json
from utils.errors import FileTooLargeError, InvalidRequestError, ServiceUnavailableError


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b'{"a": 1,}', "not valid JSON"),
        (b'{"a": NaN}', "NaN"),
        (b"[Infinity]", "Infinity"),
        (b"[-Infinity]", "Infinity"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b'{"a": "\xff"}', "UTF-8"),
        (b"\xef\xbb\xbf{}", "not valid JSON"),
        (json.dumps({"a": 1}).encode("utf-16"), "UTF-8"),
        (b"1" * 5000, "not valid JSON"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
        (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "nested too deeply"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "nested too deeply"),
    ],
)
def test_what_readers_would_read_differently_is_no_json(text: bytes, words: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        strict_json(text)
    assert words in caught.value.details["fields"]["body"]


@pytest.mark.parametrize(
    ("text", "field", "words"),
    [
        (b'{"a": {"b": "x\\u0000"}}', "a.b", "NUL"),
        (b'{"a": ["\\ud800"]}', "a[0]", "surrogate"),
        (b'{"\\udfff": 1}', "body", "surrogate"),
    ],
)
def test_characters_that_no_store_keeps_are_named_with_their_field(text: bytes, field: str, words: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        strict_json(text)
    assert words in caught.value.details["fields"][field]


def test_a_pair_of_surrogates_is_a_character() -> None:
    assert strict_json(b'{"a": "\\ud83d\\ude00"}') == {"a": "\N{GRINNING FACE}"}


def test_the_deepest_json_allowed_is_read() -> None:
    assert strict_json(b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1))


@pytest.mark.parametrize("in_memory_bytes", [1, 7, 10_000])
def test_a_spool_gives_back_what_went_in(in_memory_bytes: int) -> None:
    async def go() -> bytes:
        with Spool(in_memory_bytes) as spool:
            for number in range(100):
                await spool.write(b"%03d" % number)
            assert spool.size_bytes == 300
            return await spool.with_bytes(lambda data: data)

    assert anyio.run(go) == b"".join(b"%03d" % number for number in range(100))


@pytest.mark.parametrize("last", [b"cd", b"cde"])
def test_a_bounded_stream_counts_bytes_and_believes_nobody(last: bytes) -> None:
    async def stream() -> AsyncIterator[bytes]:
        yield b"ab"
        yield last

    async def go() -> list[bytes]:
        return [chunk async for chunk in bounded(stream(), 4)]

    if len(last) == 2:
        assert anyio.run(go) == [b"ab", b"cd"]
    else:
        with pytest.raises(FileTooLargeError):
            anyio.run(go)


def test_a_full_disk_is_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("api.bodies.tempfile.TemporaryFile", full)

    async def go() -> None:
        with Spool(2) as spool:
            await spool.write(b"abc")

    with pytest.raises(ServiceUnavailableError):
        anyio.run(go)
