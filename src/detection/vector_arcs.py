"""A page's arcs, and the doors among them.

Glossary: a *leaf* is the door drawn open, from the hinge to one end of the arc; the *latch* is the other end, where the
shut door meets the wall.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from detection.regions import FloatArray
from detection.vector_lines import Flags, Indices

_TURN_DEG: Final = (0.8, 50.0)
_LEAST_ARC_DEG: Final = 35.0
_DOOR_DEG: Final = (35.0, 130.0)
_QUARTER_DEG: Final = (75.0, 105.0)


@dataclass(frozen=True, slots=True)
class Arcs:
    """Pieces of circles: centre, radius, both ends and the angle swept.

    Attributes:
        centre: float64 (k, 2).
        radius: float64 (k,).
        ends: float64 (k, 2, 2).
        sweep_deg: float64 (k,).
        curve: int64 (k,), the curve that each is part or all of.
    """

    centre: FloatArray
    radius: FloatArray
    ends: FloatArray
    sweep_deg: FloatArray
    curve: Indices


@dataclass(frozen=True, slots=True)
class Doors:
    """Door arcs; one whose latch the leaf does not tell is there twice.

    Attributes:
        hinge: float64 (k, 2).
        latch: float64 (k, 2), where the shut door ends.
        radius: float64 (k,), how wide the door is.
        has_leaf: bool (k,), whether a leaf tells hinge from latch.
        width: the usual width, 0 without doors.
        leaves: bool (n,), which of the segments searched are leaves.
    """

    hinge: FloatArray
    latch: FloatArray
    radius: FloatArray
    has_leaf: Flags
    width: float
    leaves: Flags


def find_arcs(xy: FloatArray) -> tuple[Arcs, Indices]:
    """The arcs among simplified segments (n, 4) in drawing order, and int64 (n,) the curve of each, -1 for none."""
    curve = np.full(len(xy), -1, np.int64)
    found: list[tuple[FloatArray, float, FloatArray, float, int]] = []
    for number, (first, last, sweep) in enumerate(_bent_runs(xy)):
        curve[first : last + 1] = number
        if sweep < _LEAST_ARC_DEG or last - first > 400:
            continue
        points = np.vstack([xy[first : last + 1, :2], xy[last : last + 1, 2:]])
        circle = _circle(points)
        if circle is not None:
            found.append((*circle, points[[0, -1]], sweep, number))
    arcs = Arcs(
        np.array([f[0] for f in found]).reshape(-1, 2),
        np.array([f[1] for f in found]),
        np.array([f[2] for f in found]).reshape(-1, 2, 2),
        np.array([f[3] for f in found]),
        np.array([f[4] for f in found], np.int64),
    )
    return arcs, curve


def _bent_runs(xy: FloatArray) -> Iterator[tuple[int, int, float]]:
    """Runs first..last of at least three joined segments that turn one way by like steps, and the angle swept."""
    if len(xy) < 3:
        return
    step = xy[:, 2:] - xy[:, :2]
    length = np.hypot(step[:, 0], step[:, 1])
    angle = np.degrees(np.arctan2(step[:, 1], step[:, 0]))
    turn = (np.diff(angle) + 180) % 360 - 180
    joined = np.abs(xy[1:, :2] - xy[:-1, 2:]).max(axis=1) <= 1e-3
    ratio = length[1:] / np.maximum(length[:-1], 1e-9)
    bends = joined & (np.abs(turn) > _TURN_DEG[0]) & (np.abs(turn) < _TURN_DEG[1]) & (ratio > 0.2) & (ratio < 5)
    begins = np.zeros(len(bends), bool)
    begins[0] = bends[0]
    begins[1:] = bends[1:] & (~bends[:-1] | (np.sign(turn[1:]) != np.sign(turn[:-1])))
    starts = np.flatnonzero(begins)
    breaks = np.append(np.flatnonzero(~bends), len(bends))
    ends = np.minimum(breaks[np.searchsorted(breaks, starts)], np.append(starts[1:], len(bends)))
    for first, last in zip(starts.tolist(), ends.tolist(), strict=True):
        if last - first >= 2:
            sweep = float(np.abs(turn[first:last]).sum()) * (last - first + 1) / (last - first)
            yield first, last, sweep


def _circle(points: FloatArray) -> tuple[FloatArray, float] | None:
    """Centre and radius of the circle that all points lie on within 4 % of the radius (Kasa's fit)."""
    middle = points.mean(axis=0)
    local = points - middle
    matrix = np.column_stack([2 * local, np.ones(len(local))])
    solution, _, rank, _ = np.linalg.lstsq(matrix, (local**2).sum(axis=1), rcond=None)
    if rank < 3:
        return None
    radius = math.sqrt(max(0.0, float(solution[2] + solution[:2] @ solution[:2])))
    away = np.abs(np.linalg.norm(local - solution[:2], axis=1) - radius)
    if radius <= 0 or away.max() > 0.04 * radius:
        return None
    return solution[:2] + middle, radius


def find_doors(arcs: Arcs, xy: FloatArray, least: float, most: float) -> Doors:
    """The arcs of a quarter circle that have a leaf; the width is their usual radius, 0 where none is found."""
    leaves = np.zeros(len(xy), bool)
    nothing = Doors(np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0), np.zeros(0, bool), 0.0, leaves)
    quarter = (arcs.sweep_deg > _DOOR_DEG[0]) & (arcs.sweep_deg < _DOOR_DEG[1])
    quarter &= (arcs.radius >= least) & (arcs.radius <= most)
    length = np.hypot(xy[:, 2] - xy[:, 0], xy[:, 3] - xy[:, 1])
    found = []
    sector: list[int] = []
    for k in np.flatnonzero(quarter).tolist():
        centre, radius, ends = arcs.centre[k], arcs.radius[k], arcs.ends[k]
        fit = np.flatnonzero((length > 0.8 * radius) & (length < 1.25 * radius))
        legs = xy[fit].reshape(-1, 2, 2)
        at_hinge = np.linalg.norm(legs - centre, axis=2) < 0.2 * radius
        legs_to = [
            (at_hinge & (np.linalg.norm(legs - end, axis=2) < 0.2 * radius)[:, ::-1]).any(axis=1) for end in ends
        ]
        leaf = [bool(to.any()) for to in legs_to]
        if leaf[0] != leaf[1]:
            leaves[fit[legs_to[0] | legs_to[1]]] = True
            found.append((centre, ends[0] if leaf[1] else ends[1], radius))
        elif leaf[0]:  # a sector: which of its sides is the leaf, the walls have to say
            sector += [len(found), len(found) + 1]
            found += [(centre, end, -radius) for end in ends]
        elif _QUARTER_DEG[0] < arcs.sweep_deg[k] < _QUARTER_DEG[1]:
            found += [(centre, end, -radius) for end in ends]
    if not found:
        return nothing
    hinge, latch, radius = (np.array([f[i] for f in found]) for i in range(3))
    sure = radius[radius > 0]
    sure = sure if len(sure) else np.abs(radius[sector])
    width = _usual(sure) if len(sure) else 0.0
    return Doors(hinge, latch, np.abs(radius), radius > 0, width, leaves)


def _usual(values: FloatArray) -> float:
    """The value with the most others within 25 % of it; the largest such of equals."""
    votes = [int((np.abs(values - v) <= 0.25 * v).sum()) for v in values]
    best = max(zip(votes, values.tolist(), strict=True))[1]
    return float(np.median(values[np.abs(values - best) <= 0.25 * best]))
