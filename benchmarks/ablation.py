"""Measures what each part of the engine brings: the same plans without it, in points of F50 and in milliseconds.

    python benchmarks/ablation.py [--set r3d ...] [--every N] [--part NAME ...] [--jobs 1|2] [--no-save]

A part is switched off by a setting where there is one, else by putting something that does nothing in its place, in the
process that measures and nowhere else. *Brings* is F50 with the part less F50 without it, in points (hundredths), with
the bounds of 95 % over resampled plans; times are the processor's, which depend less on what else the machine does,
with the part less without it, the mean over the plans. Runs of whole sets are kept in benchmarks/results/ablation.json.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.accuracy import DEFAULT_PLANS, RESULTS, machine, prepare  # noqa: E402 - after the path
from benchmarks.scoring import Plan, Row, change, f1, figures, labelled, load_scorer, row_of  # noqa: E402

from detection.engine import detect  # noqa: E402
from detection.settings import Settings  # noqa: E402
from models.blueprint import Blueprint  # noqa: E402

RESULT = RESULTS / "ablation.json"
WHOLE = "whole"
Make = Callable[[Any], Any]


@dataclass(frozen=True)
class Part:
    """A part of the engine and how to do without it.

    Attributes:
        reads: which plans it works on: pictures, drawn pages or both.
        settings: settings that switch it off.
        patches: `module:name` or `module:Class.name`, and what to make of what is there.
    """

    reads: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    patches: Mapping[str, Make] = field(default_factory=dict)


def constant(value: Any) -> Make:
    """The value itself in the place of what was there."""
    return lambda _was: value


def result(change_it: Callable[[Any], Any]) -> Make:
    """What the function gives, changed."""
    return lambda was: lambda *args, **named: change_it(was(*args, **named))


def unseen(name: str) -> Make:
    """The network's evidence as if it had seen none of one kind; what it saw counts as room."""

    def blinded(evidence: Any) -> Any:
        share = getattr(evidence, name)
        return replace(evidence, **{name: np.zeros_like(share), "room": evidence.room + share})

    return result(blinded)


def uncut(mask: Any, *_: Any) -> Any:
    """What is connected as one piece."""
    return cv2.connectedComponents(mask, connectivity=4)[1]


def none_of(openings: Any) -> Any:
    """No opening."""
    return openings.only(np.zeros(len(openings.kind), bool))


def without_faces(find_outlines: Any) -> Any:
    """Outlines that know nothing of the page's own wall faces."""
    return lambda regions, *args: find_outlines(replace(regions, faces=np.zeros((0, 4))), *args)


PARTS = {
    "network": Part("pictures", settings={"network": False}),
    "openings seen": Part("pictures", patches={"detection.network:see": unseen("opening")}),
    "windows seen": Part("pictures", patches={"detection.network:see": unseen("window")}),
    "cuts by depth": Part("pictures", patches={"detection.raster_seen:_pieces": constant(uncut)}),
    "own lines": Part("drawn", patches={"detection.vector:find_regions": constant(lambda *_: None)}),
    "picture seen, too": Part("drawn", patches={"detection.merging:_DOUBTFUL": constant(0.0)}),
    "gaps shut": Part("drawn", patches={"detection.vector:OpeningSearch.run": result(none_of)}),
    "door arcs shut": Part("drawn", patches={"detection.vector:door_openings": result(none_of)}),
    "divided by names": Part("drawn", patches={"detection.vector:_divide": constant(lambda areas, *_: areas)}),
    "plans told from sheets": Part(
        "drawn",
        patches={
            "detection.vector_strokes:of_plans": result(np.ones_like),
            "detection.vector:in_plans": result(np.ones_like),
        },
    ),
    "wall faces": Part("drawn", patches={"detection.merging:find_outlines": without_faces}),
    "straight walls": Part("both", patches={"detection.polygons:straightened": constant(lambda *_: None)}),
    "unlikely left out": Part("both", patches={"detection.merging:_LEAST_CHANCE": constant(0.0)}),
}


def holder_of(target: str) -> tuple[Any, str]:
    """The module or class that holds what a patch names, and its name there.

    Raises:
        AttributeError: there is no such thing any more, so that the part has to be named anew.
    """
    module, _, path = target.partition(":")
    *classes, name = path.split(".")
    holder: Any = importlib.import_module(module)
    for each in classes:
        holder = getattr(holder, each)
    if not hasattr(holder, name):
        raise AttributeError(f"{target} is no more: say anew in benchmarks/ablation.py how to do without it")
    return holder, name


@contextmanager
def without(name: str) -> Iterator[dict[str, Any]]:
    """Within it the engine lacks the part; gives the settings that belong to that."""
    if name == WHOLE:
        yield {}
        return
    part = PARTS[name]
    with ExitStack() as stack:
        for target, make in part.patches.items():
            holder, attribute = holder_of(target)
            stack.enter_context(mock.patch.object(holder, attribute, make(getattr(holder, attribute))))
        yield dict(part.settings)


def concerned(name: str, file: Path) -> bool:
    """Whether the part has to do with such a plan."""
    return name == WHOLE or PARTS[name].reads in ("both", "drawn" if file.suffix == ".pdf" else "pictures")


def main() -> int:
    """Measure, print, keep; 1 if the engine failed on a plan."""
    args = parse_args()
    kept: dict[str, Any] = {}
    failed = 0
    for name in args.sets:
        plans = labelled(args.plans / name, every=args.every)
        if not plans:
            print(f"no plans of {name} under {args.plans}", file=sys.stderr)
            continue
        table = summary(measure(plans, args))
        show(name, table)
        failed += sum(row["failed"] for row in table.values())
        kept[name] = {"date": datetime.now(UTC).date().isoformat(), "plans": len(plans), "parts": table}
    if kept and not (args.no_save or args.every > 1 or len(args.parts) < len(PARTS)):
        known = json.loads(RESULT.read_text()) if RESULT.exists() else {"sets": {}}
        known["machine"] = machine()
        known["sets"].update(kept)
        RESULT.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
        print(f"kept in {RESULT.relative_to(ROOT)}")
    return 1 if failed or not kept else 0


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plans", type=Path, default=DEFAULT_PLANS)
    parser.add_argument("--set", dest="sets", nargs="+", help="by default every set")
    parser.add_argument("--every", type=int, default=1, help="every so many plans of a set")
    parser.add_argument("--part", dest="parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--jobs", type=int, choices=(1, 2), default=1)
    parser.add_argument("--no-save", action="store_true")
    args = parser.parse_args()
    if not args.plans.is_dir():
        parser.error(f"there are no plans at {args.plans}; name their folder with --plans")
    args.sets = args.sets or sorted(folder.name for folder in args.plans.iterdir() if folder.is_dir())
    return args


def measure(plans: list[Plan], args: argparse.Namespace) -> list[dict[str, Row]]:
    """Every plan's rows by the part that the engine did without."""
    work = partial(measure_plan, parts=[WHOLE, *args.parts], scorer_of=args.plans, threads=2 // args.jobs)
    with ProcessPoolExecutor(args.jobs, mp_context=get_context("spawn"), initializer=warm_up) as pool:
        return list(pool.map(work, plans))


def warm_up() -> None:
    """Let a process load what its first plan would otherwise pay for."""
    prepare(1)
    picture = np.full((300, 400, 3), 255, np.uint8)
    cv2.rectangle(picture, (50, 50), (350, 250), (0, 0, 0), 8)
    detect(Blueprint.parse(cv2.imencode(".png", picture)[1].tobytes()), Settings(threads=1))


def measure_plan(plan: Plan, *, parts: list[str], scorer_of: Path, threads: int) -> dict[str, Row]:
    """One plan's rows by the part left out, with milliseconds of the processor; runs in a child process."""
    scorer, data = load_scorer(scorer_of), plan.file.read_bytes()
    rows: dict[str, Row] = {}
    for name in (part for part in parts if concerned(part, plan.file)):
        with without(name) as settings:
            text, failed, began_s = "", False, time.process_time()
            try:
                text = detect(Blueprint.parse(data), Settings(threads=threads, **settings)).to_json()
            except Exception as error:  # noqa: BLE001 - a plan that fails is a figure too, and the rest goes on
                failed = True
                print(f"failed  {plan.stem} without {name}: {type(error).__name__}: {error}", file=sys.stderr)
            spent_ms = 1000 * (time.process_time() - began_s)
        rows[name] = {**row_of(scorer, plan.truth, plan.truth["rooms"], text), "ms": spent_ms, "failed": failed}
    return rows


def summary(plans: list[dict[str, Row]]) -> dict[str, dict[str, Any]]:
    """What the engine reaches without each part, and what the part brings and takes."""
    table = {}
    for name in [WHOLE, *PARTS]:
        with_it = [rows[WHOLE] for rows in plans if name in rows]
        own = [rows[name] for rows in plans if name in rows]
        if not own:
            continue
        gain, low, high = change(own, with_it)
        mean_ms = [float(np.mean([row["ms"] for row in side])) for side in (with_it, own)]
        table[name] = {
            **figures(own),
            "processor_ms": round(mean_ms[1], 1),
            "brings_points": round(100 * gain, 2),
            "brings_low": round(100 * low, 2),
            "brings_high": round(100 * high, 2),
            "brings_F85_points": round(100 * (f1(with_it, 2) - f1(own, 2)), 2),
            "takes_ms": round(mean_ms[0] - mean_ms[1], 1),
            "failed": sum(row["failed"] for row in own),
        }
    return table


def show(set_name: str, table: dict[str, dict[str, Any]]) -> None:
    """The set's figures: the first line is the whole engine, each other what it is without a part."""
    print(
        f"{set_name + ', without':26}{'F50':>7}{'F70':>7}{'F85':>7}{'split':>7}{'merged':>8}{'ms':>8}"
        f"{'brings':>9}{'[95 %]':>16}{'in F85':>8}{'takes ms':>10}"
    )
    for name, row in table.items():
        bounds = f"[{row['brings_low']:.1f} {row['brings_high']:.1f}]"
        print(
            f"{'- (' + WHOLE + ')' if name == WHOLE else name:26}{row['F50']:7.3f}{row['F70']:7.3f}{row['F85']:7.3f}"
            f"{row['split']:7}{row['merged']:8}{row['processor_ms']:8.0f}{row['brings_points']:9.2f}{bounds:>16}"
            f"{row['brings_F85_points']:8.2f}{row['takes_ms']:10.0f}"
        )


if __name__ == "__main__":
    sys.exit(main())
