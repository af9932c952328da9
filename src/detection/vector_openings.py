"""Doors, windows and gaps in the walls of a drawn page, found from the walls' ends and from door arcs.

Glossary: a wall's *end* is where a band stops in the open; its *reach* is the way from there, straight on, to the next
wall; a *leaf* is the door drawn open, from the hinge to one end of the arc.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from detection.morphology import Mask
from detection.regions import FloatArray
from detection.vector_canvas import Canvas
from detection.vector_lines import Arcs, Family, Flags, axes_of
from detection.vector_walls import Bands

_DOOR_DEG: Final = (35.0, 130.0)
_QUARTER_DEG: Final = (75.0, 105.0)
_LANES: Final = (0.2, 0.5, 0.8)

Kind = Literal["door", "window", "gap", "joint"]


@dataclass(frozen=True, slots=True)
class Doors:
    """Door arcs: float64 (k, 2) hinges, (k, 2) where the shut door ends, (k,) their widths; width is the usual one,
    has_leaf bool (k,), leaves bool (n,) which of the segments searched are leaves."""

    hinge: FloatArray
    latch: FloatArray
    radius: FloatArray
    has_leaf: Flags
    width: float
    leaves: Flags


@dataclass(frozen=True, slots=True)
class Opening:
    """A way through a wall: the strip that closes it, as a band of one, with how sure it is."""

    kind: Kind
    shape: FloatArray  # (4, 2) corners in page units: start low, end low, end high, start high
    line: FloatArray  # (2, 2) the middle of the strip
    length: float
    confidence: float


def find_doors(arcs: Arcs, xy: FloatArray, least: float, most: float) -> Doors:
    """The arcs of a quarter circle that have a leaf; the width is their usual radius, 0 where none is found."""
    leaves = np.zeros(len(xy), bool)
    nothing = Doors(np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0), np.zeros(0, bool), 0.0, leaves)
    quarter = (arcs.sweep_deg > _DOOR_DEG[0]) & (arcs.sweep_deg < _DOOR_DEG[1])
    quarter &= (arcs.radius >= least) & (arcs.radius <= most)
    length = np.hypot(xy[:, 2] - xy[:, 0], xy[:, 3] - xy[:, 1])
    found = []
    for k in np.flatnonzero(quarter).tolist():
        centre, radius, ends = arcs.centre[k], arcs.radius[k], arcs.ends[k]
        fit = np.flatnonzero((length > 0.8 * radius) & (length < 1.25 * radius))
        legs = xy[fit].reshape(-1, 2, 2)
        at_hinge = np.linalg.norm(legs - centre, axis=2) < 0.2 * radius
        leaf = [bool((at_hinge & (np.linalg.norm(legs - end, axis=2) < 0.2 * radius)[:, ::-1]).any()) for end in ends]
        if leaf[0] != leaf[1]:
            found.append((centre, ends[0] if leaf[1] else ends[1], radius))
        elif leaf[0]:
            found += [(centre, end, radius) for end in ends]
        elif _QUARTER_DEG[0] < arcs.sweep_deg[k] < _QUARTER_DEG[1]:
            found += [(centre, end, -radius) for end in ends]
    if not found:
        return nothing
    hinge, latch, radius = (np.array([f[i] for f in found]) for i in range(3))
    sure = radius[radius > 0]
    width = _usual(sure) if len(sure) else 0.0
    return Doors(hinge, latch, np.abs(radius), radius > 0, width, leaves)


def _usual(values: FloatArray) -> float:
    """The value with the most others within 25 % of it; the largest such of equals."""
    votes = [int((np.abs(values - v) <= 0.25 * v).sum()) for v in values]
    best = max(zip(votes, values.tolist(), strict=True))[1]
    return float(np.median(values[np.abs(values - best) <= 0.25 * best]))


def door_openings(doors: Doors, canvas: Canvas, barrier: Mask, depth: float) -> list[Opening]:
    """Strips over shut doors whose hinge and latch are at walls, or whose latch meets another door's."""
    out = []
    for k in range(len(doors.radius)):
        hinge, latch, radius = doors.hinge[k], doors.latch[k], float(doors.radius[k])
        if doors.width and abs(radius - doors.width) > 0.6 * doors.width:
            continue
        slack = (0.35 if doors.has_leaf[k] else 0.12) * radius
        meets = np.linalg.norm(doors.latch - latch, axis=1) < 0.2 * radius
        meets[k] = False
        meets &= np.abs((doors.hinge - latch) @ (hinge - latch)) > 0.8 * radius * radius
        if not _near(canvas, barrier, hinge, slack) or not (meets.any() or _near(canvas, barrier, latch, slack)):
            continue
        along = (latch - hinge) / radius
        across = np.array([-along[1], along[0]]) * depth / 2
        a = hinge - along * _to_wall(canvas, barrier, hinge, -along, slack)
        b = latch + along * (0.0 if meets.any() else _to_wall(canvas, barrier, latch, along, slack))
        out.append(
            Opening("door", np.array([a - across, b - across, b + across, a + across]), np.array([a, b]), radius, 0.85)
        )
    return out


def _near(canvas: Canvas, barrier: Mask, point: FloatArray, slack: float) -> bool:
    low = np.maximum(np.floor((point - slack) * canvas.scale), 0).astype(int)
    high = np.ceil((point + slack) * canvas.scale).astype(int) + 1
    return bool(barrier[low[1] : high[1], low[0] : high[0]].any())


def _to_wall(canvas: Canvas, barrier: Mask, point: FloatArray, way: FloatArray, slack: float) -> float:
    """How far a door's end is from the wall, straight on; 0 where there is none within the slack."""
    ways = np.arange(0.0, slack, 0.5 / canvas.scale)
    hit = np.flatnonzero(canvas.at(barrier, point + ways[:, None] * way))
    return float(ways[hit[0]]) if len(hit) else 0.0


def facing(openings: list[Opening]) -> Flags:
    """bool (n,): the openings found from both their ends."""
    out = np.zeros(len(openings), bool)
    if not openings:
        return out
    middle = np.array([o.line.mean(axis=0) for o in openings])
    length = np.array([o.length for o in openings])
    depth = np.array([float(np.linalg.norm(o.shape[3] - o.shape[0])) for o in openings])
    for k in range(len(openings)):
        near = np.abs(middle - middle[k]).max(axis=1) < 0.6 * depth[k]
        near &= np.abs(length - length[k]) < depth[k]
        near[k] = False
        out[k] = bool(near.any())
    return out


class OpeningSearch:
    """Looks on from the ends of walls for the next wall, and for what lies on the way."""

    def __init__(self, canvas: Canvas, barrier: Mask, families: list[Family], doors: Doors, door: float) -> None:
        self._canvas, self._barrier, self._doors, self._door = canvas, barrier, doors, door
        self._families = {round(f.angle_deg, 3): f for f in families}

    def run(self, bands: Bands, sure: Flags) -> list[Opening]:
        """The openings that continue these bands, at most nine doors' widths long.

        Args:
            bands: strips of one direction.
            sure: bool (n,), which belong to walls beyond doubt; from the others only doors and windows lead on.
        """
        out: list[Opening] = []
        for k in range(len(bands.low)):
            for forward in (True, False):
                opening = self._from_end(bands, k, forward)
                if opening is not None and (sure[k] or opening.kind in ("door", "window")):
                    out.append(opening)
        return out

    def _from_end(self, bands: Bands, k: int, forward: bool) -> Opening | None:
        low, high = (float(bands.edges[k, i + (1 if forward else 0)]) for i in (0, 2))
        depth = high - low
        if depth <= 0:
            return None
        tip = float(bands.end[k] if forward else bands.start[k])
        sign = 1.0 if forward else -1.0
        along, across = axes_of(bands.angle_deg)
        step = 1.0 / self._canvas.scale
        ways = np.arange(1.5 * step, 9 * self._door, step)
        lanes = np.array([low + share * depth for share in _LANES])
        at = (tip + sign * ways)[:, None, None] * along + lanes[None, :, None] * across
        hit = self._canvas.at(self._barrier, at.reshape(-1, 2)).reshape(len(ways), len(_LANES)) > 0
        blocked = np.flatnonzero(hit.sum(axis=1) >= 2)
        if not len(blocked) or blocked[0] <= 1:
            return None
        length = float(ways[blocked[0]]) + step
        far = tip + sign * length
        start, end = (tip, far) if forward else (far, tip)
        kind, confidence = self._judge(bands.angle_deg, low, high, start, end)
        corners = [start * along + low * across, end * along + low * across]
        corners += [end * along + high * across, start * along + high * across]
        middle = (low + high) / 2
        line = np.array([start * along + middle * across, end * along + middle * across])
        return Opening(kind, np.array(corners), line, length, confidence)

    def _judge(self, angle: float, low: float, high: float, start: float, end: float) -> tuple[Kind, float]:
        depth, length = high - low, end - start
        if length <= 1.3 * depth and length < 0.45 * self._door:
            return "joint", 0.95
        if self._has_door(angle, low, high, start, end):
            return "door", 0.95
        if self._lined(angle, low, high, start, end) >= 0.8:
            return "window", 0.85
        return "gap", 0.5

    def _has_door(self, angle: float, low: float, high: float, start: float, end: float) -> bool:
        """Whether shut doors lie in the strip, and fill most of it."""
        along, across = axes_of(angle)
        slack = max(high - low, 0.25 * self._door)
        inside = np.ones(len(self._doors.radius), bool)
        for point in (self._doors.hinge, self._doors.latch):
            t, o = point @ along, point @ across
            inside &= (t > start - 0.2 * self._door) & (t < end + 0.2 * self._door)
            inside &= (o > low - slack) & (o < high + slack)
        flat = np.abs((self._doors.latch - self._doors.hinge) @ along) > 0.9 * self._doors.radius
        return bool(self._doors.radius[inside & flat].sum() >= 0.55 * (end - start))

    def _lined(self, angle: float, low: float, high: float, start: float, end: float) -> float:
        """The share of the strip's length that has a line within its depth."""
        family = self._families.get(round(angle, 3))
        if family is None:
            return 0.0
        slack = 0.1 * (high - low)
        first, last = np.searchsorted(family.offset, [low - slack, high + slack])
        slack = 0.35 * self._door
        own = (family.start[first:last] > start - slack) & (family.end[first:last] < end + slack)
        a = np.clip(family.start[first:last][own], start, end)
        b = np.clip(family.end[first:last][own], start, end)
        cells = np.zeros(65)
        for p, q in zip(a.tolist(), b.tolist(), strict=True):
            if q > p:
                cells[round((p - start) / (end - start) * 64) : round((q - start) / (end - start) * 64)] = 1
        return float(cells[:64].mean())
