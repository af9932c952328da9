"""Job records in SQLite; every change is one compare-and-set."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from models.job import Job, Status, sources_of
from storage.base import JobPage, JobStore
from storage.local.database import Clock, Database, milliseconds
from utils.errors import JobNotFoundError

_MAC_BYTES: Final = 12
_MOST_UNSENT: Final = 1000


class LocalJobs(JobStore):
    """The jobs table."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def add(self, job: Job) -> Job | None:
        """See `JobStore.add`."""
        with self._database.writing() as db:
            standing = db.execute(
                "SELECT record FROM jobs WHERE job_id = ? AND expires_ms > ?", (job.job_id, self._now_ms())
            ).fetchone()
            if standing is not None:
                return _job(standing[0])
            db.execute(
                "INSERT OR REPLACE INTO jobs (job_id, owner, created_ms, expires_ms, status, record)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (
                    job.job_id,
                    job.owner,
                    milliseconds(job.created_at),
                    milliseconds(job.expires_at),
                    job.status.value,
                    _record(job),
                ),
            )
        return None

    def get(self, job_id: str) -> Job | None:
        """See `JobStore.get`."""
        with self._database.reading() as db:
            row = db.execute(
                "SELECT record FROM jobs WHERE job_id = ? AND expires_ms > ?", (job_id, self._now_ms())
            ).fetchone()
        return None if row is None else _job(row[0])

    def save(self, job: Job) -> Job | None:
        """See `JobStore.save`."""
        sources = [status.value for status in sources_of(job.status)]
        marks = ", ".join("?" * len(sources))
        with self._database.writing() as db:
            now_ms = self._now_ms()
            changed = db.execute(
                f"UPDATE jobs SET status = ?, record = ? WHERE job_id = ? AND expires_ms > ? AND status IN ({marks})",  # noqa: S608 - question marks only
                (job.status.value, _record(job), job.job_id, now_ms, *sources),
            ).rowcount
            if changed:
                return None
            row = db.execute(
                "SELECT record FROM jobs WHERE job_id = ? AND expires_ms > ?", (job.job_id, now_ms)
            ).fetchone()
        if row is None:
            raise JobNotFoundError(job_id=job.job_id)
        return _job(row[0])

    def list(self, owner: str, limit: int, cursor: str | None = None) -> JobPage:
        """See `JobStore.list`."""
        after = (2**62, "") if cursor is None else self._read_cursor(owner, cursor)
        with self._database.reading() as db:
            rows = db.execute(
                "SELECT record, created_ms, job_id FROM jobs"
                " WHERE owner = ? AND (created_ms, job_id) < (?, ?) AND expires_ms > ?"
                " ORDER BY created_ms DESC, job_id DESC LIMIT ?",
                (owner, *after, self._now_ms(), limit + 1),
            ).fetchall()
        more = len(rows) > limit
        rows = rows[:limit]
        return JobPage([_job(row[0]) for row in rows], self._cursor(owner, *rows[-1][1:]) if more and rows else None)

    def delete(self, job_id: str) -> bool:
        """See `JobStore.delete`."""
        with self._database.writing() as db:
            row = db.execute("DELETE FROM jobs WHERE job_id = ? RETURNING expires_ms", (job_id,)).fetchone()
        return row is not None and row[0] > self._now_ms()

    def unsent(self, before: datetime) -> Sequence[Job]:
        """See `JobStore.unsent`; the oldest first, a thousand at most."""
        with self._database.reading() as db:
            rows = db.execute(
                "SELECT record FROM jobs WHERE status = ? AND created_ms < ? AND expires_ms > ?"
                " AND NOT EXISTS (SELECT 1 FROM messages WHERE messages.job_id = jobs.job_id)"
                " ORDER BY created_ms LIMIT ?",
                (Status.PENDING.value, milliseconds(before), self._now_ms(), _MOST_UNSENT),
            ).fetchall()
        return [_job(row[0]) for row in rows]

    def sweep(self) -> None:
        """Remove the records that have expired."""
        with self._database.writing() as db:
            db.execute("DELETE FROM jobs WHERE expires_ms <= ?", (self._now_ms(),))

    def _now_ms(self) -> int:
        return milliseconds(self._clock())

    def _mac(self, owner: str, place: bytes) -> bytes:
        text = b"cursor\0" + owner.encode() + b"\0" + place
        return hmac.digest(self._database.secret(), text, hashlib.sha256)[:_MAC_BYTES]

    def _cursor(self, owner: str, created_ms: int, job_id: str) -> str:
        place = f"{created_ms}:{job_id}".encode()
        return base64.urlsafe_b64encode(self._mac(owner, place) + place).rstrip(b"=").decode()

    def _read_cursor(self, owner: str, cursor: str) -> tuple[int, str]:
        try:
            token = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
            mac, place = token[:_MAC_BYTES], token[_MAC_BYTES:]
            if not hmac.compare_digest(mac, self._mac(owner, place)):
                raise ValueError
            created_ms, _, job_id = place.decode().partition(":")
            place_read = (int(created_ms), job_id)
            if self._cursor(owner, *place_read) != cursor:  # base64 has more than one spelling
                raise ValueError
        except (ValueError, binascii.Error):
            raise ValueError("the cursor is not one that a list of this owner gave") from None
        return place_read


def _record(job: Job) -> str:
    return json.dumps(job.to_record(), separators=(",", ":"))


def _job(record: str) -> Job:
    return Job.from_record(json.loads(record))
