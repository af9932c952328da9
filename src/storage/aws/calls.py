"""Calls of AWS: hiccups are tried again at once, and what remains becomes one of our errors.

The pauses are short: this loop gets single calls over what passes in a moment, such as a throttled partition or a 503
in the middle of a large file. Outages are for the services to wait out, in 1, 2, 4 and 8 s, as on one machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
)

from utils.aws import error_code
from utils.errors import InternalError, ServiceError, ServiceUnavailableError
from utils.logging import get_logger
from utils.retry import retry_call

DELAYS_S: Final = (0.05, 0.1, 0.2, 0.4)
DEADLINE_S: Final = 1.0

_THROTTLED: Final = frozenset(
    {
        "BandwidthLimitExceeded",
        "KmsThrottled",
        "LimitExceededException",
        "OverLimit",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
# Whoever sent these has a mistake in the program: asking later, or having the store mended, would not help.
_OUR_MISTAKES: Final = frozenset(
    {
        "BadDigest",
        "EntityTooLarge",
        "EntityTooSmall",
        "InvalidArgument",
        "InvalidMessageContents",
        "InvalidParameterValue",
        "InvalidPart",
        "InvalidRequest",
        "ItemCollectionSizeLimitExceededException",
        "KeyTooLongError",
        "MalformedXML",
        "MissingParameter",
        "SerializationException",
        "ValidationError",
        "ValidationException",
    }
)

_T = TypeVar("_T")
_log = get_logger()


class Calls:
    """Makes the calls of one AWS service, which it names in errors and logs."""

    def __init__(
        self,
        service: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self.service = service
        self._sleep, self._monotonic, self._deadline_s = sleep, monotonic, deadline_s

    def within(self, deadline_s: float) -> Calls:
        """The same, with so much time for a call and its repetitions."""
        return Calls(self.service, sleep=self._sleep, monotonic=self._monotonic, deadline_s=deadline_s)

    def __call__(self, step: Callable[[], _T], *expected: str) -> _T:
        """What the step gives.

        Args:
            step: the call; it may be made several times.
            expected: codes of answers that the caller understands; they come out as the ClientError they are.

        Raises:
            ServiceUnavailableError: AWS could not be reached, or refused.
            InternalError: AWS found the call itself wrong.
        """
        try:
            return retry_call(
                step,
                delays_s=DELAYS_S,
                retryable=is_hiccup,
                deadline_s=self._deadline_s,
                jitter=True,
                sleep=self._sleep,
                clock=self._monotonic,
            )
        except (BotoCoreError, ClientError) as error:
            if isinstance(error, ClientError) and error_code(error) in expected:
                raise
            raise self.translated(error) from error

    def once(self, step: Callable[[], _T]) -> _T:
        """What the step gives at its only try.

        Raises:
            ServiceUnavailableError, InternalError: as for a call.
        """
        try:
            return step()
        except (BotoCoreError, ClientError) as error:
            raise self.translated(error) from error

    def translated(self, error: BotoCoreError | ClientError) -> ServiceError:
        """Our error for one of AWS or of the way there; the log has its code."""
        code = error_code(error) or type(error).__name__
        if isinstance(error, ParamValidationError) or code in _OUR_MISTAKES:
            _log.error(
                "AWS refused a wrong call.", extra={"action": "aws_call_wrong", "part": self.service, "code": code}
            )
            return InternalError(service=self.service)
        _log.warning("AWS failed a call.", extra={"action": "aws_call_failed", "part": self.service, "code": code})
        return ServiceUnavailableError(service=self.service)


def is_hiccup(error: BaseException) -> bool:
    """Whether the same call may go through in a moment: throttled, a failure on the far side, or a broken line."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= 500 or status == 429 or error_code(error) in _THROTTLED
    if isinstance(error, NoCredentialsError | NoRegionError | PartialCredentialsError | ParamValidationError):
        return False
    return isinstance(error, BotoCoreError)
