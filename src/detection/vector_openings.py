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
from detection.vector_arcs import Doors
from detection.vector_bands import Bands
from detection.vector_canvas import Canvas
from detection.vector_lines import Family, Flags, Indices, axes_of

_LANES: Final = (0.2, 0.5, 0.8)

Kind = Literal["door", "window", "gap", "joint"]


@dataclass(frozen=True, slots=True)
class Opening:
    """A way through a wall: the strip that closes it, as a band of one, with how sure it is."""

    kind: Kind
    shape: FloatArray  # (4, 2) corners in page units: start low, end low, end high, start high
    line: FloatArray  # (2, 2) the middle of the strip
    length: float
    confidence: float


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
        low = np.concatenate([bands.edges[:, 1], bands.edges[:, 0]])
        high = np.concatenate([bands.edges[:, 3], bands.edges[:, 2]])
        tip = np.concatenate([bands.end, bands.start])
        sign = np.repeat([1.0, -1.0], len(bands.low))
        length = self._reaches(bands.angle_deg, low, high, tip, sign)
        out: list[Opening] = []
        for k in np.flatnonzero(length > 0).tolist():
            opening = self._opening(
                bands.angle_deg, float(low[k]), float(high[k]), float(tip[k]), float(sign[k] * length[k])
            )
            if sure[k % len(sure)] or opening.kind in ("door", "window"):
                out.append(opening)
        return out

    def _reaches(
        self, angle: float, low: FloatArray, high: FloatArray, tip: FloatArray, sign: FloatArray
    ) -> FloatArray:
        """float64 (n,): how far the next wall is from each end, 0 where it is at once or too far."""
        out = np.zeros(len(tip))
        step = 1.0 / self._canvas.scale
        ways: FloatArray = np.arange(1.5 * step, 9 * self._door, step, dtype=np.float64)
        ends = np.flatnonzero(high > low)
        free = ~self._blocked(angle, low, high, tip, sign, ends, ways[:2]).any(axis=1)
        ends = ends[free]
        for some in np.array_split(ends, 1 + len(ends) * len(ways) // 300_000):
            hit = self._blocked(angle, low, high, tip, sign, some, ways)
            out[some] = np.where(hit.any(axis=1), ways[hit.argmax(axis=1)] + step, 0.0)
        return out

    def _blocked(
        self,
        angle: float,
        low: FloatArray,
        high: FloatArray,
        tip: FloatArray,
        sign: FloatArray,
        ends: Indices,
        ways: FloatArray,
    ) -> Flags:
        """bool (ends, ways): whether two of three lanes meet a wall there."""
        along, across = axes_of(angle)
        t = (tip[ends, None] + sign[ends, None] * ways)[:, :, None, None]
        lanes = low[ends, None] + np.array(_LANES) * (high - low)[ends, None]
        at = t * along + lanes[:, None, :, None] * across
        hit = self._canvas.at(self._barrier, at.reshape(-1, 2)).reshape(at.shape[:3]) > 0
        blocked: Flags = hit.sum(axis=2) >= 2
        return blocked

    def _opening(self, angle: float, low: float, high: float, tip: float, way: float) -> Opening:
        along, across = axes_of(angle)
        start, end = min(tip, tip + way), max(tip, tip + way)
        kind, confidence = self._judge(angle, low, high, start, end)
        corners = [start * along + low * across, end * along + low * across]
        corners += [end * along + high * across, start * along + high * across]
        middle = (low + high) / 2
        line = np.array([start * along + middle * across, end * along + middle * across])
        return Opening(kind, np.array(corners), line, end - start, confidence)

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
