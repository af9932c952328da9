"""How openings are closed: windows by their lines, doors and gaps from the ends of walls.

Glossary: a wall's *cap* is the short edge at which it ends; a *closure* is the strip from a cap to what stands
opposite, as thick as the wall.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from detection.morphology import Mask, box, closed, components, dilated, opened, run_lengths
from detection.regions import Closure, FloatArray

_LINED: Final = 0.95  # share of a gap's cross sections that show a line, for a window


@dataclass(frozen=True, slots=True)
class Cap:
    """The end of a wall: its edge from `a` to `b` and the unit vector that leads out of the wall (working px)."""

    a: FloatArray
    b: FloatArray
    outward: FloatArray
    length_px: float


@dataclass(frozen=True, slots=True)
class Gap:
    """What lies before a cap: how far the next wall is, whether a cap faces it, and how much of it is lined."""

    cap: Cap
    depth_px: float
    faces_cap: bool
    lined: float

    @property
    def is_window(self) -> bool:
        """Whether the gap is closed by lines from one wall end to the other."""
        return self.faces_cap and self.lined > _LINED

    def closure(self) -> Closure:
        """The gap as a segment along its middle, from cap to opposite wall."""
        middle = (self.cap.a + self.cap.b) / 2
        end = middle + self.cap.outward * self.depth_px
        kind = "window" if self.is_window else "door" if self.faces_cap else "gap"
        confidence = 0.85 if self.is_window else 0.75 if self.faces_cap else 0.6
        line = ((float(middle[0]), float(middle[1])), (float(end[0]), float(end[1])))
        return Closure(kind, line, confidence)  # type: ignore[arg-type]


def find_windows(walls: Mask, thin: Mask, wall_px: int, extent_px: int) -> Mask:
    """uint8 (h, w): bands of parallel lines, about a wall thick, that run from one wall to another."""
    out = np.zeros_like(walls)
    length = max(1.2 * wall_px, 14)
    for lines, solid, target in ((thin, walls, out), (np.ascontiguousarray(thin.T), walls.T, out.T)):
        straight = opened(lines, box(length, 1))
        straight = closed(straight, box(5, 1))
        white = (straight == 0) & (solid == 0)
        gaps = run_lengths(white.T).T
        band = (white & (gaps <= 1.5 * wall_px) & (gaps >= 0.12 * wall_px)).astype(np.uint8)
        band = opened(band, box(length, 1))
        band |= straight & dilated(band, box(1, 5))
        _, stats = components(band)
        near = dilated(np.ascontiguousarray(solid), box(7, 3))
        for x, y, width, height, _ in stats[1:]:
            if not 0.3 * wall_px <= height <= 2.0 * wall_px or width < 1.2 * height or width > 0.5 * extent_px:
                continue
            left = near[y : y + height, max(0, x - 1) : x + 3].any(1).mean()
            right = near[y : y + height, x + width - 3 : x + width + 1].any(1).mean()
            above = solid[max(0, y - 2) : y + 1, x : x + width].mean()
            below = solid[y + height - 1 : y + height + 2, x : x + width].mean()
            if min(left, right) >= 0.5 and max(above, below) <= 0.3:
                target[y : y + height, max(0, x - 3) : x + width + 3] = 1
    return out


def find_caps(walls: Mask, wall_px: int, shortest_px: float) -> list[Cap]:
    """The ends of walls: short edges of the outline with a convex corner on both sides."""
    contours, _ = cv2.findContours(walls, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    tolerance = max(1.5, min(0.18 * wall_px, 0.5 * shortest_px))
    caps = []
    for contour in contours:
        outline = cv2.approxPolyDP(contour, tolerance, True)[:, 0, :].astype(np.float64)
        if len(outline) < 4:
            continue
        for i in range(len(outline)):
            before, a, b, after = (outline[(i + k) % len(outline)] for k in (-1, 0, 1, 2))
            cap = _cap(before, a, b, after, shortest_px, 3.2 * wall_px)
            if cap is not None and _leads_out(walls, cap):
                caps.append(cap)
    return caps


def _cap(
    before: FloatArray, a: FloatArray, b: FloatArray, after: FloatArray, shortest_px: float, longest_px: float
) -> Cap | None:
    edge, arriving, leaving = b - a, a - before, after - b
    length, l0, l1 = float(np.hypot(*edge)), float(np.hypot(*arriving)), float(np.hypot(*leaving))
    if not shortest_px <= length <= longest_px or min(l0, l1) < 0.5 * length or min(l0, l1) == 0:
        return None
    edge, arriving, leaving = edge / length, arriving / l0, leaving / l1
    turn0 = arriving[0] * edge[1] - arriving[1] * edge[0]
    turn1 = edge[0] * leaving[1] - edge[1] * leaving[0]
    if turn0 * turn1 <= 0 or min(abs(turn0), abs(turn1)) < 0.6:
        return None
    outward = arriving - leaving
    return Cap(a, b, outward / np.hypot(*outward), length)


def _leads_out(walls: Mask, cap: Cap) -> bool:
    middle = (cap.a + cap.b) / 2
    inside, outside = middle - 2.5 * cap.outward, middle + 2.5 * cap.outward
    return bool(_at(walls, inside)) and not _at(walls, outside)


def _at(mask: Mask, point: FloatArray) -> int:
    x, y = round(float(point[0])), round(float(point[1]))
    return int(mask[y, x]) if 0 <= x < mask.shape[1] and 0 <= y < mask.shape[0] else 0


def find_gaps(caps: list[Cap], walls: Mask, faint: Mask, reach_px: float) -> list[Gap]:
    """What lies before each cap within reach, shallowest first; `walls` may stop a ray, `faint` may line a gap."""
    ends = np.zeros(walls.shape, np.int32)
    for number, cap in enumerate(caps, 1):
        cv2.line(ends, _pixel(cap.a), _pixel(cap.b), number, 3)
    thin = faint & (walls == 0)
    gaps = []
    for number, cap in enumerate(caps, 1):
        depth, hit = _depth(cap, walls, reach_px)
        if depth is None:
            continue
        x, y = hit
        around = ends[max(0, y - 3) : y + 4, max(0, x - 3) : x + 4]
        around = around[(around > 0) & (around != number)]
        opposite = caps[int(np.bincount(around).argmax()) - 1] if around.size else None
        facing = opposite is not None and float(opposite.outward @ cap.outward) < -0.85
        gaps.append(Gap(cap, depth, facing, _lined(cap, depth, thin)))
    return sorted(gaps, key=lambda gap: gap.depth_px)


def _pixel(point: FloatArray) -> tuple[int, int]:
    return int(point[0]), int(point[1])


def _ray(start: FloatArray, outward: FloatArray, reach_px: float, shape: tuple[int, ...]) -> NDArray[np.intp]:
    """intp (2, n): the columns and rows of a ray's pixels inside the picture, from 2 px on."""
    steps = np.arange(2, int(reach_px) + 1)
    points = np.rint(start[:, None] + outward[:, None] * steps).astype(np.intp)
    inside = (points >= 0).all(0) & (points[0] < shape[1]) & (points[1] < shape[0])
    return points[:, inside]


def _depth(cap: Cap, walls: Mask, reach_px: float) -> tuple[float | None, tuple[int, int]]:
    """How far the next wall is along three rays, and where the middle ray meets it."""
    depths: list[float] = []
    middle: tuple[float, tuple[int, int]] | None = None
    for share in (0.2, 0.5, 0.8):
        columns, rows = _ray(cap.a + (cap.b - cap.a) * share, cap.outward, reach_px, walls.shape)
        hits = np.flatnonzero(walls[rows, columns])
        if not len(hits):
            continue
        depths.append(float(hits[0] + 2))
        if share == 0.5:
            middle = depths[-1], (int(columns[hits[0]]), int(rows[hits[0]]))
    if middle is None or len(depths) < 2:
        return None, (0, 0)
    uneven = max(depths) > 1.5 * min(depths) and max(depths) - min(depths) > max(4.0, 0.6 * cap.length_px)
    return (min(depths) if uneven and len(depths) == 3 else middle[0]), middle[1]


def _lined(cap: Cap, depth_px: float, thin: Mask) -> float:
    """The share of the gap's cross sections in which there is a thin line (1 for a gap of a few pixels)."""
    steps = np.arange(2, depth_px - 1)
    if len(steps) <= 3:
        return 1.0
    side = np.array([-cap.outward[1], cap.outward[0]])
    offsets = np.arange(-cap.length_px / 2 - 3, cap.length_px / 2 + 3.1)
    points = (cap.a + cap.b) / 2 + steps[:, None, None] * cap.outward + offsets[None, :, None] * side
    columns = np.rint(points[..., 0]).astype(np.intp).clip(0, thin.shape[1] - 1)
    rows = np.rint(points[..., 1]).astype(np.intp).clip(0, thin.shape[0] - 1)
    return float(thin[rows, columns].any(1).mean())


def door_reach(gaps: list[Gap], wall_px: int, extent_px: int) -> float:
    """How wide a door may be on this drawing, from the gaps between facing caps; bounded by the plan's extent."""
    facing = [
        g.depth_px for g in gaps if g.faces_cap and g.lined < 0.9 and 1.2 * wall_px < g.depth_px < 0.2 * extent_px
    ]
    usual = 1.25 * float(np.median(facing)) if facing else 0.0
    return float(min(max(0.075 * extent_px, min(3 * wall_px, 0.11 * extent_px), usual), 0.13 * extent_px))


def fill_gap(target: Mask, gap: Gap) -> None:
    """Draw the gap's whole strip, from the cap into the wall opposite, into the mask."""
    cap = gap.cap
    over = gap.depth_px + 1.5
    corners = [cap.a - cap.outward, cap.b - cap.outward, cap.b + cap.outward * over, cap.a + cap.outward * over]
    cv2.fillConvexPoly(target, np.rint(np.array(corners)).astype(np.int32), 1)
