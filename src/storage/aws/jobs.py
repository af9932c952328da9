"""Job records in DynamoDB: every write is one call that compares and sets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from models.job import JOB_LIFETIME, Job, Status, format_time, is_job_id, sources_of
from storage.aws.cursors import read_cursor, write_cursor
from storage.aws.schema import BY_OWNER, TTL_ATTRIBUTE, UNSENT
from storage.aws.tables import Clock, Query, Table, expires_at_s
from storage.base import JobPage, JobStore
from utils.errors import JobNotFoundError

_MOST_UNSENT: Final = 1000
_MILLISECOND: Final = timedelta(milliseconds=1)


class AwsJobs(JobStore):
    """The jobs table. A record has expired by its `created_at`, whether or not DynamoDB has removed it."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table, self._clock = table, clock

    def add(self, job: Job) -> Job | None:
        """See `JobStore.add`."""
        marker = {UNSENT: UNSENT} if job.status is Status.PENDING else {}
        item = self._table.put_new(
            {**_item(job), **marker},
            "attribute_not_exists(job_id) OR created_at <= :oldest",
            {":oldest": self._oldest()},
        )
        standing = None if item is None else _job(item)
        return None if standing is None or _same(standing, job) else standing

    def get(self, job_id: str) -> Job | None:
        """See `JobStore.get`."""
        return self._live(self._table.get(job_id)) if is_job_id(job_id) else None

    def save(self, job: Job) -> Job | None:
        """See `JobStore.save`."""
        allowed = sorted(source.value for source in sources_of(job.status)) or [""]  # no record is in the status ""
        sources = {f":source{number}": source for number, source in enumerate(allowed)}
        refused = self._table.put_if(
            _item(job),
            f"created_at > :oldest AND #s IN ({', '.join(sources)})",
            {":oldest": self._oldest(), **sources},
            {"#s": "status"},
        )
        if refused is None:
            return None
        stored = self._live(refused.standing)
        if stored is None:
            raise JobNotFoundError(job_id=job.job_id)
        return None if _same(stored, job) else stored

    def list(self, owner: str, limit: int, cursor: str | None = None) -> JobPage:
        """See `JobStore.list`; a job shows up here a moment after it was added."""
        after = None
        if cursor is not None:
            created_at, job_id = read_cursor(owner, cursor)
            after = {"owner": owner, "created_at": created_at, "job_id": job_id}
        asked = Query(
            index=BY_OWNER,
            condition="#o = :owner AND created_at > :oldest",
            names={"#o": "owner"},
            values={":owner": owner, ":oldest": self._oldest()},
            newest_first=True,
        )
        jobs = [_job(item) for item in self._table.query(asked, limit + 1, after)]
        more, jobs = len(jobs) > limit, jobs[:limit]
        last = (format_time(jobs[-1].created_at), jobs[-1].job_id) if jobs else None
        return JobPage(jobs, write_cursor(owner, *last) if more and last else None)

    def delete(self, job_id: str) -> bool:
        """See `JobStore.delete`."""
        return is_job_id(job_id) and self._live(self._table.delete(job_id)) is not None

    def unsent(self, before: datetime) -> Sequence[Job]:
        """See `JobStore.unsent`; the oldest first, a thousand at most."""
        oldest = self._clock() - JOB_LIFETIME + _MILLISECOND
        newest = before - _MILLISECOND
        if newest < oldest:
            return []
        asked = Query(
            index=UNSENT,
            condition="#u = :unsent AND created_at BETWEEN :oldest AND :newest",
            names={"#u": UNSENT},
            values={":unsent": UNSENT, ":oldest": format_time(oldest), ":newest": format_time(newest)},
            newest_first=False,
        )
        return [_job(item) for item in self._table.query(asked, _MOST_UNSENT)]

    def sent(self, job_id: str) -> None:
        """A message for the job is on its way: it is no longer unsent."""
        if is_job_id(job_id):
            self._table.remove_attribute(job_id, UNSENT)

    def _oldest(self) -> str:
        """Records created then or before have expired; texts of moments sort as the moments do."""
        return format_time(self._clock() - JOB_LIFETIME)

    def _live(self, item: dict[str, Any] | None) -> Job | None:
        return None if item is None or item["created_at"] <= self._oldest() else _job(item)


def _item(job: Job) -> dict[str, Any]:
    return {**job.to_record(), TTL_ATTRIBUTE: expires_at_s(job.created_at, JOB_LIFETIME)}


def _same(stored: Job, job: Job) -> bool:
    """Whether the records are equal: then the one that is stored is the work of a call whose answer was lost."""
    return stored.to_record() == job.to_record()


def _job(item: dict[str, Any]) -> Job:
    record = {name: value for name, value in item.items() if name not in (TTL_ATTRIBUTE, UNSENT)}
    return Job.from_record({**record, "progress": float(record["progress"])})
