"""`location-detection evaluate`: how well the engine does on labelled plans, as tables, JSON and a page to look at."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from cli.plan import write_whole

if TYPE_CHECKING:
    from detection.settings import Settings
    from evaluation.collect import Collection
    from evaluation.measure import DocumentResult, Task
    from evaluation.run import Evaluation
    from evaluation.truth import LabelledPage
    from models.blueprint import PageSelection

_MOST_NOTES = 20
_WIDE_COLUMNS = 160  # where no terminal says how wide it is


def evaluate(
    plans: Annotated[
        Path,
        typer.Argument(metavar="PLANS_DIR", exists=True, file_okay=False, help="A folder of plans with labels."),
    ],
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", dir_okay=False, help="Write every figure here.")
    ] = None,
    html_file: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", dir_okay=False, help="Write one page with a picture a plan here."),
    ] = None,
    reliability: Annotated[
        Path | None,
        typer.Option(metavar="FILE.svg", dir_okay=False, help="Draw here how often rooms of a confidence are right."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", file_okay=False, help="Write what was found as DIR/<set>/<stem>.json."),
    ] = None,
    sets: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME", help="Only this set; may be repeated.")
    ] = None,
    limit: Annotated[int | None, typer.Option(metavar="N", min=1, help="At most N plans a set, evenly spread.")] = None,
    pages: Annotated[str | None, typer.Option(metavar="1-3,7", help="Only plans on these pages.")] = None,
    jobs: Annotated[int, typer.Option(metavar="N", min=1, max=64, help="How many plans at once, a process each.")] = 1,
    engine: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="One of the engine's settings, such as threads=2; may be repeated."),
    ] = None,
) -> None:
    """Measure the engine on labelled plans.

    Labels are JSON files in our own format, COCO's or labelme's, beside their pictures or in folders of their own; what
    lies in a folder below PLANS_DIR is a set with figures of its own. docs/evaluate.md says what the figures mean. A
    plan that cannot be measured does not stop the rest; it is listed at the end, and the exit code is then 1.
    """
    selection = _page_selection(pages)
    settings = _settings(engine or [], jobs)
    for file in (json_file, html_file, reliability):
        if file is not None and not file.resolve().parent.is_dir():
            raise typer.BadParameter(f"there is no folder {file.parent} to write {file.name} into")
    # Imported late: the engine takes a while, and wrong usage does not need it.
    from evaluation.collect import collect, selected

    collection = collect(plans)
    _check_sets(sets, collection)
    wanted = selected(collection.pages, selection, limit, sets)
    if not wanted:
        _say_problems(collection, None)
        typer.echo(_nothing(plans, collection), err=True)
        raise typer.Exit(1)
    evaluation = _run(wanted, settings, jobs=jobs, draw=html_file is not None, out=out)
    _print_tables(evaluation)
    _say_problems(collection, evaluation)
    if json_file is not None:
        _write_json(json_file, evaluation, collection)
    if html_file is not None:
        _write_html(html_file, evaluation, collection, title=plans.resolve().name)
    if reliability is not None:
        _write_reliability(reliability, evaluation)
    if collection.problems or evaluation.problems:
        raise typer.Exit(1)


def _page_selection(pages: str | None) -> PageSelection:
    from models.blueprint import PageSelection

    try:
        return PageSelection.parse(pages)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--pages") from None


def _check_sets(sets: list[str] | None, collection: Collection) -> None:
    known = sorted({page.set_name for page in collection.pages})
    for name in sets or []:
        if name not in known:
            listed = ", ".join(_shown(each) for each in known) or "none"
            raise typer.BadParameter(f"there is no set {name!r}; there are: {listed}", param_hint="--set")


def _settings(given: list[str], jobs: int) -> Settings:
    """The engine's settings with those given by name; every process has its share of the CPUs unless told."""
    from detection.settings import Settings

    types = get_type_hints(Settings)
    values: dict[str, Any] = {"threads": min(64, max(1, (os.cpu_count() or 1) // jobs))}
    for pair in given:
        name, equals, text = pair.partition("=")
        if not equals or name not in types:
            raise typer.BadParameter(f"{pair!r} is not NAME=VALUE with NAME one of {', '.join(types)}")
        try:
            values[name] = _value(text, types[name])
        except ValueError:
            raise typer.BadParameter(f"{name} is a setting of type {types[name].__name__}, not {text!r}") from None
    try:
        return Settings(**values)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--engine") from None


def _value(text: str, kind: Any) -> Any:
    if kind is bool:
        known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
        if text.casefold() not in known:
            raise ValueError(text)
        return known[text.casefold()]
    return kind(text)


def _nothing(plans: Path, collection: Collection) -> str:
    if collection.pages:
        return "error: none of the plans is on the pages asked for"
    if collection.problems:
        return "error: not one plan can be used; see above"
    return (
        f"error: there are no labelled plans in {_shown(str(plans))}: it takes pictures or PDFs, and JSON labels of "
        "them in our own format (<stem>.rooms.json), COCO's or labelme's"
    )


def _run(wanted: list[LabelledPage], settings: Settings, *, jobs: int, draw: bool, out: Path | None) -> Evaluation:
    from evaluation.run import evaluate as run

    writer = _Predictions(out)
    with _progress(len({(page.set_name, page.document) for page in wanted})) as advance:

        def done(task: Task, result: DocumentResult) -> None:
            writer.write(task, result)
            advance(f"{task.pages[0].set_name}/{task.document.name}")

        return run(wanted, settings, jobs=jobs, draw=draw, done=done)


class _Predictions:
    """Writes what was found below a folder, if one was given; a document that failed leaves nothing there."""

    def __init__(self, out: Path | None) -> None:
        self._out = out
        self._names: dict[Path, Path] = {}

    def write(self, task: Task, result: DocumentResult) -> None:
        if self._out is None:
            return
        folder = self._out / task.pages[0].set_name
        target = folder / f"{task.document.stem}.json"
        if self._names.setdefault(target, task.document) != task.document:  # a.png beside a.pdf
            target = folder / f"{task.document.name}.json"
        if result.floorplan is None:
            target.unlink(missing_ok=True)
            return
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(target, result.floorplan.encode() + b"\n")


@contextmanager
def _progress(total: int) -> Iterator[Callable[[str], None]]:
    """A way to say that a plan is done: a bar when a terminal looks on, nothing otherwise."""
    if not sys.stderr.isatty():
        yield lambda _name: None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        work = bar.add_task("evaluate", total=total)
        yield lambda name: bar.update(work, advance=1, description=escape(_shown(name)[:50]))


def _print_tables(evaluation: Evaluation) -> None:
    from rich.console import Console

    from cli.tables import accuracy_table, quality_table

    terminal = sys.stdout.isatty()
    console = Console(width=None if terminal else _WIDE_COLUMNS, highlight=False)
    console.print(accuracy_table(evaluation))
    console.print(quality_table(evaluation))


def _say_problems(collection: Collection, evaluation: Evaluation | None) -> None:
    """What was left out and what failed, on stderr."""
    notes = [*collection.notes, *(evaluation.notes if evaluation is not None else ())]
    for note in notes[:_MOST_NOTES]:
        typer.echo(f"note: {_shown(note)}", err=True)
    if len(notes) > _MOST_NOTES:
        typer.echo(f"note: and {len(notes) - _MOST_NOTES} more; --json and --html list them all", err=True)
    for problem in (*collection.problems, *(evaluation.problems if evaluation is not None else ())):
        counted = " (counts as nothing found)" if problem.counted else ""
        typer.echo(f"failed: {_shown(f'{problem.where}: {problem.reason}')}{counted}", err=True)


def _write_json(file: Path, evaluation: Evaluation, collection: Collection) -> None:
    from evaluation.record import to_record

    write_whole(file, json.dumps(to_record(evaluation, collection), indent=1).encode() + b"\n")


def _write_html(file: Path, evaluation: Evaluation, collection: Collection, *, title: str) -> None:
    from evaluation.report import to_html

    write_whole(file, to_html(evaluation, collection, title=title, made=datetime.now(UTC)))


def _write_reliability(file: Path, evaluation: Evaluation) -> None:
    from evaluation.picture import to_svg

    write_whole(file, to_svg(evaluation.claims))


def _shown(text: str) -> str:
    from evaluation.report import shown

    return shown(text)
