"""The worker as a function that a poller calls with messages: what failed is named, so that it alone comes again.

The poller receives, and deletes what was not named. A message that is to come again is released first, or it would
stay hidden for the queue's whole visibility time, which is several times what the function may take.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, Protocol

from services.detection_service import DetectionService, Outcome
from storage.base import Delivery, JobMessage, JobQueue, Storage
from utils.errors import ServiceError
from utils.logging import bind_context, get_logger

ENOUGH_S: Final = 30.0
"""A further message of a batch is only begun with this much time left."""
_NOT_OURS_DELAY_S: Final = 30.0
_STORE_DOWN_DELAYS_S: Final = (10.0, 60.0, 300.0)

Record = Mapping[str, Any]
"""A message as the poller hands it over."""

_log = get_logger()


class Context(Protocol):
    """As much as is needed of what Lambda tells a function about its call."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """How long until the function is killed."""


class PolledQueue(JobQueue):
    """The queue of a function whose poller receives for it, and deletes what is done."""

    def __init__(self, queue: JobQueue) -> None:
        self._queue = queue

    def send(self, message: JobMessage) -> None:
        """See `JobQueue.send`."""
        self._queue.send(message)

    def receive(self, visibility_s: float) -> Delivery | None:
        """None: messages come from the poller alone."""
        return None

    def extend(self, delivery: Delivery, visibility_s: float) -> bool:
        """See `JobQueue.extend`."""
        return self._queue.extend(delivery, visibility_s)

    def acknowledge(self, delivery: Delivery) -> None:
        """Nothing: the poller deletes what is not named as failed."""

    def release(self, delivery: Delivery, delay_s: float) -> None:
        """See `JobQueue.release`."""
        self._queue.release(delivery, delay_s)


class Batches:
    """Handles what the poller brings.

    Args:
        storage: the world.
        make_service: the service on a world.
        limit_s: how long a job may take, asked for each message.
    """

    def __init__(
        self, storage: Storage, make_service: Callable[[Storage], DetectionService], limit_s: Callable[[], float]
    ) -> None:
        self._queue, self._limit_s = storage.queue, limit_s
        self._service = make_service(replace(storage, queue=PolledQueue(storage.queue)))
        self._last_word = make_service(storage)  # where the function hangs, nobody tells the poller what is done

    def handle(self, records: list[Record], context: Context) -> dict[str, Any]:
        """What the poller is told: the messages that are to come again."""
        failed = []
        for index, record in enumerate(records):
            with bind_context(request_id=context.aws_request_id):
                if not self._is_done(record, context, first=index == 0):
                    failed.append({"itemIdentifier": record["messageId"]})
        return {"batchItemFailures": failed}

    def _is_done(self, record: Record, context: Context, *, first: bool) -> bool:
        delivery = read_delivery(record)
        if not delivery.message.job_id:
            # It may be a later version's, so it is not dropped: after a few times the queue puts it aside.
            _log.error("A message is none of ours.", extra={"action": "message_unknown"})
            self._release(delivery, _NOT_OURS_DELAY_S)
            return False
        left_s = context.get_remaining_time_in_millis() / 1000
        if not first and left_s < ENOUGH_S:
            self._release(delivery, 0.0)
            return False
        # The engine is asked to stop while there is time to write why, and if it does not, the job ends without it.
        limit_s, give_up_s = left_s - min(20.0, left_s / 4), left_s - min(5.0, left_s / 10)
        try:
            with _Watchdog(give_up_s, lambda: self._give_up(delivery)):
                outcome = self._service.run(delivery, limit_s=min(limit_s, self._limit_s()))
        except Exception:  # noqa: BLE001 -- whatever it is, the message comes again
            _log.exception("A message could not be handled.", extra={"action": "delivery_unhandled"})
            self._release(delivery, _STORE_DOWN_DELAYS_S[min(delivery.count, len(_STORE_DOWN_DELAYS_S)) - 1])
            return False
        return outcome is not Outcome.RELEASED

    def _release(self, delivery: Delivery, delay_s: float) -> None:
        try:
            self._queue.release(delivery, delay_s)
        except ServiceError:
            _log.warning("A message could not be released, and comes later.", extra={"action": "release_failed"})

    def _give_up(self, delivery: Delivery) -> None:
        _log.error("A detection hangs and is given up.", extra={"action": "detection_overdue"})
        try:
            self._last_word.give_up(delivery)
        except ServiceError:
            _log.exception("A job could not be given up; its message comes again.", extra={"action": "give_up_failed"})


def read_delivery(record: Record) -> Delivery:
    """The delivery in a record of the poller; its job's id is empty if the body is no message of ours."""
    try:
        told = json.loads(record["body"])
        message = JobMessage(*(str(told[name]) for name in ("job_id", "request_id", "correlation_id")))
    except (ValueError, TypeError, KeyError):
        message = JobMessage("", "", "")
    return Delivery(message, record["receiptHandle"], int(record["attributes"]["ApproximateReceiveCount"]))


class _Watchdog:
    """Calls when the time is up, from a thread of its own."""

    def __init__(self, after_s: float, call: Callable[[], None]) -> None:
        self._timer = threading.Timer(after_s, call)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._timer.cancel()
        self._timer.join()  # nothing may be half-written when the function is frozen
