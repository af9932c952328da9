"""Measures what rotation, scale, compression and wear cost: the same plans changed, their true rooms changed alike.

    python benchmarks/robustness.py [--set r3d ...] [--every N] [--only STEM ...] [--change NAME ...] [--jobs 1|2]
                                    [--worst N] [--no-save]

Pictures only. Each plan is decoded as the engine does it, changed, written as PNG (as JPEG where that is the change)
and read by the engine; rooms are scored by the plans' own scorer. *Loss* is how many points of F50 (hundredths) a set
loses against the same plans as they are; beside it the bounds of 95 % of the losses of resampled plans.
A run of a whole set with every change is kept in benchmarks/results/robustness.json. The exit status is 1 where a loss
is above its bar, or a plan failed.
"""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.accuracy import DEFAULT_PLANS, RESULTS, find_with_engine, machine, prepare  # noqa: E402
from benchmarks.scoring import Plan, Row, change, figures, labelled, load_scorer, row_of  # noqa: E402

from detection.document import open_document  # noqa: E402
from models.blueprint import Blueprint, PageSelection  # noqa: E402

RESULT = RESULTS / "robustness.json"
PICTURES = (".png", ".jpg", ".jpeg")
Image = NDArray[np.uint8]
Matrix = NDArray[np.float64]  # 2 x 3, from the page's coordinates to those of the changed one
Changed = tuple[Image, Matrix]
_SKEW_DEG = 1.5
_NOISE = 8.0


@dataclass(frozen=True)
class Change:
    """A way to change a picture: None leaves even its bytes as they are; with the most points of F50 it may cost."""

    apply: Callable[[Image, int], Changed] | None
    bar: float | None = None
    quality: int | None = None


def turned(image: Image, _seed: int, *, quarters: int) -> Changed:
    """Turned clockwise by so many quarters."""
    height, width = image.shape[:2]
    matrices = {
        1: [[0, -1, height], [1, 0, 0]],
        2: [[-1, 0, width], [0, -1, height]],
        3: [[0, 1, 0], [-1, 0, width]],
    }
    return np.ascontiguousarray(np.rot90(image, -quarters)), np.array(matrices[quarters], np.float64)


def scaled(image: Image, _seed: int, *, factor: float) -> Changed:
    """Enlarged by a cubic filter, or made smaller by the mean of what falls into a pixel."""
    height, width = image.shape[:2]
    size = max(1, round(width * factor)), max(1, round(height * factor))
    made = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC if factor > 1 else cv2.INTER_AREA)
    return np.asarray(made, np.uint8), np.array([[size[0] / width, 0, 0], [0, size[1] / height, 0]])


def skewed(image: Image, _seed: int) -> Changed:
    """Laid on white paper a little askew, whole."""
    height, width = image.shape[:2]
    cos, sin = np.cos(np.radians(_SKEW_DEG)), np.sin(np.radians(_SKEW_DEG))
    wide, high = int(np.ceil(width * cos + height * sin)), int(np.ceil(width * sin + height * cos))
    turn = np.array([[cos, -sin], [sin, cos]])
    shift = np.array([wide, high]) / 2 - turn @ (np.array([width, height]) / 2)
    # A pixel's middle has whole numbers in OpenCV, its corner has them on the page.
    moved = shift + turn @ np.array([0.5, 0.5]) - 0.5
    made = cv2.warpAffine(
        image, np.column_stack([turn, moved]), (wide, high), flags=cv2.INTER_CUBIC, borderValue=(255, 255, 255)
    )
    return np.asarray(made, np.uint8), np.column_stack([turn, shift])


def noisy(image: Image, seed: int) -> Changed:
    """Grey, with the noise of a cheap camera."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) if image.ndim == 3 else image
    noise = np.random.default_rng(seed).normal(0, _NOISE, grey.shape)
    return np.asarray(np.clip(grey + noise, 0, 255), np.uint8), unmoved()


def same(image: Image, _seed: int) -> Changed:
    """As it is."""
    return image, unmoved()


def unmoved() -> Matrix:
    """The matrix that leaves every point where it is."""
    return np.array([[1.0, 0, 0], [0, 1, 0]])


CHANGES = {
    "plain": Change(None),
    "90": Change(partial(turned, quarters=1), bar=3),
    "180": Change(partial(turned, quarters=2)),
    "270": Change(partial(turned, quarters=3)),
    "x2": Change(partial(scaled, factor=2), bar=3),
    "x0.5": Change(partial(scaled, factor=0.5), bar=10),
    "jpeg70": Change(same, bar=3, quality=70),
    "skew1.5": Change(skewed),
    "noise": Change(noisy),
}


def main() -> int:
    """Measure, print, keep."""
    args = parse_args()
    failed, missed, kept = [], [], {}
    for name in args.sets:
        plans = [p for p in labelled(args.plans / name, every=args.every, only=args.only) if p.file.suffix in PICTURES]
        if not plans:
            print(f"no pictures of {name} under {args.plans}", file=sys.stderr)
            continue
        rows = measure(plans, args)
        failed += [f"{name}/{p.stem}, {key}: {r['error']}" for p, of in rows for key, r in of.items() if r["error"]]
        table = summary([of for _, of in rows], args.changes)
        show(name, table)
        for key in args.changes:
            name_worst(rows, key, args.worst)
        missed += [
            f"{name}, {key}" for key, row in table.items() if row["bar"] is not None and row["loss"] > row["bar"]
        ]
        kept[name] = {"date": datetime.now(UTC).date().isoformat(), "plans": len(plans), "changes": table}
    for line in failed:
        print(f"failed  {line}")
    print(f"above the bar: {', '.join(missed) or 'nothing'}")
    if kept and not (args.no_save or args.only or args.every > 1 or len(args.changes) < len(CHANGES)):
        save(kept)
    return 1 if failed or missed or not kept else 0


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plans", type=Path, default=DEFAULT_PLANS)
    parser.add_argument("--set", dest="sets", nargs="+", default=["r3d"])
    parser.add_argument("--only", nargs="+", metavar="STEM", help="only these plans")
    parser.add_argument("--every", type=int, default=1, help="every so many plans of a set")
    parser.add_argument("--change", dest="changes", nargs="+", choices=CHANGES, default=list(CHANGES))
    parser.add_argument("--jobs", type=int, choices=(1, 2), default=1)
    parser.add_argument("--worst", type=int, default=0, help="name the N plans that lose most by each change")
    parser.add_argument("--no-save", action="store_true")
    args = parser.parse_args()
    if not args.plans.is_dir():
        parser.error(f"there are no plans at {args.plans}; name their folder with --plans")
    if "plain" not in args.changes:
        args.changes.insert(0, "plain")
    return args


def measure(plans: list[Plan], args: argparse.Namespace) -> list[tuple[Plan, dict[str, Row]]]:
    """The rows of every plan, change by change."""
    work = partial(measure_plan, names=args.changes, scorer_of=args.plans, threads=2 // args.jobs)
    with ProcessPoolExecutor(args.jobs, mp_context=get_context("spawn")) as pool:
        return [(plan, rows) for plan, rows in zip(plans, progress(pool.map(work, plans), len(plans)), strict=True)]


def progress(results: Iterator[Any], count: int) -> Iterator[Any]:
    """The results; a terminal is told how many there are."""
    for number, result in enumerate(results, start=1):
        if sys.stderr.isatty():
            print(f"\r{number}/{count}", end="" if number < count else "\n", file=sys.stderr, flush=True)
        yield result


def measure_plan(plan: Plan, *, names: list[str], scorer_of: Path, threads: int) -> dict[str, Row]:
    """One plan's rows by the name of the change; runs in a child process."""
    prepare(threads)
    scorer = load_scorer(scorer_of)
    data = plan.file.read_bytes()
    rows = {}
    for name in names:
        changed, matrix = changed_bytes(data, CHANGES[name], zlib.crc32(plan.stem.encode()))
        text, error = "", None
        try:
            text = find_with_engine(changed, threads, None)
        except Exception as cause:  # noqa: BLE001 - a plan that fails is a figure too, and the rest goes on
            error = f"{type(cause).__name__}: {cause}"
        true = [moved(room, matrix) for room in plan.truth["rooms"]]
        rows[name] = {**row_of(scorer, plan.truth, true, text), "error": error}
    return rows


def changed_bytes(data: bytes, how: Change, seed: int) -> tuple[bytes, Matrix]:
    """The changed plan as a file, and where its points went."""
    if how.apply is None:
        return data, unmoved()
    with open_document(Blueprint.parse(data), PageSelection()) as document:
        image = next(iter(document.pages())).raster(1.0)
    made, matrix = how.apply(np.asarray(image, np.uint8), seed)
    suffix, options = (".png", []) if how.quality is None else (".jpg", [cv2.IMWRITE_JPEG_QUALITY, how.quality])
    whole, encoded = cv2.imencode(suffix, made, options)
    assert whole
    return encoded.tobytes(), matrix


def moved(room: dict[str, Any], matrix: Matrix) -> dict[str, Any]:
    """The true room where the change put it."""
    rings = [room["polygon"], *(room.get("holes") or [])]
    shell, *holes = [(np.asarray(ring, np.float64) @ matrix[:, :2].T + matrix[:, 2]).tolist() for ring in rings]
    return {"polygon": shell, "holes": holes}


def summary(rows: list[dict[str, Row]], names: list[str]) -> dict[str, dict[str, Any]]:
    """What each change gives and costs over all plans, losses in points."""
    plain = [of["plain"] for of in rows]
    table = {}
    for name in names:
        own = [of[name] for of in rows]
        gain, low, high = change(plain, own)
        table[name] = {
            **figures(own),
            "found": sum(row["found"] for row in own),
            "true": sum(row["true"] for row in own),
            "loss": round(-100 * gain, 2),
            "loss_low": round(-100 * high, 2),
            "loss_high": round(-100 * low, 2),
            "bar": CHANGES[name].bar,
        }
    return table


def show(set_name: str, table: dict[str, dict[str, Any]]) -> None:
    """The set's figures, a line a change."""
    print(
        f"{set_name:12}{'F50':>7}{'F70':>7}{'F85':>7}{'found':>7}{'true':>7}{'split':>7}{'merged':>8}{'loss':>8}"
        f"{'[95 %]':>16}{'bar':>6}"
    )
    for name, row in table.items():
        bounds = f"[{row['loss_low']:.1f} {row['loss_high']:.1f}]"
        print(
            f"{name:12}{row['F50']:7.3f}{row['F70']:7.3f}{row['F85']:7.3f}{row['found']:7}{row['true']:7}"
            f"{row['split']:7}{row['merged']:8}{row['loss']:8.2f}{bounds:>16}{row['bar'] or '-':>6}"
        )


def name_worst(rows: list[tuple[Plan, dict[str, Row]]], name: str, count: int) -> None:
    """The plans on which the change loses most rooms."""
    if name == "plain":
        return
    lost = sorted(rows, key=lambda item: item[1][name]["hits"][0] - item[1]["plain"]["hits"][0])
    for plan, of in lost[:count]:
        before, after = of["plain"], of[name]
        if after["hits"][0] < before["hits"][0]:
            print(
                f"    {name}: {plan.stem} true {before['true']} hit {before['hits'][0]} -> {after['hits'][0]}, "
                f"found {before['found']} -> {after['found']}"
            )


def save(kept: dict[str, Any]) -> None:
    """Keep the sets' figures beside those of earlier runs of other sets."""
    known = json.loads(RESULT.read_text()) if RESULT.exists() else {"sets": {}}
    known["machine"] = machine()
    known["sets"].update(kept)
    RESULT.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    print(f"kept in {RESULT.relative_to(ROOT)}")


if __name__ == "__main__":
    sys.exit(main())
