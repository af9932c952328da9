"""The search for rooms in what the network sees: walls and openings are barriers, closed areas are rooms.

Glossary: the *barrier* is what no room reaches into: walls, windows and doors; the *depth* is how far inside a room the
network takes a pixel to be: a valley in it is a boundary that hardly anything was drawn for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from detection import network
from detection.morphology import Mask, Stats, box, components, dilated, distances
from detection.network import Evidence, Shares
from detection.overlay import draw_labels
from detection.regions import ByteImage, Closure, Debug, LabelImage, RasterFind, Region
from detection.rings import label_boxes
from models.floorplan import Flag

_LEAST_EXTENT_PX: Final = 32
_LEAST_OPENING_PX: Final = 12
_LEAST_ROOM: Final = 0.5
_WHOLE: Final = 0.9
_RING_PX: Final = 3
_LEVELS: Final = (0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.12, 0.05, 0.0)
_DROP: Final = 0.5
Box = tuple[slice, slice]
_CROSS: Final = np.asarray(cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)), np.uint8)


def search(grey: ByteImage, debug: Debug | None = None) -> RasterFind | str:
    """The rooms in a grey picture with a blank margin (uint8 h x w), or a sentence that says why there are none."""
    evidence = network.see_twice(grey)
    barrier = ((evidence.wall + evidence.opening + evidence.window) > 0.5).astype(np.uint8)
    extent_px = _extent(barrier)
    if extent_px < _LEAST_EXTENT_PX:
        return "No walls were found on this page."
    wall_px = _thickness((evidence.wall > 0.5).astype(np.uint8))
    labels, regions = _rooms(barrier, evidence, extent_px)
    if debug is not None:
        _draw_steps(debug, grey, evidence, barrier, labels)
    return RasterFind(labels, regions, _openings(evidence), wall_px)


def _openings(evidence: Evidence) -> list[Closure]:
    """The doors and windows that the network sees, each as a line along its longer side."""
    closures: list[Closure] = []
    kinds: tuple[tuple[Literal["door", "window"], Shares], ...] = (
        ("door", evidence.opening),
        ("window", evidence.window),
    )
    for kind, share in kinds:
        mask = (share > 0.5).astype(np.uint8)
        outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        for outline in outlines:
            if len(outline) < _LEAST_OPENING_PX:
                continue
            corners = cv2.boxPoints(cv2.minAreaRect(outline)).astype(np.float64)
            sides = np.hypot(*(corners - np.roll(corners, -1, axis=0)).T)
            turn = 0 if sides[0] <= sides[1] else 1
            a, b, c, d = (corners[(k + turn) % 4] for k in range(4))
            (x0, y0), (x1, y1) = (a + b) / 2, (c + d) / 2
            x, y, width, height = cv2.boundingRect(outline)
            sure = float(share[y : y + height, x : x + width][mask[y : y + height, x : x + width] > 0].mean())
            closures.append(Closure(kind, ((float(x0), float(y0)), (float(x1), float(y1))), sure))
    return closures


def _draw_steps(debug: Debug, grey: ByteImage, evidence: Evidence, barrier: Mask, labels: LabelImage) -> None:
    base = np.repeat(grey[..., None], 3, axis=2)
    tints = (
        (evidence.outside, (255, 235, 215)),
        (evidence.room, (215, 255, 215)),
        (evidence.wall, (0, 0, 0)),
        (evidence.opening, (0, 0, 255)),
        (evidence.window, (255, 0, 0)),
    )
    debug("evidence", np.asarray(sum(share[..., None] * np.array(tint) for share, tint in tints), np.uint8))
    debug("depth", np.asarray(evidence.depth * 255, np.uint8))
    seen = base.copy()
    seen[barrier > 0] = (0, 0, 200)
    debug("openings", seen)
    debug("rooms", draw_labels(base, labels))


def _extent(barrier: Mask) -> int:
    rows, columns = np.flatnonzero(barrier.any(1)), np.flatnonzero(barrier.any(0))
    if not len(rows):
        return 0
    return int(max(rows[-1] - rows[0], columns[-1] - columns[0]))


def _thickness(walls: Mask) -> float:
    """The typical wall's thickness: twice the median depth of the pixels that lie deepest across it."""
    depth = distances(walls)
    ridge = (depth >= dilated(depth, box(3, 3))) & (depth > 0)
    return 2 * float(np.median(depth[ridge])) if ridge.any() else 4.0


def _rooms(barrier: Mask, evidence: Evidence, extent_px: int) -> tuple[LabelImage, list[Region]]:
    """Closed areas that the network takes for rooms, and what it takes for rooms where an opening stayed open."""
    half_px = max(3.0, 0.009 * extent_px)
    least_px = 6 * half_px**2
    free = (barrier == 0).astype(np.uint8)
    areas, stats = components(free, connectivity=4)
    count = len(stats)
    size = np.maximum(stats[:, cv2.CC_STAT_AREA], 1)
    room = np.bincount(areas.ravel(), evidence.room.ravel(), count) / size
    edge = np.unique(np.concatenate([areas[0], areas[-1], areas[:, 0], areas[:, -1]]))
    keep = room > _LEAST_ROOM
    keep[0] = False
    keep[edge] = False
    inside = keep[areas]
    leaking = np.isin(areas, edge[edge > 0]) & (evidence.room > evidence.outside)
    pieces = _pieces((inside | leaking).astype(np.uint8), evidence.depth, least_px)
    return _kept(pieces, inside, evidence, least_px, half_px)


def _kept(
    pieces: LabelImage, inside: NDArray[np.bool_], evidence: Evidence, least_px: float, half_px: float
) -> tuple[LabelImage, list[Region]]:
    """The pieces that are large and wide enough for a room, numbered anew, each with what speaks for it."""
    labels = np.zeros(pieces.shape, np.int32)
    regions: list[Region] = []
    for number, (x0, y0, x1, y1) in label_boxes(pieces).items():
        at = slice(y0, y1), slice(x0, x1)
        own = (pieces[at] == number).astype(np.uint8)
        if own.sum() < least_px:
            continue
        parts, stats = components(own, connectivity=4)
        if len(stats) > 2:
            own = (parts == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())).astype(np.uint8)
        if distances(np.pad(own, 1)).max() < half_px:
            continue
        label = len(regions) + 1
        labels[at][own > 0] = label
        closed = float(inside[at][own > 0].mean())
        whole = closed > _WHOLE
        flags: tuple[Flag, ...] = () if whole else ("leaky",)
        regions.append(Region(label, 0.85 if whole else 0.5, flags, _shares(own, at, evidence, closed)))
    return labels, regions


def _shares(own: Mask, at: Box, evidence: Evidence, closed: float) -> tuple[tuple[str, float], ...]:
    """What the network says of a piece and of the ring around it, three pixels wide."""
    around = tuple(slice(max(0, part.start - _RING_PX), part.stop + _RING_PX) for part in at)
    rows, columns = (part.start - wider.start for part, wider in zip(at, around, strict=True))
    grown = np.zeros(evidence.room[around].shape, np.uint8)
    grown[rows : rows + own.shape[0], columns : columns + own.shape[1]] = own
    ring = (dilated(grown, box(2 * _RING_PX + 1, 2 * _RING_PX + 1)) > 0) & (grown == 0)
    walls = evidence.wall[around] + evidence.window[around]
    bounds = walls + evidence.opening[around]
    body = own > 0
    return (
        ("room", float(evidence.room[at][body].mean())),
        ("deep", float(evidence.depth[at][body].mean())),
        ("closed", closed),
        ("bounds", float(bounds[ring].mean())),
        ("open ring", float((bounds[ring] < 0.3).mean())),
        ("walls", float(walls[ring].mean())),
        ("outside ring", float(evidence.outside[around][ring].mean())),
    )


@dataclass(slots=True)
class _Summit:
    """A place deepest inside: what grows from it is a piece, until it joins a higher summit."""

    number: int
    pixel: int
    peak: float
    area_px: int


def _pieces(mask: Mask, depth: Shares, least_px: float) -> LabelImage:
    """The mask cut along the valleys of the depth: int32 (h, w), 0 outside the mask.

    The depth is flooded from above, level by level. Two summits stay apart if the way between them drops to less than
    half of the lower one and both have the area of a room.
    """
    whole = np.zeros(mask.shape, np.int32)
    x0, y0, width, height = cv2.boundingRect(mask)
    at = slice(y0, y0 + height), slice(x0, x0 + width)
    mask = mask[at]
    depth = np.where(mask > 0, np.maximum(depth[at], 0.001), 0).astype(np.float32)
    labels = np.zeros(mask.shape, np.uint16)
    summits: list[_Summit] = []
    joined = [0]
    for level in _LEVELS:
        parts, stats = components((depth > level).astype(np.uint8), connectivity=4)
        summits = _joined(summits, parts, stats, level, least_px, joined)
        alone = np.zeros(len(stats), np.uint16)
        count = np.bincount([int(parts.flat[s.pixel]) for s in summits], minlength=len(stats))
        for summit in summits:
            part = int(parts.flat[summit.pixel])
            if count[part] == 1:
                alone[part] = summit.number
        for part in (int(p) for p in np.flatnonzero(count == 0) if p > 0):
            summits.append(_summit(depth, parts, stats, part, len(joined)))
            joined.append(len(joined))
            alone[part] = summits[-1].number
        given = alone[parts]
        labels = np.where(given > 0, given, labels)
        _grow(labels, (depth > level) & (labels == 0))
    whole[at] = np.asarray(_roots(joined), np.int32)[labels]
    return whole


def _joined(
    summits: list[_Summit], parts: LabelImage, stats: Stats, level: float, least_px: float, joined: list[int]
) -> list[_Summit]:
    """The summits that stay apart at this level; of the others `joined` says which they belong to."""
    held: dict[int, list[_Summit]] = {}
    for summit in summits:
        held.setdefault(int(parts.flat[summit.pixel]), []).append(summit)
    kept = []
    for part, group in held.items():
        group.sort(key=lambda s: (-s.peak, s.pixel))
        stay = group[:1]
        for summit in group[1:]:
            if summit.area_px >= 0.5 * least_px and summit.peak - level >= _DROP * summit.peak:
                stay.append(summit)
            else:
                joined[summit.number] = group[0].number
        if len(stay) == 1:
            stay[0].area_px = int(stats[part, cv2.CC_STAT_AREA])
        kept += stay
    return kept


def _summit(depth: Shares, parts: LabelImage, stats: Stats, part: int, number: int) -> _Summit:
    x, y, width, height, area = (int(v) for v in stats[part])
    at = slice(y, y + height), slice(x, x + width)
    own = np.where(parts[at] == part, depth[at], -1)
    row, column = np.unravel_index(int(own.argmax()), own.shape)
    return _Summit(number, (y + int(row)) * parts.shape[1] + x + int(column), float(own.max()), area)


def _grow(labels: NDArray[np.uint16], free: NDArray[np.bool_]) -> None:
    """Let the labels grow into what is free, evenly, in place."""
    while free.any():
        ring = np.where(free, dilated(labels, _CROSS), 0)
        if not ring.any():
            return
        labels += ring.astype(np.uint16)
        free &= ring == 0


def _roots(joined: list[int]) -> list[int]:
    roots = list(joined)
    for number in range(len(roots)):
        root = number
        while roots[root] != root:
            root = roots[root]
        roots[number] = root
    return roots
