"""The queue in SQS.

SQS may still act on a receipt whose time is over, on a message that another has by then. So leases that this process
took are remembered, and a receipt is not used after its time.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from storage.aws.calls import Calls
from storage.base import Delivery, JobMessage, JobQueue
from utils.errors import ServiceError
from utils.logging import get_logger

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

POLL_S: Final = 1  # a long poll asks all of SQS's servers: a short one may overlook a message
MAX_VISIBILITY_S: Final = 43_200
_MOST_LEASES: Final = 1000
_NOT_GOOD: Final = (
    "AWS.SimpleQueueService.MessageNotInflight",
    "InvalidParameterValue",
    "InvalidParameterValueException",
    "MessageNotInflight",
    "MissingParameter",
    "ReceiptHandleIsInvalid",
)

_log = get_logger()


class AwsQueue(JobQueue):
    """The queue at a URL. `on_sent` is told the id of each job whose message SQS has accepted."""

    def __init__(
        self,
        client: Callable[[], SQSClient],
        url: str,
        calls: Calls,
        on_sent: Callable[[str], None],
        *,
        poll_s: int = POLL_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._url, self._calls, self._on_sent = client, url, calls, on_sent
        self._poll_s, self._leases = poll_s, _Leases(monotonic)

    def send(self, message: JobMessage) -> None:
        """See `JobQueue.send`."""
        body = encode(message)
        self._calls(lambda: self._client().send_message(QueueUrl=self._url, MessageBody=body))
        try:
            self._on_sent(message.job_id)
        except ServiceError:
            # The message is on its way; at worst the job gets a second one, which does no harm.
            _log.warning("A sent job is still marked as unsent.", extra={"action": "sent_unmarked"})

    def receive(self, visibility_s: float) -> Delivery | None:
        """See `JobQueue.receive`; what is no message of ours stays until the queue moves it to the dead letters."""
        asked = self._leases.now()
        answer = self._calls(
            lambda: self._client().receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=1,
                VisibilityTimeout=_whole_s(visibility_s),
                WaitTimeSeconds=self._poll_s,
                MessageSystemAttributeNames=["ApproximateReceiveCount"],
            )
        )
        for found in answer.get("Messages", []):
            delivery = _delivery(found["Body"], found["ReceiptHandle"], found.get("Attributes") or {})
            if delivery is not None:
                self._leases.take(delivery.receipt, asked + _whole_s(visibility_s))
            return delivery
        return None

    def extend(self, delivery: Delivery, visibility_s: float) -> bool:
        """See `JobQueue.extend`."""
        asked = self._leases.now()
        held = self._set_visibility(delivery, visibility_s)
        if held:
            self._leases.take(delivery.receipt, asked + _whole_s(visibility_s))
        return held

    def acknowledge(self, delivery: Delivery) -> None:
        """See `JobQueue.acknowledge`."""
        if self._leases.over(delivery.receipt):
            return
        try:
            self._calls(
                lambda: self._client().delete_message(QueueUrl=self._url, ReceiptHandle=delivery.receipt), *_NOT_GOOD
            )
        except ClientError:
            return
        self._leases.end(delivery.receipt)

    def release(self, delivery: Delivery, delay_s: float) -> None:
        """See `JobQueue.release`."""
        if self._set_visibility(delivery, delay_s):
            self._leases.end(delivery.receipt)

    def check(self) -> None:
        """Return if the queue answers.

        Raises:
            ServiceUnavailableError: it does not.
        """
        self._calls.once(
            lambda: self._client().get_queue_attributes(QueueUrl=self._url, AttributeNames=["VisibilityTimeout"])
        )

    def _set_visibility(self, delivery: Delivery, visibility_s: float) -> bool:
        if self._leases.over(delivery.receipt):
            return False
        try:
            self._calls(
                lambda: self._client().change_message_visibility(
                    QueueUrl=self._url, ReceiptHandle=delivery.receipt, VisibilityTimeout=_whole_s(visibility_s)
                ),
                *_NOT_GOOD,
            )
        except ClientError:
            return False
        return True


def encode(message: JobMessage) -> str:
    """The body of the message in SQS."""
    return json.dumps(
        {
            "job_id": message.job_id,
            "request_id": message.request_id,
            "correlation_id": message.correlation_id,
        }
    )


def _delivery(body: str, receipt: str, found: Mapping[Any, str]) -> Delivery | None:
    try:
        told = json.loads(body)
        message = JobMessage(*(str(told[name]) for name in ("job_id", "request_id", "correlation_id")))
    except (ValueError, TypeError, KeyError):
        _log.error("A message in the queue is none of ours.", extra={"action": "message_unknown"})
        return None
    return Delivery(message, receipt, int(found.get("ApproximateReceiveCount", 1)))


def _whole_s(seconds: float) -> int:
    return min(max(math.ceil(seconds), 0), MAX_VISIBILITY_S)


class _Leases:
    """Until when each of the latest receipts is good that this process was given; of others it knows nothing."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self.now = monotonic
        self._good_until: dict[str, float] = {}
        self._lock = threading.Lock()

    def take(self, receipt: str, good_until: float) -> None:
        with self._lock:
            self._good_until[receipt] = good_until
            while len(self._good_until) > _MOST_LEASES:
                del self._good_until[next(iter(self._good_until))]

    def end(self, receipt: str) -> None:
        self.take(receipt, -math.inf)

    def over(self, receipt: str) -> bool:
        with self._lock:
            return self._good_until.get(receipt, math.inf) <= self.now()
