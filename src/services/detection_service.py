"""What happens to one message: the job's blueprint becomes its result, or the job ends with the reason why not.

The engine is an argument, so that this module, which the API can import, reaches no pixels.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol, TypeVar

from models.blueprint import Blueprint, PageSelection
from models.floorplan import Floorplan, Source
from models.job import Job, Status, now_utc, page_picture_key, result_key
from services.audit import log_move
from services.progress import Progress, SupersededError
from storage.base import Delivery, Preview, Storage
from utils import metrics
from utils.errors import JobNotFoundError, ProcessingFailedError, ServiceError, ServiceUnavailableError
from utils.logging import bind_context, get_logger
from utils.retry import retry_call

MAX_DELIVERIES: Final = 3
JOB_LIMIT_S: Final = 900.0
# Whoever works on a job that has not changed for this long is dead: no worker is given more time, on Lambda either.
SILENCE: Final = timedelta(seconds=JOB_LIMIT_S + 60)
_REDELIVERY_DELAYS_S: Final = (1.0, 5.0)
_OUTAGE_DELAYS_S: Final = (10.0, 60.0)  # an outage is not over in a second, and its jobs are not to fail of it

_T = TypeVar("_T")
_log = get_logger()


class Observer(Protocol):
    """Who the engine tells how far it is; an exception from here ends the detection."""

    def stage(self, name: str, page: int, page_count: int, progress: float) -> None:
        """Stage `name` of page `page` begins; `progress` is the share of the whole work that is done."""

    def picture(self, page: int, png: bytes) -> None:
        """The page as it was looked at, as PNG; it scales to the page's width and height."""


class Detect(Protocol):
    """The engine: from a blueprint to its floorplan."""

    def __call__(self, blueprint: Blueprint, *, pages: PageSelection, observer: Observer) -> Floorplan:
        """The rooms on the selected pages."""


class Outcome(StrEnum):
    """What became of one delivery."""

    COMPLETED = "completed"
    FAILED = "failed"
    RELEASED = "released"
    SUPERSEDED = "superseded"


class DetectionService:
    """Runs deliveries with one engine. The model's version decides which previews may be used again."""

    def __init__(
        self,
        storage: Storage,
        detect: Detect,
        *,
        model_version: str,
        clock: Callable[[], datetime] = now_utc,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        job_limit_s: float = JOB_LIMIT_S,
    ) -> None:
        self._storage, self._detect, self._model_version = storage, detect, model_version
        self._clock, self._monotonic, self._sleep = clock, monotonic, sleep
        self._job_limit_s = job_limit_s

    def run(
        self, delivery: Delivery, *, lease_lost: Callable[[], bool] = lambda: False, limit_s: float | None = None
    ) -> Outcome:
        """What became of the delivery; unless its message was handed back or is another's now, it is acknowledged.

        Args:
            delivery: a message that was handed out.
            lease_lost: whether the message has meanwhile gone to another worker.
            limit_s: how long the job may take this time, if less than any other job.

        Raises:
            ServiceUnavailableError: the store cannot be reached; the message will come again.
        """
        message = delivery.message
        with bind_context(job_id=message.job_id, request_id=message.request_id, correlation_id=message.correlation_id):
            try:
                outcome = self._run(delivery, lease_lost, min(limit_s or self._job_limit_s, self._job_limit_s))
            except SupersededError as stopped:
                outcome = Outcome.SUPERSEDED
                self._clear_away(message.job_id, stopped)
            if outcome is not Outcome.RELEASED and not lease_lost():
                self._call(lambda: self._storage.queue.acknowledge(delivery))
            _log.info(
                "A delivery was handled.",
                extra={"action": "delivery_handled", "outcome": outcome.value, "delivery_count": delivery.count},
            )
            metrics.count("Deliveries", outcome=outcome.value)
            return outcome

    def give_up(self, delivery: Delivery) -> None:
        """End a job whose detection cannot be stopped in any other way than with its process."""
        message = delivery.message
        with bind_context(job_id=message.job_id, request_id=message.request_id, correlation_id=message.correlation_id):
            job = self._storage.jobs.get(message.job_id)
            if job is not None and not job.ended:
                with suppress(SupersededError):  # it has ended just now
                    self._fail(job, self._too_slow(self._job_limit_s))
            self._storage.queue.acknowledge(delivery)

    def _run(self, delivery: Delivery, lease_lost: Callable[[], bool], limit_s: float) -> Outcome:
        job = self._call(lambda: self._storage.jobs.get(delivery.message.job_id))
        if job is None or job.ended:
            raise SupersededError(job)
        # What is pending was never begun, however often it came: then it was the store or the queue that failed.
        if job.status is Status.PROCESSING:
            if delivery.count > MAX_DELIVERIES:
                return self._fail(job, ProcessingFailedError(deliveries=MAX_DELIVERIES))
            alive_s = (job.updated_at + SILENCE - self._clock()).total_seconds()
            if delivery.count == 1 and alive_s > 0:
                # Another message of this job, or the same one handed out twice. Who has the job will most likely end
                # it; this message waits until that is certain, so that none is lost with both.
                return self._hand_back(delivery, alive_s)
        observer = self._begin(job, lease_lost, limit_s)
        try:
            floorplan = self._from_preview(job)
            fresh = floorplan is None
            if job.pages is None:
                metrics.count("PreviewMisses" if fresh else "PreviewHits")
            if floorplan is None:
                floorplan = self._look(job, observer)
            return self._complete(observer, floorplan, fresh)
        except SupersededError:
            raise
        except ServiceError as error:
            if not error.retryable:
                return self._fail(observer.job, error)
            return self._again(delivery, observer.job, error)
        except Exception as error:  # noqa: BLE001 - whatever the engine does, the job must end
            return self._again(delivery, observer.job, error)

    def _begin(self, job: Job, lease_lost: Callable[[], bool], limit_s: float) -> Progress:
        started = job.moved(Status.PROCESSING, self._clock(), stage="starting", progress=0.0, message=None)
        self._save(started, job)
        too_slow, ends = self._too_slow(limit_s), self._monotonic() + limit_s
        return Progress(self._storage, started, self._call, self._clock, self._monotonic, lease_lost, ends, too_slow)

    def _look(self, job: Job, observer: Progress) -> Floorplan:
        data = self._call(lambda: self._storage.blueprints.get(job.blueprint_s3_key))
        if data is None:
            raise ProcessingFailedError("The blueprint is no longer kept.")
        blueprint = Blueprint(data, job.blueprint_format, job.blueprint_hash)
        return self._detect(blueprint, pages=PageSelection.parse(job.pages), observer=observer)

    def _from_preview(self, job: Job) -> Floorplan | None:
        """What was found on the same bytes before, its pictures copied to this job; None if it has to be looked for."""
        if job.pages is not None:
            return None
        try:
            preview = self._storage.previews.get(job.blueprint_hash)
            if preview is None or preview.model_version != self._model_version:
                return None
            for page, key in preview.picture_keys.items():
                picture = self._storage.cache.get(key)
                if picture is None:  # the job that it belongs to was purged meanwhile
                    return None
                self._storage.cache.put(page_picture_key(job.job_id, page), picture, "image/png")
        except ServiceUnavailableError:
            _log.warning("The preview cache cannot be reached.", extra={"action": "preview_unread"})
            return None
        return Floorplan(
            model_version=preview.model_version,
            source=Source(format=job.blueprint_format, sha256=job.blueprint_hash),
            pages=preview.pages,
        )

    def _complete(self, observer: Progress, floorplan: Floorplan, fresh: bool) -> Outcome:
        observer.check()
        job, key = observer.job, result_key(observer.job.job_id)
        document = floorplan.to_json().encode()
        self._call(lambda: self._storage.cache.put(key, document, "application/json"))
        done = job.moved(
            Status.COMPLETED, self._clock(), result_s3_key=key, stage="done", progress=1.0, message=_summary(floorplan)
        )
        self._save(done, job)
        if fresh:
            self._measure(observer, floorplan)
        if fresh and job.pages is None:
            self._remember(job, floorplan, observer.pictures)
        return Outcome.COMPLETED

    def _remember(self, job: Job, floorplan: Floorplan, pictures: set[int]) -> None:
        keys = {page: page_picture_key(job.job_id, page) for page in sorted(pictures)}
        preview = Preview(job.blueprint_hash, floorplan.model_version, floorplan.pages, keys)
        try:
            self._storage.previews.put(preview)
            if self._storage.jobs.get(job.job_id) is None:  # purged between the two writes: nothing may stay
                self._storage.previews.delete(job.blueprint_hash)
        except ServiceUnavailableError:
            _log.warning("A preview could not be kept.", extra={"action": "preview_unkept"})

    def _again(self, delivery: Delivery, job: Job, error: Exception) -> Outcome:
        """Hand the message back, or fail the job if this was its last delivery."""
        _log.exception("A detection failed.", exc_info=error, extra={"action": "detection_failed"})
        if delivery.count >= MAX_DELIVERIES:
            return self._fail(job, ProcessingFailedError(deliveries=delivery.count))
        delays_s = _OUTAGE_DELAYS_S if isinstance(error, ServiceUnavailableError) else _REDELIVERY_DELAYS_S
        return self._hand_back(delivery, delays_s[min(delivery.count, len(delays_s)) - 1])

    def _hand_back(self, delivery: Delivery, delay_s: float) -> Outcome:
        self._call(lambda: self._storage.queue.release(delivery, delay_s))
        return Outcome.RELEASED

    def _fail(self, job: Job, error: ServiceError) -> Outcome:
        self._save(job.moved(Status.FAILED, self._clock(), error=error.to_json(), message=error.message), job)
        return Outcome.FAILED

    def _save(self, job: Job, before: Job) -> None:
        try:
            in_the_way = self._call(lambda: self._storage.jobs.save(job))
        except JobNotFoundError:
            raise SupersededError(None) from None
        if in_the_way is not None:
            raise SupersededError(in_the_way)
        log_move(job, before.status.value)

    def _measure(self, observer: Progress, floorplan: Floorplan) -> None:
        observer.end_stage()
        for stage, taken_s in observer.stage_seconds.items():
            metrics.seconds("StageSeconds", taken_s, stage=stage)
        model = floorplan.model_version
        metrics.seconds("DetectionSeconds", sum(observer.stage_seconds.values()), model_version=model)
        for page in floorplan.pages:
            metrics.count("RoomsPerPage", len(page.rooms), model_version=model)

    def _clear_away(self, job_id: str, stopped: SupersededError) -> None:
        """What was already written for a job that was cancelled or purged goes."""
        if stopped.lost or (stopped.job is not None and stopped.job.status is not Status.CANCELLED):
            return
        for prefix in (f"cache/final/{job_id}/", f"cache/pages/{job_id}/"):
            self._storage.cache.delete_prefix(prefix)

    @staticmethod
    def _too_slow(limit_s: float) -> ProcessingFailedError:
        return ProcessingFailedError("The plan took too long to process.", limit="job_limit_s", value=round(limit_s, 1))

    def _call(self, step: Callable[[], _T]) -> _T:
        return retry_call(step, sleep=self._sleep, clock=self._monotonic)


def _summary(floorplan: Floorplan) -> str:
    count = floorplan.room_count
    if count == 0:
        return next((page.message for page in floorplan.pages if page.message), "No rooms were found.")
    return f"{count} room{'' if count == 1 else 's'} found."
