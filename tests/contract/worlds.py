"""The worlds that are held to the storage contract. A further one needs an entry in `WORLDS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from models.blueprint import BlueprintFormat
from models.job import Job, blueprint_key, now_utc
from storage.base import Storage
from storage.local.world import open_local

START = datetime(2024, 1, 15, 10, 30, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class World:
    """A fresh, empty world.

    `pass_time` makes it that many seconds later there, `now` says when it is. `reopen` opens the same world as
    another process would, on the real clock; it can be sent to other processes.
    """

    storage: Storage
    now: Callable[[], datetime]
    pass_time: Callable[[float], None]
    reopen: Callable[[], Storage]


class _Clock:
    def __init__(self) -> None:
        self.moment = START

    def __call__(self) -> datetime:
        return self.moment

    def forward(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


def local_world(folder: Path) -> World:
    """The embedded world below the folder."""
    clock = _Clock()
    data_dir = folder / "data"
    return World(open_local(data_dir, clock), clock, clock.forward, partial(open_local, data_dir, now_utc))


WORLDS: dict[str, Callable[[Path], World]] = {"local": local_world}


def make_job(number: int, created_at: datetime, owner: str = "me") -> Job:
    """A pending job; another number is another id."""
    letters = "".join("abcdefghij"[int(digit)] for digit in f"{number:016d}")
    job_id = f"job_{created_at:%Y%m%d}_{letters}"
    return Job(
        job_id=job_id,
        owner=owner,
        created_at=created_at,
        updated_at=created_at,
        blueprint_s3_key=blueprint_key(job_id, BlueprintFormat.PNG),
        blueprint_format=BlueprintFormat.PNG,
        blueprint_hash="ab" * 32,
    )
