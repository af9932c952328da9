"""A job: one blueprint on its way to rooms, and the one table of moves it may make."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from models.blueprint import BlueprintFormat

JOB_LIFETIME: Final = timedelta(days=7)
FILE_LIFETIME: Final = timedelta(days=30)
_ID: Final = re.compile(r"job_\d{8}_[a-z2-7]{16}")
_RANDOM_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz234567"  # RFC 4648 base32: 80 bits in 16 letters


class Status(StrEnum):
    """Where a job stands."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


# processing -> processing is progress, and the take-over of a job whose worker died.
MOVES: Final[dict[Status, frozenset[Status]]] = {
    Status.PENDING: frozenset({Status.PROCESSING, Status.FAILED, Status.CANCELLED}),
    Status.PROCESSING: frozenset({Status.PROCESSING, Status.COMPLETED, Status.FAILED, Status.CANCELLED}),
    Status.COMPLETED: frozenset(),
    Status.FAILED: frozenset(),
    Status.CANCELLED: frozenset(),
}


def sources_of(target: Status) -> frozenset[Status]:
    """The statuses from which a job may move to `target`."""
    return frozenset(source for source, targets in MOVES.items() if target in targets)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job's record. Times are aware, in UTC, in whole milliseconds; `progress` is a ratio in 0..1.

    `owner` (the token's name) and `pages` stay inside: `to_json` does not show them.
    """

    job_id: str
    owner: str
    created_at: datetime
    updated_at: datetime
    blueprint_s3_key: str
    blueprint_format: BlueprintFormat
    blueprint_hash: str
    status: Status = Status.PENDING
    result_s3_key: str | None = None
    error: dict[str, Any] | None = None
    stage: str = "queued"
    progress: float = 0.0
    message: str | None = None
    pages: str | None = None

    def moved(self, status: Status, now: datetime, **changes: Any) -> Job:
        """The job after a move; whether the stored record still allows it is for the store to compare.

        Raises:
            ValueError: the table of moves does not have this one.
        """
        if status not in MOVES[self.status]:
            raise ValueError(f"a {self.status} job cannot become {status}")
        return replace(self, status=status, updated_at=max(now, self.updated_at), **changes)

    @property
    def ended(self) -> bool:
        """Whether nothing will change any more."""
        return not MOVES[self.status]

    @property
    def expires_at(self) -> datetime:
        """When the record is to disappear."""
        return self.created_at + JOB_LIFETIME

    def to_json(self) -> dict[str, Any]:
        """The public form: the specification's fields, with stage, progress and message."""
        return {
            "job_id": self.job_id,
            "status": self.status.value,
            "created_at": format_time(self.created_at),
            "updated_at": format_time(self.updated_at),
            "blueprint_s3_key": self.blueprint_s3_key,
            "blueprint_format": self.blueprint_format.value,
            "blueprint_hash": self.blueprint_hash,
            "result_s3_key": self.result_s3_key,
            "error": self.error,
            "stage": self.stage,
            "progress": self.progress,
            "message": self.message,
        }

    def to_record(self) -> dict[str, Any]:
        """The stored form: the public one with what stays inside."""
        return {**self.to_json(), "owner": self.owner, "pages": self.pages}

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Job:
        """The job that `to_record` wrote."""
        return cls(
            **{
                **record,
                "created_at": parse_time(record["created_at"]),
                "updated_at": parse_time(record["updated_at"]),
                "status": Status(record["status"]),
                "blueprint_format": BlueprintFormat(record["blueprint_format"]),
            }
        )


def new_job_id(now: datetime, random_bytes: Callable[[int], bytes]) -> str:
    """A fresh id, `job_{yyyymmdd}_{16 random letters}`: 80 random bits, so it cannot be guessed either."""
    bits = int.from_bytes(random_bytes(10), "big")
    letters = "".join(_RANDOM_ALPHABET[(bits >> shift) & 31] for shift in range(75, -1, -5))
    return f"job_{now:%Y%m%d}_{letters}"


def is_job_id(text: str) -> bool:
    """Whether the text has the form of a job's id; what has not is never looked up."""
    return _ID.fullmatch(text) is not None


def blueprint_key(job_id: str, blueprint_format: BlueprintFormat) -> str:
    """Where a job's blueprint lies in the blueprints store; the client's file name is kept nowhere."""
    return f"blueprints/{job_id}/blueprint.{blueprint_format}"


def result_key(job_id: str) -> str:
    """Where a job's floorplan lies in the cache store."""
    return f"cache/final/{job_id}/floorplan.json"


def page_picture_key(job_id: str, page: int) -> str:
    """Where the picture of a job's page (1-based) lies in the cache store."""
    return f"cache/pages/{job_id}/{page}.png"


def format_time(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds and a Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """The moment that `format_time` wrote."""
    return datetime.fromisoformat(text)


def now_utc() -> datetime:
    """The current time in UTC, cut to whole milliseconds as records keep it."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
