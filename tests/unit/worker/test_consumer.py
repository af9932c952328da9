from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.services.plans import MODEL_VERSION, Engine, Failing, plan

from models.job import Job, Status
from services.detection_service import DetectionService
from services.job_service import JobService
from storage import open_storage
from storage.base import Storage
from utils.config import load_settings
from worker.consumer import Consumer, consume

ME = "me"


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return open_storage(load_settings(data_dir=tmp_path / "data"))


@pytest.fixture
def jobs(storage: Storage) -> JobService:
    return JobService(storage, load_settings())


def worker(storage: Storage, engine: Engine) -> DetectionService:
    return DetectionService(storage, engine, model_version=MODEL_VERSION)


def until(condition: object, limit_s: float = 10.0) -> None:
    ends = time.monotonic() + limit_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < ends, "it did not happen in time"
        time.sleep(0.01)


def test_an_empty_queue_gives_nothing_to_do(storage: Storage) -> None:
    assert not Consumer(storage, worker(storage, Engine())).run_once()


def test_messages_are_handled_until_told_to_stop(storage: Storage, jobs: JobService) -> None:
    made = [jobs.create(plan(shade), owner=ME) for shade in range(3)]
    stop = threading.Event()
    thread = threading.Thread(target=consume, args=(storage, worker(storage, Engine()), stop), daemon=True)
    thread.start()
    until(lambda: all(jobs.get(job.job_id, owner=ME).status is Status.COMPLETED for job in made))
    stop.set()
    thread.join(5)
    assert not thread.is_alive()


def test_a_stop_lets_the_message_in_hand_finish(storage: Storage, jobs: JobService) -> None:
    stop = threading.Event()
    made = [jobs.create(plan(shade), owner=ME) for shade in range(2)]
    Consumer(storage, worker(storage, Engine(then=lambda name, page: stop.set()))).run(stop)
    ended = [jobs.get(job.job_id, owner=ME).status for job in made]
    assert sorted(ended) == [Status.COMPLETED, Status.PENDING]


def test_the_lease_is_kept_for_as_long_as_the_work_takes(storage: Storage, jobs: JobService) -> None:
    job = jobs.create(plan(), owner=ME)
    stolen: list[object] = []

    def then(name: str, page: int) -> None:
        ends = time.monotonic() + 1.3
        while time.monotonic() < ends:
            stolen.append(storage.queue.receive(2.0))
            time.sleep(0.05)

    Consumer(storage, worker(storage, Engine(stages=("walls", "rooms"), then=then)), lease_s=2.0).run_once()
    assert stolen
    assert set(stolen) == {None}
    assert jobs.get(job.job_id, owner=ME).status is Status.COMPLETED


def test_a_lost_lease_ends_the_work(storage: Storage, jobs: JobService) -> None:
    job = jobs.create(plan(), owner=ME)

    class Stolen(Failing):
        def extend(self, *_: object) -> bool:
            return False

    engine = Engine(pages=200, then=lambda name, page: time.sleep(0.01))
    world = replace(storage, queue=Stolen(storage.queue, ""))  # type: ignore[arg-type]
    Consumer(world, worker(world, engine), lease_s=0.3).run_once()
    left: Job = jobs.get(job.job_id, owner=ME)
    assert left.status is Status.PROCESSING
    assert left.progress < 1


@pytest.mark.parametrize("outage", ["receive", "extend"])
def test_a_short_outage_of_the_queue_is_outlived(storage: Storage, jobs: JobService, outage: str) -> None:
    job = jobs.create(plan(), owner=ME)
    world = replace(storage, queue=Failing(storage.queue, outage, times=1))  # type: ignore[arg-type]
    stop = threading.Event()
    engine = Engine(then=lambda name, page: time.sleep(0.2))
    consumer = Consumer(world, worker(world, engine), lease_s=1.2, outage_s=0.01)
    thread = threading.Thread(target=consumer.run, args=(stop,), daemon=True)
    thread.start()
    until(lambda: jobs.get(job.job_id, owner=ME).status is Status.COMPLETED)
    stop.set()
    thread.join(5)
    assert not thread.is_alive()


def test_an_abandoned_message_is_free_at_once(storage: Storage, jobs: JobService) -> None:
    job = jobs.create(plan(), owner=ME)
    taken: list[str] = []
    holder: list[Consumer] = []

    def then(name: str, page: int) -> None:
        if not taken:
            holder[0].abandon()
            delivery = storage.queue.receive(30)
            assert delivery is not None
            taken.append(delivery.message.job_id)

    holder.append(Consumer(storage, worker(storage, Engine(then=then))))
    holder[0].run_once()
    assert taken == [job.job_id]
    holder[0].abandon()  # with nothing in hand, nothing happens


def test_a_detection_that_hangs_is_given_up(storage: Storage, jobs: JobService) -> None:
    job = jobs.create(plan(), owner=ME)
    gone = threading.Event()
    engine = Engine(stages=("walls",), then=lambda name, page: gone.wait(5) and None)
    consumer = Consumer(storage, worker(storage, engine), lease_s=1.5, overdue_s=0.01, on_overdue=gone.set)
    consumer.run_once()
    assert gone.is_set()
    failed = jobs.get(job.job_id, owner=ME)
    assert failed.status is Status.FAILED
    assert failed.error is not None
    assert failed.error["code"] == "PROCESSING_FAILED"
    assert storage.queue.receive(1) is None
