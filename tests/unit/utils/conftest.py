from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from utils import aws


@pytest.fixture
def aws_account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty account, in this process only."""
    from moto import mock_aws

    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    aws.forget_clients()
    with mock_aws():
        yield
    aws.forget_clients()


@pytest.fixture
def aws_down(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """AWS at an address where nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound, but it does not listen
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{held.getsockname()[1]}")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "testing")
        monkeypatch.delenv("AWS_PROFILE", raising=False)
        aws.forget_clients()
        yield
        aws.forget_clients()
