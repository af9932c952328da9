"""Takes messages from the queue and has them handled: by a loop that keeps each one's lease alive, or on Lambda."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from services.detection_service import JOB_LIMIT_S, DetectionService
from services.job_service import JobService
from storage import open_storage
from storage.base import Delivery, JobQueue, Storage
from utils import live, metrics
from utils.config import load_settings
from utils.errors import ServiceError
from utils.logging import get_logger
from worker.polled import Batches, Context

LEASE_S: Final = 15.0  # how long a dead worker's job waits for the next one; at most 30
IDLE_S: Final = 0.1
_OUTAGE_S: Final = 2.0
# The engine is asked to stop at the limit; if it has not by then, it hangs.
_OVERDUE_S: Final = JOB_LIMIT_S + 60

_log = get_logger()


class Consumer:
    """One worker's loop."""

    def __init__(
        self,
        storage: Storage,
        service: DetectionService,
        *,
        lease_s: float = LEASE_S,
        idle_s: float = IDLE_S,
        outage_s: float = _OUTAGE_S,
        overdue_s: float = _OVERDUE_S,
        on_overdue: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queue, self._service = storage.queue, service
        self._lease_s, self._idle_s, self._outage_s = lease_s, idle_s, outage_s
        self._overdue_s, self._on_overdue, self._clock = overdue_s, on_overdue, clock
        self._current: Delivery | None = None

    def run(self, stop: threading.Event) -> None:
        """Handle messages until `stop` is set; the one in hand then is finished first."""
        while not stop.is_set():
            try:
                if not self.run_once():
                    stop.wait(self._idle_s)
            except ServiceError:
                _log.exception("The store failed a worker, which tries again.", extra={"action": "worker_outage"})
                stop.wait(self._outage_s)

    def run_once(self) -> bool:
        """Whether there was a message; it is handled now.

        Raises:
            ServiceUnavailableError: the store cannot be reached.
        """
        delivery = self._queue.receive(self._lease_s)
        if delivery is None:
            return False
        self._current = delivery
        try:
            with _Lease(self._queue, delivery, self._lease_s, self._overdue_s, self._clock, self._overdue) as lease:
                self._service.run(delivery, lease_lost=lease.lost.is_set)
        finally:
            self._current = None
        return True

    def abandon(self) -> None:
        """Hand the message in hand back at once, from another thread; its job is then another worker's."""
        delivery = self._current
        if delivery is not None:
            self._queue.release(delivery, 0.0)

    def _overdue(self, delivery: Delivery) -> None:
        _log.error("A detection hangs and is given up.", extra={"action": "detection_overdue"})
        try:
            self._service.give_up(delivery)
        finally:
            self._on_overdue()


def consume(storage: Storage, service: DetectionService, stop: threading.Event, *, lease_s: float = LEASE_S) -> None:
    """Handle messages until `stop` is set."""
    Consumer(storage, service, lease_s=lease_s).run(stop)


def handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    """What the queue's poller is told of the messages that it brought; a schedule's event makes it look for lost jobs.

    A message comes again when it was released, or when this function dies: `maxReceiveCount` of the queue is one more
    than `MAX_DELIVERIES`, so that the delivery after the last one still comes, finds a job whose workers were all
    killed, and writes it as failed. Only what kills the function even then goes to the dead-letter queue.
    """
    if "Records" not in event:
        return sweep_handler(event, context)
    try:
        return _batches().handle(event["Records"], context)
    finally:
        metrics.flush()


def sweep_handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    """How many lost jobs were queued again; also removes what has expired, where the world does not do so itself."""
    settings = load_settings()
    storage = _storage()
    try:
        resent = JobService(storage, settings).requeue_lost()
        storage.sweep()
    finally:
        metrics.flush()
    return {"resent": resent}


@lru_cache(maxsize=1)
def _storage() -> Storage:
    return open_storage(load_settings())


@lru_cache(maxsize=1)
def _batches() -> Batches:
    from detection import engine  # a second of loading: for messages alone

    def make_service(storage: Storage) -> DetectionService:
        return DetectionService(storage, engine.detect, model_version=engine.MODEL_VERSION)

    return Batches(_storage(), make_service, lambda: live.job_limit_s(JOB_LIMIT_S))


class _Lease:
    """A delivery's lease, extended by a thread of its own while the work goes on."""

    def __init__(
        self,
        queue: JobQueue,
        delivery: Delivery,
        lease_s: float,
        overdue_s: float,
        clock: Callable[[], float],
        on_overdue: Callable[[Delivery], None],
    ) -> None:
        self.lost = threading.Event()
        self._queue, self._delivery, self._lease_s = queue, delivery, lease_s
        self._clock, self._ends, self._on_overdue = clock, clock() + overdue_s, on_overdue
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="lease", daemon=True)

    def __enter__(self) -> _Lease:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _beat(self) -> None:
        good_until = self._clock() + self._lease_s
        while not self._done.wait(self._lease_s / 3):
            if self._clock() > self._ends:
                self._on_overdue(self._delivery)
                return
            try:
                held = self._queue.extend(self._delivery, self._lease_s)
            except ServiceError:
                held = self._clock() < good_until  # an outage: the lease may still be ours
            else:
                good_until = self._clock() + self._lease_s
            if not held:
                self.lost.set()
                return
