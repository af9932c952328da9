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
from detection.segments import members
from detection.vector_arcs import Doors
from detection.vector_bands import Bands
from detection.vector_canvas import Canvas
from detection.vector_lines import Family, Flags, Indices, axes_of

DOOR: Final = 0  #: a door's arc or a sure gap for one
WINDOW: Final = 1  #: lines run on within the wall
GAP: Final = 2  #: nothing says what it is
JOINT: Final = 3  #: too short to be an opening: walls that meet
KINDS: Final[tuple[Literal["door", "window", "gap"], ...]] = ("door", "window", "gap", "gap")  #: how closures say it

_LANES: Final = (0.2, 0.5, 0.8)
_CONFIDENCE: Final = np.array([0.95, 0.85, 0.5, 0.95])
_CELLS: Final = 64  # that a strip's length is looked at in
_MOST_PAIRS: Final = 1_000_000
_STEPS: Final = 24  # that the search looks ahead at once: most ends meet a wall soon
_MOST_SAMPLES: Final = 300_000


@dataclass(frozen=True, slots=True)
class Openings:
    """Ways through walls, each as the strip that closes it.

    Attributes:
        kind: int64 (n,), DOOR, WINDOW, GAP or JOINT.
        shape: float64 (n, 4, 2), corners in page units: start low, end low, end high, start high.
        line: float64 (n, 2, 2), the middle of the strip from its start to its end.
        length: float64 (n,).
        confidence: float64 (n,), how sure the kind is.
    """

    kind: Indices
    shape: FloatArray
    line: FloatArray
    length: FloatArray
    confidence: FloatArray

    @classmethod
    def of(cls, parts: list[Openings]) -> Openings:
        """All of several, in their order."""
        if not parts:
            return cls(np.zeros(0, np.int64), np.zeros((0, 4, 2)), np.zeros((0, 2, 2)), np.zeros(0), np.zeros(0))
        return cls(
            np.concatenate([p.kind for p in parts]),
            np.concatenate([p.shape for p in parts]),
            np.concatenate([p.line for p in parts]),
            np.concatenate([p.length for p in parts]),
            np.concatenate([p.confidence for p in parts]),
        )

    def only(self, which: Flags | Indices) -> Openings:
        """Some of them."""
        return Openings(
            self.kind[which], self.shape[which], self.line[which], self.length[which], self.confidence[which]
        )

    @property
    def depth(self) -> FloatArray:
        """float64 (n,): how thick the walls are that they lead through."""
        side = self.shape[:, 3] - self.shape[:, 0]
        return np.hypot(side[:, 0], side[:, 1])


def door_openings(doors: Doors, canvas: Canvas, barrier: Mask, depth: float) -> Openings:
    """Strips over shut doors whose hinge and latch are at walls, or whose latch meets another door's."""
    shapes, lines = [], []
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
        shapes.append([a - across, b - across, b + across, a + across])
        lines.append(([a, b], radius))
    count = len(lines)
    return Openings(
        np.full(count, DOOR),
        np.array(shapes).reshape(-1, 4, 2),
        np.array([line for line, _ in lines]).reshape(-1, 2, 2),
        np.array([radius for _, radius in lines]),
        np.full(count, 0.85),
    )


def _near(canvas: Canvas, barrier: Mask, point: FloatArray, slack: float) -> bool:
    low = np.floor((point - slack) * canvas.scale).astype(int)
    high = np.ceil((point + slack) * canvas.scale).astype(int) + 1
    return bool(barrier[canvas.window(low, high)].any())


def _to_wall(canvas: Canvas, barrier: Mask, point: FloatArray, way: FloatArray, slack: float) -> float:
    """How far a door's end is from the wall, straight on; 0 where there is none within the slack."""
    ways = np.arange(0.0, slack, 0.5 / canvas.scale)
    hit = np.flatnonzero(canvas.at(barrier, point + ways[:, None] * way))
    return float(ways[hit[0]]) if len(hit) else 0.0


def facing(openings: Openings) -> Flags:
    """bool (n,): the openings found from both their ends."""
    out = np.zeros(len(openings.length), bool)
    one, _ = _twins(openings)
    out[one] = True
    return out


def once(openings: Openings) -> Openings:
    """The openings, each once: of those at one place with one length the surest, of equals the first."""
    best_first = openings.only(np.argsort(-openings.confidence, kind="stable"))
    one, other = _twins(best_first)
    again = np.zeros(len(best_first.length), bool)
    again[one[other < one]] = True
    return best_first.only(~again)


def _twins(openings: Openings) -> tuple[Indices, Indices]:
    """Pairs of openings whose middles and lengths are the same within the first one's depth."""
    middle, length, depth = openings.line.mean(axis=1), openings.length, openings.depth
    order = np.argsort(middle[:, 0], kind="stable")
    x = middle[order, 0]
    first = np.searchsorted(x, middle[:, 0] - 0.6 * depth, side="right")
    last = np.searchsorted(x, middle[:, 0] + 0.6 * depth, side="left")
    one, place = members(first, last)
    other = order[place]
    same = np.abs(middle[other, 1] - middle[one, 1]) < 0.6 * depth[one]
    same &= np.abs(length[other] - length[one]) < depth[one]
    same &= one != other
    return one[same], other[same]


class OpeningSearch:
    """Looks on from the ends of walls for the next wall, and for what lies on the way."""

    def __init__(self, canvas: Canvas, barrier: Mask, families: list[Family], doors: Doors, door: float) -> None:
        self._canvas, self._barrier, self._doors, self._door = canvas, barrier, doors, door
        self._families = {round(f.angle_deg, 3): f for f in families}

    def run(self, bands: Bands, sure: Flags) -> Openings:
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
        found = np.flatnonzero(length > 0)
        far = tip[found] + sign[found] * length[found]
        strips = _Strips(
            bands.angle_deg, low[found], high[found], np.minimum(tip[found], far), np.maximum(tip[found], far)
        )
        openings = strips.openings(self._kinds(strips))
        return openings.only(sure[found % max(len(sure), 1)] | (openings.kind <= WINDOW))

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
        for near in np.array_split(ways, 1 + len(ways) // _STEPS):
            for some in np.array_split(ends, 1 + len(ends) * len(near) // _MOST_SAMPLES):
                hit = self._blocked(angle, low, high, tip, sign, some, near)
                out[some] = np.where(hit.any(axis=1), near[hit.argmax(axis=1)] + step, 0.0)
            ends = ends[out[ends] == 0]
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

    def _kinds(self, strips: _Strips) -> Indices:
        """int64 (n,): what each strip is."""
        length = strips.end - strips.start
        kinds = np.full(len(length), GAP)
        joint = (length <= 1.3 * (strips.high - strips.low)) & (length < 0.45 * self._door)
        kinds[joint] = JOINT
        rest = np.flatnonzero(~joint)
        for some in np.array_split(rest, 1 + len(rest) * len(self._doors.radius) // _MOST_PAIRS):
            kinds[some[self._have_doors(strips.only(some))]] = DOOR
        rest = np.flatnonzero(kinds == GAP)
        for some in np.array_split(rest, 1 + len(rest) // 2000):
            kinds[some[self._lined(strips.only(some)) >= 0.8]] = WINDOW
        return kinds

    def _have_doors(self, strips: _Strips) -> Flags:
        """bool (n,): whether shut doors lie in each strip, and fill most of it."""
        along, across = axes_of(strips.angle_deg)
        doors, reach = self._doors, 0.2 * self._door
        start, end, low, high = (v[:, None] for v in (strips.start, strips.end, strips.low, strips.high))
        slack = np.maximum(high - low, 0.25 * self._door)
        flat = np.abs((doors.latch - doors.hinge) @ along) > 0.9 * doors.radius
        inside = np.broadcast_to(flat, (len(start), len(flat)))
        for point in (doors.hinge, doors.latch):
            t, o = point @ along, point @ across
            inside = inside & (t > start - reach) & (t < end + reach) & (o > low - slack) & (o < high + slack)
        filled: Flags = inside @ doors.radius >= 0.55 * (strips.end - strips.start)
        return filled

    def _lined(self, strips: _Strips) -> FloatArray:
        """float64 (n,): the share of each strip's length that has a line within its depth."""
        count, family = len(strips.low), self._families.get(round(strips.angle_deg, 3))
        if family is None:
            return np.zeros(count)
        slack = 0.1 * (strips.high - strips.low)
        first, last = np.searchsorted(family.offset, [strips.low - slack, strips.high + slack])
        one, line = members(first, last)
        start, end, reach = strips.start[one], strips.end[one], 0.35 * self._door
        own = (family.start[line] > start - reach) & (family.end[line] < end + reach)
        one, line, start, end = one[own], line[own], start[own], end[own]
        share = [(np.clip(v[line], start, end) - start) / (end - start) for v in (family.start, family.end)]
        a, b = (np.rint(s * _CELLS).astype(np.int64) for s in share)
        covers = np.zeros((count, _CELLS + 1), np.int64)
        np.add.at(covers, (one, a), 1)
        np.add.at(covers, (one, b), -1)
        lined: FloatArray = (np.cumsum(covers, axis=1)[:, :_CELLS] > 0).mean(axis=1)
        return lined


@dataclass(frozen=True, slots=True)
class _Strips:
    """Strips of one direction: float64 (n,) offsets low and high across it, start and end along it."""

    angle_deg: float
    low: FloatArray
    high: FloatArray
    start: FloatArray
    end: FloatArray

    def only(self, which: Indices) -> _Strips:
        return _Strips(self.angle_deg, self.low[which], self.high[which], self.start[which], self.end[which])

    def openings(self, kind: Indices) -> Openings:
        middle = (self.low + self.high) / 2
        corners = ((self.start, self.low), (self.end, self.low), (self.end, self.high), (self.start, self.high))
        line = ((self.start, middle), (self.end, middle))
        return Openings(kind, self._at(corners), self._at(line), self.end - self.start, _CONFIDENCE[kind])

    def _at(self, places: tuple[tuple[FloatArray, FloatArray], ...]) -> FloatArray:
        """float64 (n, m, 2): places along and across, on the page."""
        along, across = axes_of(self.angle_deg)
        return np.stack([t[:, None] * along + o[:, None] * across for t, o in places], axis=1)
