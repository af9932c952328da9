"""What several processes do to one world at once; each function runs in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from models.job import Job, Status, now_utc
from storage.base import Storage

Reopen = Callable[[], Storage]


def wait(duration_s: float) -> None:
    """Occupy the process."""
    time.sleep(duration_s)


def complete(reopen: Reopen, jobs: Sequence[Job], name: str) -> list[str]:
    """The ids of the jobs that this rival was the one to complete."""
    storage, won = reopen(), []
    for job in jobs:
        if storage.jobs.save(job.moved(Status.COMPLETED, now_utc(), message=name)) is None:
            won.append(job.job_id)
    return won


def drain(reopen: Reopen, releases: bool) -> list[str]:
    """The ids of the messages that this rival was given until there were none; it may hand each back once."""
    storage, taken = reopen(), []
    while (delivery := storage.queue.receive(60)) is not None:
        if releases and delivery.count == 1:
            storage.queue.release(delivery, 0)
            continue
        taken.append(delivery.message.job_id)
        storage.queue.acknowledge(delivery)
    return taken


def claim(reopen: Reopen, names: Sequence[str], value: str) -> list[str]:
    """Whose value stands under each name."""
    storage = reopen()
    return [storage.claims.claim(name, {"of": value}, 3600)["of"] for name in names]


def put(reopen: Reopen, key: str, letter: str, times: int) -> int:
    """How often this rival found the key in a state that nobody wrote, while writing its own."""
    storage, torn = reopen(), 0
    for _ in range(times):
        storage.cache.put(key, letter.encode() * 300_000, "text/plain")
        data = storage.cache.get(key) or b""
        torn += len(data) != 300_000 or len(set(data)) != 1
    return torn
