"""Several processes on one world: what only one may have, only one gets."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.contract import rivals
from tests.contract.worlds import START, World, make_job

from models.job import Status, now_utc
from storage.base import JobMessage

PROCESSES = 4


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(PROCESSES, mp_context=multiprocessing.get_context("spawn")) as pool:
        list(pool.map(rivals.wait, [0.3] * PROCESSES))  # all are up before they are to meet
        yield pool


def test_of_several_completions_one_is_kept(shared_world: World, processes: ProcessPoolExecutor) -> None:
    storage, now = shared_world.reopen(), now_utc()
    jobs = [make_job(number, now).moved(Status.PROCESSING, now) for number in range(15)]
    for job in jobs:
        storage.jobs.add(job)
    futures = [processes.submit(rivals.complete, shared_world.reopen, jobs, str(name)) for name in range(PROCESSES)]
    won = {str(name): future.result(60) for name, future in enumerate(futures)}
    assert sorted(job_id for ids in won.values() for job_id in ids) == sorted(job.job_id for job in jobs)
    for name, ids in won.items():
        for job_id in ids:
            stored = storage.jobs.get(job_id)
            assert stored is not None
            assert stored.message == name


@pytest.mark.parametrize("releases", [False, True])
def test_every_message_is_done_once(shared_world: World, processes: ProcessPoolExecutor, releases: bool) -> None:
    storage = shared_world.reopen()
    for number in range(20):
        storage.queue.send(JobMessage(str(number), "", ""))
    futures = [processes.submit(rivals.drain, shared_world.reopen, releases) for _ in range(PROCESSES)]
    taken = [name for future in futures for name in future.result(60)]
    assert sorted(taken, key=int) == [str(number) for number in range(20)]
    assert storage.queue.receive(1) is None


def test_all_agree_on_who_was_first(shared_world: World, processes: ProcessPoolExecutor) -> None:
    names = [f"idempotency:me:{number}" for number in range(15)]
    futures = [processes.submit(rivals.claim, shared_world.reopen, names, str(rival)) for rival in range(PROCESSES)]
    answers = [future.result(60) for future in futures]
    assert all(answer == answers[0] for answer in answers)


def test_a_key_is_always_whole(shared_world: World, processes: ProcessPoolExecutor) -> None:
    futures = [processes.submit(rivals.put, shared_world.reopen, "cache/final/x", letter, 10) for letter in "abcd"]
    assert [future.result(60) for future in futures] == [0] * 4


def test_threads_share_one_storage(world: World) -> None:
    """A fresh world, first touched by many threads at once."""
    storage = world.storage

    def work(number: int) -> bool:
        job = make_job(number, START)
        assert storage.jobs.add(job) is None
        storage.queue.send(JobMessage(job.job_id, "", ""))
        storage.blueprints.put(job.blueprint_s3_key, str(number).encode(), "image/png")
        return storage.jobs.get(job.job_id) == job

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(24)))
    assert len(storage.jobs.list("me", 100).jobs) == 24
    assert storage.blueprints.delete_prefix("blueprints/") == 24


def test_a_fresh_world_may_be_opened_by_all_at_once(
    make_shared_world: Callable[[Path], World], tmp_path: Path, processes: ProcessPoolExecutor
) -> None:
    for attempt in range(3):
        fresh = make_shared_world(tmp_path / str(attempt))
        futures = [processes.submit(rivals.claim, fresh.reopen, ["n"], str(rival)) for rival in range(PROCESSES)]
        assert len({future.result(60)[0] for future in futures}) == 1
