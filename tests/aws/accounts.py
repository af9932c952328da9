"""An empty account at emulators of AWS that this process lives in: names, keys, a token, the part of a poller."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3
import pytest
from tests.aws.servers import REGION
from tests.contract.worlds import AWS_ENVIRONMENT, away_from_aws, make_account
from tests.unit.api.events import Context

import worker.consumer
from api.auth import hash_token
from utils import aws
from utils.config import Settings

TOKEN = "token-of-anna-0123"
OWNER = "anna"
AUTH = {"authorization": f"Bearer {TOKEN}"}
JSON = {"content-type": "application/json"}
JOBS = "/api/v1/jobs"
Record = dict[str, Any]


def handle(environment: dict[str, str], record: Record) -> None:
    """Handle the message with the worker's function, in a process of its own."""
    os.environ.update(environment)
    worker.consumer.handler({"Records": [record]}, Context(left_s=600))


@dataclass(frozen=True)
class Account:
    """What a function there finds in its environment, and what tests need to look behind it.

    `emulator` and `dynamodb` are where the stores themselves are, without anything in between.
    """

    environment: dict[str, str]
    settings: Settings
    emulator: str
    dynamodb: str

    def client(self, service: str) -> Any:
        """A client of boto3 at the store itself."""
        return _client(service, self.dynamodb if service == "dynamodb" else self.emulator)

    @property
    def env(self) -> str:
        """The deployment's name, a part of the names of secrets and parameters."""
        return self.settings.env

    def set_tokens(self, tokens: dict[str, list[str]]) -> None:
        """Replace the secret with the tokens' hashes."""
        self.client("secretsmanager").put_secret_value(
            SecretId=f"location-detection/{self.env}/tokens",
            SecretString=json.dumps({name: [hash_token(token) for token in all_] for name, all_ in tokens.items()}),
        )

    def receive(self, visibility_s: int = 60, wait_s: int = 5) -> Record | None:
        """The next message as Lambda's poller hands it to a function, or None if there is none in that time."""
        found = self.client("sqs").receive_message(
            QueueUrl=self.settings.queue_url,
            WaitTimeSeconds=wait_s,
            VisibilityTimeout=visibility_s,
            AttributeNames=["All"],
        )
        for message in found.get("Messages", []):
            return {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": message["Attributes"],
                "messageAttributes": {},
                "md5OfBody": message["MD5OfBody"],
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:{REGION}:000000000000:jobs",
                "awsRegion": REGION,
            }
        return None

    def take(self, visibility_s: int = 60) -> Record:
        """The next message, which must be there."""
        record = self.receive(visibility_s)
        assert record is not None, "there is no message"
        return record

    def objects(self) -> list[str]:
        """All keys in both buckets."""
        s3 = self.client("s3")
        pages = [
            s3.list_objects_v2(Bucket=name) for name in (self.settings.blueprints_bucket, self.settings.cache_bucket)
        ]
        return sorted(found["Key"] for page in pages for found in page.get("Contents", []))


@cache
def _client(service: str, endpoint: str) -> Any:
    made: Callable[..., Any] = boto3.Session("test", "test", region_name=REGION).client
    return made(service, endpoint_url=endpoint)


@contextmanager
def account(emulator: str, dynamodb: str = "", **variables: str) -> Iterator[Account]:
    """A new account, which this process's environment names until the block ends.

    Args:
        emulator: where the stores are.
        dynamodb: where DynamoDB is, if elsewhere.
        variables: what the environment says on top, such as other ways to the stores.
    """
    dynamodb, env = dynamodb or emulator, f"t{secrets.token_hex(6)}"
    with pytest.MonkeyPatch.context() as patch:
        away_from_aws(patch)
        settings = make_account({"dynamodb": dynamodb, "s3": emulator, "sqs": emulator}).model_copy(
            update={"env": env, "cors_origins": ()}
        )
        environment = {
            **AWS_ENVIRONMENT,
            "AWS_ENDPOINT_URL": emulator,
            "AWS_ENDPOINT_URL_DYNAMODB": dynamodb,
            "LOCATION_DETECTION_WORLD": "aws",
            "LOCATION_DETECTION_ENV": env,
            "LOCATION_DETECTION_JOBS_TABLE": settings.jobs_table,
            "LOCATION_DETECTION_PREVIEW_CACHE_TABLE": settings.preview_cache_table,
            "LOCATION_DETECTION_BLUEPRINTS_BUCKET": settings.blueprints_bucket,
            "LOCATION_DETECTION_CACHE_BUCKET": settings.cache_bucket,
            "LOCATION_DETECTION_QUEUE_URL": settings.queue_url,
            "LOCATION_DETECTION_CORS_ORIGINS": "",
            **variables,
        }
        for name, value in environment.items():
            patch.setenv(name, value)
        aws.forget_clients()
        made = Account(environment, settings, emulator, dynamodb)
        made.client("secretsmanager").create_secret(Name=f"location-detection/{env}/tokens", SecretString="{}")
        made.set_tokens({OWNER: [TOKEN]})
        yield made
    aws.forget_clients()
