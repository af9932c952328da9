"""The search for rooms on drawn PDF pages: walls from the page's own lines and fills."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from detection.morphology import Mask, components
from detection.pdf import Paths, Word
from detection.regions import Closure, Debug, FloatArray, Region, Regions
from detection.settings import Settings
from detection.vector_canvas import Canvas
from detection.vector_evidence import borders, evidence_of
from detection.vector_openings import GAP, JOINT, KINDS, Openings, OpeningSearch, door_openings, facing, once
from detection.vector_rooms import Areas, find_areas, in_plans, judged, named_by, room_words, wide_enough
from detection.vector_split import Dividers, divided, lesser_lines, rays
from detection.vector_strokes import Strokes, read_strokes
from detection.vector_walls import Walls, find_walls

_LEAST_SEGMENTS: Final = 8
_PLAIN_GAP: Final = 1.5  # a gap without a door or a window is closed up to so many doors' widths
_SURE_PIECE: Final = 2.5  # a piece of wall as long as so many doors is no furniture


class DrawnPage(Protocol):
    """What the search needs of a page."""

    @property
    def width(self) -> float:
        """The width in points."""

    @property
    def height(self) -> float:
        """The height in points."""

    @property
    def words(self) -> list[Word]:
        """The words of the text layer."""

    @property
    def paths(self) -> Paths | None:
        """What the page draws."""


@dataclass(frozen=True, slots=True)
class _Closed:
    """The walls with their openings shut: uint8 (h, w), the openings that were, and the gaps that were not."""

    mask: Mask
    shut: Openings
    gaps: Openings


def find_regions(page: DrawnPage, settings: Settings, debug: Debug | None = None) -> Regions | None:
    """The rooms of a drawn page, in points; None where its lines enclose none, so that its picture has to do."""
    paths = page.paths
    if paths is None or len(paths.xy) < _LEAST_SEGMENTS:
        return None
    words = page.words
    centres = np.array([w.centre for w in words]).reshape(-1, 2)
    strokes = read_strokes(paths, (page.width, page.height))
    walls = find_walls(paths, strokes, (page.width, page.height), centres, settings.max_side_px)
    if walls is None:
        return None
    closed = _close(walls, strokes)
    areas = find_areas(closed.mask)
    inside = (walls.canvas.at(areas.labels, centres) > 0) & ~areas.outside[walls.canvas.at(areas.labels, centres)]
    names = room_words(words, inside)
    areas = _divide(areas, walls, strokes, closed, names)
    named = named_by(areas, walls.canvas, names)
    kept = wide_enough(areas, named, closed.mask, walls.depth * walls.canvas.scale, walls.door * walls.canvas.scale)
    kept &= in_plans(areas, closed.mask, walls.canvas.pixels(closed.shut.line.mean(axis=1)))
    if debug is not None:
        debug("walls", walls.mask * np.uint8(255))
        debug("closed", closed.mask * np.uint8(255))
    if not kept.any():
        return None
    whole = Canvas.of(page.width, page.height, walls.canvas.scale)
    return _regions(areas, kept, named, walls, closed, whole)


def _close(walls: Walls, strokes: Strokes) -> _Closed:
    canvas, door = walls.canvas, walls.door
    search = OpeningSearch(canvas, walls.mask, strokes.families, strokes.doors, door)
    pieces, stats = components(walls.mask)
    sure = _longer_side(stats) >= _SURE_PIECE * door * canvas.scale
    sure[0] = False
    found = []
    for bands in walls.bands:
        on_wall = sure[canvas.at(pieces, bands.middle)] | (canvas.at(walls.solid, bands.middle) > 0)
        found.append(search.run(bands, on_wall))
    found.append(door_openings(strokes.doors, canvas, walls.mask, min(0.5 * walls.depth, 0.12 * door)))
    openings = Openings.of(found)
    mask = walls.mask.copy()
    wide = (openings.kind == GAP) & (openings.length > _PLAIN_GAP * door)
    shut = openings.only(~wide)
    canvas.fill(mask, shut.shape)
    return _Closed(
        _without_specks(mask, max(6 * walls.depth, 1.2 * door) * canvas.scale),
        once(shut.only(shut.kind != JOINT)),
        openings.only(wide),
    )


def _longer_side(stats: NDArray[np.int32]) -> NDArray[np.int32]:
    side: NDArray[np.int32] = stats[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max(axis=1)
    return side


def _without_specks(mask: Mask, least_px: float) -> Mask:
    """The mask without what is small on its own: furniture, symbols, letters."""
    labels, stats = components(mask)
    keep = _longer_side(stats) >= least_px
    keep[0] = False
    out: Mask = keep[labels].astype(np.uint8)
    return out


def _divide(areas: Areas, walls: Walls, strokes: Strokes, closed: _Closed, names: FloatArray) -> Areas:
    """The areas, those divided that hold several names or hold names and leak."""
    named = named_by(areas, walls.canvas, names)
    several = (named > 1) | (areas.outside & (named > 0))
    several[0] = False
    if not several.any():
        return areas
    door = walls.door
    power = np.where(facing(closed.gaps), 0.55, 0.32) - 0.02 * closed.gaps.length / door
    dividers = Dividers(closed.gaps.line.reshape(-1, 4), power)
    lesser = lesser_lines(strokes.families, walls.bands, walls.styles, 0.5 * door)
    stops = closed.mask.copy()
    walls.canvas.draw_lines(stops, lesser.like_walls)
    starts = np.vstack([walls.faces, lesser.longer_than(2 * door)])
    where = several[areas.labels]
    dividers += lesser.dividers
    dividers += rays(walls.canvas, stops, starts, where, door)
    return areas.replaced(divided(walls.canvas, areas.labels, several, dividers, names), several)


def _regions(
    areas: Areas, kept: NDArray[np.bool_], named: NDArray[np.int64], walls: Walls, closed: _Closed, page: Canvas
) -> Regions:
    number = (np.cumsum(kept) * kept).astype(np.int32)
    labels = np.zeros((page.height_px, page.width_px), np.int32)
    left, top = walls.canvas.left_px, walls.canvas.top_px
    labels[top : top + walls.canvas.height_px, left : left + walls.canvas.width_px] = number[areas.labels]
    verdicts = judged(areas, kept, named, closed.mask)
    scale = walls.canvas.scale
    kinds = borders(walls.canvas, walls.mask, closed.mask, closed.shut)
    rooms = np.flatnonzero(kept)
    evidence = evidence_of(areas, rooms, named, kinds, walls.door * scale, walls.depth * scale)
    return Regions(
        labels=labels,
        units_per_px=1 / scale,
        regions=[Region(int(number[k]), *verdicts[k], evidence[k]) for k in rooms.tolist()],
        closures=_closures(closed.shut, scale),
        wall_px=walls.depth * scale,
        faces=walls.faces,
        kind="drawn",
    )


def _closures(shut: Openings, scale: float) -> list[Closure]:
    return [
        Closure(KINDS[kind], ((a[0], a[1]), (b[0], b[1])), confidence)
        for kind, (a, b), confidence in zip(
            shut.kind.tolist(), (shut.line * scale).tolist(), shut.confidence.tolist(), strict=True
        )
    ]
