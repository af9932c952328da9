"""The working picture of a drawn page: page units to pixels, strips, lines and fills drawn as masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from detection.morphology import Mask, Stats, box, components, eroded
from detection.pdf import Paths
from detection.regions import FloatArray, LabelImage

_SHIFT: Final = 4
_WHITE: Final = 246
_MAX_FILLS: Final = 120_000


@dataclass(frozen=True, slots=True)
class Canvas:
    """A picture of `height_px` by `width_px` at `scale` pixels a page unit, of the page or a part of it.

    Attributes:
        width_px: how wide it is.
        height_px: how high it is.
        scale: pixels a page unit.
        left_px: how far its left edge is from the page's.
        top_px: how far its top edge is from the page's.
    """

    width_px: int
    height_px: int
    scale: float
    left_px: int = 0
    top_px: int = 0

    @classmethod
    def of(cls, width: float, height: float, scale: float) -> Canvas:
        """The canvas for a page of that size in page units."""
        return cls(max(1, round(width * scale)), max(1, round(height * scale)), scale)

    def around(self, points: FloatArray, mask: Mask, margin_px: int) -> Canvas:
        """The part of this canvas that holds the points (n, 2) in page units and all that is set in its mask."""
        x, y, width, height = cv2.boundingRect(mask)
        low, high = np.array([x, y]), np.array([x + width, y + height])
        if len(points):
            at = points * self.scale - (self.left_px, self.top_px)
            ends = np.floor(at.min(axis=0)).astype(int), np.ceil(at.max(axis=0)).astype(int)
            low, high = (np.minimum(low, ends[0]), np.maximum(high, ends[1])) if width else ends
        left, top = np.maximum(low - margin_px, 0).tolist()
        right, bottom = np.minimum(high + margin_px, (self.width_px, self.height_px)).tolist()
        if right <= left or bottom <= top:
            return self
        return Canvas(right - left, bottom - top, self.scale, self.left_px + left, self.top_px + top)

    def window(self, low_px: NDArray[np.int64], high_px: NDArray[np.int64]) -> tuple[slice, slice]:
        """The rows and columns of this canvas from pixel `low_px` to before `high_px`, x and y counted on the page."""
        (left, top), (right, bottom) = (
            np.maximum(at - (self.left_px, self.top_px), 0).tolist() for at in (low_px, high_px)
        )
        return slice(top, bottom), slice(left, right)

    def cut(self, mask: Mask, part: Canvas) -> Mask:
        """What of this canvas' mask lies in a part of it."""
        left, top = part.left_px - self.left_px, part.top_px - self.top_px
        return mask[top : top + part.height_px, left : left + part.width_px].copy()

    def blank(self) -> Mask:
        """A mask of zeros."""
        return np.zeros((self.height_px, self.width_px), np.uint8)

    def points(self, xy: FloatArray) -> NDArray[np.int32]:
        """Points in page units as OpenCV's fixed-point pixels, kept near the picture."""
        limit = 4.0 * max(self.width_px, self.height_px)
        # A pixel's centre is at whole numbers for OpenCV, half a pixel from its corner.
        at = np.clip(xy * self.scale - self._origin, -limit, limit)
        return np.rint((at - 0.5) * (1 << _SHIFT)).astype(np.int32)

    @property
    def _origin(self) -> FloatArray:
        return np.array([self.left_px, self.top_px], np.float64)

    def draw_lines(
        self, target: Mask | NDArray[np.uint16], segments: FloatArray, width_px: int = 1, value: int = 1
    ) -> None:
        """Draws segments (n, 4) in page units."""
        if len(segments):
            lines = list(self.points(segments.reshape(-1, 2, 2)))
            cv2.polylines(target, lines, False, (value,), max(1, width_px), cv2.LINE_8, _SHIFT)

    def draw_numbered(self, target: NDArray[np.uint16], segments: FloatArray) -> None:
        """Draws each segment (n, 4) in page units with its number from 1 on, the later ones on top."""
        for number, line in enumerate(self.points(segments.reshape(-1, 2, 2)), start=1):
            cv2.polylines(target, [line], False, (number,), 1, cv2.LINE_8, _SHIFT)

    def fill(self, target: Mask, shapes: FloatArray, value: int = 1) -> None:
        """Fills quadrilaterals (n, 4, 2) in page units."""
        for shape in self.points(shapes):
            cv2.fillConvexPoly(target, shape, (value,), cv2.LINE_8, _SHIFT)

    def pixels(self, xy: FloatArray) -> NDArray[np.int64]:
        """int64 (n, 2): the pixels x, y that hold points (n, 2) in page units; they may be beyond the canvas."""
        return np.floor(xy * self.scale).astype(np.int64) - (self.left_px, self.top_px)

    def at(self, mask: Mask | LabelImage, xy: FloatArray) -> NDArray[np.int64]:
        """The mask's values (n,) at points (n, 2) in page units; 0 outside."""
        column, row = self.pixels(xy).T
        inside = (column >= 0) & (row >= 0) & (column < self.width_px) & (row < self.height_px)
        out = np.zeros(len(xy), np.int64)
        out[inside] = mask[row[inside], column[inside]]
        return out


@dataclass(frozen=True, slots=True)
class Fills:
    """What is painted where, the last paint on top.

    Attributes:
        paint: uint8 (h, w), 0 is paper, else a colour's number.
        colours: uint8 (k, 3), the colour of number 1, 2, … k.
    """

    paint: Mask
    colours: NDArray[np.uint8]


def paint_fills(paths: Paths, canvas: Canvas) -> Fills:
    """The page's fills, painted in drawing order; whites uncover the paper; of the 250 commonest colours."""
    paint = canvas.blank()
    rgb = paths.fill_rgba[:, :3]
    chosen = np.flatnonzero(paths.filled & (paths.fill_rgba[:, 3] > 25))
    if not len(chosen) or len(chosen) > _MAX_FILLS:
        return Fills(paint, np.zeros((0, 3), np.uint8))
    colours, number = np.unique(rgb[chosen], axis=0, return_inverse=True)
    number = number.ravel()
    common = np.argsort(-np.bincount(number), kind="stable")[:250]
    rank = np.zeros(len(colours), np.int64)
    rank[common] = np.arange(1, len(common) + 1)
    rank[(colours.min(axis=1) >= _WHITE)] = 0
    page = canvas.width_px * canvas.height_px / canvas.scale**2
    bounds = np.searchsorted(paths.path, [chosen, chosen + 1])
    for index in range(len(chosen)):
        first, last = int(bounds[0, index]), int(bounds[1, index])
        if last - first < 3:
            continue
        xy = paths.xy[first:last]
        span = (np.ptp(xy[:, [0, 2]]), np.ptp(xy[:, [1, 3]]))
        if max(span) * canvas.scale < 1.5:
            continue
        if last - first <= 5 and span[0] * span[1] > 0.85 * page:
            rank[number[index]] = 0  # coloured paper
        cuts = np.flatnonzero(np.diff(paths.subpath[first:last])) + 1
        rings = [canvas.points(part[:, :2]) for part in np.split(xy, cuts) if len(part) >= 3]
        if rings:
            cv2.fillPoly(paint, rings, (int(rank[number[index]]),), cv2.LINE_8, _SHIFT)
    return Fills(paint, colours[common])


def solid_walls(fills: Fills, least_px: float, most_px: float) -> tuple[Mask, float]:
    """The fills that are walls: colours whose areas are mostly long and no thicker than `most_px`.

    Returns:
        The mask, and the walls' typical thickness in pixels (0 without any).
    """
    mask = np.zeros_like(fills.paint)
    depths: list[tuple[float, float]] = []
    for number in np.flatnonzero(np.bincount(fills.paint.ravel(), minlength=256)[1:256]) + 1:
        everywhere = (fills.paint == number).astype(np.uint8)
        window = _box_of(everywhere, least_px)
        one = everywhere[window]
        if eroded(one, box(2 * most_px, 2 * most_px)).sum() > 0.25 * one.sum():
            continue  # broad areas: floors, not walls
        labels, stats = components(one)
        area = stats[1:, cv2.CC_STAT_AREA].astype(np.float64)
        if not len(area):
            continue
        edge = one - cv2.erode(one, np.ones((3, 3), np.uint8), borderValue=0)
        outline = np.maximum(1.0, np.bincount(labels.ravel(), edge.ravel(), minlength=len(stats))[1:])
        depth = 2 * area / outline
        side = stats[1:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max(axis=1)
        long = (side >= 4 * depth) & (side >= 4 * least_px)
        thin = (depth <= most_px) & (depth >= least_px)
        walls = area[long & thin].sum()
        if walls < 0.5 * area[side >= 2 * least_px].sum() or walls < 8 * least_px**2:
            continue
        if not _branches(labels, stats, long & thin, area):
            continue
        keep = np.concatenate([[False], depth >= 0.5 * least_px])
        mask[window] |= keep[labels].astype(np.uint8)
        depths += list(zip(depth[long & thin].tolist(), side[long & thin].tolist(), strict=True))
    if not depths:
        return mask, 0.0
    table = np.array(sorted(depths))
    middle = np.searchsorted(np.cumsum(table[:, 1]), table[:, 1].sum() / 2)
    return mask, float(table[min(middle, len(table) - 1), 0])


def _box_of(mask: Mask, margin_px: float) -> tuple[slice, slice]:
    x, y, width, height = cv2.boundingRect(mask)
    margin = int(margin_px) + 1
    return slice(max(0, y - margin), y + height + margin), slice(max(0, x - margin), x + width + margin)


def _branches(labels: NDArray[np.int32], stats: Stats, walls: NDArray[np.bool_], area: FloatArray) -> bool:
    """Whether a quarter of the area of these parts is in parts that bend or branch: windows are plain bars."""
    bent = 0.0
    for part in np.flatnonzero(walls).tolist():
        x, y, width, height = stats[part + 1, :4].tolist()
        rows, columns = np.nonzero(labels[y : y + height, x : x + width] == part + 1)
        (_, _), (a, b), _ = cv2.minAreaRect(np.column_stack([columns, rows]).astype(np.float32))
        if area[part] < 0.7 * (a + 1) * (b + 1):
            bent += float(area[part])
    return bent >= 0.25 * float(area[walls].sum())
