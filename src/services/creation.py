"""How a job comes to be: its id settled, then file, record and message, so that a record never points at nothing.

Inside one request every failing step of the store is tried again, together for at most `REQUEST_DEADLINE_S`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeVar

from models.blueprint import Blueprint, PageSelection
from models.job import FILE_LIFETIME, Job, Status, blueprint_key
from services.audit import NOWHERE, log_move
from storage.base import JobMessage, Storage
from utils.errors import IdempotencyKeyReusedError, JobNotFoundError, ServiceError, ServiceUnavailableError
from utils.logging import current_correlation_id, current_request_id, get_logger
from utils.retry import retry_call

REQUEST_DEADLINE_S: Final = 3.0
_IDEMPOTENCY_S: Final = 24 * 3600
# Files are removed when they are FILE_LIFETIME old, at times a day late, and results are younger than their job.
_MARKER_S: Final = int((FILE_LIFETIME + timedelta(days=9)).total_seconds())

_T = TypeVar("_T")
_log = get_logger()


@dataclass(frozen=True, slots=True)
class Idempotency:
    """A client's Idempotency-Key and a hash of the whole request it came with."""

    key: str
    fingerprint: str

    def claim_name(self, owner: str) -> str:
        """Under which name the first request with this key is remembered."""
        return f"idempotency:{owner}:{self.key}"


class Budget:
    """The time that one request has for trying again."""

    def __init__(self, sleep: Callable[[float], None], monotonic: Callable[[], float]) -> None:
        self._sleep, self._monotonic = sleep, monotonic
        self._ends = monotonic() + REQUEST_DEADLINE_S

    def call(self, step: Callable[[], _T]) -> _T:
        """What the step gives, tried again after an outage while there is time."""
        left_s = max(0.0, self._ends - self._monotonic())
        return retry_call(step, deadline_s=left_s, jitter=True, sleep=self._sleep, clock=self._monotonic)


def marker_name(job_id: str) -> str:
    """The claim that says whose files these are for as long as they live, after the record is gone."""
    return f"files:{job_id}"


@dataclass(frozen=True, slots=True)
class Creation:
    """One request's way to its job. `now` is when the job is created, `fresh_id` its id if nothing else settles it."""

    storage: Storage
    budget: Budget
    now: datetime
    fresh_id: str
    owner: str
    pages: PageSelection | None
    idempotency: Idempotency | None

    def settle(self, job_id: str | None = None) -> str:
        """The id of the job that this request is about: the first request with the same key decides.

        Raises:
            IdempotencyKeyReusedError: the key came with another request before.
        """
        job_id = job_id or self.fresh_id
        if self.idempotency is None:
            return job_id
        value = {"fingerprint": self.idempotency.fingerprint, "job_id": job_id}
        name = self.idempotency.claim_name(self.owner)
        standing = self.budget.call(lambda: self.storage.claims.claim(name, value, _IDEMPOTENCY_S))
        if standing["fingerprint"] != self.idempotency.fingerprint:
            raise IdempotencyKeyReusedError
        return standing["job_id"]

    def earlier(self, job_id: str) -> Job | None:
        """The job that an earlier request made, if it got that far."""
        job = None if job_id == self.fresh_id else self.budget.call(lambda: self.storage.jobs.get(job_id))
        if job is None:
            return None
        if job.owner != self.owner:
            raise JobNotFoundError(job_id=job_id)
        if job.status is Status.PENDING:
            # That request may have died before the queue; a second message for one job does no harm.
            self.budget.call(lambda: self.storage.queue.send(_message(job)))
        return job

    def job(self, job_id: str, blueprint: Blueprint) -> Job:
        """The record as it is to be."""
        return Job(
            job_id=job_id,
            owner=self.owner,
            created_at=self.now,
            updated_at=self.now,
            blueprint_s3_key=blueprint_key(job_id, blueprint.format),
            blueprint_format=blueprint.format,
            blueprint_hash=blueprint.sha256,
            pages=str(self.pages) if self.pages is not None and self.pages.ranges else None,
        )

    def enter(self, job: Job, keep: Callable[[], None], drop: Callable[[], None], *, shared: bool) -> Job:
        """The job, with its file kept, its record written and its message sent.

        Args:
            job: the record.
            keep: puts the file in its place.
            drop: takes it out again.
            shared: whether another request may be making the very same job right now.

        Raises:
            ServiceUnavailableError: nothing is half-written; or the queue refused, and the job is failed.
        """
        marker = {"owner": job.owner, "hash": job.blueprint_hash}
        if self.idempotency is not None:
            marker["idempotency"] = self.idempotency.claim_name(job.owner)
        try:
            self.budget.call(lambda: self.storage.claims.claim(marker_name(job.job_id), marker, _MARKER_S))
            self.budget.call(keep)
            standing = self.budget.call(lambda: self.storage.jobs.add(job))
        except ServiceError:
            self._undo(job, drop, shared)
            raise
        if standing is not None:
            return standing
        try:
            self.budget.call(lambda: self.storage.queue.send(_message(job)))
        except ServiceUnavailableError as error:
            self._refused(job, error)
            raise
        log_move(job, NOWHERE)
        return job

    def _undo(self, job: Job, drop: Callable[[], None], shared: bool) -> None:
        """Take the file back out, unless another request made the record meanwhile.

        The store may have kept the record although it could not say so: then that goes first, so that it never points
        at nothing.
        """
        try:
            if not shared:
                self.storage.jobs.delete(job.job_id)
            if not shared or self.storage.jobs.get(job.job_id) is None:
                drop()
                self.storage.claims.delete(marker_name(job.job_id))
        except ServiceError:
            _log.warning("A file without a record stays until it expires.", extra={"action": "undo_failed"})

    def _refused(self, job: Job, error: ServiceError) -> None:
        """Fail the job that the queue refused, and free its key so that the client may try again."""
        failed = job.moved(Status.FAILED, self.now, error=error.to_json(), message="The queue refused the job.")
        try:
            if self.storage.jobs.save(failed) is None:
                log_move(failed, job.status.value)
            if self.idempotency is not None:
                self.storage.claims.delete(self.idempotency.claim_name(job.owner))
        except ServiceError:
            # It stays pending, and `requeue_lost` sends it once the store is back.
            _log.warning("A refused job could not be marked.", extra={"action": "refusal_unmarked"})


def _message(job: Job) -> JobMessage:
    return JobMessage(job.job_id, current_request_id() or "", current_correlation_id() or "")
