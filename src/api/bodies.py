"""Request bodies, bounded while they come in: kept in memory while small, on disk beyond, and read strictly."""

from __future__ import annotations

import json
import tempfile
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, BinaryIO, Final, TypeVar

from anyio import to_thread

from api.lanes import Lane
from api.limits import ONE_MACHINE
from utils.errors import FileTooLargeError, InvalidRequestError, ServiceUnavailableError

IN_MEMORY_BYTES: Final = 8 * 1024 * 1024
MAX_DEPTH: Final = 32

_T = TypeVar("_T")
_large = Lane("large bodies", 2)  # each takes a few times its size in memory


class Spool:
    """Bytes on their way in: in memory up to `IN_MEMORY_BYTES`, then in a temporary file that nobody else sees."""

    def __init__(self, in_memory_bytes: int = IN_MEMORY_BYTES) -> None:
        self.size_bytes = 0
        self._in_memory_bytes = in_memory_bytes
        self._buffer = bytearray()
        self._file: BinaryIO | None = None

    async def write(self, chunk: bytes) -> None:
        """Keep the chunk after those before it."""
        self.size_bytes += len(chunk)
        self._buffer += chunk
        if len(self._buffer) >= self._in_memory_bytes:
            await to_thread.run_sync(self._flush)

    def read(self) -> bytes:
        """Everything that was written."""
        if self._file is None:
            return bytes(self._buffer)
        self._flush()
        self._file.seek(0)
        return self._file.read()

    async def with_bytes(self, work: Callable[[bytes], _T]) -> _T:
        """What `work` makes of everything that was written, in a thread; large ones wait for one another."""
        if self.size_bytes > self._in_memory_bytes:
            return await _large.run(lambda: work(self.read()))
        return await to_thread.run_sync(lambda: work(self.read()))

    def _flush(self) -> None:
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115 -- closed by __exit__
            self._file.write(self._buffer)
        except OSError as error:
            raise ServiceUnavailableError("There is no room to take the file in.") from error
        self._buffer = bytearray()

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()


async def bounded(
    stream: AsyncIterator[bytes], max_bytes: int, refusal: Callable[[], FileTooLargeError] = ONE_MACHINE.too_large
) -> AsyncIterator[bytes]:
    """The stream's chunks.

    Raises:
        FileTooLargeError: as soon as more than `max_bytes` came, whatever the headers said.
    """
    seen_bytes = 0
    async for chunk in stream:
        seen_bytes += len(chunk)
        if seen_bytes > max_bytes:
            raise refusal()
        yield chunk


def strict_json(data: bytes, field: str = "body") -> Any:
    """The value of a JSON text that every reader would read alike.

    Raises:
        InvalidRequestError: not UTF-8, not JSON, nested deeper than `MAX_DEPTH`, or with NaN, infinities, duplicate
            names, NUL characters or lone surrogates.
    """
    try:
        text = data.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise InvalidRequestError(fields={field: "is not valid UTF-8"}) from None
    except RecursionError:
        raise InvalidRequestError(fields={field: "is nested too deeply"}) from None
    except ValueError as error:  # JSONDecodeError is one, and so are over-long integers
        raise InvalidRequestError(fields={field: f"is not valid JSON: {str(error)[:200]}"}) from None
    _check_strings(value, field, "", MAX_DEPTH)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name appears twice in one object")
    return found


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is not a JSON value")


def _check_strings(value: Any, field: str, path: str, depth_left: int) -> None:
    if depth_left == 0:
        raise InvalidRequestError(fields={field: "is nested too deeply"})
    if isinstance(value, str):
        bad = _bad_character(value)
        if bad:
            raise InvalidRequestError(fields={path or field: f"contains {bad}"})
    elif isinstance(value, dict):
        for name, inner in value.items():
            bad = _bad_character(name)
            if bad:
                raise InvalidRequestError(fields={path or field: f"has a name that contains {bad}"})
            _check_strings(inner, field, f"{path}.{name}" if path else name, depth_left - 1)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _check_strings(inner, field, f"{path}[{index}]", depth_left - 1)


def _bad_character(text: str) -> str | None:
    if "\x00" in text:
        return "a NUL character"
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        return "a lone surrogate"
    return None
