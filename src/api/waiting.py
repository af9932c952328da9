"""Waiting for a job to change, within the time that a request may take."""

from __future__ import annotations

from typing import Final

import anyio
from anyio import to_thread
from fastapi import Request

from models.job import Job
from services.job_service import JobService

POLL_S: Final = (0.1, 0.15, 0.25, 0.4, 0.5)
ANSWER_S: Final = 5.0
"""What is left of a request's own time when it answers at the latest: a last look may have to be tried again."""


async def await_change(request: Request, jobs: JobService, job_id: str, owner: str, wait_s: float) -> Job:
    """The job when it differs from what it is now, or has ended, or `wait_s` have passed, or the client has gone.

    Between two looks a waiter holds no thread, so that many of them cost nobody else anything. Where something in
    front says in the scope's state, as `time_left_s`, when the request is cut off, it is answered before.
    """
    time_left_s = request.scope["state"].get("time_left_s")
    ends = anyio.current_time() + (wait_s if time_left_s is None else min(wait_s, time_left_s - ANSWER_S))
    first = job = await to_thread.run_sync(lambda: jobs.get(job_id, owner=owner))
    looks = 0
    while not job.ended and job == first and (left_s := ends - anyio.current_time()) > 0:
        await anyio.sleep(min(left_s, POLL_S[min(looks, len(POLL_S) - 1)]))
        looks += 1
        if await request.is_disconnected():
            break
        job = await to_thread.run_sync(lambda: jobs.get(job_id, owner=owner))
    return job
