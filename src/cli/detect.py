"""`location-detection detect`: files in, floorplans out; no server and no store."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.plan import STDIN, Notify, Outcome, Task, process, silent
from utils.processes import settled

if TYPE_CHECKING:
    from rich.progress import Progress


class OutputFormat(StrEnum):
    """The forms in which a floorplan can be written."""

    JSON = "json"


def detect(
    files: Annotated[
        list[str], typer.Argument(metavar="FILES...", help="PNG, JPG or PDF files; - reads one from stdin.")
    ],
    output_format: Annotated[
        OutputFormat, typer.Option("--format", help="The form of the output.")
    ] = OutputFormat.JSON,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", file_okay=False, help="Write <stem>.json a file here, nothing to stdout."),
    ] = None,
    pages: Annotated[str | None, typer.Option(metavar="1-3,7", help="Only these pages of each document.")] = None,
    jobs: Annotated[int, typer.Option(metavar="N", min=1, max=64, help="How many files at once, a process each.")] = 1,
    debug: Annotated[
        Path | None, typer.Option(metavar="DIR", file_okay=False, help="Write one picture a step into DIR/<stem>/.")
    ] = None,
    overlay: Annotated[
        bool, typer.Option("--overlay", help="With --out: also draw the rooms over each page, <stem>.overlay.png.")
    ] = False,
) -> None:
    """Find the rooms on blueprints.

    One file: its floorplan document goes to stdout. Several: one JSON line a file, {"file": ..., "floorplan": {...}},
    in the order given. With --out, one <stem>.json a file. A file that fails does not stop the rest: stderr names it,
    the page and the cause, and it leaves no JSON, not even an earlier one in --out.
    """
    del output_format  # there is one so far; Typer has checked it
    tasks = _plan_tasks(files, out=out, pages=pages, jobs=jobs, debug=debug, overlay=overlay)
    failed = 0
    with _progress(len(tasks)) as (notify, advance):
        for outcome in _outcomes(tasks, jobs, notify):
            advance()
            for line in outcome.notes:
                typer.echo(line, err=True)
            if outcome.error is not None:
                failed += 1
                typer.echo(f"error: {outcome.error}", err=True)
            elif outcome.text is not None:
                typer.echo(outcome.text if len(tasks) == 1 else _line(outcome.file, outcome.text))
    if failed:
        if len(tasks) > 1:
            typer.echo(f"{failed} of {len(tasks)} files failed", err=True)
        raise typer.Exit(1)


def _line(file: str, text: str) -> str:
    return f'{{"file":{json.dumps(file)},"floorplan":{text}}}'


def _plan_tasks(
    files: list[str], *, out: Path | None, pages: str | None, jobs: int, debug: Path | None, overlay: bool
) -> list[Task]:
    """What is to be done, after everything that can be wrong with the command line was said."""
    from models.blueprint import PageSelection

    if overlay and out is None:
        raise typer.BadParameter("--overlay needs --out DIR to put the pictures in")
    if files.count(STDIN) > 1:
        raise typer.BadParameter("stdin (-) can be read only once")
    try:
        PageSelection.parse(pages)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--pages") from None
    threads = max(1, (os.cpu_count() or 1) // min(jobs, len(files)))
    tasks = [Task(file, pages=pages, out=out, debug=debug, overlay=overlay, threads=min(threads, 64)) for file in files]
    if out is not None or debug is not None:
        _refuse_equal_stems(tasks)
    for folder in (out, debug):
        if folder is not None:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise typer.BadParameter(f"cannot make the folder {folder}: {error.strerror}") from None
    return tasks


def _refuse_equal_stems(tasks: list[Task]) -> None:
    seen: dict[str, str] = {}
    for task in tasks:
        stem = task.stem.casefold()  # some file systems do not tell A from a
        if stem in seen:
            raise typer.BadParameter(f"{seen[stem]} and {task.file} would both become {task.stem}.json; run them apart")
        seen[stem] = task.file


def _outcomes(tasks: list[Task], jobs: int, notify: Notify) -> Iterator[Outcome]:
    """Every task's outcome, in the tasks' order."""
    if jobs == 1 or len(tasks) == 1:
        for task in tasks:
            yield process(task, notify)
        return
    stdin_bytes = sys.stdin.buffer if any(task.file == STDIN for task in tasks) else None
    if stdin_bytes is not None:  # children have no stdin of their own
        tasks = [task.with_stdin(stdin_bytes) for task in tasks]
    with ProcessPoolExecutor(min(jobs, len(tasks)), mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(process, task, silent) for task in tasks]
        for task, future in zip(tasks, futures, strict=True):
            yield _settle(task, future)


def _settle(task: Task, future: Future[Outcome]) -> Outcome:
    """The future's outcome; a task whose process died, or stood beside one that did, gets a process to itself."""
    outcome = settled(future, partial(process, task, silent))
    return outcome or task.failed("the process died while it worked on the file (out of memory?)")


@contextmanager
def _progress(total: int) -> Iterator[tuple[Notify, _Advance]]:
    """Ways to say where the work stands: a bar when a terminal looks on, nothing otherwise."""
    if not sys.stderr.isatty():
        yield silent, _Advance(None)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        bar.add_task("detect", total=total)
        yield _BarNotify(bar), _Advance(bar)


class _Advance:
    """Counts files done on the bar, if there is one."""

    def __init__(self, bar: Progress | None) -> None:
        self._bar, self._done = bar, 0

    def __call__(self) -> None:
        self._done += 1
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self._done)


class _BarNotify:
    """Names the file, page and stage on the bar."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar

    def __call__(self, file: str, stage: str, page: int, page_count: int) -> None:
        where = f" page {page}/{page_count}" if page_count > 1 else ""
        self._bar.update(self._bar.task_ids[0], description=f"{Path(file).name[:40]}{where}: {stage}")
