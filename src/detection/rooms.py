"""From walls and closures to rooms: closed areas, cut where they narrow to a doorway.

Glossary: a *core* is a connected part of an area that is everywhere further from walls than half a doorway; a
*piece* is what grows back from one core; its *opening share* is how much of its outline borders other pieces.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from detection.morphology import Mask, Stats, box, components, dilated, distances, eroded, resized
from detection.regions import LabelImage, Region

_LEVELS: Final = 9
_LEAK_OPENING: Final = 0.3  # a piece of the outside with more open outline than this is no room
_SPLIT_OPENING: Final = 0.2
_SPLIT_CORE: Final = 1.3  # a piece must be this much wider than the neck that cuts it off

Box = tuple[slice, slice]


@dataclass(frozen=True, slots=True)
class RoomLimits:
    """What counts as a room, in working pixels: half the narrowest room's width, and how wide a door may be."""

    half_width_px: float
    door_px: float

    @property
    def area_px(self) -> float:
        """The smallest room's area."""
        return 6 * self.half_width_px**2


def find_rooms(closed: Mask, limits: RoomLimits) -> tuple[LabelImage, list[Region]]:
    """The rooms of a mask that is 1 on walls and closures (uint8 h x w).

    The picture must have a margin all round that is outside. Labels are numbered from 1 without gaps.
    """
    free = (closed == 0).astype(np.uint8)
    areas, stats = components(free, connectivity=4)
    reach = distances(free)
    edge = np.unique(np.concatenate([areas[0], areas[-1], areas[:, 0], areas[:, -1]]))
    is_room = stats[:, cv2.CC_STAT_AREA] >= limits.area_px
    is_room &= np.bincount(areas[reach >= limits.half_width_px], minlength=len(stats)) > 0
    is_room[0] = is_room[edge] = False
    is_room[_frames(areas, stats, is_room)] = False

    labels = np.zeros(areas.shape, np.int32)
    regions: list[Region] = []
    pieces, reach = _pieces(is_room[areas], 0.8 * limits.door_px)
    for area in np.flatnonzero(is_room):
        at = _box_of(stats[area])
        mask = areas[at] == area
        parts = _split(mask, pieces[at], reach[at], limits)
        for part in parts:
            number = len(regions) + 1
            labels[at][part] = number
            shared = len(parts) > 1
            regions.append(Region(number, 0.6 if shared else 0.85, ("closed_by_guess",) if shared else ()))
    for at, part in _leaking(np.isin(areas, edge[edge > 0]), limits):
        number = len(regions) + 1
        labels[at][part & (labels[at] == 0)] = number
        regions.append(Region(number, 0.55, ("leaky",)))
    return labels, regions


def _box_of(stats: Stats) -> Box:
    x, y, width, height = (int(v) for v in stats[:4])
    return slice(y, y + height), slice(x, x + width)


def _frames(areas: LabelImage, stats: Stats, is_room: NDArray[np.bool_]) -> list[int]:
    """The areas that lie around most of the others: the inside of a sheet's border, not a room."""
    total = stats[is_room, cv2.CC_STAT_AREA].sum()
    frames = []
    for area in np.flatnonzero(is_room):
        x, y, width, height, size = (int(v) for v in stats[area])
        inside = is_room & (stats[:, 0] >= x) & (stats[:, 1] >= y)
        inside &= (stats[:, 0] + stats[:, 2] <= x + width) & (stats[:, 1] + stats[:, 3] <= y + height)
        inside[area] = False
        if stats[inside, cv2.CC_STAT_AREA].sum() > 0.6 * (total - size) and size < 0.8 * width * height:
            at = _box_of(stats[area])
            own = (areas[at] == area).astype(np.uint8)
            contours, _ = cv2.findContours(own, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
            if sum(cv2.contourArea(c) for c in contours) > 1.6 * size:
                frames.append(int(area))
    return frames


def _pieces(mask: NDArray[np.bool_], neck_px: float) -> tuple[LabelImage, NDArray[np.float32]]:
    """The mask cut at all necks narrower than `neck_px`: piece numbers (int32 h x w) and distances to its edge.

    Cores are grown back level by level of the distance, at half size, so that pieces meet where a neck is narrowest.
    """
    reach = distances(mask.astype(np.uint8))
    half = 0.5 * neck_px
    cores, _ = components((reach > half).astype(np.uint8))
    height, width = mask.shape
    small = resized(reach, max(1, width // 2), max(1, height // 2), cv2.INTER_AREA) / 2
    grown = resized(cores.astype(np.uint16), small.shape[1], small.shape[0], cv2.INTER_NEAREST)
    kernel = box(3, 3)
    for level in np.linspace(half / 2, 0.4, _LEVELS)[1:]:
        blocked = small <= level
        for _ in range(int(half / 2 / (_LEVELS - 1) * 1.6) + 2):
            ring = dilated(grown, kernel)
            ring[(grown > 0) | blocked] = 0
            if not ring.any():
                break
            grown += ring
    pieces = resized(grown, width, height, cv2.INTER_NEAREST).astype(np.int32)
    pieces[~mask] = 0
    return pieces, reach


def _opening_share(piece: NDArray[np.bool_], others: NDArray[np.bool_]) -> float:
    own = piece.astype(np.uint8)
    outline = own & (1 - eroded(own, box(3, 3)))
    beside = dilated((others & ~piece).astype(np.uint8), box(5, 5))
    return float((outline & beside).sum()) / max(1, int(outline.sum()))


def _split(
    mask: NDArray[np.bool_], pieces: LabelImage, reach: NDArray[np.float32], limits: RoomLimits
) -> list[NDArray[np.bool_]]:
    """The room's parts if doorway-wide necks divide it into rooms that are clearly wider; else the room alone."""
    numbers = [n for n in np.unique(pieces[mask]) if n > 0]
    wide = []
    for number in numbers:
        own = mask & (pieces == number)
        if own.sum() >= limits.area_px and reach[own].max() >= _SPLIT_CORE * 0.4 * limits.door_px:
            wide.append(own)
    if len(wide) < 2:
        return [mask]
    grown = np.zeros(mask.shape, np.uint16)
    for index, own in enumerate(wide, 1):
        grown[own] = index
    while True:  # what belongs to no wide piece goes to the nearest
        ring = dilated(grown, box(3, 3))
        ring[(grown > 0) | ~mask] = 0
        if not ring.any():
            break
        grown += ring
    parts = [grown == index for index in range(1, len(wide) + 1)]
    if any(_opening_share(part, grown > 0) > _SPLIT_OPENING for part in parts):
        return [mask]
    return parts


def _leaking(outside: NDArray[np.bool_], limits: RoomLimits) -> list[tuple[Box, NDArray[np.bool_]]]:
    """Rooms that an opening nobody could close joins to the outside: cut off at necks of doorway width."""
    pieces, _ = _pieces(outside, 1.3 * limits.door_px)
    beyond = set(np.unique(np.concatenate([pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]])).tolist())
    found = []
    numbers = np.unique(pieces)
    for number in (int(n) for n in numbers if n > 0 and int(n) not in beyond):
        rows, columns = np.flatnonzero((pieces == number).any(1)), np.flatnonzero((pieces == number).any(0))
        at = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
        own = pieces[at] == number
        if own.sum() >= limits.area_px and _opening_share(own, pieces[at] > 0) <= _LEAK_OPENING:
            found.append((at, own))
    return found
