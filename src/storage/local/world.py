"""The embedded world put together, how it forgets, and how it says what is wrong with it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from storage.base import HealthCheck, Storage
from storage.local.blobs import STAGED_LIFETIME, LocalBlobs, LocalUploads
from storage.local.claims import LocalClaims
from storage.local.database import Clock, Database
from storage.local.files import StagedFile, remove_tree, translating
from storage.local.jobs import LocalJobs
from storage.local.previews import LocalPreviews
from storage.local.queue import LocalQueue
from utils.errors import ServiceUnavailableError

DATABASE_NAME: Final = "service.sqlite3"
STAGING_NAME: Final = "staging"
MIN_FREE_BYTES: Final = 100 * 1024 * 1024
_PROBE: Final = bytes(4096)


class DatabaseCheck(HealthCheck):
    """The database can be opened and written to."""

    name = "database"

    def __init__(self, database: Database) -> None:
        self._database = database

    def check(self) -> None:
        """See `HealthCheck.check`."""
        with self._database.writing() as db:
            db.execute("SELECT count(*) FROM meta").fetchone()


class FilesCheck(HealthCheck):
    """Files can be written, and there is room for two of the largest."""

    name = "files"

    def __init__(self, staging: Path, min_free_bytes: int = MIN_FREE_BYTES) -> None:
        self._staging, self._min_free_bytes = staging, min_free_bytes

    def check(self) -> None:
        """See `HealthCheck.check`."""
        with StagedFile(self._staging) as probe:
            probe.write(_PROBE)
        with translating():
            disk = os.statvfs(self._staging)
        if disk.f_bavail * disk.f_frsize < self._min_free_bytes:
            raise ServiceUnavailableError("The disk is almost full.", service="files")


def open_local(data_dir: Path, clock: Clock) -> Storage:
    """The world below `data_dir`, which is made, for its owner alone, when something is first kept there."""
    database = Database(data_dir / DATABASE_NAME)
    staging = data_dir / STAGING_NAME
    blueprints = LocalBlobs(data_dir / "blueprints", staging, database, clock)
    cache = LocalBlobs(data_dir / "cache", staging, database, clock)
    jobs, claims = LocalJobs(database, clock), LocalClaims(database, clock)
    previews, uploads = LocalPreviews(database, cache, clock), LocalUploads(blueprints, database, clock)

    def sweep() -> None:
        for part in (jobs, claims, previews, uploads, blueprints, cache):
            part.sweep()
        with translating():
            remove_tree(staging, (clock() - STAGED_LIFETIME).timestamp())  # what killed processes left

    return Storage(
        jobs=jobs,
        blueprints=blueprints,
        cache=cache,
        queue=LocalQueue(database, clock),
        previews=previews,
        claims=claims,
        checks=(DatabaseCheck(database), FilesCheck(staging)),
        uploads=uploads,
        sweep=sweep,
    )
