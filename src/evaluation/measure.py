"""One document through the engine, in a process of its own: what was found, how good it is and what it cost."""

from __future__ import annotations

import logging
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from detection.document import open_document
from detection.engine import PAGE_FAILED, detect
from detection.settings import Settings
from evaluation.drawing import draw_comparison
from evaluation.figures import Compared, PageScore, compare, score_page
from evaluation.truth import LabelledPage, Problem
from models.blueprint import MAX_FILE_BYTES, Blueprint, PageSelection, check_file_size
from models.floorplan import Floorplan, Page
from utils.errors import InvalidRequestError, ServiceError

_SIZE_TOLERANCE: Final = 0.01

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Task:
    """A document to be read, with the labels of its pages in the order of their numbers."""

    document: Path
    pages: tuple[LabelledPage, ...]
    settings: Settings
    draw: bool = False


@dataclass(frozen=True, slots=True)
class PageResult:
    """What became of a labelled page: a score, a problem, or both where a failure counts as nothing found.

    `seconds_s` is the wall time from the document's bytes to its floorplan, shared out among the pages read.
    """

    page: LabelledPage
    score: PageScore | None = None
    problem: Problem | None = None
    seconds_s: float | None = None
    picture: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class DocumentResult:
    """What became of a document.

    Attributes:
        results: one a labelled page.
        peak_bytes: the largest memory that the process has held so far.
        floorplan: what was found, as JSON; None after a failure.
        model_version: what found it.
    """

    results: tuple[PageResult, ...]
    peak_bytes: int = 0
    floorplan: str | None = field(default=None, repr=False)
    model_version: str | None = None


def measure(task: Task) -> DocumentResult:
    """What became of the document; never raises for what is wrong with a file."""
    start_s = time.perf_counter()
    try:
        blueprint = Blueprint.parse(_read(task.document))
        selection = PageSelection(tuple((page.page, page.page) for page in task.pages))
        floorplan = detect(blueprint, task.settings, pages=selection)
        text = floorplan.to_json()
    except InvalidRequestError as error:  # the labels ask for pages that are not there
        return DocumentResult(tuple(PageResult(page, problem=_problem(page, error.message)) for page in task.pages))
    except ServiceError as error:
        return failed(task, f"{error.message} ({error.code})")
    except OSError as error:
        return failed(task, f"{error.strerror or error}")
    except MemoryError:
        return failed(task, "there is not enough memory for it")
    except Exception as error:  # noqa: BLE001 - one plan that fails must not stop the rest
        return failed(task, f"unexpected {type(error).__name__}: {error}")
    seconds_s = (time.perf_counter() - start_s) / len(floorplan.pages)
    peak = peak_bytes()
    results = tuple(replace(_result(page, floorplan), seconds_s=seconds_s) for page in task.pages)
    if task.draw:
        results = _with_pictures(results, floorplan, blueprint)
    return DocumentResult(results, peak, text, floorplan.model_version)


def failed(task: Task, reason: str) -> DocumentResult:
    """The result of a document that the engine failed on: as if it had found nothing."""
    return DocumentResult(tuple(_nothing_found(page, reason) for page in task.pages), peak_bytes=peak_bytes())


def peak_bytes() -> int:
    """The largest memory that this process has held.

    Linux counts it per program in /proc; the count that other systems have too begins with what the parent held.
    """
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    unit_bytes = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit_bytes


def _read(document: Path) -> bytes:
    with document.open("rb") as stream:
        check_file_size(document.stat().st_size)
        return stream.read(MAX_FILE_BYTES + 1)


def _problem(page: LabelledPage, reason: str, *, counted: bool = False) -> Problem:
    return Problem(f"{page.set_name}/{page.document.name} page {page.page}", reason, counted)


def _nothing_found(page: LabelledPage, reason: str) -> PageResult:
    score = score_page(compare([], page), whole=page.kind != "obb")
    return PageResult(page, score, _problem(page, reason, counted=True))


def _result(page: LabelledPage, floorplan: Floorplan) -> PageResult:
    found = _page_of(floorplan, page)
    if found is None:
        return PageResult(page, problem=_problem(page, f"the document has no page {page.page}; mend it in the labels"))
    if found.message == PAGE_FAILED:
        return _nothing_found(page, found.message)
    misfit = _misfit(page, found)
    if misfit is not None:
        return PageResult(page, problem=_problem(page, misfit))
    return PageResult(page, score_page(compare(found.rooms, page), whole=page.kind != "obb"))


def _page_of(floorplan: Floorplan, page: LabelledPage) -> Page | None:
    return next((found for found in floorplan.pages if found.page == page.page), None)


def _misfit(page: LabelledPage, found: Page) -> str | None:
    """Why the labels cannot be of this page, by its size; None if they can."""
    if page.width is None or page.height is None:
        return None
    asked, seen = (page.width, page.height), (found.width, found.height)
    if _alike(asked, seen):
        return None
    turned = "; it looks turned, perhaps by its EXIF orientation" if _alike(asked, seen[::-1]) else ""
    return (
        f"the labels are for a page of {asked[0]:.0f} x {asked[1]:.0f}, but this one has "
        f"{seen[0]:.0f} x {seen[1]:.0f} {found.unit}{turned}; label this very file, or put back the one labelled"
    )


def _alike(a: Sequence[float], b: Sequence[float]) -> bool:
    return all(abs(p - q) <= _SIZE_TOLERANCE * q + 1 for p, q in zip(a, b, strict=True))


def _with_pictures(
    results: tuple[PageResult, ...], floorplan: Floorplan, blueprint: Blueprint
) -> tuple[PageResult, ...]:
    """The results with each page's rooms drawn over its picture; the clock of the figures stands by now."""
    drawn: dict[int, bytes] = {}
    wanted = {result.page.page: result.page for result in results if result.score is not None}
    if not wanted:
        return results
    try:
        with open_document(blueprint, PageSelection(tuple((number, number) for number in wanted))) as document:
            for sheet in document.pages():
                found = _page_of(floorplan, wanted[sheet.number])
                compared: Compared = compare(found.rooms if found is not None else [], wanted[sheet.number])
                drawn[sheet.number] = draw_comparison(sheet, compared)
    except Exception:  # noqa: BLE001 - a plan without a picture has its figures all the same
        _log.exception("A plan's rooms could not be drawn.", extra={"action": "drawing_failed"})
    return tuple(replace(result, picture=drawn.get(result.page.page)) for result in results)
