"""The search for rooms by the strokes of a picture, without the network: thick ink or parallel lines are walls."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from detection.morphology import Mask, box, components, dilated
from detection.openings import Gap, door_reach, fill_gap, find_caps, find_gaps, find_windows
from detection.overlay import draw_labels
from detection.regions import ByteImage, Closure, Debug, LabelImage, RasterFind, Region
from detection.rooms import RoomLimits, find_rooms
from detection.turn import Turn
from detection.walls import Walls, find_walls

_WELL_COVERED: Final = 0.15  # with more of the drawing in rooms, no second reading is tried


def search(grey: ByteImage, debug: Debug | None = None) -> RasterFind | str:
    """The rooms in a grey picture with a blank margin (uint8 h x w), or a sentence that says why there are none."""
    turn = Turn.upright(grey)
    upright = turn.forth(grey)
    finds: list[_Find] = []
    for walls in find_walls(upright):
        finds.append(_search(walls))
        if finds[-1].coverage >= _WELL_COVERED:
            break
    if not finds:
        return "Nothing is drawn on this page."
    best = max(finds, key=lambda find: find.coverage)
    if debug is not None:
        _draw_steps(debug, upright, best)
    if not best.walls.walls.any():
        return "No walls were found on this page."
    return RasterFind(
        labels=turn.back(best.labels),
        regions=best.regions,
        closures=[_turned_back(gap, turn) for gap in best.used],
        wall_px=best.walls.strokes.wall_px,
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


def _turned_back(gap: Gap, turn: Turn) -> Closure:
    closure = gap.closure()
    start, end = (turn.point_back(point) for point in closure.line_px)
    return replace(closure, line_px=(start, end))


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
    debug("rooms", draw_labels(base, find.labels))
