"""Rooms as shapes that can be compared: rings checked, repaired where they cross themselves, and boxed if need be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import shapely

#: What of a shape is compared: the shape itself, its axis-aligned box, or its smallest rotated rectangle.
Kind = Literal["polygon", "bbox", "obb"]
KINDS: Final[tuple[Kind, ...]] = ("polygon", "bbox", "obb")

Shape = Any  # a shapely Polygon or MultiPolygon; shapely has no types of its own

_LOST_SHARE: Final = 0.02
_OUTSIDE_SHARE: Final = 0.02


class LabelsError(Exception):
    """Labels that cannot be used, with a sentence on what to mend."""


@dataclass(frozen=True, slots=True)
class Repaired:
    """A shape with area, or None where there is none, and what was done to get it, in a few words."""

    shape: Shape | None
    note: str | None = None


def ring_of(points: object) -> list[tuple[float, float]]:
    """The points of a ring as pairs of finite numbers.

    Raises:
        LabelsError: it is no list of [x, y] pairs.
    """
    if not isinstance(points, list | tuple):
        raise LabelsError(f"an outline must be a list of [x, y] points, not {type(points).__name__}")
    ring = []
    for point in points:
        if not isinstance(point, list | tuple) or len(point) < 2:
            raise LabelsError(f"an outline must be a list of [x, y] points; one of them is {str(point)[:40]!r}")
        x, y = point[0], point[1]
        if not (_is_number(x) and _is_number(y)):
            raise LabelsError(f"an outline's point [{str(x)[:20]}, {str(y)[:20]}] is not made of numbers")
        ring.append((float(x), float(y)))
    return ring


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9 and math.isfinite(value)


def polygon_of(ring: Sequence[tuple[float, float]], holes: Sequence[Sequence[tuple[float, float]]] = ()) -> Repaired:
    """The polygon of a ring and its holes; one that crosses itself is repaired.

    The repair is a buffer of width zero: of a figure of eight it may keep one loop only, which the note tells.
    """
    if len(ring) < 3:
        return Repaired(None, f"has {len(ring)} points and no area; left out")
    drawn = shapely.Polygon(ring, [hole for hole in holes if len(hole) >= 3] or None)
    if drawn.is_valid:
        return Repaired(drawn) if drawn.area > 0 else Repaired(None, "has no area; left out")
    mended = drawn.buffer(0)
    if mended.is_empty or mended.area <= 0:
        return Repaired(None, "has no area; left out")
    kept = mended.area / max(shapely.make_valid(drawn).area, mended.area)
    loss = f" ({100 * kept:.0f} % of what it encloses was kept)" if kept < 1 - _LOST_SHARE else ""
    return Repaired(mended, f"crosses itself; repaired{loss}")


def union_of(parts: Sequence[Shape]) -> Shape:
    """One shape out of the parts of a room."""
    return parts[0] if len(parts) == 1 else shapely.union_all(list(parts))


def runs_shape(counts: Sequence[int], height: int, width: int) -> Shape | None:
    """The union of the pixels that run lengths mark, each pixel a unit square; None where they mark none.

    Args:
        counts: lengths of runs that are outside and inside by turns, outside first, column by column (COCO's
            uncompressed RLE).
        height: rows of the mask.
        width: columns of the mask.

    Raises:
        LabelsError: the lengths do not add up to the mask.
    """
    if sum(counts) != height * width or any(count < 0 for count in counts):
        raise LabelsError(f"a mask's run lengths add up to {sum(counts)}, not to its {height} x {width} pixels")
    mask = np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(width, height)
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    columns, starts = np.nonzero(edges == 1)
    _, ends = np.nonzero(edges == -1)
    return shapely.union_all(shapely.box(columns, starts, columns + 1, ends)) if len(columns) else None


def outside_share(shape: Shape, width: float, height: float) -> float:
    """The share of the shape's area that lies outside a page of this size."""
    left, top, right, bottom = shape.bounds
    if left >= 0 and top >= 0 and right <= width and bottom <= height:
        return 0.0
    return 1 - float(shapely.area(shapely.intersection(shape, shapely.box(0, 0, width, height)))) / float(shape.area)


def check_inside(shape: Shape, width: float, height: float) -> None:
    """Nothing, if the shape lies on a page of this size but for a sliver that a careless click makes.

    Raises:
        LabelsError: it does not.
    """
    if outside_share(shape, width, height) > _OUTSIDE_SHARE:
        left, top, right, bottom = shape.bounds
        raise LabelsError(
            f"it reaches from ({left:.0f}, {top:.0f}) to ({right:.0f}, {bottom:.0f}), out of the page of "
            f"{width:.0f} x {height:.0f}; were the labels made for a picture of another size?"
        )


def comparable(shape: Shape, kind: Kind) -> Shape:
    """What of the shape is compared under the kind."""
    if kind == "bbox":
        return shapely.box(*shape.bounds)
    return shape.minimum_rotated_rectangle if kind == "obb" else shape
