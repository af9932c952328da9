"""The audit trail of jobs: a line for every move, of whose job, from where and to where; and its count."""

from __future__ import annotations

from typing import Final

from models.job import Job
from utils import metrics
from utils.logging import bind_context, get_logger

NOWHERE: Final = "none"  # where a job is before it is created
PURGED: Final = "purged"

_log = get_logger()


def log_move(job: Job, came_from: str, to: str | None = None) -> None:
    """Write that the job has moved to its status, or to what `to` says."""
    target = to or job.status.value
    log_moved(job.job_id, job.owner, came_from, target)


def log_moved(job_id: str, owner: str, came_from: str, to: str) -> None:
    """Write that a job has moved of which no record may be left."""
    with bind_context(job_id=job_id):
        _log.info(
            "A job moved.", extra={"action": "job_moved", "owner": owner, "from_status": came_from, "to_status": to}
        )
    metrics.count("JobMoves", to_status=to)
