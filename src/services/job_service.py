"""What may be done with jobs: create, look, list, cancel, purge. The API and the terminal both call it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from models.blueprint import MAX_FILE_BYTES, Blueprint, PageSelection
from models.job import (
    Job,
    Status,
    is_job_id,
    new_job_id,
    now_utc,
    page_picture_key,
    result_key,
)
from services import intake
from services.audit import NOWHERE, PURGED, log_move, log_moved
from services.creation import Budget, Creation, Idempotency, marker_name
from storage.base import JobMessage, JobPage, Storage, UploadTicket
from utils import metrics
from utils.config import Settings
from utils.errors import (
    JobAlreadyCompletedError,
    JobNotFoundError,
    NotFoundError,
    ResultNotReadyError,
    ValidationFailedError,
)
from utils.logging import bind_context, get_logger

__all__ = ["Idempotency", "JobService", "Link"]

UPLOAD_TICKET_S: Final = 3600
MAX_LIST: Final = 100
_UPLOAD_CLAIM_S: Final = 24 * 3600
LINK_S: Final = 300
# A create is over long before this, so a pending job this old without a message was lost between the two writes.
_LOST_AFTER: Final = timedelta(seconds=10)

_log = get_logger()


@dataclass(frozen=True, slots=True)
class Link:
    """Where the store itself hands a file out, for `LINK_S` seconds."""

    url: str


class JobService:
    """Jobs of one world. Every method takes the owner, and another owner's job is as absent as an unknown one."""

    def __init__(
        self,
        storage: Storage,
        settings: Settings,
        *,
        clock: Callable[[], datetime] = now_utc,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._storage = storage
        self._settings = settings
        self._clock, self._random_bytes = clock, random_bytes
        self._sleep, self._monotonic = sleep, monotonic

    def create(
        self,
        blueprint: Blueprint,
        *,
        owner: str,
        pages: PageSelection | None = None,
        idempotency: Idempotency | None = None,
        job_id: str | None = None,
    ) -> Job:
        """The pending job for the blueprint, its message on its way; the earlier job if this request was seen before.

        Raises:
            IdempotencyKeyReusedError: the key came with another request before.
            ServiceUnavailableError: the store did not take it, and nothing is half-written; or the queue refused
                it, and the job is failed.
        """
        creation = self._creation(owner, pages, idempotency)
        job_id = creation.settle(job_id)
        earlier = creation.earlier(job_id)
        if earlier is not None:
            return earlier
        job, files = creation.job(job_id, blueprint), self._storage.blueprints

        def keep() -> None:
            files.put(job.blueprint_s3_key, blueprint.data, blueprint.format.content_type)

        def drop() -> None:
            files.delete_prefix(job.blueprint_s3_key)

        return creation.enter(job, keep, drop, shared=idempotency is not None)

    def create_from_upload(
        self,
        key: str,
        declared: str | None,
        *,
        owner: str,
        pages: PageSelection | None = None,
        idempotency: Idempotency | None = None,
    ) -> Job:
        """The job for a file that came in on an upload ticket: exactly one a ticket, however often it is asked for.

        Raises:
            InvalidRequestError: there is no such upload of this owner.
            InvalidFileFormatError, FileTooLargeError: the file is not a blueprint.
        """
        creation = self._creation(owner, pages, idempotency)
        retrying = creation.budget.call
        job_id = creation.settle(retrying(lambda: intake.upload_job_id(self._storage, key, owner)))
        earlier = creation.earlier(job_id)
        if earlier is not None:
            return earlier
        blueprint = retrying(lambda: intake.read_upload(self._storage, key, declared, owner))
        job, files = creation.job(job_id, blueprint), self._storage.blueprints

        def keep() -> None:
            files.move(key, job.blueprint_s3_key)

        def drop() -> None:
            files.move(job.blueprint_s3_key, key)

        return creation.enter(job, keep, drop, shared=True)

    def create_from_url(
        self,
        url: str,
        declared: str | None,
        *,
        owner: str,
        pages: PageSelection | None = None,
        idempotency: Idempotency | None = None,
    ) -> Job:
        """The job for the file behind an https URL that this service may fetch; a repeated request fetches nothing.

        Raises:
            UrlNotAllowedError, UrlFetchFailedError: the URL may not or cannot be fetched.
            InvalidFileFormatError, FileTooLargeError: the file is not a blueprint.
        """
        creation = self._creation(owner, pages, idempotency)
        job_id = creation.settle()
        earlier = creation.earlier(job_id)
        if earlier is not None:
            return earlier
        blueprint = intake.read_url(url, declared, self._settings, storage=self._storage)
        return self.create(blueprint, owner=owner, pages=pages, idempotency=idempotency, job_id=job_id)

    def open_upload(self, *, owner: str) -> UploadTicket:
        """A ticket for one file of up to 50 MB; its key is then what a job is created from."""
        budget = self._budget()
        job_id = new_job_id(self._clock(), self._random_bytes)
        budget.call(lambda: self._storage.claims.claim(f"upload:{job_id}", {"owner": owner}, _UPLOAD_CLAIM_S))
        key = intake.upload_key(job_id)
        return budget.call(lambda: self._storage.blueprints.presign_upload(key, MAX_FILE_BYTES, UPLOAD_TICKET_S))

    def get(self, job_id: str, *, owner: str) -> Job:
        """The owner's job.

        Raises:
            JobNotFoundError: unknown, malformed, expired or another owner's.
        """
        return self._get(self._budget(), job_id, owner)

    def list(self, owner: str, limit: int = 20, cursor: str | None = None) -> JobPage:
        """The owner's jobs, newest first, and where the next ones begin.

        Raises:
            ValidationFailedError: the limit is out of range or the cursor is not one that was given out.
        """
        if not 1 <= limit <= MAX_LIST:
            raise ValidationFailedError(fields={"limit": f"must be from 1 to {MAX_LIST}"})
        try:
            return self._budget().call(lambda: self._storage.jobs.list(owner, limit, cursor))
        except ValueError as error:
            raise ValidationFailedError(fields={"cursor": "is not one that a list gave"}) from error

    def cancel(self, job_id: str, *, owner: str) -> Job:
        """The job, cancelled for good; a cancelled one stays as it is.

        Raises:
            JobNotFoundError: there is none.
            JobAlreadyCompletedError: it has completed or failed.
        """
        budget = self._budget()
        job = self._get(budget, job_id, owner)
        while not job.ended:
            job = self._cancel(budget, job, "Cancelled on request.")
        if job.status is not Status.CANCELLED:
            raise JobAlreadyCompletedError(job_id=job_id, status=job.status.value)
        return job

    def purge(self, job_id: str, *, owner: str) -> Job | None:
        """What the job was, or None if its record had expired; nothing of it is kept any more.

        Record, blueprint, result, pictures and preview go. A job still at work is cancelled first. If the store
        fails midway, ask again: what proves the owner goes last.

        Raises:
            JobNotFoundError: there is neither a record nor a file of this owner.
        """
        budget = self._budget()
        if not is_job_id(job_id):
            raise JobNotFoundError(job_id=job_id[:40])
        marker = budget.call(lambda: self._storage.claims.get(marker_name(job_id))) or {}
        job = budget.call(lambda: self._storage.jobs.get(job_id))
        if owner != (job.owner if job is not None else marker.get("owner")):
            raise JobNotFoundError(job_id=job_id)
        if job is not None and not job.ended:
            job = self._cancel(budget, job, "Purged on request.")
        blueprint_hash = job.blueprint_hash if job is not None else marker.get("hash")
        self._remove_files(budget, job_id)
        budget.call(lambda: self._storage.jobs.delete(job_id))
        if blueprint_hash:  # after the record, whose absence tells a worker to take back a preview it just wrote
            budget.call(lambda: self._storage.previews.delete(blueprint_hash))
        for name in (marker.get("idempotency"), f"upload:{job_id}", marker_name(job_id)):
            if name:
                budget.call(partial(self._storage.claims.delete, name))
        log_moved(job_id, owner, NOWHERE if job is None else job.status.value, PURGED)
        return job

    def result(self, job_id: str, *, owner: str, link_above_bytes: int | None = None) -> bytes | Link:
        """The floorplan document of a completed job, as JSON; a link to it if it is larger and the store gives links.

        Raises:
            JobNotFoundError: there is no such job.
            ResultNotReadyError: it has not completed.
        """
        budget = self._budget()
        job = self._get(budget, job_id, owner)
        if job.status is not Status.COMPLETED:
            raise ResultNotReadyError(job_id=job_id, status=job.status.value)
        found = self._hand_out(budget, job.result_s3_key or result_key(job_id), link_above_bytes)
        if found is None:
            raise NotFoundError("The result is no longer kept.", job_id=job_id)
        return found

    def page_picture(self, job_id: str, page: int, *, owner: str, link_above_bytes: int | None = None) -> bytes | Link:
        """The picture of a page (1-based) of the job's blueprint, as PNG, or a link to it as for results.

        Raises:
            JobNotFoundError: there is no such job.
            NotFoundError: there is no such page, or it has not been drawn yet.
        """
        budget = self._budget()
        self._get(budget, job_id, owner)
        found = self._hand_out(budget, page_picture_key(job_id, page), link_above_bytes)
        if found is None:
            raise NotFoundError("There is no picture of this page.", job_id=job_id, page=page)
        return found

    def requeue_lost(self) -> int:
        """How many pending jobs were without a message, because a process died in mid-create, and have one again."""
        lost = self._storage.jobs.unsent(self._clock() - _LOST_AFTER)
        for job in lost:
            self._storage.queue.send(JobMessage(job.job_id, request_id="", correlation_id=""))
            with bind_context(job_id=job.job_id):
                _log.warning("A lost job was queued again.", extra={"action": "job_requeued", "owner": job.owner})
        if lost:
            metrics.count("LostJobsResent", len(lost))
        return len(lost)

    def _hand_out(self, budget: Budget, key: str, link_above_bytes: int | None) -> bytes | Link | None:
        cache = self._storage.cache
        data = budget.call(lambda: cache.get(key))
        if data is None or link_above_bytes is None or len(data) <= link_above_bytes:
            return data
        url = cache.presign_download(key, LINK_S)
        return data if url is None else Link(url)

    def _cancel(self, budget: Budget, job: Job, message: str) -> Job:
        """The job, cancelled, or whatever it has become meanwhile."""
        wanted = job.moved(Status.CANCELLED, self._clock(), message=message)
        in_the_way = budget.call(lambda: self._storage.jobs.save(wanted))
        if in_the_way is not None:
            return in_the_way
        log_move(wanted, job.status.value)
        return wanted

    def _budget(self) -> Budget:
        return Budget(self._sleep, self._monotonic)

    def _get(self, budget: Budget, job_id: str, owner: str) -> Job:
        job = budget.call(lambda: self._storage.jobs.get(job_id)) if is_job_id(job_id) else None
        if job is None or job.owner != owner:
            raise JobNotFoundError(job_id=job_id[:40])
        return job

    def _creation(self, owner: str, pages: PageSelection | None, idempotency: Idempotency | None) -> Creation:
        now = self._clock()
        return Creation(
            self._storage, self._budget(), now, new_job_id(now, self._random_bytes), owner, pages, idempotency
        )

    def _remove_files(self, budget: Budget, job_id: str) -> None:
        blueprints, cache = self._storage.blueprints, self._storage.cache
        for prefix in (f"blueprints/{job_id}/", f"uploads/{job_id}/"):
            budget.call(partial(blueprints.delete_prefix, prefix))
        for prefix in (f"cache/final/{job_id}/", f"cache/pages/{job_id}/"):
            budget.call(partial(cache.delete_prefix, prefix))
