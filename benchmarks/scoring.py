"""What the benchmarks that change the plans or the engine share: labelled plans, scored by the plans' own scorer.

A plan's *row* is what `score.py` says of it: rooms found, true and matched at each level, split and merged.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
for _folder in (ROOT, ROOT / "src"):
    if str(_folder) not in sys.path:
        sys.path.insert(0, str(_folder))

from benchmarks.accuracy import plans_of  # noqa: E402 - after the path that it is found on

Row = dict[str, Any]
ROUNDS = 1000


@dataclass(frozen=True)
class Plan:
    """A labelled plan's file and what is true of its one page."""

    file: Path
    truth: dict[str, Any]

    @property
    def stem(self) -> str:
        """The file's name without its ending."""
        return self.file.stem


def load_scorer(plans: Path) -> ModuleType:
    """The module of the plans' own scorer, which lies beside them."""
    spec = importlib.util.spec_from_file_location("score", plans.parent / "score.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def labelled(folder: Path, *, every: int = 1, only: list[str] | None = None) -> list[Plan]:
    """Every so many plans of a set, sorted by name, a plan once for each of its labelled pages."""
    truths: dict[str, list[dict[str, Any]]] = {}
    for file in sorted(folder.glob("*.rooms.json")):
        truth = json.loads(file.read_text())
        truths.setdefault(Path(truth["source"]).stem, []).append(truth)
    files = plans_of(folder, only, None)[::every]
    return [Plan(file, truth) for file in files for truth in truths[file.stem]]


def row_of(scorer: ModuleType, truth: dict[str, Any], true_rooms: list[Any], text: str) -> Row:
    """What the scorer says of a floorplan's JSON text; an empty text found nothing."""
    pages = json.loads(text)["pages"] if text else []
    rooms = [room for page in pages if page["page"] == truth["page"] for room in page["rooms"]]
    row: Row = scorer.score_plan(scorer.shapes(rooms, truth["kind"]), scorer.shapes(true_rooms, truth["kind"]))
    return row


def f50(rows: Sequence[Row]) -> float:
    """F1 over all rooms of the plans at an intersection over union of 0.5."""
    return f1(rows, 0)


def f1(rows: Sequence[Row], level: int) -> float:
    """F1 over all rooms of the plans at one of the scorer's levels."""
    return float(2 * sum(row["hits"][level] for row in rows) / max(1, sum(row["found"] + row["true"] for row in rows)))


def figures(rows: Sequence[Row]) -> dict[str, Any]:
    """What every table of rows begins with: F1 at each level, rooms split and merged."""
    levels = {f"F{percent}": round(f1(rows, level), 4) for level, percent in enumerate((50, 70, 85))}
    return levels | {name: sum(row[name] for row in rows) for name in ("split", "merged")}


def change(before: Sequence[Row], after: Sequence[Row]) -> tuple[float, float, float]:
    """By how much F50 changes, and the bounds of 95 % of the changes of resampled plans; both sides in one order."""
    random = np.random.default_rng(0)
    counts = [np.array([[row["hits"][0], row["found"] + row["true"]] for row in rows]) for rows in (before, after)]
    drawn = []
    for _ in range(ROUNDS):
        picked = random.integers(0, len(before), len(before))
        one, other = (2 * part[picked, 0].sum() / max(1, part[picked, 1].sum()) for part in counts)
        drawn.append(other - one)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return f50(after) - f50(before), float(low), float(high)
