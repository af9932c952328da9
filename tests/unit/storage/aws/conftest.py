"""An account in this process, and faults on the way to it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError
from moto import mock_aws
from moto.core.models import botocore_stubber
from tests.contract.worlds import AWS_ENVIRONMENT, START, make_account

from storage.aws.world import open_aws
from storage.base import Storage
from utils import aws
from utils.config import Settings


class _Raw(BytesIO):
    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()


@dataclass
class Faults:
    """What goes wrong with the calls of AWS: `happens` says it of each call's number and name, from 1 on."""

    happens: Callable[[int, str], str | None] = lambda number, call: None
    calls: list[str] = field(default_factory=list)

    def __call__(self, event_name: str, request: AWSPreparedRequest, **_: Any) -> AWSResponse | None:
        """The answer to the call: botocore asks for it before it sends the request."""
        self.calls.append(event_name.rpartition(".")[2])
        fault = self.happens(len(self.calls), self.calls[-1])
        if fault is None:
            return botocore_stubber(event_name, request)
        if fault == "unreached":
            raise EndpointConnectionError(endpoint_url=request.url)
        if fault == "lost":  # it was done, but the answer does not arrive
            botocore_stubber(event_name, request)
            raise ReadTimeoutError(endpoint_url=request.url)
        status, _, code = fault.partition(" ")
        if ".s3." in event_name:
            body = f"<Error><Code>{code}</Code><Message>m</Message></Error>" if request.method != "HEAD" else ""
        else:
            body = f'{{"__type": "com.amazonaws#{code}", "message": "m"}}'
        headers = {"content-type": "application/json", "content-length": str(len(body))}
        return AWSResponse(request.url, int(status), headers, _Raw(body.encode()))


def first(count: int, fault: str) -> Callable[[int, str], str | None]:
    """The fault for so many calls, then none."""
    return lambda number, call: fault if number <= count else None


def every_third(fault: str) -> Callable[[int, str], str | None]:
    """The fault for every third call."""
    return lambda number, call: fault if number % 3 == 0 else None


@pytest.fixture(scope="module")
def clients() -> Iterator[None]:
    """Clients with keys that are worth nothing; they are made once, which takes a while."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN"):
            patch.delenv(name, raising=False)
        for name, value in AWS_ENVIRONMENT.items():
            patch.setenv(name, value)
        aws.forget_clients()
        yield
    aws.forget_clients()


@pytest.fixture
def account(clients: None) -> Iterator[Settings]:
    """Empty tables, buckets and a queue."""
    with mock_aws():
        yield make_account({})


@pytest.fixture
def naps() -> list[float]:
    """The pauses that the world has made."""
    return []


@pytest.fixture
def storage(account: Settings, naps: list[float]) -> Storage:
    seconds = itertools.count()
    return open_aws(account, lambda: START, poll_s=0, sleep=naps.append, monotonic=lambda: next(seconds) / 1e6)


@pytest.fixture
def faults(storage: Storage) -> Iterator[Faults]:
    """Nothing goes wrong until a test says what."""
    found = Faults()
    events = [client.meta.events for client in (aws.client("dynamodb"), aws.client("s3"), aws.client("sqs"))]
    for event in events:  # every handler is called, whatever another answers: so the account is asked by `found` alone
        event.unregister("before-send", botocore_stubber)
        event.register("before-send", found)
    yield found
    for event in events:
        event.unregister("before-send", found)
        event.register("before-send", botocore_stubber)
