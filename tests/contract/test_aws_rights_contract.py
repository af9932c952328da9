"""A role with the rights that `storage.aws` asks for can do everything, and one without some of them is told so.

These need an account that enforces policies, which moto's does not: they run where the environment names an emulator.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from tests.aws.servers import EMULATOR_ENDPOINT
from tests.contract.test_previews_and_claims_contract import preview
from tests.contract.worlds import SERVER_WORLDS, START, World, make_job

import storage.aws
from models.job import Status
from storage.aws.blobs import PART_BYTES
from storage.base import JobMessage, Storage
from utils import aws
from utils.config import Settings
from utils.errors import ServiceUnavailableError

Allow = Callable[..., Storage]
KEY = "cache/final/job_1/floorplan.json"
pytestmark = pytest.mark.skipif("emulator" not in SERVER_WORLDS, reason="no emulator in the environment: make test-aws")


def documented_rights() -> dict[str, list[str]]:
    """The actions that the package's docstring names, by what they are done to."""
    text = re.sub(r"\([^)]*\)", "", (storage.aws.__doc__ or "").partition("What a role must be allowed to do:")[2])

    def actions(service: str, after: str, until: str) -> list[str]:
        part = text.partition(after)[2].partition(until)[0]
        return [f"{service}:{name}" for name in re.findall(r"\b[A-Z][A-Za-z]+\b", part)]

    return {
        "jobs": actions("dynamodb", "jobs table", "and Query"),
        "indexes": ["dynamodb:Query"],
        "previews": actions("dynamodb", "preview_cache", ";"),
        "buckets": actions("s3", "both buckets", ";"),
        "objects": actions("s3", "their objects", ";"),
        "queue": actions("sqs", "the queue", "."),
    }


@pytest.fixture
def world(tmp_path: Path) -> World:
    return SERVER_WORLDS["emulator"](tmp_path)


@pytest.fixture
def allow(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Allow]:
    """Makes the world's storage act as a user with those rights alone, less those given."""
    assert world.settings is not None
    statements, iam = statements_of(world.settings), boto3.client("iam", endpoint_url=_endpoint())
    users: list[str] = []

    def allow(*without: str) -> Storage:
        user = f"{world.settings.jobs_table}-{len(users)}" if world.settings else ""
        users.append(user)
        iam.create_user(UserName=user)
        kept = [{**one, "Action": sorted(set(one["Action"]) - set(without))} for one in statements]
        policy = {"Version": "2012-10-17", "Statement": [one for one in kept if one["Action"]]}
        iam.put_user_policy(UserName=user, PolicyName="rights", PolicyDocument=json.dumps(policy))
        key = iam.create_access_key(UserName=user)["AccessKey"]
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
        _anew()
        return world.storage

    yield allow
    monkeypatch.undo()
    _anew()


def _anew() -> None:
    """Have clients made with the keys that the environment has now: boto3's session remembers the first ones."""
    boto3.setup_default_session()
    aws.forget_clients()


def _endpoint() -> str:
    return os.environ[EMULATOR_ENDPOINT]


def statements_of(settings: Settings) -> list[dict[str, Any]]:
    """The documented rights as the statements of a policy, each on its own resource."""
    dynamodb, sqs = aws.client("dynamodb", _endpoint()), aws.client("sqs", _endpoint())
    jobs = dynamodb.describe_table(TableName=settings.jobs_table)["Table"]["TableArn"]
    previews = dynamodb.describe_table(TableName=settings.preview_cache_table)["Table"]["TableArn"]
    queue = sqs.get_queue_attributes(QueueUrl=settings.queue_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    buckets = [f"arn:aws:s3:::{name}" for name in (settings.blueprints_bucket, settings.cache_bucket)]
    resources: dict[str, list[str]] = {
        "jobs": [jobs],
        "indexes": [f"{jobs}/index/*"],
        "previews": [previews],
        "buckets": buckets,
        "objects": [f"{bucket}/*" for bucket in buckets],
        "queue": [queue],
    }
    rights = documented_rights()
    return [{"Effect": "Allow", "Action": rights[what], "Resource": on} for what, on in resources.items()]


def do_everything(store: Storage) -> None:
    """Every verb of the contract."""
    job = make_job(1, START)
    assert store.jobs.add(job) is None
    assert store.jobs.unsent(START.replace(hour=11)) == [job]
    store.queue.send(JobMessage(job.job_id, "", ""))
    assert store.jobs.get(job.job_id) == job
    assert store.jobs.save(job.moved(Status.PROCESSING, START)) is None
    assert len(store.jobs.list("me", 10).jobs) == 1
    assert store.jobs.delete(job.job_id) is True
    assert store.claims.claim("n", {"a": "1"}, 60) == store.claims.get("n")
    store.claims.delete("n")
    store.previews.put(preview(3000))
    assert store.previews.get("ab" * 32) == preview(3000)
    store.previews.delete("ab" * 32)
    for blobs in (store.blueprints, store.cache):
        assert blobs.get(KEY) is None
        assert blobs.size_bytes(KEY) is None
        blobs.put(KEY, b"x" * (PART_BYTES + 1), "text/plain")
        assert sum(len(piece) for piece in blobs.chunks(KEY) or ()) == PART_BYTES + 1
        assert blobs.move(KEY, "cache/moved") is True
        assert blobs.delete_prefix("cache/") == 1
    delivery = store.queue.receive(30)
    assert delivery is not None
    assert store.queue.extend(delivery, 30) is True
    store.queue.release(delivery, 0)
    again = store.queue.receive(30)
    assert again is not None
    store.queue.acknowledge(again)
    for check in store.checks:
        check.check()


def test_the_documented_rights_are_enough(allow: Allow) -> None:
    assert sorted(len(names) for names in documented_rights().values()) == [1, 2, 3, 4, 5, 5]
    do_everything(allow())


@pytest.mark.parametrize(
    "right",
    [
        "dynamodb:GetItem",
        "dynamodb:Query",
        "s3:GetObject",
        "s3:ListBucket",
        "s3:ListBucketVersions",
        "sqs:ChangeMessageVisibility",
        "sqs:GetQueueAttributes",
    ],
)
def test_a_missing_right_is_said_and_never_taken_for_absence(allow: Allow, right: str) -> None:
    assert right in [name for names in documented_rights().values() for name in names]
    with pytest.raises(ServiceUnavailableError):
        do_everything(allow(right))
