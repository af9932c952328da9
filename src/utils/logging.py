"""JSON log lines on standard error: a fixed sentence, an `action` word, and the ids of whose request it is.

Use: `log.info("A job was created.", extra={"action": "job_created"})` inside `with bind_context(job_id=…):`.
Of an exception a line shows what it is and where it came from, but not what it says, unless its words are known to be
about machines alone: others quote what somebody sent.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from types import MappingProxyType, TracebackType
from typing import Final, TextIO

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

SERVICE: Final = "location-detection"
_MAX_CAUSES: Final = 6
# Packages whose exceptions speak of stores, connections and libraries.
_HARMLESS: Final = frozenset({"boto3", "botocore", "cv2", "sqlite3"})

_ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]

_context: ContextVar[Mapping[str, str]] = ContextVar("log_context", default=MappingProxyType({}))


class _Formatter(LambdaPowertoolsFormatter):
    """JSON, with exceptions that quote nobody."""

    def __init__(self) -> None:
        super().__init__(utc=True, use_rfc3339=True, serialize_stacktrace=False, service=SERVICE)

    def formatException(self, ei: _ExceptionInfo) -> str:  # noqa: N802 -- the name that logging calls it by
        error, shown = ei[1], list[str]()
        while error is not None and len(shown) < _MAX_CAUSES:
            frames = "".join(traceback.format_tb(error.__traceback__))
            shown.append(f"{frames}{type(error).__qualname__}{_words_of(error)}")
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        return "\n\nafter\n\n".join(shown)


def _words_of(error: BaseException) -> str:
    code = getattr(error, "code", None)  # a ServiceError's
    if isinstance(code, str):
        return f": {code}"
    harmless = isinstance(error, OSError | ImportError) or type(error).__module__.partition(".")[0] in _HARMLESS
    return f": {str(error)[:300]}" if harmless else ""


class _Stderr(logging.StreamHandler[TextIO]):
    """Writes to what `sys.stderr` is at that moment: standard output belongs to what a command prints."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


class _WithContext(logging.Filter):
    """Puts the ids of the context on every line."""

    def filter(self, record: logging.LogRecord) -> bool:
        for name, value in _context.get().items():
            if not hasattr(record, name):
                setattr(record, name, value)
        return True


@lru_cache(maxsize=1)
def get_logger() -> Logger:
    """The process's one logger. Its level is `POWERTOOLS_LOG_LEVEL`, else INFO."""
    logger = Logger(service=SERVICE, logger_handler=_Stderr(), logger_formatter=_Formatter())
    logger.addFilter(_WithContext())
    return logger


@contextmanager
def bind_context(
    *, request_id: str | None = None, job_id: str | None = None, correlation_id: str | None = None
) -> Iterator[None]:
    """Within it every line carries these ids, with those bound around it that are not given here."""
    given = {"request_id": request_id, "job_id": job_id, "correlation_id": correlation_id}
    token = _context.set({**_context.get(), **{name: value for name, value in given.items() if value}})
    try:
        yield
    finally:
        _context.reset(token)


def current_request_id() -> str | None:
    """The request's id, if one is bound."""
    return _context.get().get("request_id")


def current_correlation_id() -> str | None:
    """The id that the client gave to follow its request through several services, if one is bound."""
    return _context.get().get("correlation_id")
