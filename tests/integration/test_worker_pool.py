"""Worker processes that are killed, with their parents or alone: no job is lost, none hangs, nobody stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.integration.slow_engine import POISON, QUICK, SLOW
from tests.unit.services.plans import plan

from models.floorplan import Floorplan
from models.job import Job, Status
from services.job_service import JobService
from storage.base import Storage
from utils.config import Settings
from worker.pool import WorkerPool

ME = "me"
ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture
def jobs(storage: Storage, settings: Settings) -> JobService:
    return JobService(storage, settings)


@pytest.fixture
def pool(settings: Settings) -> Iterator[WorkerPool]:
    pool = WorkerPool(settings, 1, engine="tests.integration.slow_engine", lease_s=2.0)
    pool.start()
    yield pool
    pool.stop(grace_s=0.1)


def until(condition: Callable[[], bool], limit_s: float = 30.0) -> None:
    ends = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < ends, "it did not happen in time"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def status_of(jobs: JobService, job: Job) -> Status:
    return jobs.get(job.job_id, owner=ME).status


def assert_complete(jobs: JobService, job: Job) -> None:
    until(lambda: jobs.get(job.job_id, owner=ME).ended)
    assert status_of(jobs, job) is Status.COMPLETED
    assert Floorplan.from_json(jobs.result(job.job_id, owner=ME)).room_count == 1


def test_a_worker_killed_in_mid_job_costs_nothing_but_time(pool: WorkerPool, jobs: JobService) -> None:
    job = jobs.create(plan(SLOW), owner=ME)
    until(lambda: status_of(jobs, job) is Status.PROCESSING)
    (pid,) = pool.pids()
    os.kill(pid, signal.SIGKILL)
    assert_complete(jobs, job)
    assert pool.pids() != [pid]


def test_a_plan_that_kills_each_worker_ends_as_failed_and_the_next_one_completes(
    pool: WorkerPool, jobs: JobService
) -> None:
    poison, next_one = jobs.create(plan(POISON), owner=ME), jobs.create(plan(QUICK), owner=ME)
    until(lambda: jobs.get(poison.job_id, owner=ME).ended)
    failed = jobs.get(poison.job_id, owner=ME)
    assert failed.status is Status.FAILED
    assert failed.error is not None
    assert failed.error["code"] == "PROCESSING_FAILED"
    assert_complete(jobs, next_one)


def test_a_stopped_pool_finishes_what_it_has_in_hand(settings: Settings, jobs: JobService) -> None:
    pool = WorkerPool(settings, 1, engine="tests.integration.slow_engine", lease_s=2.0)
    pool.start()
    (pid,) = pool.pids()
    job = jobs.create(plan(SLOW), owner=ME)
    until(lambda: status_of(jobs, job) is Status.PROCESSING)
    pool.stop(grace_s=20)
    assert status_of(jobs, job) is Status.COMPLETED
    assert not alive(pid)


def test_a_pool_stopped_in_a_hurry_hands_its_job_back(settings: Settings, jobs: JobService, storage: Storage) -> None:
    pool = WorkerPool(settings, 1, engine="tests.integration.slow_engine", lease_s=20.0)
    pool.start()
    job = jobs.create(plan(SLOW), owner=ME)
    until(lambda: status_of(jobs, job) is Status.PROCESSING)
    pool.stop(grace_s=0.1)
    delivery = storage.queue.receive(5)
    assert delivery is not None
    assert delivery.message.job_id == job.job_id


def test_a_killed_server_takes_its_workers_along_and_loses_no_accepted_job(
    settings: Settings, jobs: JobService
) -> None:
    command = [sys.executable, "-m", "tests.integration.lone_server", str(settings.data_dir)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        pids = [int(word) for word in server.stdout.readline().split()]
        assert len(pids) == 2
        made = [jobs.create(plan(SLOW), owner=ME), jobs.create(plan(QUICK), owner=ME)]
        until(lambda: status_of(jobs, made[0]) is Status.PROCESSING)
        made += [jobs.create(plan(shade), owner=ME) for shade in (SLOW, QUICK, 50, 51)]
        server.kill()
    until(lambda: not any(alive(pid) for pid in pids), limit_s=5)
    assert not jobs.get(made[0].job_id, owner=ME).ended

    pool = WorkerPool(settings, 2, engine="tests.integration.slow_engine", lease_s=2.0)
    pool.start()
    try:
        for job in made:
            assert_complete(jobs, job)
    finally:
        pool.stop(grace_s=0.1)
