"""Numbers for CloudWatch, written as lines of its Embedded Metric Format: no call is made and nothing waits.

They are kept until `flush` writes them to standard output, which a function's log takes in. Off everywhere but on
Lambda; LOCATION_DETECTION_METRICS=on or =off says otherwise.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import Final

from aws_lambda_powertools.metrics import EphemeralMetrics

from utils.logging import SERVICE

NAMESPACE: Final = "LocationDetection"
SWITCH: Final = "LOCATION_DETECTION_METRICS"
SERVICE_VARIABLE: Final = "POWERTOOLS_SERVICE_NAME"
"""Names the deployment, so that the numbers of several in one account stay apart."""

_Dimensions = tuple[tuple[str, str], ...]


def switched_on(environ: Mapping[str, str]) -> bool:
    """Whether numbers are to be written by a process with this environment."""
    return environ.get(SWITCH, "on" if "AWS_LAMBDA_FUNCTION_NAME" in environ else "off") == "on"


class Metrics:
    """Numbers not written yet, by their dimensions. Safe to share between threads."""

    def __init__(self) -> None:
        self._kept: dict[_Dimensions, list[tuple[str, str, float]]] = {}
        self._lock = threading.Lock()

    def add(self, name: str, value: float, unit: str, dimensions: Mapping[str, str]) -> None:
        """Keep one value of the metric."""
        with self._lock:
            self._kept.setdefault(tuple(sorted(dimensions.items())), []).append((name, unit, value))

    def flush(self) -> None:
        """Write what is kept, one line for all numbers of the same dimensions, and forget it."""
        with self._lock:
            kept, self._kept = self._kept, {}
        if not kept:
            return
        for dimensions, values in kept.items():
            lines = EphemeralMetrics(namespace=NAMESPACE, service=os.environ.get(SERVICE_VARIABLE, SERVICE))
            for name, value in dimensions:
                lines.add_dimension(name, value)
            for name, unit, number in values:
                lines.add_metric(name, unit, number)
            lines.flush_metrics()


_metrics = Metrics()


def count(name: str, value: float = 1, **dimensions: str) -> None:
    """Count something."""
    if switched_on(os.environ):
        _metrics.add(name, value, "Count", dimensions)


def seconds(name: str, value: float, **dimensions: str) -> None:
    """Keep how long something took."""
    if switched_on(os.environ):
        _metrics.add(name, value, "Seconds", dimensions)


def flush() -> None:
    """Write the numbers that are kept."""
    _metrics.flush()
