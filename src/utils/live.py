"""Settings that may change while a process runs: from Parameter Store where AWS is in use, fixed elsewhere."""

from __future__ import annotations

import math
import os
from typing import Final

from utils import aws
from utils.config import Settings, get_parameter
from utils.logging import get_logger

NOTHING: Final = "-"  # Parameter Store keeps no empty text

_log = get_logger()


def cors_origins(settings: Settings) -> tuple[str, ...]:
    """The origins whose pages may call the API, at most 5 minutes old."""
    return _texts("cors-origins", settings.cors_origins)


def url_hosts(settings: Settings) -> frozenset[str]:
    """The hosts that https URLs of blueprints may name, at most 5 minutes old."""
    return frozenset(host.lower().rstrip(".") for host in _texts("url-hosts", settings.url_hosts))


def job_limit_s(fixed_s: float) -> float:
    """How long a job may take, at most 5 minutes old; what is no positive number does not count."""
    if not aws.in_use(os.environ):
        return fixed_s
    text = get_parameter("job-limit-s", str(fixed_s))
    try:
        limit_s = float(text)
    except ValueError:
        limit_s = math.nan
    if 0 < limit_s < math.inf:
        return limit_s
    _log.error("A parameter is no positive number; its default serves.", extra={"action": "parameter_wrong"})
    return fixed_s


def _texts(name: str, fixed: tuple[str, ...]) -> tuple[str, ...]:
    if not aws.in_use(os.environ):
        return fixed
    text = get_parameter(name, ",".join(fixed))
    return tuple(part for part in (part.strip() for part in text.split(",")) if part and part != NOTHING)
