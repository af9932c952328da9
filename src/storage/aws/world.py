"""The AWS world put together, and how it says what is wrong with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from storage.aws.blobs import AwsBlobs
from storage.aws.calls import Calls
from storage.aws.claims import AwsClaims
from storage.aws.jobs import AwsJobs
from storage.aws.previews import AwsPreviews
from storage.aws.queue import POLL_S, AwsQueue
from storage.aws.tables import Clock, Table
from storage.base import HealthCheck, Storage
from utils import aws
from utils.config import Settings

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient


class AwsCheck(HealthCheck):
    """One AWS service answers, asked in the cheapest way that a role of ours is allowed."""

    def __init__(self, name: str, asks: Iterable[Callable[[], object]]) -> None:
        self.name, self._asks = name, tuple(asks)

    def check(self) -> None:
        """See `HealthCheck.check`."""
        for ask in self._asks:
            ask()


def open_aws(
    settings: Settings,
    clock: Clock,
    *,
    endpoints: Mapping[aws.Service, str] | None = None,
    poll_s: int = POLL_S,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> Storage:
    """The world of the settings' tables, buckets and queue; clients are made when first needed.

    Args:
        settings: those of the AWS world.
        clock: what the time is, for what expires.
        endpoints: where services are found other than where the environment says.
        poll_s: how long a receive waits for a message.
        sleep: pauses.
        monotonic: seconds that only grow.
    """
    at = endpoints or {}

    def dynamodb() -> DynamoDBClient:
        return aws.client("dynamodb", at.get("dynamodb"))

    def s3() -> S3Client:
        return aws.client("s3", at.get("s3"))

    def sqs() -> SQSClient:
        return aws.client("sqs", at.get("sqs"))

    calls = {name: Calls(name, sleep=sleep, monotonic=monotonic) for name in ("dynamodb", "s3", "sqs")}

    jobs_table = Table(dynamodb, settings.jobs_table, "job_id", calls["dynamodb"])
    previews_table = Table(dynamodb, settings.preview_cache_table, "blueprint_hash", calls["dynamodb"])
    blueprints = AwsBlobs(s3, settings.blueprints_bucket, calls["s3"], clock)
    cache = AwsBlobs(s3, settings.cache_bucket, calls["s3"], clock)
    jobs = AwsJobs(jobs_table, clock)
    queue = AwsQueue(sqs, settings.queue_url, calls["sqs"], jobs.sent, poll_s=poll_s, monotonic=monotonic)
    return Storage(
        jobs=jobs,
        blueprints=blueprints,
        cache=cache,
        queue=queue,
        previews=AwsPreviews(previews_table, cache, clock),
        claims=AwsClaims(jobs_table, clock),
        checks=(
            AwsCheck("dynamodb", [jobs_table.check]),
            AwsCheck("s3", [blueprints.check, cache.check]),
            AwsCheck("sqs", [queue.check]),
        ),
    )
