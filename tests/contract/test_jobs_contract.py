from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from tests.contract.worlds import START, World, local_world, make_job

from models.job import JOB_LIFETIME, MOVES, Job, Status
from storage.base import JobMessage, Storage
from utils.errors import JobNotFoundError

WEEK_S = JOB_LIFETIME.total_seconds()


def ids(storage: Storage, owner: str = "me", size: int = 2) -> list[str]:
    """All of an owner's jobs, page by page."""
    found: list[str] = []
    cursor = None
    while True:
        page = storage.jobs.list(owner, size, cursor)
        assert len(page.jobs) <= size
        found += [job.job_id for job in page.jobs]
        cursor = page.next_cursor
        if cursor is None:
            return found


def test_what_was_added_is_there_as_it_was(storage: Storage) -> None:
    job = replace(
        make_job(1, START), pages="1-3", message="Straße", error={"code": "X", "message": "é", "details": {"a": [1]}}
    )
    assert storage.jobs.get(job.job_id) is None
    assert storage.jobs.add(job) is None
    assert storage.jobs.get(job.job_id) == job


def test_the_first_record_under_an_id_stays(storage: Storage) -> None:
    first = make_job(1, START)
    storage.jobs.add(first)
    assert storage.jobs.add(replace(first, owner="other")) == first
    assert storage.jobs.get(first.job_id) == first
    assert ids(storage, "other") == []


@pytest.mark.parametrize("source", list(Status))
@pytest.mark.parametrize("target", list(Status))
def test_a_save_follows_the_table_of_moves(storage: Storage, source: Status, target: Status) -> None:
    stored = replace(make_job(1, START), status=source)
    storage.jobs.add(stored)
    wanted = replace(stored, status=target, stage="new", updated_at=START + timedelta(seconds=1))
    allowed = target in MOVES[source]
    assert storage.jobs.save(wanted) == (None if allowed else stored)
    assert storage.jobs.get(stored.job_id) == (wanted if allowed else stored)


def test_saving_what_is_not_there_is_not_found(storage: Storage) -> None:
    with pytest.raises(JobNotFoundError):
        storage.jobs.save(make_job(1, START).moved(Status.PROCESSING, START))
    assert ids(storage) == []


def test_delete_says_whether_there_was_one(storage: Storage) -> None:
    job = make_job(1, START)
    storage.jobs.add(job)
    assert storage.jobs.delete(job.job_id) is True
    assert storage.jobs.delete(job.job_id) is False
    assert storage.jobs.get(job.job_id) is None
    assert ids(storage) == []


@pytest.mark.parametrize("job_id", ["", "job_", "' OR 1=1 --", "job_20240115_%", "x" * 5000, "\x00"])
def test_a_strange_id_is_absent(storage: Storage, job_id: str) -> None:
    storage.jobs.add(make_job(1, START))
    if job_id:
        assert storage.jobs.get(job_id) is None


def test_a_list_is_an_owners_jobs_newest_first(storage: Storage) -> None:
    jobs = [make_job(number, START + timedelta(milliseconds=number)) for number in (3, 1, 5, 2, 4)]
    for job in jobs:
        storage.jobs.add(job)
    storage.jobs.add(make_job(9, START, owner="other"))
    newest_first = [job.job_id for job in sorted(jobs, key=lambda job: job.created_at, reverse=True)]
    for size in (1, 2, 5, 100):
        assert ids(storage, size=size) == newest_first
    assert storage.jobs.list("me", 5).next_cursor is None
    assert ids(storage, "nobody") == []


def test_jobs_of_one_moment_are_each_listed_once(storage: Storage) -> None:
    jobs = {make_job(number, START).job_id for number in range(7)}
    for number in range(7):
        storage.jobs.add(make_job(number, START))
    found = ids(storage, size=3)
    assert len(found) == 7
    assert set(found) == jobs


def test_a_cursor_stays_good_while_jobs_come_and_go(storage: Storage) -> None:
    for number in range(4):
        storage.jobs.add(make_job(number, START + timedelta(seconds=number)))
    page = storage.jobs.list("me", 2)
    storage.jobs.add(make_job(8, START + timedelta(seconds=8)))
    storage.jobs.delete(page.jobs[1].job_id)
    rest = storage.jobs.list("me", 2, page.next_cursor)
    assert [job.job_id for job in rest.jobs] == [make_job(n, START).job_id for n in (1, 0)]


def test_a_cursor_is_good_for_its_owner_alone_and_as_it_is(storage: Storage) -> None:
    for owner in ("me", "other"):
        for number in range(3):
            storage.jobs.add(make_job(number + (10 if owner == "me" else 20), START, owner=owner))
    cursor = storage.jobs.list("me", 1).next_cursor
    assert cursor is not None
    assert "job_" not in cursor
    with pytest.raises(ValueError, match="cursor"):
        storage.jobs.list("other", 1, cursor)
    for at in range(len(cursor)):
        with pytest.raises(ValueError, match="cursor"):
            storage.jobs.list("me", 1, cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :])
    for wrong in ("", "x", "é", "A" * 2000, cursor[:-1], cursor + "A", cursor + "=", " " + cursor, "\x00"):
        with pytest.raises(ValueError, match="cursor"):
            storage.jobs.list("me", 1, wrong)


def test_a_record_is_gone_after_seven_days_swept_or_not(world: World) -> None:
    storage, job = world.storage, make_job(1, START)
    storage.jobs.add(job)
    world.pass_time(WEEK_S - 1)
    assert storage.jobs.get(job.job_id) == job
    world.pass_time(1)
    for _ in range(2):
        assert storage.jobs.get(job.job_id) is None
        assert ids(storage) == []
        assert storage.jobs.delete("job_20240115_nothingnothingno") is False
        with pytest.raises(JobNotFoundError):
            storage.jobs.save(job.moved(Status.PROCESSING, START))
        storage.sweep()
    assert storage.jobs.add(replace(job, created_at=world.now())) is None


def test_only_a_pending_job_without_a_message_is_unsent(world: World) -> None:
    storage, jobs = world.storage, [make_job(number, START) for number in range(4)]
    for job in jobs:
        storage.jobs.add(job)
    storage.queue.send(JobMessage(jobs[0].job_id, "", ""))
    storage.jobs.save(jobs[1].moved(Status.PROCESSING, START))
    assert storage.jobs.unsent(START) == []
    known = storage.jobs.unsent(START + timedelta(seconds=1))
    assert {job.job_id for job in known} == {jobs[2].job_id, jobs[3].job_id}


class JobMoves(RuleBasedStateMachine):
    """Whatever is asked of a store, its jobs are where the table of moves lets them be."""

    make_world: Callable[[Path], World]
    numbers = st.integers(0, 2)

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.world = type(self).make_world(self.folder)
        self.model: dict[str, Job] = {}

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @rule(number=numbers)
    def add(self, number: int) -> None:
        job = make_job(number, START)
        stored = self.model.setdefault(job.job_id, job)
        standing = self.world.storage.jobs.add(job)
        assert standing == stored or (standing is None and stored == job)

    @rule(number=numbers, status=st.sampled_from(list(Status)), progress=st.integers(0, 4))
    def save(self, number: int, status: Status, progress: int) -> None:
        wanted = replace(make_job(number, START), status=status, progress=progress / 4)
        stored = self.model.get(wanted.job_id)
        if stored is None:
            with pytest.raises(JobNotFoundError):
                self.world.storage.jobs.save(wanted)
        elif status in MOVES[stored.status]:
            assert self.world.storage.jobs.save(wanted) is None
            self.model[wanted.job_id] = wanted
        else:
            standing = self.world.storage.jobs.save(wanted)
            assert standing == stored or (standing is None and stored == wanted)

    @rule(number=numbers)
    def delete(self, number: int) -> None:
        job_id = make_job(number, START).job_id
        assert self.world.storage.jobs.delete(job_id) == (self.model.pop(job_id, None) is not None)

    @invariant()
    def the_store_has_what_the_model_has(self) -> None:
        found = self.world.storage.jobs.list("me", 10)
        assert {job.job_id: job for job in found.jobs} == self.model
        assert found.next_cursor is None


def test_any_series_of_moves(make_world: Callable[[Path], World]) -> None:
    machine = type("Moves", (JobMoves,), {"make_world": staticmethod(make_world)})
    examples = 15 if make_world is local_world else 5  # the others take a hundred times as long
    run_state_machine_as_test(machine, settings=settings(max_examples=examples, stateful_step_count=25, deadline=None))
