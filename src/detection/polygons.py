"""Rooms' labels as polygons: walls straight in the plan's own directions, holes kept, valid, apart, on the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely
from shapely.geometry import LinearRing, Polygon
from shapely.geometry.base import BaseGeometry

from detection.faces import Faces, refined_axes
from detection.regions import FloatArray, Region, Regions
from detection.rings import following, label_boxes, pixel_rings, signed_area, simplified
from detection.straight import Straightening, find_axes, straightened

_DECIMALS: Final = 2
_GRID: Final = 0.01
_MAX_OVERLAP: Final = 0.02
_LEAST_AREA_PX: Final = 12.0
_LEAST_WIDTH_PX: Final = 2.0
_LEAST_HOLE_WIDTH_PX: Final = 1.5
_ROUGH_PX: Final = 0.5


@dataclass(frozen=True, slots=True)
class Outline:
    """One room on the page: a valid polygon in page units on a grid of 0.01, and the region it was drawn from."""

    region: Region
    polygon: Polygon


@dataclass(frozen=True, slots=True)
class _Traced:
    region: Region
    rings: list[FloatArray]


def find_outlines(regions: Regions, width: float, height: float) -> list[Outline]:
    """The rooms' polygons on a page of that size, in the order of `regions.regions`; slivers are left out.

    No two of them share more than 2 % of the smaller one's area.
    """
    traced = _trace(regions)
    if not traced:
        return []
    axes = find_axes([room.rings[0] for room in traced])
    tolerance = max(1.5, 0.35 * regions.wall_px)
    faces = Faces.none()
    if len(regions.faces):
        segments = regions.faces / regions.units_per_px
        axes = refined_axes(axes, segments)
        faces = Faces.along(segments, axes)
    how = Straightening(axes, tolerance, faces, 0.5 * max(regions.wall_px, 2.0))
    scale = regions.units_per_px
    page = shapely.box(0, 0, math.floor(width / _GRID) * _GRID / scale, math.floor(height / _GRID) * _GRID / scale)
    rough = [_on_page(_rough(room.rings, 0.0), page) for room in traced]
    drawn = [_on_page(_drawn(room.rings, plain, how), page) for room, plain in zip(traced, rough, strict=True)]
    shapes = _apart(drawn, rough)
    outlines = [
        Outline(room.region, _rounded(shape, scale))
        for room, shape in zip(traced, shapes, strict=True)
        if not _is_sliver(shape)
    ]
    return [outline for outline in outlines if not outline.polygon.is_empty]


def _rounded(shape: Polygon, scale: float) -> Polygon:
    """The shape in page units on the grid of what is written, valid there too; holes that vanish on it are gone."""
    return _largest(shapely.set_precision(shapely.transform(shape, lambda points: points * scale), _GRID))


def without(shape: Polygon, other: Polygon) -> Polygon:
    """What the other leaves of an outline, on the same grid; empty where that is a sliver."""
    rest = _rounded(_largest(shape.difference(other)), 1.0)
    return Polygon() if rest.is_empty or _is_sliver(rest) else rest


def ring_of(ring: LinearRing | FloatArray, *, clockwise: bool) -> list[tuple[float, float]]:
    """A ring's vertices, rounded, in the wanted direction on screen, the one with the smallest x + y first.

    The ring is not closed by repetition; vertices that rounding makes equal appear once.
    """
    points = np.round(shapely.get_coordinates(ring) if isinstance(ring, BaseGeometry) else ring, _DECIMALS) + 0.0
    points = points[np.any(points != following(points), axis=1)]
    if (signed_area(points) > 0) != clockwise:
        points = points[::-1]
    start = min(range(len(points)), key=lambda k: (round(points[k].sum(), 3), points[k][1], points[k][0]))
    return [(float(x), float(y)) for x, y in np.roll(points, -start, axis=0)]


def _trace(regions: Regions) -> list[_Traced]:
    boxes = label_boxes(regions.labels)
    traced = []
    for region in regions.regions:
        if region.label not in boxes:
            continue
        x0, y0, x1, y1 = boxes[region.label]
        rings = pixel_rings(regions.labels[y0:y1, x0:x1] == region.label)
        traced.append(_Traced(region, [ring + np.array([x0, y0]) for ring in rings]))
    return traced


def _rough(rings: list[FloatArray], tolerance: float) -> Polygon:
    """The polygon of the traced pixels, simplified; tiny holes are filled."""
    shells = [ring[simplified(ring, tolerance)] if tolerance else ring for ring in rings]
    holes = [ring for ring in shells[1:] if len(ring) > 2 and abs(signed_area(ring)) > _LEAST_AREA_PX]
    return _largest(Polygon(shells[0], holes))


def _drawn(rings: list[FloatArray], rough: Polygon, how: Straightening) -> Polygon:
    """The straightened polygon where it stays true to the pixels, else the pixels' own, smoothed."""
    outer = straightened(rings[0], how)
    if outer is None or len(outer) < 3:
        return _largest(rough.simplify(_ROUGH_PX))
    holes = []
    for ring in rings[1:]:
        if abs(signed_area(ring)) <= max(_LEAST_AREA_PX, how.tolerance_px**2) or _is_thin(ring):
            continue
        hole = straightened(ring, how)
        holes.append(ring if hole is None or len(hole) < 3 or not Polygon(hole).is_valid else hole)
    shape = _largest(Polygon(outer, holes))
    astray = shape.symmetric_difference(rough).area
    if astray > max(0.1 * rough.area, 4) or astray > (how.tolerance_px + how.reach_px) * rough.length:
        return _largest(rough.simplify(_ROUGH_PX))
    return shape


def _largest(shape: BaseGeometry) -> Polygon:
    """The largest valid polygon in a shape; an empty one if there is none."""
    if not shape.is_valid:
        shape = shapely.make_valid(shape)
    if isinstance(shape, Polygon):
        return shape
    parts = [part for part in shapely.get_parts(shape) if isinstance(part, Polygon)]
    parts += [p for part in shapely.get_parts(shape) if part.geom_type == "MultiPolygon" for p in part.geoms]
    return max(parts, key=lambda part: part.area, default=Polygon())


def _on_page(shape: Polygon, page: Polygon) -> Polygon:
    return shape if page.covers(shape) else _largest(shape.intersection(page))


def _apart(drawn: list[Polygon], rough: list[Polygon]) -> list[Polygon]:
    """The drawn shapes, but where two overlap too much the pixels' own, which never do."""
    shapes = list(drawn)
    for _ in range(2):
        again = False
        for one, other in overlapping(shapes):
            again = True
            shapes[one], shapes[other] = rough[one], rough[other]
        if not again:
            break
    return shapes


def overlapping(shapes: Sequence[Polygon], least: float = _MAX_OVERLAP) -> list[tuple[int, int]]:
    """Pairs of shapes, the first place before the second, that share more than that of the smaller one's area."""
    held = np.array(shapes, dtype=object)  # of no shapes, too
    pairs = shapely.STRtree(held).query(held, predicate="intersects")
    found = []
    for one, other in sorted(zip(*pairs.tolist(), strict=True)):
        if one < other:
            smaller = min(shapes[one].area, shapes[other].area)
            if shapes[one].intersection(shapes[other]).area > least * smaller:
                found.append((one, other))
    return found


def _is_thin(ring: FloatArray) -> bool:
    return bool(Polygon(ring).buffer(-_LEAST_HOLE_WIDTH_PX / 2).is_empty)


def _is_sliver(shape: Polygon) -> bool:
    return bool(shape.area < _LEAST_AREA_PX or shape.buffer(-_LEAST_WIDTH_PX / 2).is_empty)
