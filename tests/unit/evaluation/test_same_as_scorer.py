"""The figures are those of the plans' own scorer, on any rooms and on what the engine finds."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.evaluation.labelled import EVAL, ROOT, found_room, labelled_page, unhurried
from typer.testing import CliRunner

from cli.main import app
from evaluation.drafts import drawn_room
from evaluation.figures import LEVELS, compare, score_page, set_figures
from evaluation.geometry import KINDS
from evaluation.truth import TrueRoom

# Few whole numbers, so that equal IoUs, shared edges, figures of eight and outlines without area are common.
points = st.tuples(st.integers(0, 12), st.integers(0, 12))
rings = st.lists(points, min_size=3, max_size=7)
sides = st.lists(rings, max_size=6)
NAMES = {"F50": 0, "F70": 1, "F85": 2}
PLANS = {"r3d": 2, "cubicasa": 1, "navpal": 1, "bim": 2}


@pytest.mark.slow
@settings(unhurried, max_examples=100)
@given(st.sampled_from(KINDS), st.lists(st.tuples(sides, sides), min_size=1, max_size=4))
def test_any_rooms_score_the_same(scorer: ModuleType, kind: Any, pages: list[tuple[Any, Any]]) -> None:
    theirs, ours = [], []
    for found, true in pages:
        sides_of_scorer = [scorer.shapes([{"polygon": ring} for ring in side], kind) for side in (found, true)]
        theirs.append(scorer.score_plan(*sides_of_scorer))
        shapes = [drawn_room([list(point) for point in ring]).shape for ring in true]
        page = labelled_page([TrueRoom(shape) for shape in shapes if shape is not None], kind=kind)
        ours.append(score_page(compare([found_room(ring) for ring in found], page), whole=kind != "obb"))
    for row, score in zip(theirs, ours, strict=True):
        assert (score.found, score.true, list(score.hits)) == (row["found"], row["true"], row["hits"])
        assert (score.iou_sum, score.split, score.merged) == (pytest.approx(row["iou"]), row["split"], row["merged"])
    whole = scorer.summary(theirs, np.random.default_rng(5))
    figures = set_figures(ours, np.random.default_rng(5))
    assert [whole[name] for name in NAMES] == list(figures.f1)
    assert (whole["P50"], whole["R50"]) == (figures.precision, figures.recall)
    assert (whole["low"], whole["high"]) == (figures.low, figures.high)
    assert whole["mIoU"] == pytest.approx(figures.mean_iou)


def both(plans: Path, out: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What `evaluate` and the scorer say of the same predictions."""
    record = out / "ours.json"
    done = CliRunner().invoke(app, ["evaluate", str(plans), "--json", str(record), "--out", str(out / "found")])
    assert done.exit_code == 0, done.output
    scored = out / "theirs.json"
    command = [sys.executable, str(EVAL / "score.py"), str(out / "found"), "--plans", str(plans), "--json", str(scored)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return json.loads(record.read_text()), json.loads(scored.read_text())


def assert_same(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    mean = theirs.pop("mean")
    assert list(ours["sets"]) == list(theirs)
    for name, row in theirs.items():
        figures = ours["sets"][name]
        for key in ("plans", "true", "found", "split", "merged"):
            assert figures[key] == row[key], (name, key)
        for key in ("P50", "R50", "F50", "F70", "F85", "mIoU", "low", "high"):
            assert figures[key] == pytest.approx(row[key], abs=1e-8), (name, key)
    for key in ("F50", "F70", "F85", "R50"):
        assert ours["mean"][key] == pytest.approx(mean[key], abs=1e-8)
    assert len(LEVELS) == 3


@pytest.mark.slow
def test_the_examples_score_the_same(scorer: ModuleType, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "plans" / "examples")
    ours, theirs = both(tmp_path / "plans", tmp_path)
    assert theirs["examples"]["true"] > 50
    assert_same(ours, theirs)


@pytest.mark.slow
def test_labelled_plans_score_the_same(scorer: ModuleType, tmp_path: Path) -> None:
    for name, count in PLANS.items():
        labels = sorted((EVAL / "plans" / name).glob("*.rooms.json"), key=lambda file: file.stat().st_size)[:count]
        if len(labels) < count:
            pytest.skip(f"the plans of {name} do not lie beside this checkout")
        for file in labels:
            source = file.with_name(json.loads(file.read_text())["source"])
            (tmp_path / "plans" / name).mkdir(parents=True, exist_ok=True)
            for part in (file, source):
                shutil.copy(part, tmp_path / "plans" / name)
    ours, theirs = both(tmp_path / "plans", tmp_path)
    assert sum(row["plans"] for name, row in theirs.items() if name != "mean") == 6
    assert sum(row["found"] for name, row in theirs.items() if name != "mean") > 0
    assert_same(ours, theirs)
