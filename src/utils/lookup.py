"""Values that live elsewhere: asked for at most once in a while, and served from memory while their home is down."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from utils.errors import ServiceUnavailableError
from utils.logging import get_logger

OUTAGE_PAUSE_S: Final = 30.0  # so that an outage costs one wait in a while, not one a request

_log = get_logger()


@dataclass(frozen=True, slots=True)
class _Entry:
    value: str | None
    good_until_s: float


class Lookup:
    """A cache in front of `fetch`, safe to share between threads. That a name has no value is remembered too."""

    def __init__(
        self,
        fetch: Callable[[str], str | None],
        service: str,
        max_age_s: float,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._fetch, self._service, self._max_age_s = fetch, service, max_age_s
        self._clock = clock or time.monotonic
        self._entries: dict[str, _Entry] = {}
        self._lock = threading.Lock()

    def get(self, name: str) -> str | None:
        """The value, at most `max_age_s` old, or the last one known if it cannot be asked for now.

        Raises:
            ServiceUnavailableError: it cannot be asked for and was never known.
        """
        with self._lock:
            entry = self._entries.get(name)
        if entry is not None and self._clock() < entry.good_until_s:
            return entry.value
        try:
            value, lifetime_s = self._fetch(name), self._max_age_s
        except ServiceUnavailableError:
            if entry is None:
                raise
            _log.warning(
                "A value could not be refreshed; the last one serves.",
                extra={"action": "lookup_stale", "part": self._service},
            )
            value, lifetime_s = entry.value, OUTAGE_PAUSE_S
        with self._lock:
            self._entries[name] = _Entry(value, self._clock() + lifetime_s)
        return value
