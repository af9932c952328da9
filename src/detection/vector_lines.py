"""A page's straight strokes as maximal lines by direction.

Glossary: a *family* is all lines of one direction; in its own frame a line has an offset across the direction and a
start and an end along it. A *style* is one pen (colour and width) or the edge of one colour of fill.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from detection.pdf import Paths
from detection.regions import FloatArray

MAX_FAMILIES: Final = 40
_SAME_DIRECTION_DEG: Final = 0.8
_LEAST_SHARE: Final = 0.0008  # of all length drawn, that a direction must have to be searched for walls
_LEANING_DEG: Final = 4.0
_LEAN_LINES: Final = 8.0
_GAP: Final = 0.34  # of the shorter of two pieces, that a gap between them may measure
_MOST_GAP: Final = 12.0  # and in tolerances
_ONWARDS: Final = 0.8  # the cosine of the angle at which a line goes on over a gap
_LEAST_HATCH: Final = 8

Flags = NDArray[np.bool_]
Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Family:
    """Lines of one direction, sorted by offset, coinciding ones the boldest first.

    Attributes:
        angle_deg: the direction, 0 to 180, clockwise on screen from the x axis.
        offset: float64 (n,), how far the middle of each line lies across the direction.
        lean: float64 (n,), how much further its end lies across than its start: no hand draws exactly straight.
        start: float64 (n,), where each line begins along the direction.
        end: float64 (n,), where it ends.
        style: int64 (n,), the style.
    """

    angle_deg: float
    offset: FloatArray
    lean: FloatArray
    start: FloatArray
    end: FloatArray
    style: Indices

    @property
    def axes(self) -> tuple[FloatArray, FloatArray]:
        """The unit vectors along and across."""
        return axes_of(self.angle_deg)

    def only(self, which: Flags | Indices) -> Family:
        """Some of the lines."""
        return Family(
            self.angle_deg,
            self.offset[which],
            self.lean[which],
            self.start[which],
            self.end[which],
            self.style[which],
        )

    def across_at(self, line: Indices, along: FloatArray) -> FloatArray:
        """float64 (n,): how far lines lie across, each at a place along."""
        length = np.maximum(self.end[line] - self.start[line], 1e-9)
        share: FloatArray = (along - self.start[line]) / length - 0.5
        return self.offset[line] + share * self.lean[line]

    def segments(self, which: Flags | Indices | None = None) -> FloatArray:
        """float64 (n, 4): the lines, or some of them, on the page."""
        along, across = self.axes
        lines = self if which is None else self.only(which)
        half = lines.lean / 2
        ends = [(lines.start, lines.offset - half), (lines.end, lines.offset + half)]
        return np.hstack([t[:, None] * along + o[:, None] * across for t, o in ends])


def axes_of(angle_deg: float) -> tuple[FloatArray, FloatArray]:
    """The unit vectors along a direction and across it."""
    angle = math.radians(angle_deg)
    return np.array([math.cos(angle), math.sin(angle)]), np.array([-math.sin(angle), math.cos(angle)])


def styles_of(paths: Paths) -> tuple[Indices, FloatArray]:
    """int64 (p,): each path's style, and float64 (s,): each style's pen width in page units."""
    pen = np.where(paths.stroked[:, None], paths.stroke_rgba, paths.fill_rgba).astype(np.int64)
    width = np.where(paths.stroked, np.round(paths.width_pt, 2), -1.0)
    key = np.column_stack([pen[:, :3], np.round(width * 100).astype(np.int64)])
    if not len(key):
        return np.zeros(0, np.int64), np.zeros(0)
    kinds, style = np.unique(key, axis=0, return_inverse=True)
    return style.ravel().astype(np.int64), kinds[:, 3] / 100


def simplified(xy: FloatArray, style: Indices, tolerance: float) -> tuple[FloatArray, Indices]:
    """Segments in drawing order with needless points of joined runs left out, and each one's source segment.

    Drawings often come with curves and even lines cut into crumbs on a coarse grid, whose directions mean nothing.
    """
    if len(xy) < 2:
        return xy, np.arange(len(xy))
    xy = _bridged(xy, style, _MOST_GAP * tolerance)
    joined = (np.abs(xy[1:, :2] - xy[:-1, 2:]).max(axis=1) <= 1e-3) & (style[1:] == style[:-1])
    first = np.flatnonzero(np.concatenate([[True], ~joined]))
    last = np.append(first[1:], len(xy))
    keep = np.ones(len(xy), bool)
    out = xy.copy()
    for a, b in zip(first.tolist(), last.tolist(), strict=True):
        if b - a < 4:
            continue
        points = np.vstack([xy[a:b, :2], xy[b - 1 : b, 2:]])
        kept = _kept(points, tolerance)
        keep[a:b] = False
        keep[a + kept[:-1]] = True
        out[a + kept[:-1], 2:] = points[kept[1:]]
    source = np.flatnonzero(keep)
    return out[source], source


def _bridged(xy: FloatArray, style: Indices, most: float) -> FloatArray:
    """The segments with small gaps between successive ones that go on alike closed: lines written piece by piece."""
    step = xy[:, 2:] - xy[:, :2]
    length = np.hypot(step[:, 0], step[:, 1])
    gap = xy[1:, :2] - xy[:-1, 2:]
    apart = np.hypot(gap[:, 0], gap[:, 1])
    ahead = [(gap * step[some]).sum(axis=1) > _ONWARDS * apart * length[some] for some in (np.s_[:-1], np.s_[1:])]
    bridge = (apart <= np.minimum(most, _GAP * np.minimum(length[:-1], length[1:]))) & ahead[0] & ahead[1]
    bridge &= (style[1:] == style[:-1]) & (apart > 0)
    out = xy.copy()
    middle = (xy[1:, :2] + xy[:-1, 2:])[bridge] / 2
    out[1:, :2][bridge], out[:-1, 2:][bridge] = middle, middle
    return out


def _kept(points: FloatArray, tolerance: float) -> Indices:
    """The indices of the points that a line within `tolerance` of all needs, first and last included."""
    base = points.min(axis=0)
    local = (points - base).astype(np.float32)
    shut = bool(np.abs(local[0] - local[-1]).max() <= tolerance)
    if shut:  # an end that meets the start hides the shape: cut where the run is furthest from there
        far = int(np.argmax(((local - local[0]) ** 2).sum(axis=1)))
        halves = (
            [_kept(points[: far + 1], tolerance), _kept(points[far:], tolerance)] if 0 < far < len(local) - 1 else []
        )
        return np.concatenate([halves[0], halves[1][1:] + far]) if halves else np.array([0, len(local) - 1])
    corners = cv2.approxPolyDP(local, tolerance, False).reshape(-1, 2)
    found, at = [0], 0
    for x, y in corners[1:-1].tolist():
        while at < len(local) - 1 and (local[at, 0] != x or local[at, 1] != y):
            at += 1
        if found[-1] < at < len(local) - 1:
            found.append(at)
    return np.array([*found, len(local) - 1], np.int64)


def find_families(xy: FloatArray, style: Indices, pens: FloatArray, same_line: float) -> list[Family]:
    """The segments (n, 4) as maximal lines, the direction with the most length first.

    Args:
        xy: straight segments of any length.
        style: int64 (n,).
        pens: float64 (s,), each style's pen width; of lines that coincide the boldest comes first.
        same_line: lines closer than this across are one, and gaps shorter than this along are none.
    """
    step = xy[:, 2:] - xy[:, :2]
    length = np.hypot(step[:, 0], step[:, 1])
    angle = np.degrees(np.arctan2(step[:, 1], step[:, 0])) % 180
    total = float(length.sum())
    free = np.ones(len(xy), bool)
    families: list[Family] = []
    while len(families) < MAX_FAMILIES and free.any():
        bins = np.bincount((angle[free] * 2).astype(np.int64) % 360, length[free], minlength=360)
        smooth = bins + np.roll(bins, 1) + np.roll(bins, -1)
        peak = int(np.argmax(smooth))
        if smooth[peak] < _LEAST_SHARE * total:
            break
        away = (angle - (peak / 2 + 0.25) + 90) % 180 - 90
        near = free & (np.abs(away) <= 0.8)
        mean = peak / 2 + 0.25 + float(np.average(away[near], weights=length[near]))
        near = free & (np.abs((angle - mean + 90) % 180 - 90) <= _SAME_DIRECTION_DEG)
        if not near.any():
            break
        if abs(mean - round(mean / 90) * 90) < 0.1:
            mean = round(mean / 90) * 90.0
        # No hand draws exactly straight: a short line that leans a little faces this family's lines too.
        lean = (angle - mean + 90) % 180 - 90
        slack = np.abs(lean) <= _LEANING_DEG
        slack &= np.abs(np.sin(np.radians(lean))) * length <= _LEAN_LINES * same_line
        slack |= near
        families.append(_merged(mean % 180, xy[slack], style[slack], pens, same_line))
        free &= ~near
    return families


def hatch_lines(family: Family, most: float) -> Flags:
    """bool (n,): the lines whose style repeats in this direction at one regular distance of at most `most`."""
    out = np.zeros(len(family.offset), bool)
    for style in np.unique(family.style):
        mine = np.flatnonzero(family.style == style)
        if len(mine) < _LEAST_HATCH:
            continue
        rows = family.offset[mine]
        gaps = np.diff(rows)
        gaps = gaps[gaps > 0.02 * most]
        if len(gaps) < _LEAST_HATCH:
            continue
        period = float(np.median(gaps))
        times = gaps / period
        regular = np.abs(times - np.rint(times)) < 0.08 * np.maximum(times, 1)
        if period <= most and (regular & (times > 0.5) & (times < 6)).mean() > 0.75:
            out[mine] = True
    return out


def with_edges(family: Family, width: FloatArray) -> Family:
    """The family with each line of a wide pen as the two edges of its ink.

    Args:
        family: lines.
        width: float64 (n,), the width of each line's ink; 0 for a thin one, which stays as it is.
    """
    which = np.concatenate([np.arange(len(width)), np.flatnonzero(width > 0)])
    shift = np.concatenate([np.where(width > 0, -width / 2, 0.0), width[width > 0] / 2])
    both = family.only(which)
    moved = Family(family.angle_deg, both.offset + shift, both.lean, both.start, both.end, both.style)
    return moved.only(np.argsort(moved.offset, kind="stable"))


def _merged(angle_deg: float, xy: FloatArray, style: Indices, pens: FloatArray, same_line: float) -> Family:
    along, across = axes_of(angle_deg)
    ends, sides = (np.stack([xy[:, :2] @ axis, xy[:, 2:] @ axis]) for axis in (along, across))
    start, end = ends.min(axis=0), ends.max(axis=0)
    offset = sides.mean(axis=0)
    lean = np.where(ends[0] <= ends[1], sides[1] - sides[0], sides[0] - sides[1])
    order = np.argsort(offset, kind="stable")
    row = np.zeros(len(order), np.int64)
    row[order] = np.cumsum(np.diff(offset[order], prepend=offset[order[:1]]) > same_line)
    order = np.lexsort((start, style, row))
    row, start, end, offset, lean, style = (a[order] for a in (row, start, end, offset, lean, style))
    begins = np.ones(len(order), bool)
    begins[1:] = (row[1:] != row[:-1]) | (style[1:] != style[:-1])
    # The furthest end so far within the row and style: shifting them apart makes one running maximum do.
    apart = (float(end.max()) - float(start.min()) + 10 * same_line + 1) * (np.cumsum(begins) - 1)
    reach = np.maximum.accumulate(end + apart)
    begins[1:] |= start[1:] + apart[1:] > reach[:-1] + same_line
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(order)) - 1
    group = np.cumsum(begins) - 1
    lowest, highest = offset[first] - lean[first] / 2, (offset + lean / 2)[np.lexsort((end, group))[last]]
    out = Family(
        angle_deg,
        (lowest + highest) / 2,
        highest - lowest,
        start[first],
        np.maximum.reduceat(end, first),
        style[first],
    )
    bold_first = np.lexsort((-pens[out.style], row[first]))
    return out.only(bold_first)
