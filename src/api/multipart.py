"""multipart/form-data read while it streams in: parts as they begin, their bytes as they come, nothing kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from utils.errors import InvalidRequestError

MAX_PARTS: Final = 64
MAX_FIELD_BYTES: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class PartBegins:
    """A part begins; its bytes follow. The file name that it may carry is read nowhere."""

    name: str


@dataclass(frozen=True, slots=True)
class PartEnds:
    """The part that began last is complete."""


Event = PartBegins | bytes | PartEnds


def boundary_of(content_type: str) -> bytes:
    """The boundary in a Content-Type.

    Raises:
        InvalidRequestError: it has none, or a longer one than the standard allows.
    """
    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    if not 1 <= len(boundary) <= 70:  # RFC 2046, section 5.1.1
        raise _malformed("its Content-Type has no usable boundary")
    return boundary


async def read_form(chunks: AsyncIterator[bytes], boundary: bytes) -> AsyncIterator[Event]:
    """The form's parts as they come in.

    Raises:
        InvalidRequestError: the body is not a whole, well-formed form of at most `MAX_PARTS` parts.
    """
    collector = _Collector()
    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": collector.part_begin,
            "on_header_field": collector.header_field,
            "on_header_value": collector.header_value,
            "on_header_end": collector.header_end,
            "on_headers_finished": collector.headers_finished,
            "on_part_data": collector.part_data,
            "on_part_end": collector.part_end,
            "on_end": collector.end,
        },
    )
    async for chunk in chunks:
        if collector.ended:
            continue  # what follows the closing boundary is to be ignored (RFC 2046, section 5.1.1)
        try:
            parser.write(chunk)
        except FormParserError:
            raise _malformed("it is not well-formed") from None
        for event in collector.take():
            yield event
    if not collector.ended:
        raise _malformed("it ends before its closing boundary")


class _Collector:
    """Gathers what the parser calls back with until the reader takes it."""

    def __init__(self) -> None:
        self.ended = False
        self._events: list[Event] = []
        self._parts = 0
        self._name, self._value = b"", b""
        self._disposition = b""

    def take(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def part_begin(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise _malformed(f"it has more than {MAX_PARTS} parts")
        self._disposition = b""

    def header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = self._value
        self._name, self._value = b"", b""

    def headers_finished(self) -> None:
        kind, options = parse_options_header(self._disposition)
        if kind != b"form-data" or b"name" not in options:
            raise _malformed("a part has no form-data name")
        try:
            name = options[b"name"].decode("utf-8")
        except UnicodeDecodeError:
            raise _malformed("a part's name is not UTF-8") from None
        self._events.append(PartBegins(name))

    def part_data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(data[start:end])

    def part_end(self) -> None:
        self._events.append(PartEnds())

    def end(self) -> None:
        self.ended = True


def field_text(name: str, data: bytes) -> str:
    """The text of a form field.

    Raises:
        InvalidRequestError: it is not UTF-8 or contains a NUL.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidRequestError(fields={name: "is not valid UTF-8"}) from None
    if "\x00" in text:
        raise InvalidRequestError(fields={name: "contains a NUL character"})
    return text


def _malformed(words: str) -> InvalidRequestError:
    return InvalidRequestError("The multipart/form-data body cannot be read.", fields={"body": words})
