"""The search for rooms on pictures and scans."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, cast

import cv2
import numpy as np

from detection.morphology import Mask, box, components, dilated, resized
from detection.openings import Gap, door_reach, fill_gap, find_caps, find_gaps, find_windows
from detection.regions import ByteImage, Closure, Debug, FloatArray, LabelImage, Region, Regions
from detection.rooms import RoomLimits, find_rooms
from detection.settings import Settings
from detection.walls import Walls, find_walls

_WORKING_SIDE_PX: Final = 1400  # walls of a dwelling are 6 to 20 px thick at this size
_MAX_ENLARGEMENT: Final = 3.0
_MARGIN: Final = 0.07
_WELL_COVERED: Final = 0.15  # with more of the drawing in rooms, no second reading is tried
_LEANING_DEG: Final = 1.5  # a scan's small skew does no harm, and turning blurs


def find_regions(image: ByteImage, settings: Settings, debug: Debug | None = None) -> Regions:
    """The rooms of a picture (uint8 h x w x 3 BGR, or h x w grey), in its own pixels as page units."""
    grey, scale, margin = _working_image(image, settings)
    turn = Turn.upright(grey)
    finds: list[_Find] = []
    for walls in find_walls(turn.forth(grey)):
        finds.append(_search(walls))
        if finds[-1].coverage >= _WELL_COVERED:
            break
    if not finds:
        return _nothing(image, "Nothing is drawn on this page.")
    best = max(finds, key=lambda find: find.coverage)
    if debug is not None:
        _draw_steps(debug, turn.forth(grey), best)
    if not best.walls.walls.any():
        return _nothing(image, "No walls were found on this page.")
    return Regions(
        labels=np.ascontiguousarray(turn.back(best.labels)[margin:-margin, margin:-margin]),
        units_per_px=1 / scale,
        regions=best.regions,
        closures=[_on_page(gap, turn, margin) for gap in best.used],
        wall_px=best.walls.strokes.wall_px,
        message=None if best.regions else "Walls were found, but no closed room among them.",
    )


@dataclass(frozen=True, slots=True)
class _Find:
    """What one reading of the picture's walls leads to."""

    walls: Walls
    windows: Mask
    gaps: list[Gap]
    used: list[Gap]
    labels: LabelImage
    regions: list[Region]

    @property
    def coverage(self) -> float:
        """The rooms' area as a share of the square over the drawing's longer side."""
        return float((self.labels > 0).sum()) / self.walls.strokes.extent_px**2


def _search(walls: Walls) -> _Find:
    windows, barrier = _with_windows(walls)
    gaps, door_px = _gaps(walls, windows)
    used = [gap for gap in gaps if gap.depth_px <= door_px or gap.is_window]
    closed = barrier.copy()
    for gap in used:
        fill_gap(closed, gap)
    limits = RoomLimits(max(4.0, 0.011 * walls.strokes.extent_px), door_px)
    return _Find(walls, windows, gaps, used, *find_rooms(closed, limits))


@dataclass(frozen=True, slots=True)
class Turn:
    """The turn about the picture's middle that makes its walls upright, and the way back.

    Attributes:
        shape: the picture's height and width.
        turned: the turned picture's height and width, which hold all of it.
        matrix: float64 (2, 3), from the picture to the turned one; None leaves pictures as they are.
    """

    shape: tuple[int, int]
    turned: tuple[int, int]
    matrix: FloatArray | None

    @classmethod
    def upright(cls, grey: ByteImage) -> Turn:
        """The turn for a picture, from the directions of its edges modulo 90 degrees."""
        half = resized(grey, max(1, grey.shape[1] // 2), max(1, grey.shape[0] // 2), cv2.INTER_AREA)
        across, down = (cv2.Sobel(half, cv2.CV_32F, *order, ksize=3) for order in ((1, 0), (0, 1)))
        strength = np.hypot(across, down)
        strong = strength > 80
        directions = np.degrees(np.arctan2(down[strong], across[strong])) % 90
        bins = np.bincount((directions * 2).astype(np.int64) % 180, strength[strong], minlength=180)
        smooth = sum(np.roll(bins, shift) for shift in (-2, -1, 0, 1, 2))
        angle = (float(np.argmax(smooth)) / 2 + 0.25 + 45) % 90 - 45
        shape = grey.shape[0], grey.shape[1]
        return cls.by(shape, angle) if abs(angle) > _LEANING_DEG else cls(shape, shape, None)

    @classmethod
    def by(cls, shape: tuple[int, int], angle_deg: float) -> Turn:
        """The turn of a picture whose walls lean by an angle, clockwise on screen."""
        height, width = shape
        matrix = np.asarray(cv2.getRotationMatrix2D((width / 2, height / 2), angle_deg, 1.0), np.float64)
        cos, sin = abs(matrix[0, 0]), abs(matrix[0, 1])
        turned = int(width * sin + height * cos) + 1, int(width * cos + height * sin) + 1
        matrix[:, 2] += (turned[1] - width) / 2, (turned[0] - height) / 2
        return cls(shape, turned, matrix)

    def forth(self, grey: ByteImage) -> ByteImage:
        """The picture turned upright, the corners filled with paper."""
        if self.matrix is None:
            return grey
        height, width = self.turned
        paper = (int(np.percentile(grey, 90)),)
        return cast(
            ByteImage, cv2.warpAffine(grey, self.matrix, (width, height), flags=cv2.INTER_CUBIC, borderValue=paper)
        )

    def back(self, labels: LabelImage) -> LabelImage:
        """The labels of the turned picture, as they lie in the picture itself."""
        if self.matrix is None:
            return labels
        height, width = self.shape
        inverse = cv2.invertAffineTransform(self.matrix)
        upright = cv2.warpAffine(labels.astype(np.float32), inverse, (width, height), flags=cv2.INTER_NEAREST)
        return np.rint(upright).astype(np.int32)

    def point_back(self, point: tuple[float, float]) -> tuple[float, float]:
        """A point of the turned picture, as it lies in the picture itself."""
        if self.matrix is None:
            return point
        x, y = cv2.invertAffineTransform(self.matrix) @ np.array([*point, 1.0])
        return float(x), float(y)


def _working_image(image: ByteImage, settings: Settings) -> tuple[ByteImage, float, int]:
    """The grey working image with a blank margin, its scale to the picture, and the margin in pixels."""
    grey = cast(ByteImage, cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)) if image.ndim == 3 else image
    scale = min(min(_WORKING_SIDE_PX, settings.max_side_px) / max(grey.shape), _MAX_ENLARGEMENT)
    width, height = (max(8, round(side * scale)) for side in (grey.shape[1], grey.shape[0]))
    grey = resized(grey, width, height, cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA)
    margin = max(8, int(_MARGIN * max(grey.shape)))
    paper = int(np.percentile(grey, 90))
    padded = np.pad(grey, margin, constant_values=paper)
    return padded, scale, margin


def _nothing(image: ByteImage, message: str) -> Regions:
    return Regions(np.zeros(image.shape[:2], np.int32), 1.0, [], message=message)


def _with_windows(walls: Walls) -> tuple[Mask, Mask]:
    """The windows, and walls, windows and the mullions between them as one barrier."""
    solid = walls.walls | walls.pillars
    thin = walls.faint & (solid == 0)
    windows = find_windows(solid, thin.astype(np.uint8), walls.strokes.wall_px, walls.strokes.extent_px)
    pieces, _ = components(walls.pillars)
    touching = np.unique(pieces[dilated(windows, box(5, 5)) > 0])
    mullions = np.isin(pieces, touching[touching > 0]).astype(np.uint8)
    return windows, walls.walls | windows | mullions


def _gaps(walls: Walls, windows: Mask) -> tuple[list[Gap], float]:
    """The gaps before all wall ends, shallowest first, and how wide a door may be."""
    strokes = walls.strokes
    thinnest = 0.4 * strokes.wall_px if strokes.wall_from_px is None else 0.7 * strokes.wall_from_px
    standing = walls.walls | windows
    caps = find_caps(standing, strokes.wall_px, thinnest)
    gaps = find_gaps(caps, standing | walls.pillars, walls.faint, 0.45 * strokes.extent_px)
    return gaps, door_reach(gaps, strokes.wall_px, strokes.extent_px)


def _on_page(gap: Gap, turn: Turn, margin: int) -> Closure:
    closure = gap.closure()
    (x0, y0), (x1, y1) = (turn.point_back(point) for point in closure.line_px)
    return replace(closure, line_px=((x0 - margin, y0 - margin), (x1 - margin, y1 - margin)))


def _draw_steps(debug: Debug, grey: ByteImage, find: _Find) -> None:
    base = np.repeat(grey[..., None], 3, axis=2)
    debug("ink", np.where(find.walls.faint > 0, 0, 255).astype(np.uint8))
    seen = base.copy()
    seen[find.walls.walls > 0] = (0, 0, 200)
    seen[find.walls.pillars > 0] = (0, 140, 255)
    debug("walls", seen)
    seen[find.windows > 0] = (200, 0, 200)
    for gap in find.gaps:
        strip = np.zeros_like(find.windows)
        fill_gap(strip, gap)
        seen[strip > 0] = (0, 180, 0) if any(gap is used for used in find.used) else (255, 210, 170)
    debug("openings", seen)
    shades = np.random.default_rng(0).integers(60, 255, (int(find.labels.max()) + 1, 3), dtype=np.uint8)
    shades[0] = 255
    debug("rooms", (0.4 * base + 0.6 * shades[find.labels]).astype(np.uint8))
