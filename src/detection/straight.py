"""Outlines of pixels as the walls that they trace: straight sides in the plan's own directions, curves left curved.

Glossary: a *side* is a straight piece of an outline with the line that fits it; an *axis* is one of the plan's
directions, modulo 90 degrees; a *jog* is a short side across two that run alike.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detection.cracks import Cracks
from detection.faces import Faces
from detection.regions import FloatArray
from detection.rings import following, simplified

_FINE_PX: Final = 1.0  # what the pixel grid itself may blur
_AXIS_SHARE: Final = 0.06  # of all outline length, for a direction to be one of the plan's own
_AXIS_APART_DEG: Final = 6.0
_UPRIGHT_DEG: Final = 0.2
_CURVE_TURN_DEG: Final = (3.0, 50.0)
_CURVE_VERTICES: Final = 4
_CURVE_SWEEP_DEG: Final = 25.0
_CURVE_EVENNESS: Final = 0.12  # of a curve's shorter side at a corner against the longer one
_BOW_PX: Final = 0.45  # of a stretch's middle third against its outer ones: an arc 1 px high
_LEAST_BOW_PX: Final = 8.0
_PARALLEL_DEG: Final = 12.0


@dataclass(frozen=True, slots=True)
class Straightening:
    """How outlines are straightened, in pixels.

    Attributes:
        axes_deg: the plan's directions, each in -45..45.
        tolerance_px: how far a side may be moved or turned at its ends.
        faces: the exact wall faces, in pixels, empty where unknown.
        reach_px: how far a side may be from the face it is set on.
    """

    axes_deg: tuple[float, ...]
    tolerance_px: float
    faces: Faces = field(default_factory=Faces.none)
    reach_px: float = 0.0


@dataclass(slots=True)
class _Side:
    """A side from vertex `first` to vertex `last` of a ring (cyclic), on the line of points p with p · normal = offset.

    `angle_deg` is the direction of the side in 0..180; `axis` says whether it is one of the plan's own.
    """

    first: int
    last: int
    angle_deg: float
    offset: float
    length: float
    axis: bool
    curved: bool = False

    @property
    def normal(self) -> tuple[float, float]:
        turn = math.radians(self.angle_deg)
        return -math.sin(turn), math.cos(turn)


def find_axes(rings: list[FloatArray]) -> tuple[float, ...]:
    """The plan's directions modulo 90 degrees, in -45..45, the strongest first; none for an empty plan.

    Args:
        rings: outlines as corners, float64 (k, 2), of pixel edges.
    """
    sides = []
    for ring in rings:
        corners = simplified(ring, 2 * _FINE_PX)
        sides.append(Cracks(ring).directions(corners, following(corners)))
    if not sides:
        return ()
    length, angle = np.hstack(sides)
    angle = angle % 90
    weight = np.where(length > 6 * _FINE_PX, length, 0.0)
    axes: list[float] = []
    total = weight.sum()
    while len(axes) < 6 and total > 0:
        bins = np.bincount((angle * 2).astype(np.int64) % 180, weight, minlength=180)
        smooth = sum(np.roll(bins, shift) for shift in (-2, -1, 0, 1, 2))
        peak = (float(np.argmax(smooth)) + 0.5) / 2
        away = (angle - peak + 45) % 90 - 45
        near = np.abs(away) <= 1.5
        if weight[near].sum() < _AXIS_SHARE * total:
            break
        # Long sides know their direction better: the error falls with the length, so the weight grows with its square.
        squares = weight[near] * length[near]
        found = (peak + float(np.dot(away[near], squares) / squares.sum()) + 45) % 90 - 45
        axes.append(0.0 if abs(found) < _UPRIGHT_DEG else found)
        weight = np.where(np.abs(away) < _AXIS_APART_DEG, 0.0, weight)
    return tuple(axes)


def straightened(ring: FloatArray, how: Straightening) -> FloatArray | None:
    """The ring's walls as vertices, float64 (m, 2) in pixels; None where no sides can be told."""
    fine = simplified(ring, _FINE_PX)
    coarse = simplified(ring, max(_FINE_PX, 0.7 * how.tolerance_px))
    if len(coarse) < 3:
        return None
    turns = _turns(ring[fine])
    bent = _in_bends(ring[fine], turns)
    if bent.any():
        coarse = np.unique(np.concatenate([coarse, fine[bent], following(fine)[bent]]))
    bends = set(fine[bent].tolist())
    cracks = Cracks(ring)
    sides: list[_Side] = []
    ends = _turns(ring[coarse])
    around = zip(coarse.tolist(), following(coarse).tolist(), ends, following(ends), strict=True)
    for first, last, before, after in around:
        if first in bends:
            sides.append(_curve_side(ring, first, last))
            continue
        inner = _between(fine, first, last)
        if len(inner) and _is_bow(cracks, first, last, turns[inner], (before, after)):
            stops = [first, *fine[inner].tolist(), last]
            sides += [_curve_side(ring, a, b) for a, b in itertools.pairwise(stops)]
        else:
            sides.append(_fit(cracks, first, last, how))
    sides = _without_chamfers(_without_jogs(sides, cracks, how), ring, how)
    if len(sides) < 3:
        return None
    for side in sides:
        if side.axis:
            _set_on_face(side, ring, how)
    return _corners(sides, ring, how)


def _turns(corners: FloatArray) -> FloatArray:
    """The turn in degrees at each corner, in -180..180."""
    step = following(corners) - corners
    heading = np.degrees(np.arctan2(step[:, 1], step[:, 0]))
    turns: FloatArray = (heading - np.roll(heading, 1) + 180) % 360 - 180
    return turns


def _in_bends(corners: FloatArray, turn: FloatArray) -> NDArray[np.bool_]:
    """The sides, by their first corner, that belong to a run of small turns to one hand."""
    count = len(corners)
    low, high = _CURVE_TURN_DEG
    step = following(corners) - corners
    length = np.hypot(step[:, 0], step[:, 1])
    pair = np.sort(np.column_stack([length, np.roll(length, 1)]), axis=1)
    bends = (np.abs(turn) >= low) & (np.abs(turn) <= high) & (pair[:, 0] > _CURVE_EVENNESS * pair[:, 1])
    hand = np.where(bends, np.sign(turn), 0).astype(np.int64)
    bent = np.zeros(count, dtype=bool)
    if count < 2 * _CURVE_VERTICES or not hand.any():
        return bent
    start = int(np.argmin(np.abs(hand)))
    run: list[int] = []
    for corner in [*((start + k) % count for k in range(count)), -1]:
        if corner >= 0 and hand[corner] and (not run or hand[run[-1]] == hand[corner]):
            run.append(corner)
            continue
        if len(run) >= _CURVE_VERTICES and abs(turn[run].sum()) >= _CURVE_SWEEP_DEG:
            inner = np.array(run[:-1])
            # A long straight side among short ones is a wall between two bends.
            bent[inner[length[inner] <= 4 * np.median(length[inner])]] = True
        run = [corner] if corner >= 0 and hand[corner] else []
    return bent


def _between(fine: NDArray[np.int64], first: int, last: int) -> NDArray[np.int64]:
    """The places in `fine` of the vertices strictly between two of them, in the ring's order."""
    a = int(np.searchsorted(fine, first, side="right"))
    b = int(np.searchsorted(fine, last))
    return np.arange(a, b) if last > first else np.concatenate([np.arange(a, len(fine)), np.arange(b)])


def _is_bow(cracks: Cracks, first: int, last: int, turns: FloatArray, ends: tuple[float, float]) -> bool:
    """Whether a stretch bends to one hand all along, so that a straight side would leave its middle."""
    low, high = _CURVE_TURN_DEG
    chord = cracks.ring[last] - cracks.ring[first]
    length = math.hypot(*chord)
    if length < _LEAST_BOW_PX or (turns.min() < 0 < turns.max()) or np.abs(turns).max() > high:
        return False
    hand = np.sign(turns.sum())
    if len(turns) == 1 and not any(low <= hand * end <= high for end in ends):
        return False  # one kink between two corners is a dent
    thirds = [cracks.moments(*part)[1:3] for part in cracks.thirds(first, last)]
    normal = np.array([-chord[1], chord[0]]) / length
    one, middle, other = (float(third @ normal) for third in thirds)
    return abs(middle - (one + other) / 2) > _BOW_PX


def _curve_side(ring: FloatArray, first: int, last: int) -> _Side:
    step = ring[last] - ring[first]
    return _Side(first, last, 0.0, 0.0, math.hypot(*step), False, curved=True)


def _fit(cracks: Cracks, first: int, last: int, how: Straightening) -> _Side:
    """The line of a stretch: along one of the plan's axes where that moves no end too far, else the best line."""
    _, cx, cy, xx, yy, xy = cracks.moments(first, last).tolist()
    angle = math.degrees(0.5 * math.atan2(2 * xy, xx - yy)) % 180
    chord = cracks.ring[last] - cracks.ring[first]
    length = math.hypot(*chord)
    if length < 4 * _FINE_PX:
        angle = math.degrees(math.atan2(chord[1], chord[0])) % 180
    best = None
    for axis in how.axes_deg:
        away = (angle - axis + 45) % 90 - 45
        if best is None or abs(away) < abs(best):
            best = away
    on_axis = best is not None and length / 2 * math.sin(math.radians(abs(best))) <= how.tolerance_px
    if on_axis and best is not None:
        angle = (angle - best) % 180
        if min(angle, 180 - angle) < 1e-6:
            angle = 0.0
    side = _Side(first, last, angle, 0.0, length, on_axis)
    nx, ny = side.normal
    side.offset = cx * nx + cy * ny
    if on_axis and min(angle % 90, 90 - angle % 90) < 1e-6:
        along_x = angle < 45
        level = cracks.level(first, last, along_x)
        if level is not None:
            side.offset = level * (ny if along_x else nx)
    return side


def _without_jogs(sides: list[_Side], cracks: Cracks, how: Straightening) -> list[_Side]:
    """The sides with those that run alike joined, and jogs no deeper than the tolerance taken out."""
    sides = list(sides)
    while len(sides) > 4:
        best: tuple[float, int, int] | None = None
        for place, side in enumerate(sides):
            for span in (1, 2):
                other = sides[(place + span) % len(sides)]
                between = sides[(place + 1) % len(sides)]
                if not _alike(side, other) or (span == 2 and (between.length > how.tolerance_px or between.curved)):
                    continue
                depth = abs(side.offset - other.offset)
                if depth <= how.tolerance_px and (best is None or depth < best[0]):
                    best = (depth, place, span)
        if best is None:
            return sides
        _, place, span = best
        joined = _fit(cracks, sides[place].first, sides[(place + span) % len(sides)].last, how)
        gone = {(place + step) % len(sides) for step in range(1, span + 1)}
        sides[place] = joined
        sides = [side for index, side in enumerate(sides) if index not in gone]
    return sides


def _without_chamfers(sides: list[_Side], ring: FloatArray, how: Straightening) -> list[_Side]:
    """The sides without those so short that the ones before and after meet beside them: corners that pixels blunt."""
    kept = list(sides)
    for side in sorted(sides, key=lambda side: side.length):
        if side.length > how.tolerance_px or len(kept) <= 4:
            break
        place = next(k for k, other in enumerate(kept) if other is side)
        before, after = kept[place - 1], kept[(place + 1) % len(kept)]
        if side.curved or before.curved or after.curved or min(before.length, after.length) <= how.tolerance_px:
            continue
        corner = _crossing(before, after)
        middle = (ring[side.first] + ring[side.last]) / 2
        if corner is not None and math.dist(corner, middle) <= how.tolerance_px:
            kept.pop(place)
    return kept


def _alike(one: _Side, other: _Side) -> bool:
    if one.curved or other.curved or not (one.axis and other.axis):
        return False
    return abs((one.angle_deg - other.angle_deg + 90) % 180 - 90) < 1e-3


def _set_on_face(side: _Side, ring: FloatArray, how: Straightening) -> None:
    """Moves the side onto the nearest wall face that runs along it, if there is one within reach."""
    face = how.faces.nearest(side.angle_deg, side.offset, ring[side.first], ring[side.last], how.reach_px)
    if face is not None:
        side.offset = face


def _corners(sides: list[_Side], ring: FloatArray, how: Straightening) -> FloatArray:
    """Where the sides meet, in order."""
    out: list[tuple[float, float]] = []
    for place, side in enumerate(sides):
        nearby = ring[side.last]
        following = sides[(place + 1) % len(sides)]
        if side.curved and following.curved:
            out.append((float(nearby[0]), float(nearby[1])))
        elif side.curved or following.curved:
            out.append(_foot(following if side.curved else side, nearby))
        else:
            out.extend(_meeting(side, following, nearby, how))
    return np.round(np.array(out), 6) + 0.0  # what sines leave of a right angle goes


def _meeting(one: _Side, other: _Side, nearby: FloatArray, how: Straightening) -> list[tuple[float, float]]:
    """The corner of two sides, or the step between them where they run too much alike to have one."""
    corner = _crossing(one, other)
    if corner is not None and math.dist(corner, nearby) <= 3 * how.tolerance_px + how.reach_px:
        return [corner]
    first, second = _foot(one, nearby), _foot(other, nearby)
    if math.dist(first, second) <= _FINE_PX:
        return [((first[0] + second[0]) / 2, (first[1] + second[1]) / 2)]
    return [first, second]


def _crossing(one: _Side, other: _Side) -> tuple[float, float] | None:
    """Where the sides' lines cross; None where they run too much alike to have a corner."""
    (ax, ay), (bx, by) = one.normal, other.normal
    cross = ax * by - ay * bx
    if abs(cross) <= math.sin(math.radians(_PARALLEL_DEG)):
        return None
    return (one.offset * by - other.offset * ay) / cross, (ax * other.offset - bx * one.offset) / cross


def _foot(side: _Side, point: FloatArray) -> tuple[float, float]:
    """The point of the side's line that is nearest to a point."""
    nx, ny = side.normal
    away = side.offset - float(point[0] * nx + point[1] * ny)
    return float(point[0] + away * nx), float(point[1] + away * ny)
