"""`location-detection jobs`: look at and act on the jobs of this machine's service, running or not."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.serve import DataDir, load, refuse

if TYPE_CHECKING:
    from models.job import Job
    from services.job_service import JobService

_PAGE = 100

jobs_app = typer.Typer(help="List, show, cancel and purge the jobs of this machine's service.", no_args_is_help=True)

Owner = Annotated[str, typer.Option(help="Whose jobs: the token's name.")]
JobId = Annotated[str, typer.Argument(metavar="JOB_ID")]


@jobs_app.command("list")
def list_jobs(
    limit: Annotated[int, typer.Option(min=1, help="At most this many.")] = 20,
    owner: Owner = "local",
    data: DataDir = None,
) -> None:
    """List jobs, newest first: a table on a terminal, otherwise a JSON array."""
    with _service(data) as service:
        jobs = list(islice(_all_jobs(service, owner), limit))
    if sys.stdout.isatty():
        _print_table(jobs)
    else:
        typer.echo(json.dumps([job.to_json() for job in jobs]))


@jobs_app.command()
def show(job_id: JobId, owner: Owner = "local", data: DataDir = None) -> None:
    """Print a job as JSON."""
    with _service(data) as service:
        _print(service.get(job_id, owner=owner).to_json())


@jobs_app.command()
def cancel(job_id: JobId, owner: Owner = "local", data: DataDir = None) -> None:
    """Cancel a job for good and print it as JSON."""
    with _service(data) as service:
        _print(service.cancel(job_id, owner=owner).to_json())


@jobs_app.command()
def purge(job_id: JobId, owner: Owner = "local", data: DataDir = None) -> None:
    """Remove a job with its files, results and previews."""
    with _service(data) as service:
        service.purge(job_id, owner=owner)
        _print({"job_id": job_id, "purged": True})


@contextmanager
def _service(data: Path | None) -> Iterator[JobService]:
    """The job service on the data folder; what it refuses ends the command with its sentence and exit code 1."""
    from services.job_service import JobService
    from storage import open_storage
    from utils.errors import ServiceError

    settings = load(data)
    if not settings.data_dir.is_dir():
        refuse(f"there is no data folder {settings.data_dir}; name the server's with --data")
    try:
        yield JobService(open_storage(settings), settings)
    except ServiceError as error:
        typer.echo(f"error: {error.message} ({error.code})", err=True)
        raise typer.Exit(1) from None


def _all_jobs(service: JobService, owner: str) -> Iterator[Job]:
    cursor: str | None = None
    while True:
        page = service.list(owner, _PAGE, cursor)
        yield from page.jobs
        cursor = page.next_cursor
        if cursor is None:
            return


def _print(value: dict[str, Any]) -> None:
    typer.echo(json.dumps(value, indent=2 if sys.stdout.isatty() else None))


def _print_table(jobs: list[Job]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("job", "status", "progress", "created", "format", "message", box=None)
    for job in jobs:
        what = job.message or (job.error or {}).get("message") or ""
        created = job.created_at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        table.add_row(job.job_id, job.status.value, f"{job.progress:.0%}", created, job.blueprint_format.value, what)
    Console().print(table)
