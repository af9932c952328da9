"""The worlds that are held to the storage contract. A further one needs an entry in `WORLDS`.

Beside the embedded world and AWS as moto has it, there is AWS on an emulator, and on DynamoDB Local with the emulator's
S3 and SQS, where the environment says where those are (`tests/aws/servers.py` starts them).
"""

from __future__ import annotations

import itertools
import os
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from tests.aws.servers import DYNAMODB_ENDPOINT, EMULATOR_ENDPOINT, REGION

from models.blueprint import BlueprintFormat
from models.job import Job, blueprint_key, now_utc
from storage.aws.schema import JOBS_TABLE, PREVIEW_CACHE_TABLE
from storage.aws.world import open_aws
from storage.base import Storage
from storage.local.world import open_local
from utils import aws
from utils.config import Settings, load_settings

START = datetime(2024, 1, 15, 10, 30, tzinfo=UTC)
PATIENCE_S: dict[aws.Service, float] = {"dynamodb": 20.0, "s3": 20.0, "sqs": 20.0}  # for servers on busy machines
AWS_ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION}


@dataclass(frozen=True, slots=True)
class World:
    """A fresh, empty world.

    `pass_time` makes it that many seconds later there, `now` says when it is. `pass_queue_time` does so for the queue,
    whose clock may be its server's own; `lease_s` is then short. `reopen` opens the same world as another process
    would, on the real clock; it can be sent to other processes. `settings` name what an AWS world is made of.
    """

    storage: Storage
    now: Callable[[], datetime]
    pass_time: Callable[[float], None]
    pass_queue_time: Callable[[float], None]
    lease_s: float
    reopen: Callable[[], Storage]
    settings: Settings | None = None


class _Clock:
    def __init__(self) -> None:
        self.moment = START

    def __call__(self) -> datetime:
        return self.moment

    def seconds(self) -> float:
        return self.moment.timestamp()

    def forward(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


def local_world(folder: Path) -> World:
    """The embedded world below the folder."""
    clock = _Clock()
    data_dir = folder / "data"
    reopen = partial(open_local, data_dir, now_utc)
    return World(open_local(data_dir, clock), clock, clock.forward, clock.forward, 30, reopen)


def moto_world(_: Path) -> World:
    """AWS as moto has it in this process, whose queue goes by the world's clock. moto must be on."""
    from moto.sqs import models

    clock, tick = _Clock(), itertools.count()
    # What becomes visible at this very moment is visible for moto only after it.
    models.unix_time_millis = lambda: clock.seconds() * 1000 + next(tick) / 1000  # type: ignore[attr-defined]
    models.unix_time = clock.seconds  # type: ignore[attr-defined]
    settings = make_account({})
    storage = open_aws(settings, clock, poll_s=0, monotonic=clock.seconds)
    reopen = partial(open_aws, settings, now_utc, poll_s=0)
    return World(storage, clock, clock.forward, clock.forward, 30, reopen, settings)


def server_world(endpoints: Mapping[aws.Service, str], _: Path) -> World:
    """AWS at the endpoints."""
    clock = _Clock()
    settings = make_account(endpoints)
    storage = open_aws(settings, clock, endpoints=endpoints, poll_s=0)
    reopen = partial(_open_patiently, settings, endpoints)
    return World(storage, clock, clock.forward, time.sleep, 2, reopen, settings)


def _open_patiently(settings: Settings, endpoints: Mapping[aws.Service, str]) -> Storage:
    aws.READ_TIMEOUTS_S.update(PATIENCE_S)
    return open_aws(settings, now_utc, endpoints=endpoints, poll_s=0)


def make_account(endpoints: Mapping[aws.Service, str]) -> Settings:
    """The settings of tables, buckets and a queue that were not there before."""
    name = f"t{secrets.token_hex(6)}"
    dynamodb = aws.client("dynamodb", endpoints.get("dynamodb"))
    dynamodb.create_table(TableName=f"{name}-jobs", BillingMode="PAY_PER_REQUEST", **JOBS_TABLE)
    dynamodb.create_table(TableName=f"{name}-preview_cache", BillingMode="PAY_PER_REQUEST", **PREVIEW_CACHE_TABLE)
    for store in ("blueprints", "cache"):
        aws.client("s3", endpoints.get("s3")).create_bucket(Bucket=f"{name}-{store}")
    return load_settings(
        world="aws",
        jobs_table=f"{name}-jobs",
        preview_cache_table=f"{name}-preview_cache",
        blueprints_bucket=f"{name}-blueprints",
        cache_bucket=f"{name}-cache",
        queue_url=aws.client("sqs", endpoints.get("sqs")).create_queue(QueueName=f"{name}-jobs")["QueueUrl"],
    )


def _servers() -> dict[str, Callable[[Path], World]]:
    emulator, dynamodb = os.environ.get(EMULATOR_ENDPOINT), os.environ.get(DYNAMODB_ENDPOINT)
    if not emulator:
        return {}
    at: dict[aws.Service, str] = {"dynamodb": emulator, "s3": emulator, "sqs": emulator}
    found: dict[str, Callable[[Path], World]] = {"emulator": partial(server_world, at)}
    if dynamodb:
        found["dynamodb_local"] = partial(server_world, {**at, "dynamodb": dynamodb})
    return found


SERVER_WORLDS = _servers()
# Other processes can reach a shared world; one with a clock of its own goes as fast as a test likes.
SHARED_WORLDS = {"local": local_world, **SERVER_WORLDS}
CLOCKED_WORLDS = {"local": local_world, "moto": moto_world}
WORLDS: dict[str, Callable[[Path], World]] = {**CLOCKED_WORLDS, **SHARED_WORLDS}


def make_job(number: int, created_at: datetime, owner: str = "me") -> Job:
    """A pending job; another number is another id."""
    letters = "".join("abcdefghij"[int(digit)] for digit in f"{number:016d}")
    job_id = f"job_{created_at:%Y%m%d}_{letters}"
    return Job(
        job_id=job_id,
        owner=owner,
        created_at=created_at,
        updated_at=created_at,
        blueprint_s3_key=blueprint_key(job_id, BlueprintFormat.PNG),
        blueprint_format=BlueprintFormat.PNG,
        blueprint_hash="ab" * 32,
    )


def away_from_aws(patch: pytest.MonkeyPatch) -> None:
    """Keys for stores that are not AWS, patience with busy ones, and no way to AWS itself."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN"):
        patch.delenv(name, raising=False)
    for name, value in AWS_ENVIRONMENT.items():
        patch.setenv(name, value)
    for service, timeout_s in PATIENCE_S.items():
        patch.setitem(aws.READ_TIMEOUTS_S, service, timeout_s)
    aws.forget_clients()
