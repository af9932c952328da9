"""Whether the parts of the world work, asked all at once and with little patience."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Any, Final

from storage.base import HealthCheck
from utils.logging import get_logger

TIMEOUT_S: Final = 0.8
FIRST_TIMEOUT_S: Final = 5.0
"""For parts in AWS, which at the first question still make their clients, on a function that may be slow."""

_log = get_logger()


class Health:
    """Asks every part whether it works; a part that still owes an answer is not asked a second time."""

    def __init__(
        self, checks: Iterable[HealthCheck], timeout_s: float = TIMEOUT_S, first_timeout_s: float | None = None
    ) -> None:
        self._checks = list(checks)
        self._timeout_s, self._first_timeout_s = timeout_s, first_timeout_s or timeout_s
        self._probes: dict[str, _Probe] = {}
        self._lock = threading.Lock()

    def report(self) -> tuple[int, dict[str, Any]]:
        """The HTTP status and the body: `{status: healthy|unhealthy, services: {name: healthy|unhealthy}}`."""
        with self._lock:
            patience_s = self._timeout_s if self._probes else self._first_timeout_s
            for check in self._checks:
                probe = self._probes.get(check.name)
                if probe is None or not probe.is_alive():
                    self._probes[check.name] = _Probe(check)
                    self._probes[check.name].start()
            probes = dict(self._probes)
        ends = time.monotonic() + patience_s
        for probe in probes.values():
            probe.join(max(0.0, ends - time.monotonic()))
        services = {name: "healthy" if probe.healthy else "unhealthy" for name, probe in probes.items()}
        healthy = all(probe.healthy for probe in probes.values())
        return (200 if healthy else 503), {"status": "healthy" if healthy else "unhealthy", "services": services}


class _Probe(threading.Thread):
    """One question to one part, in a thread that may be left behind."""

    def __init__(self, check: HealthCheck) -> None:
        super().__init__(name=f"health-{check.name}", daemon=True)
        self.healthy = False
        self._check = check

    def run(self) -> None:
        try:
            self._check.check()
        except Exception:  # noqa: BLE001 -- whatever it is, the part does not work
            _log.warning(
                "A part of the service does not work.", extra={"action": "unhealthy", "service": self._check.name}
            )
        else:
            self.healthy = True
