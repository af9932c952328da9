"""How far a detection is: told to the job's record, where it is also seen when the work is no longer wanted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from models.job import Job, Status, page_picture_key
from storage.base import Storage
from utils.errors import JobNotFoundError, ProcessingFailedError, ServiceUnavailableError

SAVES_PER_S: Final = 4.0


class SupersededError(Exception):
    """The work is no longer wanted: the job was cancelled, purged, ended by another, or the lease is lost."""

    def __init__(self, job: Job | None, lost: bool = False) -> None:
        super().__init__()
        self.job, self.lost = job, lost


class Progress:
    """The observer that keeps the job's record up to date, and notices there when the work is no longer wanted."""

    def __init__(
        self,
        storage: Storage,
        job: Job,
        call: Callable[[Callable[[], None]], None],
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
        lease_lost: Callable[[], bool],
        ends: float,
        too_slow: ProcessingFailedError,
    ) -> None:
        self.job = job
        self.pictures: set[int] = set()
        self._storage, self._call, self._clock, self._monotonic = storage, call, clock, monotonic
        self._lease_lost, self._ends, self._too_slow = lease_lost, ends, too_slow
        # A bucket of saves: a quick burst is let through, so that the stage before a long pause is the one seen.
        self._saves, self._filled_at = SAVES_PER_S, monotonic()
        self.stage_seconds: dict[str, float] = {}
        self._stage, self._stage_began = "", monotonic()

    def stage(self, name: str, page: int, page_count: int, progress: float) -> None:
        """Say in the record that stage `name` of a page begins, unless too much was said just now."""
        self.check()
        self.end_stage(name)
        self.job = self.job.moved(
            Status.PROCESSING,
            self._clock(),
            stage=name,
            progress=round(min(max(progress, self.job.progress), 0.99), 3),
            message=f"Page {page} of {page_count}" if page_count > 1 else None,
        )
        now = self._monotonic()
        self._saves = min(SAVES_PER_S, self._saves + (now - self._filled_at) * SAVES_PER_S)
        self._filled_at = now
        if self._saves < 1:
            return
        self._saves -= 1
        try:
            in_the_way = self._storage.jobs.save(self.job)
        except JobNotFoundError:
            raise SupersededError(None) from None
        except ServiceUnavailableError:
            return  # progress is not worth failing for
        if in_the_way is not None:
            raise SupersededError(in_the_way)

    def picture(self, page: int, png: bytes) -> None:
        """Keep the page's picture."""
        self.check()
        key = page_picture_key(self.job.job_id, page)
        self._call(lambda: self._storage.cache.put(key, png, "image/png"))
        self.pictures.add(page)

    def end_stage(self, following: str = "") -> None:
        """Add the time since the last call to the stage that began with it."""
        now = self._monotonic()
        if self._stage:
            self.stage_seconds[self._stage] = self.stage_seconds.get(self._stage, 0.0) + now - self._stage_began
        self._stage, self._stage_began = following, now

    def check(self) -> None:
        """Raise if the work should end here: another has the message, or the time is up."""
        if self._lease_lost():
            raise SupersededError(self.job, lost=True)
        if self._monotonic() > self._ends:
            raise self._too_slow
