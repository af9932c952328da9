"""Where jobs, files, messages and previews are kept; `open_storage` chooses the world."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from models.job import now_utc
from storage.base import Storage
from utils.config import Settings


def open_storage(settings: Settings, clock: Callable[[], datetime] = now_utc) -> Storage:
    """The world that the settings name. Nothing is touched yet: what cannot be reached says so when it is used."""
    # Loaded here so that each world loads only what it needs.
    if settings.world == "aws":
        from storage.aws.world import open_aws

        return open_aws(settings, clock)
    from storage.local.world import open_local

    return open_local(settings.data_dir, clock)
