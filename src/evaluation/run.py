"""Every labelled plan through the engine, set by set, and the figures of the whole."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from detection.settings import Settings
from evaluation.figures import (
    BOOTSTRAP_SEED,
    MeanFigures,
    PageScore,
    SetFigures,
    calibration_error,
    mean_figures,
    set_figures,
)
from evaluation.measure import DocumentResult, PageResult, Task, failed, measure
from evaluation.truth import LabelledPage, Problem
from utils.processes import settled

_DIED = "the process died while it worked on the plan (out of memory?)"


@dataclass(frozen=True, slots=True)
class Cost:
    """What the plans of a set cost: seconds a plan at the median and the 95th percentile, the most memory held."""

    seconds_p50_s: float | None
    seconds_p95_s: float | None
    peak_bytes: int


@dataclass(slots=True)
class SetRun:
    """A set's plans as they were measured."""

    name: str
    results: list[PageResult] = field(default_factory=list)
    peak_bytes: int = 0

    @property
    def scores(self) -> list[PageScore]:
        """The scores of the plans that have one."""
        return [result.score for result in self.results if result.score is not None]

    def cost(self) -> Cost:
        """What the set's plans cost."""
        seconds_s = [result.seconds_s for result in self.results if result.seconds_s is not None]
        return cost_of(seconds_s, self.peak_bytes)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything that was measured on a folder of labelled plans."""

    runs: tuple[SetRun, ...]
    figures: dict[str, SetFigures]
    mean: MeanFigures | None
    calibration_error: float | None
    settings: Settings
    model_version: str | None

    @property
    def problems(self) -> list[Problem]:
        """What was wrong with single plans."""
        return [result.problem for run in self.runs for result in run.results if result.problem is not None]

    @property
    def notes(self) -> list[str]:
        """What was repaired or left out on single plans."""
        return [
            f"{run.name}/{result.page.document.name} page {result.page.page}: {note}"
            for run in self.runs
            for result in run.results
            for note in result.page.notes
        ]

    @property
    def claims(self) -> list[tuple[float, bool]]:
        """Every found room's confidence and whether it is right, over all sets."""
        return [claim for run in self.runs for score in run.scores for claim in score.claims]


def cost_of(seconds_s: list[float], peak_bytes: int) -> Cost:
    """The cost of plans that took so long each."""
    if not seconds_s:
        return Cost(None, None, peak_bytes)
    ordered = sorted(seconds_s)
    return Cost(ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))], peak_bytes)


def evaluate(
    pages: Iterable[LabelledPage],
    settings: Settings,
    *,
    jobs: int = 1,
    draw: bool = False,
    done: Callable[[Task, DocumentResult], None] = lambda _task, _result: None,
) -> Evaluation:
    """What the engine scores on the plans.

    Args:
        pages: labelled plans; those of one set follow each other.
        settings: the engine's; `threads` is what each process may use.
        jobs: how many plans are read at once, a process each; only the costs depend on it.
        draw: also draw every plan's rooms.
        done: told each document's result, in order.
    """
    pages = list(pages)
    order = {(page.document, page.page): place for place, page in enumerate(pages)}
    runs: list[SetRun] = []
    version: str | None = None
    for name, tasks in tasks_of(pages, settings, draw=draw).items():
        run = SetRun(name)
        runs.append(run)
        for task, result in _measured(tasks, jobs):  # fresh processes a set, so that its memory is its own
            run.results += result.results
            run.peak_bytes = max(run.peak_bytes, result.peak_bytes)
            version = version or result.model_version
            done(task, result)
        run.results.sort(key=lambda result: order[result.page.document, result.page.page])
    return _summed_up(runs, settings, version)


def tasks_of(pages: Iterable[LabelledPage], settings: Settings, *, draw: bool) -> dict[str, list[Task]]:
    """The documents of each set, in the order of their first labels."""
    sets: dict[str, dict[Path, list[LabelledPage]]] = defaultdict(lambda: defaultdict(list))
    for page in pages:
        sets[page.set_name][page.document].append(page)
    return {
        name: [
            Task(document, tuple(sorted(labelled, key=lambda page: page.page)), settings, draw)
            for document, labelled in documents.items()
        ]
        for name, documents in sets.items()
    }


def _summed_up(runs: list[SetRun], settings: Settings, version: str | None) -> Evaluation:
    scored = [run for run in runs if run.scores]
    random = np.random.default_rng(BOOTSTRAP_SEED)
    figures = {run.name: set_figures(run.scores, random) for run in scored}
    mean = mean_figures([run.scores for run in scored], np.random.default_rng(BOOTSTRAP_SEED)) if scored else None
    claims = [claim for run in scored for score in run.scores for claim in score.claims]
    return Evaluation(tuple(runs), figures, mean, calibration_error(claims), settings, version)


def _measured(tasks: list[Task], jobs: int) -> Iterator[tuple[Task, DocumentResult]]:
    """Every task's result, in the tasks' order; a process even for one at a time, as a plan may take it down."""
    pool = ProcessPoolExecutor(min(jobs, len(tasks)), mp_context=get_context("spawn"))
    try:
        futures = [_submit(pool, task) for task in tasks]
        for task, future in zip(tasks, futures, strict=True):
            yield task, settle(task, future)
    finally:
        pool.shutdown(cancel_futures=True)


def _submit(pool: ProcessPoolExecutor, task: Task) -> Future[DocumentResult]:
    try:
        return pool.submit(measure, task)
    except BrokenProcessPool as error:  # an earlier plan took a process down while others were still handed over
        broken: Future[DocumentResult] = Future()
        broken.set_exception(error)
        return broken


def settle(task: Task, future: Future[DocumentResult]) -> DocumentResult:
    """The future's result; a task whose process died, or stood beside one that did, gets a process to itself."""
    return settled(future, partial(measure, task)) or failed(task, _DIED)
