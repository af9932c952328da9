"""The one SQLite file of the embedded world: one connection a thread, each write a transaction that is on the disk."""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from utils.errors import ServiceUnavailableError
from utils.retry import retry_call

BUSY_TIMEOUT_S: Final = 2.0  # leaves a request of 3 s the time to answer
_WAL_DELAYS_S: Final = (0.02, 0.05, 0.1, 0.2, 0.4)
_VERSION: Final = 1
Clock = Callable[[], datetime]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_SCHEMA: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE jobs (
    job_id TEXT PRIMARY KEY, owner TEXT NOT NULL, created_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL,
    status TEXT NOT NULL, record TEXT NOT NULL
);
CREATE INDEX jobs_of_owner ON jobs (owner, created_ms, job_id);
CREATE INDEX jobs_by_expiry ON jobs (expires_ms);
CREATE INDEX jobs_pending ON jobs (created_ms) WHERE status = 'pending';
CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, job_id TEXT NOT NULL, request_id TEXT NOT NULL, correlation_id TEXT NOT NULL,
    visible_ms INTEGER NOT NULL, receipt TEXT, deliveries INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX messages_of_job ON messages (job_id);
CREATE UNIQUE INDEX messages_by_receipt ON messages (receipt) WHERE receipt IS NOT NULL;
CREATE TABLE previews (
    blueprint_hash TEXT PRIMARY KEY, expires_ms INTEGER NOT NULL, body TEXT, blob_key TEXT
) WITHOUT ROWID;
CREATE TABLE claims (name TEXT PRIMARY KEY, expires_ms INTEGER NOT NULL, value TEXT NOT NULL) WITHOUT ROWID;
"""

# What holds connections that a fork brought into this process: SQLite allows neither to use nor to close them here.
_inherited: list[threading.local] = []
_opening = threading.Lock()


def _after_fork() -> None:
    global _opening
    _opening = threading.Lock()  # a thread that did not come along may have held it


os.register_at_fork(after_in_child=_after_fork)


def milliseconds(moment: datetime) -> int:
    """The moment as whole milliseconds since 1970."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


class Database:
    """The database at a path, opened when first used. All its failures come out as ServiceUnavailableError."""

    def __init__(self, path: Path, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self._path, self._busy_timeout_s = path, busy_timeout_s
        self._pid = os.getpid()
        self._local = threading.local()
        self._turn = threading.Lock()
        self._secret: bytes | None = None

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection whose statements each see one consistent state."""
        with self._translating():
            yield self._connection()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that no other write comes between; it is on the disk afterwards, or undone by any exception."""
        with self._translating(), self._in_turn():
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                raise

    def secret(self) -> bytes:
        """32 random bytes that this data folder alone knows, made with it."""
        if self._secret is None:
            with self.reading() as connection:
                (self._secret,) = connection.execute("SELECT value FROM meta WHERE name = 'secret'").fetchone()
        return self._secret

    def close(self) -> None:
        """Close this thread's connection; the next use opens another."""
        self._note_fork()
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        self._local.connection = None
        if connection is not None:
            connection.close()

    @contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.DataError, sqlite3.NotSupportedError):
            raise  # these would be faults of ours
        except (sqlite3.Error, OSError) as error:
            if not _is_busy(error):
                with suppress(sqlite3.Error):
                    self.close()
            raise ServiceUnavailableError(service="database") from error

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        """Queue up this process's writers: SQLite would let each of them poll for the lock."""
        self._note_fork()
        turn = self._turn
        if not turn.acquire(timeout=self._busy_timeout_s):
            raise ServiceUnavailableError(service="database")
        try:
            yield
        finally:
            turn.release()

    def _note_fork(self) -> None:
        if self._pid != os.getpid():
            _inherited.append(self._local)
            self._pid, self._local, self._turn = os.getpid(), threading.local(), threading.Lock()

    def _connection(self) -> sqlite3.Connection:
        self._note_fork()
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._open()
        return connection

    def _open(self) -> sqlite3.Connection:
        with _opening:  # a file descriptor closed here must not be the one that another thread's lock hangs on
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(FileExistsError):
                os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        connection = sqlite3.connect(
            self._path, timeout=self._busy_timeout_s, isolation_level=None, check_same_thread=False
        )
        try:
            # The switch to WAL does not wait for its lock, so that processes which start together collide.
            retry_call(lambda: _prepare(connection), delays_s=_WAL_DELAYS_S, retryable=_is_busy, jitter=True)
        except BaseException:
            connection.close()
            raise
        return connection


def _prepare(connection: sqlite3.Connection) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise sqlite3.OperationalError(f"the journal is {mode}, not WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")  # what a person had deleted is not left in free pages
    if _version(connection) == _VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _version(connection)
        if version == 0:
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute("INSERT INTO meta (name, value) VALUES ('secret', ?)", (secrets.token_bytes(32),))
            connection.execute(f"PRAGMA user_version = {_VERSION}")
        elif version != _VERSION:
            raise sqlite3.OperationalError(f"the data folder has version {version}; this program reads {_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _is_busy(error: BaseException) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
