"""The worker as a function, called by a poller on the embedded world and on moto's AWS."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws
from moto.sqs import models
from tests.contract.worlds import AWS_ENVIRONMENT, CLOCKED_WORLDS, World
from tests.unit.services.plans import MODEL_VERSION, Engine, Failing, plan

import worker.consumer
from models.blueprint import Blueprint
from models.job import Job, Status
from services.detection_service import MAX_DELIVERIES, DetectionService
from services.job_service import JobService
from storage.aws.queue import encode
from storage.base import Delivery, JobMessage, Storage
from utils import aws
from utils.config import load_settings
from utils.errors import ProcessingFailedError
from utils.logging import bind_context
from worker.polled import ENOUGH_S, Batches

ME = "me"
VISIBILITY_S = 3600.0
EXAMPLES = Path(__file__).parents[3] / "examples"


class Killed(BaseException):
    """What the platform does to a function whose time is up: no handler of it sees this."""


@dataclass
class Context:
    left_s: float = 600.0
    aws_request_id: str = "11111111-2222-3333-4444-555555555555"

    def get_remaining_time_in_millis(self) -> int:
        return int(self.left_s * 1000)


def record_of(delivery: Delivery, body: str | None = None) -> dict[str, Any]:
    """A record as in `sam local generate-event sqs receive-message`."""
    return {
        "messageId": f"id-of-{delivery.receipt[-40:]}",
        "receiptHandle": delivery.receipt,
        "body": encode(delivery.message) if body is None else body,
        "attributes": {
            "ApproximateReceiveCount": str(delivery.count),
            "SentTimestamp": "1523232000000",
            "SenderId": "123456789012",
            "ApproximateFirstReceiveTimestamp": "1523232000001",
        },
        "messageAttributes": {},
        "md5OfBody": "7b270e59b47ff90a553787216d55d91d",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:MyQueue",
        "awsRegion": "us-east-1",
    }


@dataclass
class Poller:
    """What stands between the queue and the function: it receives, calls, and deletes what was not named."""

    world: World
    limit_s: float = 900.0
    named: list[list[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.storage, self.passed_s = self.world.storage, 0.0
        self.jobs = JobService(
            self.storage, load_settings(), clock=self.world.now, sleep=self.pause, monotonic=lambda: self.passed_s
        )

    def pause(self, seconds: float) -> None:
        self.passed_s += seconds
        self.world.pass_time(seconds)

    def batches(self, engine: Engine, storage: Storage | None = None) -> Batches:
        def make_service(storage: Storage) -> DetectionService:
            return DetectionService(
                storage,
                engine,
                model_version=MODEL_VERSION,
                clock=self.world.now,
                monotonic=lambda: self.passed_s,
                sleep=self.pause,
            )

        return Batches(storage or self.storage, make_service, lambda: self.limit_s)

    def receive(self) -> Delivery | None:
        return self.storage.queue.receive(VISIBILITY_S)

    def take(self) -> Delivery:
        delivery = self.receive()
        assert delivery is not None
        return delivery

    def call(
        self, engine: Engine, *deliveries: Delivery, storage: Storage | None = None, left_s: float = 600.0
    ) -> list[Delivery]:
        """The deliveries that the function named."""
        records = [record_of(delivery) for delivery in deliveries]
        answer = self.batches(engine, storage).handle(records, Context(left_s))
        names = [item["itemIdentifier"] for item in answer["batchItemFailures"]]
        named = [delivery for delivery, record in zip(deliveries, records, strict=True) if record["messageId"] in names]
        assert len(named) == len(names)
        for delivery in deliveries:
            if delivery not in named:
                self.storage.queue.acknowledge(delivery)
        return named

    def status(self, job: Job) -> Status:
        return self.jobs.get(job.job_id, owner=ME).status


@pytest.fixture(params=sorted(CLOCKED_WORLDS))
def poller(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Poller]:
    for name, value in AWS_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    for name in ("unix_time", "unix_time_millis"):  # moto's world sets them
        monkeypatch.setattr(models, name, getattr(models, name))
    aws.forget_clients()
    with mock_aws():
        yield Poller(CLOCKED_WORLDS[request.param](tmp_path))
    aws.forget_clients()


def moves(captured: str) -> list[tuple[str, str]]:
    lines = [json.loads(line) for line in captured.splitlines() if line.startswith("{")]
    return [(line["from_status"], line["to_status"]) for line in lines if line.get("action") == "job_moved"]


def test_a_message_becomes_a_finished_job(poller: Poller, capsys: pytest.CaptureFixture[str]) -> None:
    with bind_context(request_id="req_0123456789abcdef", correlation_id="order-7"):
        job = poller.jobs.create(plan(), owner=ME)
    capsys.readouterr()
    assert poller.call(Engine(), poller.take()) == []
    assert poller.status(job) is Status.COMPLETED
    poller.pause(2 * VISIBILITY_S)
    assert poller.receive() is None
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert lines
    for line in lines:
        assert (line["request_id"], line["correlation_id"]) == ("req_0123456789abcdef", "order-7")
        assert line["job_id"] == job.job_id


class TestRepeatedAndReordered:
    def test_a_message_that_comes_twice_makes_one_result(
        self, poller: Poller, capsys: pytest.CaptureFixture[str]
    ) -> None:
        job = poller.jobs.create(plan(), owner=ME)
        delivery = poller.take()
        assert poller.call(Engine(), delivery) == []
        again = Engine()
        for count in (1, 2):
            assert poller.call(again, replace(delivery, count=count)) == []
        assert (again.calls, poller.status(job)) == ([], Status.COMPLETED)
        assert moves(capsys.readouterr().err).count(("processing", "completed")) == 1

    @pytest.mark.parametrize("count", [1, 2])
    def test_a_message_that_comes_twice_at_once_completes_the_job_once(
        self, poller: Poller, capsys: pytest.CaptureFixture[str], count: int
    ) -> None:
        job = poller.jobs.create(plan(), owner=ME)
        delivery = poller.take()
        twice: list[list[Delivery]] = []

        def then(name: str, page: int) -> None:
            if name == "walls":
                twice.append(poller.call(Engine(), replace(delivery, count=count)))

        assert poller.call(Engine(then=then), delivery) == []
        # The first delivery, repeated, waits for the end of the other; a later one takes over and completes the job.
        assert twice == [[replace(delivery, count=1)] if count == 1 else []]
        assert poller.status(job) is Status.COMPLETED
        assert moves(capsys.readouterr().err).count(("processing", "completed")) == 1

    def test_the_order_of_messages_does_not_matter(self, poller: Poller) -> None:
        made = [poller.jobs.create(plan(shade), owner=ME) for shade in range(3)]
        deliveries = [poller.take() for _ in made]
        assert poller.call(Engine(), *reversed(deliveries)) == []
        assert [poller.status(job) for job in made] == [Status.COMPLETED] * 3

    def test_a_late_message_does_not_revive_a_cancelled_or_purged_job(self, poller: Poller) -> None:
        cancelled, purged = (poller.jobs.create(plan(shade), owner=ME) for shade in range(2))
        deliveries = [poller.take(), poller.take()]
        poller.jobs.cancel(cancelled.job_id, owner=ME)
        poller.jobs.purge(purged.job_id, owner=ME)
        engine = Engine()
        assert poller.call(engine, *deliveries) == []
        assert (engine.calls, poller.status(cancelled)) == ([], Status.CANCELLED)
        assert poller.storage.jobs.get(purged.job_id) is None


class TestKilled:
    def kill(self, poller: Poller, delivery: Delivery) -> None:
        def then(name: str, page: int) -> None:
            raise Killed

        with pytest.raises(Killed):
            poller.call(Engine(then=then), delivery)

    def test_a_job_whose_function_was_killed_is_done_by_the_next(self, poller: Poller) -> None:
        job = poller.jobs.create(plan(), owner=ME)
        self.kill(poller, poller.take())
        assert poller.status(job) is Status.PROCESSING
        assert poller.receive() is None
        poller.pause(VISIBILITY_S + 1)
        delivery = poller.take()
        assert delivery.count == 2
        assert poller.call(Engine(), delivery) == []
        assert poller.status(job) is Status.COMPLETED

    def test_a_job_that_kills_its_functions_is_failed_by_the_delivery_after_the_last(self, poller: Poller) -> None:
        job = poller.jobs.create(plan(), owner=ME)
        for _ in range(MAX_DELIVERIES):
            self.kill(poller, poller.take())
            poller.pause(VISIBILITY_S + 1)
        engine = Engine()
        assert poller.call(engine, poller.take()) == []  # done: it does not go to the dead letters
        assert engine.calls == []
        failed = poller.jobs.get(job.job_id, owner=ME)
        assert failed.status is Status.FAILED
        assert failed.error == ProcessingFailedError(deliveries=MAX_DELIVERIES).to_json()
        poller.pause(VISIBILITY_S + 1)
        assert poller.receive() is None


class TestFailing:
    def test_what_failed_is_named_and_comes_again_after_its_delay(self, poller: Poller) -> None:
        job, other = (poller.jobs.create(plan(shade), owner=ME) for shade in range(2))
        deliveries = [poller.take(), poller.take()]

        def then(name: str, page: int) -> None:
            raise ZeroDivisionError

        first, second = sorted(deliveries, key=lambda delivery: delivery.message.job_id != job.job_id)
        assert poller.call(Engine(then=then), first) == [first]
        assert poller.call(Engine(), second) == []
        assert (poller.status(job), poller.status(other)) == (Status.PROCESSING, Status.COMPLETED)
        assert poller.receive() is None
        poller.pause(2)
        again = poller.take()
        assert (again.message.job_id, again.count) == (job.job_id, 2)
        assert poller.call(Engine(), again) == []
        assert poller.status(job) is Status.COMPLETED

    def test_the_last_delivery_that_fails_is_written_and_not_named(self, poller: Poller) -> None:
        job = poller.jobs.create(plan(), owner=ME)

        def then(name: str, page: int) -> None:
            raise ZeroDivisionError

        for number in range(1, MAX_DELIVERIES + 1):
            delivery = poller.take()
            assert poller.call(Engine(then=then), delivery) == ([delivery] if number < MAX_DELIVERIES else [])
            poller.pause(10)
        assert poller.status(job) is Status.FAILED
        assert poller.receive() is None

    @pytest.mark.parametrize(
        "body",
        [
            "",
            "not JSON: secret-plan.pdf",
            "[]",
            '"job"',
            "null",
            "{}",
            '{"job_id": "job_20240115_abcdefghijklmnop"}',
            "9" * 5000,
            "[" * 200,
        ],
    )
    def test_a_message_that_is_none_of_ours_is_left_to_the_queue(
        self, poller: Poller, capsys: pytest.CaptureFixture[str], body: str
    ) -> None:
        poller.storage.queue.send(JobMessage("job_20240115_abcdefghijklmnop", "", ""))
        record = record_of(poller.take(), body)
        answer = poller.batches(Engine()).handle([record], Context())
        assert answer == {"batchItemFailures": [{"itemIdentifier": record["messageId"]}]}
        (line,) = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        assert (line["action"], line["level"]) == ("message_unknown", "ERROR")
        assert "secret-plan" not in str(line)
        poller.pause(31)  # not after the queue's whole visibility time; the queue counts, and puts it aside
        assert poller.take().count == 2


class TestTime:
    def test_a_job_ends_before_the_function_is_killed(self, poller: Poller) -> None:
        job = poller.jobs.create(plan(), owner=ME)
        engine = Engine(pages=50, then=lambda name, page: poller.pause(5))
        assert poller.call(engine, poller.take(), left_s=100) == []
        failed = poller.jobs.get(job.job_id, owner=ME)
        assert failed.status is Status.FAILED
        assert failed.error is not None
        assert failed.error["details"] == {"limit": "job_limit_s", "value": 80.0}
        assert poller.passed_s < 100

    def test_a_shorter_limit_of_the_service_holds_too(self, poller: Poller) -> None:
        job = poller.jobs.create(plan(), owner=ME)
        poller.limit_s = 20.0
        assert poller.call(Engine(pages=50, then=lambda name, page: poller.pause(5)), poller.take()) == []
        assert poller.status(job) is Status.FAILED
        assert poller.passed_s <= 30

    def test_a_detection_that_hangs_is_given_up_in_time(self, poller: Poller) -> None:
        job = poller.jobs.create(plan(), owner=ME)
        ended = threading.Event()
        seen: list[Status] = []

        def then(name: str, page: int) -> None:
            while not ended.is_set() and len(seen) < 500:  # hangs until the record says that it need not
                ended.wait(0.02)
                seen.append(poller.status(job))
                if seen[-1] is Status.FAILED:
                    ended.set()

        assert poller.call(Engine(stages=("walls", "rooms"), then=then), poller.take(), left_s=0.2) == []
        assert seen[-1] is Status.FAILED
        assert poller.status(job) is Status.FAILED
        poller.pause(VISIBILITY_S + 1)
        assert poller.receive() is None

    def test_a_further_message_is_only_begun_with_enough_time(self, poller: Poller) -> None:
        jobs = [poller.jobs.create(plan(shade), owner=ME) for shade in range(2)]
        deliveries = [poller.take(), poller.take()]
        assert poller.call(Engine(), *deliveries, left_s=ENOUGH_S - 1) == deliveries[1:]
        assert sorted(poller.status(job) for job in jobs) == [Status.COMPLETED, Status.PENDING]
        poller.pause(0.001)
        assert poller.call(Engine(), poller.take(), left_s=ENOUGH_S - 1) == []
        assert [poller.status(job) for job in jobs] == [Status.COMPLETED] * 2


class TestStores:
    @pytest.mark.parametrize(("part", "methods"), [("jobs", "get save"), ("blueprints", "get"), ("cache", "put")])
    def test_a_store_that_is_throttled_for_seconds_costs_only_time(
        self, poller: Poller, part: str, methods: str
    ) -> None:
        job = poller.jobs.create(plan(), owner=ME)
        throttled = replace(poller.storage, **{part: Failing(getattr(poller.storage, part), methods, times=3)})
        assert poller.call(Engine(), poller.take(), storage=throttled) == []
        assert poller.status(job) is Status.COMPLETED
        assert poller.passed_s == pytest.approx(1 + 2 + 4)

    def test_an_outage_loses_no_job_however_often_its_message_comes(self, poller: Poller) -> None:
        job = poller.jobs.create(plan(), owner=ME)
        down = replace(poller.storage, jobs=Failing(poller.storage.jobs, "get"))  # type: ignore[arg-type]
        for count in range(1, MAX_DELIVERIES + 3):
            delivery = poller.take()
            assert delivery.count == count
            assert poller.call(Engine(), delivery, storage=down) == [delivery]
            assert poller.receive() is None
            poller.pause(301)
        assert poller.status(job) is Status.PENDING
        assert poller.call(Engine(), poller.take()) == []
        assert poller.status(job) is Status.COMPLETED

    def test_a_queue_that_fails_too_brings_the_message_later(self, poller: Poller) -> None:
        job = poller.jobs.create(plan(), owner=ME)
        down = replace(
            poller.storage,
            jobs=Failing(poller.storage.jobs, "get"),
            queue=Failing(poller.storage.queue, "release"),
        )  # type: ignore[arg-type]
        delivery = poller.take()
        assert poller.call(Engine(), delivery, storage=down) == [delivery]
        poller.pause(VISIBILITY_S + 1)
        assert poller.call(Engine(), poller.take()) == []
        assert poller.status(job) is Status.COMPLETED


class TestHandler:
    @pytest.fixture
    def storage(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
        monkeypatch.setenv("LOCATION_DETECTION_DATA_DIR", str(tmp_path / "data"))
        worker.consumer._storage.cache_clear()
        worker.consumer._batches.cache_clear()
        yield worker.consumer._storage()
        worker.consumer._storage.cache_clear()
        worker.consumer._batches.cache_clear()

    def test_a_message_is_handled_with_the_real_engine(self, storage: Storage) -> None:
        jobs = JobService(storage, load_settings())
        job = jobs.create(Blueprint.parse((EXAMPLES / "flat.png").read_bytes()), owner=ME)
        delivery = storage.queue.receive(VISIBILITY_S)
        assert delivery is not None
        assert worker.consumer.handler({"Records": [record_of(delivery)]}, Context()) == {"batchItemFailures": []}
        assert jobs.get(job.job_id, owner=ME).status is Status.COMPLETED
        result = jobs.result(job.job_id, owner=ME)
        assert isinstance(result, bytes)
        assert len(json.loads(result)["pages"][0]["rooms"]) > 3

    @pytest.mark.parametrize("call", [worker.consumer.handler, worker.consumer.sweep_handler])
    def test_a_schedule_queues_lost_jobs_again(self, storage: Storage, call: Callable[..., Any]) -> None:
        scheduled = {
            "version": "0",
            "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": "123456789012",
            "time": "2015-10-08T16:53:06Z",
            "region": "us-east-1",
            "resources": ["arn:aws:events:us-east-1:123456789012:rule/my-scheduled-rule"],
            "detail": {},
        }
        assert call(scheduled, Context()) == {"resent": 0}
        job = JobService(storage, load_settings()).create(plan(), owner=ME)
        delivery = storage.queue.receive(VISIBILITY_S)
        assert delivery is not None
        storage.queue.acknowledge(delivery)  # lost
        old = replace(job, created_at=job.created_at - timedelta(minutes=1))
        storage.jobs.delete(job.job_id)
        storage.jobs.add(old)
        assert call(scheduled, Context()) == {"resent": 1}
        again = storage.queue.receive(VISIBILITY_S)
        assert again is not None
        assert again.message.job_id == job.job_id
