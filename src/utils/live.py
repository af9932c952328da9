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
    if not aws.in_use(os.environ):
        return settings.cors_origins
    return _split(get_parameter("cors-origins", ",".join(settings.cors_origins)))


def url_hosts(settings: Settings) -> frozenset[str]:
    """The hosts that https URLs of blueprints may name, at most 5 minutes old.

    Raises:
        ServiceUnavailableError: they cannot be asked for and were never known: nobody is refused for that.
    """
    hosts = settings.url_hosts
    if aws.in_use(os.environ):
        text = get_parameter("url-hosts")
        hosts = hosts if text is None else _split(text)
    return frozenset(host.lower().rstrip(".") for host in hosts)


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


def _split(text: str) -> tuple[str, ...]:
    return tuple(part for part in (part.strip() for part in text.split(",")) if part and part != NOTHING)
