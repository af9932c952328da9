"""Fits the confidence on drawn plans: `python -m training.calibrate`.

Every plan of `training.whole` is read by the engine, drawn pages both by their lines and by their pictures; a room is
right where its intersection over union with a true room is at least 0.7, one to one. For each kind of reading a logistic
model with a small penalty tells the chance from what is known of the room. Half of the plans fit it and half say how
well it keeps its word.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final, get_args

import numpy as np
import shapely
from numpy.typing import NDArray

from detection.confidence import COEFFICIENTS, Features
from detection.document import BrokenPage, open_document
from detection.engine import read_lines, read_picture
from detection.regions import Kind
from detection.settings import DEFAULTS, Settings
from evaluation.figures import calibration_error
from evaluation.matching import match_rooms
from models.blueprint import Blueprint, PageSelection
from training import whole
from training.truth import polygons

RIGHT_IOU: Final = 0.7
PENALTY: Final = 2.0
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
Rooms = list[tuple[Features, bool, int]]


def right(found: Sequence[shapely.Polygon], true: Sequence[shapely.Polygon]) -> list[bool]:
    """Which rooms found are right; each true room makes one of them right at most."""
    matches = match_rooms(found, [shapely.make_valid(shape) for shape in true]).at_least(RIGHT_IOU)
    hits = {match.found for match in matches}
    return [i in hits for i in range(len(found))]


def rooms_of(seed: int, plan_kind: whole.Kind, settings: Settings) -> dict[Kind, Rooms]:
    """By kind of reading: the features of every room found on a drawn plan, whether it is right, and the plan's seed."""
    data, truth = whole.draw(seed, plan_kind)
    out: dict[Kind, Rooms] = {kind: [] for kind in KINDS}
    with open_document(Blueprint.parse(data), PageSelection()) as document:
        for page in document.pages():
            if isinstance(page, BrokenPage):
                continue
            for reading in (read_lines(page, settings, None), read_picture(page, settings, None)):
                if reading is not None:
                    hits = right([room.outline.polygon for room in reading.rooms], polygons(truth))
                    out[reading.regions.kind] += [
                        (room.features, hit, seed) for room, hit in zip(reading.rooms, hits, strict=True)
                    ]
    return out


def fit(rows: NDArray[np.float64], hits: NDArray[np.float64], penalty: float = PENALTY) -> NDArray[np.float64]:
    """Coefficients of a logistic model, the last one the bias, by Newton's method."""
    design = np.column_stack([rows, np.ones(len(rows))])
    weights = np.zeros(design.shape[1])
    ridge = np.full(design.shape[1], penalty)
    ridge[-1] = 1e-6
    for _ in range(50):
        chance = 1 / (1 + np.exp(-design @ weights))
        slope = design.T @ (hits - chance) - ridge * weights
        curve = (design * (chance * (1 - chance))[:, None]).T @ design + np.diag(ridge)
        step = np.linalg.solve(curve, slope)
        weights += step
        if float(np.abs(step).max()) < 1e-8:
            break
    return weights


def collect(first: int, count: int, settings: Settings) -> dict[Kind, Rooms]:
    """The rooms of plans as pictures (two of three) and as drawn PDF pages, by kind of reading."""
    rooms: dict[Kind, Rooms] = {kind: [] for kind in KINDS}
    seeds = range(first, first + count)
    plan_kinds = [whole.KINDS[seed % len(whole.KINDS)] for seed in seeds]
    with ProcessPoolExecutor(settings.threads, mp_context=get_context("spawn")) as pool:
        each = repeat(replace(settings, threads=1))
        for done, found in enumerate(pool.map(rooms_of, seeds, plan_kinds, each), 1):
            for kind in KINDS:
                rooms[kind] += found[kind]
            if done % 20 == 0:
                told = ", ".join(f"{len(rooms[kind])} rooms {kind}" for kind in KINDS)
                print(f"{done} plans, {told}", flush=True)
    return rooms


def report(rooms: Rooms) -> dict[str, Any]:
    """The model of all plans, and how a model of half of them does on the other half."""
    names = sorted({name for features, _, _ in rooms for name in features})
    rows = np.array([[features.get(name, 0.0) for name in names] for features, _, _ in rooms])
    hits = np.array([float(hit) for _, hit, _ in rooms])
    odd = np.array([(seed // 3) % 2 == 1 for _, _, seed in rooms])
    half = fit(rows[odd], hits[odd])
    chance = 1 / (1 + np.exp(-np.column_stack([rows[~odd], np.ones(int((~odd).sum()))]) @ half))
    weights = fit(rows, hits)
    coefficients = {name: round(float(w), 4) for name, w in zip([*names, "bias"], weights, strict=True)}
    return {
        "rooms": len(rooms),
        "right": round(float(hits.mean()), 4),
        "held_out_error": round(calibration_error(list(zip(chance, hits[~odd], strict=True))) or 0.0, 4),
        "coefficients": coefficients,
    }


def main() -> None:
    """Calibrate as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plans", type=int, default=360)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--target", type=Path, default=COEFFICIENTS)
    given = parser.parse_args()
    kinds = {kind: report(rooms) for kind, rooms in collect(given.first, given.plans, DEFAULTS).items()}
    given.target.parent.mkdir(parents=True, exist_ok=True)
    given.target.write_text(json.dumps({"kinds": kinds}, indent=1) + "\n")
    for kind, found in kinds.items():
        print(kind, {name: value for name, value in found.items() if name != "coefficients"})


if __name__ == "__main__":
    main()
