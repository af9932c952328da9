from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient
from tests.conftest import MakeApp

from api.health import Health
from storage.base import HealthCheck, Storage
from utils.errors import ServiceUnavailableError


class Part(HealthCheck):
    def __init__(self, name: str, error: Exception | None = None, until: threading.Event | None = None) -> None:
        self.name, self.calls = name, 0
        self._error, self._until = error, until

    def check(self) -> None:
        self.calls += 1
        if self._until is not None:
            self._until.wait(30)
        if self._error is not None:
            raise self._error


def test_a_working_world_is_healthy(client: TestClient, storage: Storage) -> None:
    answer = client.get("/health")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "healthy",
        "services": {check.name: "healthy" for check in storage.checks},
    }
    assert answer.json()["services"]


@pytest.mark.parametrize("error", [ServiceUnavailableError(), OSError("disk"), ValueError()])
def test_the_part_that_is_down_is_named_and_asked_once(make_app: MakeApp, storage: Storage, error: Exception) -> None:
    queue, blobs = Part("queue", error), Part("blobs")
    answer = TestClient(make_app(storage=replace(storage, checks=[queue, blobs]))).get("/health")
    assert answer.status_code == 503
    assert answer.json() == {"status": "unhealthy", "services": {"queue": "unhealthy", "blobs": "healthy"}}
    assert int(answer.headers["Retry-After"]) > 0
    assert queue.calls == 1


def test_a_part_that_hangs_costs_little_time_and_one_thread() -> None:
    until = threading.Event()
    hanging = Part("store", until=until)
    health = Health([hanging, Part("queue")], timeout_s=0.05)
    started = time.monotonic()
    for _ in range(3):
        assert health.report() == (503, {"status": "unhealthy", "services": {"store": "unhealthy", "queue": "healthy"}})
    assert time.monotonic() - started < 1
    assert hanging.calls == 1
    until.set()
    for _ in range(100):
        if health.report()[0] == 200:
            return
        time.sleep(0.01)
    pytest.fail("the part came back, and health did not see it")
