"""What the embedded world promises beyond the contract: its files, its rights, its failures and what it forgets."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from models.blueprint import BlueprintFormat
from models.job import Job, Status, now_utc
from storage import open_storage
from storage.base import JobMessage, Storage
from storage.local.database import Database
from storage.local.files import StagedFile, move, remove_tree
from storage.local.queue import LocalQueue
from storage.local.world import FilesCheck, open_local
from utils.config import load_settings
from utils.errors import ServiceUnavailableError

SRC = Path(__file__).parents[3] / "src"
KEY = "blueprints/job_1/blueprint.pdf"


class Clock:
    def __init__(self) -> None:
        self.moment = datetime(2024, 1, 15, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "data"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def storage(data_dir: Path, clock: Clock) -> Storage:
    return open_local(data_dir, clock)


def job(number: int, moment: datetime) -> Job:
    job_id = f"job_20240115_{'a' * 15}{'abcdefg'[number]}"
    return Job(
        job_id=job_id,
        owner="me",
        created_at=moment,
        updated_at=moment,
        blueprint_s3_key=f"blueprints/{job_id}/blueprint.pdf",
        blueprint_format=BlueprintFormat.PDF,
        blueprint_hash="ab",
    )


def files_of(data_dir: Path) -> set[str]:
    """All files but the database's."""
    found = {str(path.relative_to(data_dir)) for path in data_dir.rglob("*") if path.is_file()}
    return {name for name in found if not name.startswith("service.sqlite3")}


@contextmanager
def files_end_at(size_bytes: int) -> Iterator[None]:
    """Within it the system refuses to let any file grow beyond that size."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def use_everything(storage: Storage, clock: Clock) -> None:
    storage.jobs.add(job(0, clock()))
    storage.blueprints.put(KEY, b"x", "application/pdf")


def test_opening_touches_nothing_and_the_settings_name_the_place(data_dir: Path) -> None:
    storage = open_storage(load_settings(data_dir=data_dir))
    assert not data_dir.parent.exists()
    storage.blueprints.put(KEY, b"x", "application/pdf")
    assert files_of(data_dir) == {f"blueprints/{KEY}"}


def test_everything_is_for_its_owner_alone(data_dir: Path, storage: Storage, clock: Clock) -> None:
    mask = os.umask(0)
    try:
        use_everything(storage, clock)
    finally:
        os.umask(mask)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [data_dir, *data_dir.rglob("*")]}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}
    assert sum(path.name.startswith("service.sqlite3") for path in modes) >= 2


def test_the_database_writes_ahead_and_waits_for_the_disk(data_dir: Path) -> None:
    database = Database(data_dir / "service.sqlite3")
    with database.reading() as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert db.execute("PRAGMA synchronous").fetchone() == (2,)
        assert db.execute("PRAGMA secure_delete").fetchone() == (1,)


def test_what_a_person_had_deleted_is_not_left_in_the_file(data_dir: Path, storage: Storage, clock: Clock) -> None:
    marked = replace(job(0, clock()), message="a very particular sentence")
    storage.jobs.add(marked)
    storage.jobs.delete(marked.job_id)
    with sqlite3.connect(data_dir / "service.sqlite3") as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert b"particular" not in (data_dir / "service.sqlite3").read_bytes()


def test_another_life_has_everything(data_dir: Path, storage: Storage, clock: Clock) -> None:
    use_everything(storage, clock)
    storage.queue.send(JobMessage("1", "r", "c"))
    cursor = [storage.jobs.add(job(number, clock())) for number in range(1, 3)] and storage.jobs.list("me", 1)
    again = open_local(data_dir, clock)
    assert again.jobs.get(job(0, clock()).job_id) == job(0, clock())
    assert again.blueprints.get(KEY) == b"x"
    assert again.jobs.list("me", 1, cursor.next_cursor).jobs
    delivery = again.queue.receive(30)
    assert delivery is not None
    assert delivery.message == JobMessage("1", "r", "c")


class TestForgetting:
    def test_files_go_after_thirty_days_and_uploads_after_one(
        self, data_dir: Path, storage: Storage, clock: Clock
    ) -> None:
        storage.blueprints.put(KEY, b"x", "application/pdf")
        storage.cache.put("uploads/job_1/blueprint", b"x", "application/pdf")  # not an upload: another store
        storage.blueprints.put("uploads/job_1/blueprint", b"x", "application/pdf")
        clock.moment += timedelta(hours=23)
        storage.sweep()
        assert len(files_of(data_dir)) == 3
        clock.moment += timedelta(hours=2)
        storage.sweep()
        assert storage.blueprints.get("uploads/job_1/blueprint") is None
        clock.moment += timedelta(days=28)
        storage.sweep()
        assert len(files_of(data_dir)) == 2
        clock.moment += timedelta(days=2)
        storage.sweep()
        assert files_of(data_dir) == set()
        assert list((data_dir / "blueprints").iterdir()) == []

    def test_rows_that_have_expired_are_removed(self, data_dir: Path, storage: Storage, clock: Clock) -> None:
        storage.jobs.add(job(0, clock()))
        storage.jobs.add(job(1, clock() + timedelta(days=8)))
        storage.claims.claim("n", {}, 60)
        clock.moment += timedelta(days=7)
        storage.sweep()
        with sqlite3.connect(data_dir / "service.sqlite3") as db:
            assert db.execute("SELECT job_id FROM jobs").fetchall() == [(job(1, clock()).job_id,)]
            assert db.execute("SELECT * FROM claims").fetchall() == []

    def test_what_a_killed_process_was_writing_goes_after_a_day(
        self, data_dir: Path, storage: Storage, clock: Clock
    ) -> None:
        storage.blueprints.put(KEY, b"x", "application/pdf")
        left = data_dir / "staging" / "left"
        left.write_bytes(b"half")
        os.utime(left, (clock().timestamp(), clock().timestamp()))
        clock.moment += timedelta(hours=23)
        storage.sweep()
        assert left.exists()
        clock.moment += timedelta(hours=2)
        storage.sweep()
        assert not left.exists()

    def test_an_empty_world_can_be_swept(self, storage: Storage) -> None:
        storage.sweep()


def test_lost_jobs_are_known_oldest_first(storage: Storage, clock: Clock) -> None:
    jobs = [job(number, clock() + timedelta(seconds=number)) for number in range(4)]
    for one in jobs:
        storage.jobs.add(one)
    storage.queue.send(JobMessage(jobs[1].job_id, "", ""))
    delivery = storage.queue.receive(30)  # a message at work is a message
    storage.jobs.save(jobs[3].moved(Status.CANCELLED, clock()))
    assert storage.jobs.unsent(clock() + timedelta(seconds=2)) == [jobs[0]]
    assert delivery is not None
    storage.queue.acknowledge(delivery)
    assert storage.jobs.unsent(clock() + timedelta(seconds=9)) == [jobs[0], jobs[1], jobs[2]]


def test_the_oldest_visible_message_comes_first(data_dir: Path, clock: Clock) -> None:
    queue = LocalQueue(Database(data_dir / "service.sqlite3"), clock)
    for number in range(3):
        queue.send(JobMessage(str(number), "", ""))
    first = queue.receive(30)
    assert first is not None
    queue.release(first, 5)
    order = []
    for seconds in (0, 5, 0):
        clock.moment += timedelta(seconds=seconds)
        delivery = queue.receive(300)
        assert delivery is not None
        order.append(delivery.message.job_id)
    assert order == ["1", "0", "2"]


def test_an_acknowledgement_after_the_lease_does_not_count(storage: Storage, clock: Clock) -> None:
    storage.queue.send(JobMessage("1", "", ""))
    delivery = storage.queue.receive(30)
    assert delivery is not None
    clock.moment += timedelta(seconds=30)
    storage.queue.acknowledge(delivery)
    storage.queue.release(delivery, 600)
    assert storage.queue.receive(30) is not None


def test_a_large_preview_lies_in_the_cache_store(data_dir: Path, storage: Storage, clock: Clock) -> None:
    from models.floorplan import Page
    from storage.base import Preview

    page = Page(page=1, width=1, height=1, unit="px", message="x" * 400_000)
    large, small = Preview("ab" * 32, "1", [page], {}), Preview("cd" * 32, "1", [], {})
    storage.previews.put(large)
    storage.previews.put(small)
    assert files_of(data_dir) == {f"cache/cache/preview/{'ab' * 32}/preview.json"}
    clock.moment += timedelta(hours=1)
    storage.sweep()
    assert files_of(data_dir) == set()
    with sqlite3.connect(data_dir / "service.sqlite3") as db:
        assert db.execute("SELECT * FROM previews").fetchall() == []


def test_a_preview_in_a_form_of_another_time_is_none(data_dir: Path, storage: Storage) -> None:
    from storage.base import Preview

    storage.previews.put(Preview("cd" * 32, "1", [], {}))
    with sqlite3.connect(data_dir / "service.sqlite3") as db:
        db.execute("UPDATE previews SET body = '{\"rooms\": 1}'")
    assert storage.previews.get("cd" * 32) is None


class TestFailure:
    def test_a_full_disk_leaves_nothing_half_written(self, data_dir: Path, storage: Storage) -> None:
        storage.blueprints.put(KEY, b"before", "application/pdf")
        with files_end_at(64 * 1024), pytest.raises(ServiceUnavailableError) as caught:
            storage.blueprints.put(KEY, bytes(1024 * 1024), "application/pdf")
        assert caught.value.details == {"service": "files"}
        assert storage.blueprints.get(KEY) == b"before"
        assert files_of(data_dir) == {f"blueprints/{KEY}"}

    def test_a_full_disk_stops_records_as_a_whole_and_they_go_on_afterwards(
        self, storage: Storage, clock: Clock
    ) -> None:
        storage.jobs.add(job(0, clock()))
        large = replace(job(1, clock()), message="x" * 3_000_000)
        with files_end_at(1024 * 1024), pytest.raises(ServiceUnavailableError) as caught:
            storage.jobs.add(large)
        assert caught.value.details == {"service": "database"}
        assert storage.jobs.get(large.job_id) is None
        assert storage.jobs.add(large) is None
        assert storage.jobs.get(large.job_id) == large

    def test_a_place_that_cannot_be_a_folder(self, tmp_path: Path, clock: Clock) -> None:
        (tmp_path / "file").write_text("in the way")
        storage = open_local(tmp_path / "file" / "data", clock)
        for use in (
            lambda: storage.jobs.get("x"),
            lambda: storage.queue.receive(1),
            lambda: storage.claims.claim("n", {}, 1),
            lambda: storage.blueprints.put(KEY, b"x", "application/pdf"),
            lambda: storage.blueprints.presign_upload(KEY, 1, 1),
        ):
            with pytest.raises(ServiceUnavailableError):
                use()
        for check in storage.checks:
            with pytest.raises(ServiceUnavailableError):
                check.check()
        assert (tmp_path / "file").read_text() == "in the way"

    def test_a_file_that_is_no_database(self, data_dir: Path, storage: Storage, clock: Clock) -> None:
        data_dir.mkdir(parents=True)
        (data_dir / "service.sqlite3").write_bytes(b"no database at all" * 100)
        with pytest.raises(ServiceUnavailableError):
            storage.jobs.get("x")
        failing = {check.name for check in storage.checks if _fails(check)}
        assert failing == {"database"}
        (data_dir / "service.sqlite3").unlink()
        assert storage.jobs.add(job(0, clock())) is None  # the next use opens anew

    def test_data_of_a_later_version(self, data_dir: Path, storage: Storage) -> None:
        data_dir.mkdir(parents=True)
        with sqlite3.connect(data_dir / "service.sqlite3") as db:
            db.execute("PRAGMA user_version = 99")
        with pytest.raises(ServiceUnavailableError) as caught:
            storage.jobs.get("x")
        assert "version 99" in str(caught.value.__cause__)

    def test_a_lock_that_is_not_let_go_is_an_outage_and_then_over(self, data_dir: Path) -> None:
        database = Database(data_dir / "service.sqlite3", busy_timeout_s=0.05)
        with database.writing() as db:
            db.execute("INSERT INTO claims VALUES ('a', 1, '{}')")
        other = sqlite3.connect(data_dir / "service.sqlite3", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ServiceUnavailableError), database.writing() as db:
            pytest.fail("two wrote at once")
        with database.reading() as db:
            assert db.execute("SELECT name FROM claims").fetchall() == [("a",)]
        other.execute("ROLLBACK")
        other.close()
        with database.writing() as db:
            db.execute("DELETE FROM claims")

    def test_threads_that_wait_too_long_for_their_turn_are_told(self, data_dir: Path) -> None:
        from concurrent.futures import ThreadPoolExecutor

        database = Database(data_dir / "service.sqlite3", busy_timeout_s=0.05)

        def write() -> None:
            with database.writing():
                pytest.fail("two wrote at once")

        with database.writing(), ThreadPoolExecutor(1) as pool, pytest.raises(ServiceUnavailableError):
            pool.submit(write).result()

    def test_an_exception_undoes_the_whole_transaction(self, data_dir: Path) -> None:
        database = Database(data_dir / "service.sqlite3")

        def fail() -> None:
            with database.writing() as db:
                db.execute("INSERT INTO claims VALUES ('a', 1, '{}')")
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fail()
        with database.reading() as db:
            assert db.execute("SELECT * FROM claims").fetchall() == []

    def test_our_own_mistakes_are_not_called_outages(self, data_dir: Path) -> None:
        database = Database(data_dir / "service.sqlite3")
        with pytest.raises(sqlite3.IntegrityError), database.writing() as db:
            db.execute("INSERT INTO claims VALUES ('a', 1, NULL)")

    def test_a_disk_almost_full_is_reported(self, data_dir: Path) -> None:
        FilesCheck(data_dir).check()
        with pytest.raises(ServiceUnavailableError, match="almost full"):
            FilesCheck(data_dir, min_free_bytes=2**62).check()
        assert files_of(data_dir) == set()

    def test_a_read_that_fails_is_an_outage(self, data_dir: Path, storage: Storage) -> None:
        loop = data_dir / "blueprints" / "loop"
        loop.parent.mkdir(parents=True)
        loop.symlink_to(loop)
        for read in (storage.blueprints.get, storage.blueprints.chunks):
            with pytest.raises(ServiceUnavailableError):
                read("loop")


def _fails(check: object) -> bool:
    try:
        check.check()  # type: ignore[attr-defined]
    except ServiceUnavailableError:
        return True
    return False


class TestFiles:
    def test_a_key_cannot_lie_inside_a_file_or_replace_a_folder(self, data_dir: Path, storage: Storage) -> None:
        storage.cache.put("a/b", b"x", "text/plain")
        for key in ("a/b/c", "a"):
            with pytest.raises(ValueError, match="key"):
                storage.cache.put(key, b"y", "text/plain")
        assert files_of(data_dir) == {"cache/a/b"}

    def test_a_folder_that_goes_away_meanwhile_is_made_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source, target = tmp_path / "source", tmp_path / "a" / "b"
        source.write_text("x")
        replace_file, rivals = Path.replace, [1, 2]

        def replaced(self: Path, to: Path) -> Path:
            if rivals:  # a removal empties the folder just before
                rivals.pop()
                target.parent.rmdir()
            return replace_file(self, to)

        monkeypatch.setattr(Path, "replace", replaced)
        move(source, target)
        assert target.read_text() == "x"

    def test_a_source_that_is_not_there_is_said_at_once(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            move(tmp_path / "none", tmp_path / "a")

    def test_a_staged_file_that_is_not_kept_is_removed(self, tmp_path: Path) -> None:
        with StagedFile(tmp_path) as staged:
            staged.write(b"x")
        assert list(tmp_path.iterdir()) == []

    def test_removing_a_tree_that_is_not_there_removes_nothing(self, tmp_path: Path) -> None:
        assert remove_tree(tmp_path / "none") == 0

    def test_links_are_removed_and_not_followed(self, tmp_path: Path) -> None:
        outside, inside = tmp_path / "outside", tmp_path / "inside"
        outside.mkdir()
        inside.mkdir()
        (outside / "file").write_text("x")
        (inside / "link").symlink_to(outside / "file")
        assert remove_tree(inside) == 1
        assert (outside / "file").read_text() == "x"


def _child_of_a_fork(storage: Storage, number: int) -> None:
    clock = storage.jobs._clock  # type: ignore[attr-defined]
    ok = storage.jobs.add(job(number, clock())) is None and storage.jobs.get(job(0, clock()).job_id) is not None
    os._exit(0 if ok else 1)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_brings_no_connection_along(storage: Storage, clock: Clock) -> None:
    storage.jobs.add(job(0, clock()))
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=_child_of_a_fork, args=(storage, number)) for number in (1, 2, 3)]
    for child in children:
        child.start()
    storage.jobs.add(job(4, clock()))
    for child in children:
        child.join(30)
        assert child.exitcode == 0
    assert len(storage.jobs.list("me", 10).jobs) == 5


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_opens_its_own_connection_and_has_its_own_turn(data_dir: Path) -> None:
    database = Database(data_dir / "service.sqlite3")
    with database.writing() as inherited:  # the child must neither use it nor wait for its end
        child = os.fork()
        if child == 0:
            own = database._connection()
            free = database._turn.acquire(blocking=False)
            os._exit(0 if own is not inherited and free else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        inherited.execute("INSERT INTO claims VALUES ('a', 1, '{}')")
    with database.reading() as db:
        assert db.execute("SELECT name FROM claims").fetchall() == [("a",)]


WRITER = """
import sys
from pathlib import Path
from models.job import now_utc
from storage.base import JobMessage
from storage.local.world import open_local
storage = open_local(Path(sys.argv[1]), now_utc)
print("ready", flush=True)
number = 0
while True:
    number += 1
    storage.cache.put("cache/final/x", b"ab"[number % 2 : number % 2 + 1] * 400_000, "text/plain")
    storage.queue.send(JobMessage(str(number), "", ""))
    print(number, flush=True)
"""


@pytest.mark.parametrize("life_s", [0.05, 0.13, 0.21])
def test_a_process_killed_while_writing_leaves_everything_whole(data_dir: Path, life_s: float) -> None:
    command = [sys.executable, "-c", WRITER, str(data_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": str(SRC)}) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        time.sleep(life_s)
        writer.send_signal(signal.SIGKILL)
        told = [int(line) for line in writer.stdout.read().split()]
    storage = open_local(data_dir, now_utc)
    data = storage.cache.get("cache/final/x") or b"a" * 400_000
    assert len(data) == 400_000
    assert len(set(data)) == 1
    sent = []
    while (delivery := storage.queue.receive(60)) is not None:
        sent.append(int(delivery.message.job_id))
    assert sent == list(range(1, len(sent) + 1))
    assert len(sent) >= len(told)  # what was said to be sent is there
