"""A page's readings made into the page of a floorplan: rooms in order, words, scale and openings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import shapely
from shapely.geometry import Polygon

from detection import document
from detection.labels import read_labels
from detection.merging import Found, Reading, together
from detection.picture_words import are_read, read_words
from detection.polygons import ring_of
from detection.regions import FloatArray
from detection.scale import find_scale
from detection.settings import DEFAULTS, Settings
from models.floorplan import Flag, Opening, Page, Room, Scale

NO_ROOMS: Final = "No rooms were found on this page."
_ODD_SOLIDITY: Final = 0.45  # of the convex hull; an L-shaped room has 0.6 to 0.8
_ODD_VERTICES: Final = 60
_DECIMALS: Final = 2
_PROBES: Final = (0.6, 1.0, 1.6, 2.4)  # of a wall's thickness, to either side of an opening


def build_page(page: document.Page, readings: Sequence[Reading], first_id: int, settings: Settings = DEFAULTS) -> Page:
    """The page of the floorplan; its rooms' ids count from `first_id` in reading order.

    Args:
        page: what was read.
        readings: what was found on it, at least one.
        first_id: the first room's number in the document.
        settings: whether words are read that the page shows but does not tell.
    """
    found = together(readings)
    found = [found[k] for k in reading_order([item.outline.polygon for item in found])]
    words = page.words
    if not words and found and are_read(settings):
        # Only now, so that chances stay those that were fitted without such words.
        words = read_words(page, [item.outline.polygon for item in found], settings.threads)
        labels = read_labels([item.outline.polygon for item in found], words)
        found = [replace(item, label=label) for item, label in zip(found, labels, strict=True)]
    scale = find_scale([(f.outline.polygon.area, f.label.area_m2) for f in found], words, page.unit)
    ids = [f"room_{first_id + k:03d}" for k in range(len(found))]
    rooms = [_room(key, item, page, scale.scale) for key, item in zip(ids, found, strict=True)]
    nothing = None if rooms else readings[-1].regions.message or NO_ROOMS
    return Page(
        page=page.number,
        width=round(page.width, 3),
        height=round(page.height, 3),
        unit=page.unit,
        message=joined(nothing, page.message, scale.message),
        scale=scale.scale,
        rooms=rooms,
        openings=_openings(readings, found, ids),
    )


def empty_page(page: document.Page, message: str | None = None) -> Page:
    """The page of a floorplan on which nothing could be looked for."""
    return Page(
        page=page.number,
        width=round(page.width, 3),
        height=round(page.height, 3),
        unit=page.unit,
        message=joined(message, page.message),
    )


def joined(*sentences: str | None) -> str | None:
    """The sentences there are, as one text; None where there are none."""
    return " ".join(sentence for sentence in sentences if sentence) or None


def reading_order(shapes: list[Polygon]) -> list[int]:
    """The shapes' indices row by row from the top, and from the left in a row.

    A row holds the shapes whose centres are within half a typical room's height of its topmost one's.
    """
    if not shapes:
        return []
    centres = [(shape.centroid.x, shape.centroid.y) for shape in shapes]
    heights = [shape.bounds[3] - shape.bounds[1] for shape in shapes]
    deep = 0.5 * float(np.median(heights))
    rows: list[list[int]] = []
    for k in sorted(range(len(shapes)), key=lambda k: (centres[k][1], centres[k][0], k)):
        if rows and centres[k][1] - centres[rows[-1][0]][1] <= deep:
            rows[-1].append(k)
        else:
            rows.append([k])
    return [k for row in rows for k in sorted(row, key=lambda k: (centres[k][0], centres[k][1], k))]


def _room(key: str, found: Found, page: document.Page, scale: Scale | None) -> Room:
    shape, label = found.outline.polygon, found.label
    area_m2 = label.area_m2 if scale is None else shape.area * scale.metres_per_unit**2
    return Room(
        id=key,
        polygon=ring_of(shape.exterior, clockwise=True),
        holes=[ring_of(hole, clockwise=False) for hole in shape.interiors],
        bounding_box=_normalised(shape, page.width, page.height),
        name_hint=label.name,
        number=label.number,
        area_m2=None if area_m2 is None else round(area_m2, 2),
        confidence=round(found.chance, 3),
        flags=_flags(found),
    )


def _normalised(shape: Polygon, width: float, height: float) -> list[int]:
    """The bounding box in thousandths of the page's sides, within the page."""
    x0, y0, x1, y1 = shape.bounds
    box = (x0 / width, y0 / height, x1 / width, y1 / height)
    return [min(1000, max(0, round(1000 * share))) for share in box]


def _flags(found: Found) -> list[Flag]:
    """The region's own flags, and those for an odd shape and for want of a label where other rooms have one."""
    flags = list(found.outline.region.flags)
    odd = found.features["solidity"] < _ODD_SOLIDITY or len(found.outline.polygon.exterior.coords) > _ODD_VERTICES
    if odd and "odd_shape" not in flags:
        flags.append("odd_shape")
    if found.features["unlabelled"] and "no_label" not in flags:
        flags.append("no_label")
    return flags


def _openings(readings: Sequence[Reading], found: Sequence[Found], ids: list[str]) -> list[Opening]:
    """The closed openings with the rooms on their two sides, those of a later reading where no earlier one has any.

    One that touches no room of its own reading is left out.
    """
    tree = shapely.STRtree(np.array([item.outline.polygon for item in found], dtype=object))
    openings: list[Opening] = []
    for reading in readings:
        regions, scale = reading.regions, reading.regions.units_per_px
        reach = max(regions.wall_px, 2.0) * scale
        own = {id(region) for region in regions.regions}
        known = np.array([np.mean(opening.line, axis=0) for opening in openings]).reshape(-1, 2)
        for closure in regions.closures:
            start, end = (np.array(point) * scale for point in closure.line_px)
            step, middle = end - start, (start + end) / 2
            length = math.hypot(*step)
            if length == 0 or (np.hypot(*(known - middle).T) <= reach).any():
                continue
            normal = np.array([-step[1], step[0]]) / length
            sides = [_room_beside(tree, middle, normal * side * reach) for side in (-1.0, 1.0)]
            beside = sorted({side for side in sides if side is not None})
            if any(id(found[side].outline.region) in own for side in beside):
                line = [(round(float(x), _DECIMALS), round(float(y), _DECIMALS)) for x, y in (start, end)]
                confidence = round(min(1.0, max(0.0, closure.confidence)), 3)
                rooms = [ids[side] for side in beside]
                openings.append(Opening(kind=closure.kind, line=line, rooms=rooms, confidence=confidence))
    return sorted(openings, key=lambda opening: (opening.line[0][1], opening.line[0][0], opening.line))


def _room_beside(tree: shapely.STRtree, middle: FloatArray, outwards: FloatArray) -> int | None:
    """The first room met on the way from an opening's middle to one side."""
    for share in _PROBES:
        hits = tree.query(shapely.points(*(middle + share * outwards)), predicate="within")
        if len(hits):
            return int(min(hits))
    return None
