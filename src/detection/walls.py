"""Where the walls of a picture are: by the thickness of its strokes, or by pairs of parallel lines.

Glossary: *ink* is what is clearly darker than its surroundings, *faint ink* includes pale lines; a *stroke*'s
thickness at a pixel is the shorter of the horizontal and the vertical run of ink through it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from detection.morphology import Mask, box, closed, components, dilated, distances, opened, resized, run_lengths
from detection.regions import ByteImage

Histogram = NDArray[np.float64]

_INK: Final = 0.68  # darker than this share of the background
_FAINT: Final = 0.90
_SHORT_RUN_PX: Final = 14  # what is shorter says nothing about strokes
_MAX_STROKE_PX: Final = 60
_ENOUGH_STRIPS: Final = 100  # times the shortest wall line: about three sides of the plan


@dataclass(frozen=True, slots=True)
class Strokes:
    """What a picture is drawn with, in working pixels.

    Attributes:
        thin_px: the pen of furniture, text and dimension lines.
        wall_from_px: strokes of at least this thickness are walls; None where all pens are thin (hollow walls).
        wall_px: the typical wall's thickness.
        extent_px: the longer side of the box around all ink.
    """

    thin_px: int
    wall_from_px: int | None
    wall_px: int
    extent_px: int

    @classmethod
    def all_thin(cls, thin_px: int, extent_px: int) -> Strokes:
        """The strokes of a picture whose walls are hollow, as thick as walls usually are in a plan of this extent."""
        return cls(thin_px, None, max(6, int(0.014 * extent_px)), extent_px)


@dataclass(frozen=True, slots=True)
class Walls:
    """Masks (uint8 h x w, 0 or 1): the walls, solid pieces that may be mullions, and all faint ink."""

    walls: Mask
    pillars: Mask
    faint: Mask
    strokes: Strokes


def ink_masks(grey: ByteImage) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Ink and faint ink (bool h x w) against a background that may be tinted or unevenly lit."""
    size = max(31, max(grey.shape) // 25)
    height, width = grey.shape
    quarter = resized(_blurred(grey, 1.0), max(1, width // 4), max(1, height // 4), cv2.INTER_AREA)
    ground = _blurred(closed(quarter, box(size // 4, size // 4)), size / 16)
    level = resized(ground, width, height, cv2.INTER_LINEAR).astype(np.float32)
    return grey < level * _INK, _blurred(grey, 0.7) < level * _FAINT


def _blurred(grey: ByteImage, sigma_px: float) -> ByteImage:
    return cast(ByteImage, cv2.GaussianBlur(grey, (0, 0), sigma_px))


def measure_strokes(ink: NDArray[np.bool_]) -> Strokes | None:
    """The pens of a picture, or None where there is next to no ink.

    The lengths drawn with each stroke thickness have one peak at the thin pen and, where walls are filled, more to
    the right of a valley; the valley is where walls begin.
    """
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    if len(rows) < 8 or len(columns) < 8:
        return None
    extent = int(max(rows[-1] - rows[0], columns[-1] - columns[0]))
    across, along = run_lengths(ink), run_lengths(ink.T).T
    thickness, length = np.minimum(across, along), np.maximum(across, along)
    fine = _drawn_lengths(thickness, length, _SHORT_RUN_PX)
    coarse = _drawn_lengths(thickness, length, max(40, int(0.03 * math.hypot(*ink.shape))))
    top = fine[1:30].max()
    thin = next(
        (m for m in range(1, 12) if fine[m] >= 0.15 * top and fine[m] >= fine[m - 1] and fine[m] >= fine[m + 1]), 2
    )
    start = max(thin + 3, math.ceil(1.8 * thin))
    thick = coarse[start:_MAX_STROKE_PX]
    total = float(thick.sum())
    if total < 0.75 * extent:
        return Strokes.all_thin(thin, extent)
    share = np.cumsum(thick) / total
    first = start + int(np.searchsorted(share, 0.08))
    valley = thin + 1 + int(np.argmin(coarse[thin + 1 : first + 1]))
    return Strokes(thin, max(valley, thin + 2), start + int(np.searchsorted(share, 0.5)), extent)


def _drawn_lengths(thickness: NDArray[np.int32], length: NDArray[np.int32], at_least: int) -> Histogram:
    """How many pixels of line are drawn with each thickness, lightly smoothed."""
    counts = np.bincount(thickness[(length >= at_least) & (thickness > 0)], minlength=80)[:80]
    per_width = counts / np.maximum(1, np.arange(80))
    return np.convolve(per_width, [0.25, 0.5, 0.25], "same")


def find_walls(grey: ByteImage) -> Iterator[Walls]:
    """The readings of a picture (uint8 h x w), the likelier first; none where nothing is drawn.

    Where strokes of two thicknesses are seen, the thicker ones are probably walls; but a pen may also be uneven, and
    the walls hollow.
    """
    ink, faint = ink_masks(grey)
    strokes = measure_strokes(ink)
    if strokes is None:
        return
    drawn, pale = ink.astype(np.uint8), faint.astype(np.uint8)
    yield _read(drawn, pale, strokes)
    if strokes.wall_from_px is not None:
        yield _read(drawn, pale, Strokes.all_thin(strokes.thin_px, strokes.extent_px))


def _read(drawn: Mask, faint: Mask, strokes: Strokes) -> Walls:
    if strokes.wall_from_px is None:
        raw = _hollow_walls(drawn, strokes.thin_px, int(0.028 * strokes.extent_px), int(0.035 * strokes.extent_px))
    else:
        raw = opened(drawn, box(strokes.wall_from_px, strokes.wall_from_px))
    walls = _long_pieces(raw, strokes.wall_px)
    return Walls(walls, _solid_pieces(raw & (1 - walls), strokes.wall_px), faint, strokes)


def _hollow_walls(drawn: Mask, thin_px: int, max_px: int, length_px: int) -> Mask:
    """Hollow walls with their lines: strips closed all round; only without enough of them also open stripes."""
    strips, drawn_px = _closed_strips(drawn, thin_px, max_px)
    return strips if drawn_px > _ENOUGH_STRIPS * length_px else strips | _open_stripes(drawn, max_px, length_px)


def _closed_strips(drawn: Mask, thin_px: int, max_px: int) -> tuple[Mask, int]:
    """Closed white areas as thin as walls and far longer than wide, with their lines; and their length together."""
    areas, stats = components(1 - drawn, connectivity=4)
    reach = distances(1 - drawn)
    wide = np.bincount(areas[2 * reach > max_px], minlength=len(stats)) > 0
    narrow = np.flatnonzero(~wide[areas] & (drawn == 0))
    widest = np.zeros(len(stats), np.float32)
    np.maximum.at(widest, areas.ravel()[narrow], reach.ravel()[narrow])
    width, size = 2 * widest, stats[:, cv2.CC_STAT_AREA]
    longer = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
    strip = ~wide & (width >= 2) & (longer >= 1.3 * max_px) & (size >= 2.5 * width**2)
    strip[0] = False
    inside = strip[areas].astype(np.uint8)
    lined = inside | (drawn & dilated(inside, box(2 * thin_px + 3, 2 * thin_px + 3)))
    return _not_hatched(lined, max_px), int(longer[strip].sum())


def _not_hatched(mask: Mask, max_px: int) -> Mask:
    """The mask without what is wider than walls are: treads, hatches and tiles side by side."""
    wide = opened(mask, box(2 * max_px, 2 * max_px))
    return mask & (1 - dilated(wide, box(max_px, max_px)))


def _open_stripes(drawn: Mask, max_px: int, length_px: int) -> Mask:
    """Stripes between parallel lines no further apart than a wall is thick; stairs and hatches are not walls."""
    out = np.zeros_like(drawn)
    for image, target in ((drawn, out), (np.ascontiguousarray(drawn.T), out.T)):
        lines = dilated(opened(image, box(length_px, 1)), box(1, 2))
        gaps = run_lengths(lines.T == 0).T
        stripes = ((gaps >= 2) & (gaps <= max_px)).astype(np.uint8)
        stripes = opened(stripes, box(2.2 * max_px, 1))
        banded = stripes | (lines & dilated(stripes, box(1, 5)))
        banded = opened(banded, box(1.5 * max_px, 1))
        hatch = opened(banded, box(2 * max_px, 2 * max_px))
        banded[dilated(hatch, box(5, max_px)) > 0] = 0
        target |= banded
    return out


def _long_pieces(raw: Mask, wall_px: int) -> Mask:
    """The connected pieces that are longer than a wall is thick by far: no letters, arrows or dots."""
    labels, stats = components(raw)
    side = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
    keep = (side >= 2.2 * wall_px) & (stats[:, cv2.CC_STAT_AREA] >= 1.2 * wall_px**2)
    keep[0] = False
    return keep[labels].astype(np.uint8)


def _solid_pieces(rest: Mask, wall_px: int) -> Mask:
    """Small full rectangles about as thick as a wall: pillars, and mullions between windows."""
    labels, stats = components(rest)
    width, height = stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]
    shorter, longer = np.minimum(width, height), np.maximum(width, height)
    keep = (shorter >= 0.45 * wall_px) & (longer < 2.6 * wall_px)
    keep &= stats[:, cv2.CC_STAT_AREA] > 0.8 * width * height
    keep[0] = False
    return keep[labels].astype(np.uint8)
