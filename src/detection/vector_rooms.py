"""From walls and closures to rooms on a drawn page: closed areas, judged by their width, labels and place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from detection.morphology import Mask, Stats, box, components, dilated, distances
from detection.pdf import Word
from detection.regions import FloatArray, LabelImage
from detection.vector_canvas import Canvas
from models.floorplan import Flag

_NAMED_SHARE: Final = 0.6  # of the broad areas, that hold a name where the plan names its rooms
_BROAD: Final = 0.5  # of the picture's sides, that an area around a plan spans
_HELD: Final = 0.1  # of its own size, that an area around a plan holds
_OPENINGS_OF_A_PLAN: Final = 3
_NAME: Final = re.compile(r"[^\W\d_]{2,}")
_NUMBER: Final = re.compile(r"^[A-Z]{0,2}\.?\d[\d.\-/]*[A-Z]{0,2}$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Areas:
    """The connected areas of what is not wall.

    Attributes:
        labels: int32 (h, w), 0 is wall.
        area_px: int64 (k,), by label.
        reach_px: float64 (k,), the radius of the largest circle inside.
        outside: bool (k,), whether the area reaches the page's edge.
        was_outside: bool (k,), whether it was cut from one that did.
        was_divided: bool (k,), whether it was cut from a larger one.
    """

    labels: LabelImage
    area_px: NDArray[np.int64]
    reach_px: FloatArray
    outside: NDArray[np.bool_]
    was_outside: NDArray[np.bool_]
    was_divided: NDArray[np.bool_]

    def replaced(self, labels: LabelImage, divided: NDArray[np.bool_]) -> Areas:
        """The areas of new labels, into which those named by `divided` (bool (k,)) were cut."""
        count = int(labels.max()) + 1
        inner = (labels > 0).astype(np.uint8)
        inner[:, 1:][labels[:, 1:] != labels[:, :-1]] = 0
        inner[1:][labels[1:] != labels[:-1]] = 0
        before = np.zeros(count, np.int64)
        before[labels.ravel()] = self.labels.ravel()
        return Areas(
            labels,
            np.bincount(labels.ravel(), minlength=count),
            _widest(labels, distances(inner), count),
            _at_edge(labels, count),
            (divided & self.outside)[before],
            divided[before],
        )


def find_areas(barrier: Mask) -> Areas:
    """The 4-connected areas between barriers (uint8 h x w)."""
    free = (barrier == 0).astype(np.uint8)
    labels, stats = components(free, connectivity=4)
    reach = distances(free)
    widest = _widest(labels, reach, len(stats))
    uncut = np.zeros(len(stats), bool)
    outside = _at_edge(labels, len(stats))
    outside |= _around_the_rest(labels, stats, outside)
    return Areas(labels, stats[:, cv2.CC_STAT_AREA].astype(np.int64), widest, outside, uncut, uncut)


def _around_the_rest(labels: LabelImage, stats: Stats, outside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """bool (k,): the areas that hold most of all others within: what is between a sheet's frame and its plan."""
    out = np.zeros(len(stats), bool)
    inner = ~outside
    inner[0] = False
    broad = (stats[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]] >= _BROAD * np.array(labels.shape[::-1])).all(axis=1)
    for k in np.flatnonzero(inner & broad).tolist():
        x, y, width, height, area = (int(value) for value in stats[k])
        own = (labels[y : y + height, x : x + width] == k).astype(np.uint8)
        outline, _ = cv2.findContours(own, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        filled = cv2.fillPoly(np.zeros_like(own), outline, (1,)).astype(bool)
        held = np.bincount(labels[y : y + height, x : x + width][filled], minlength=len(stats))
        rest = int(stats[inner, cv2.CC_STAT_AREA].sum()) - area
        out[k] = int(held[inner].sum()) - area > max(0.5 * rest, _HELD * area)
    return out


def _at_edge(labels: LabelImage, count: int) -> NDArray[np.bool_]:
    out = np.zeros(count, bool)
    out[np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))] = True
    out[0] = False
    return out


def named_by(areas: Areas, canvas: Canvas, names: FloatArray) -> NDArray[np.int64]:
    """int64 (k,): how many of the names at these places, float64 (m, 2) in page units, each area holds."""
    named = np.zeros(len(areas.area_px), np.int64)
    np.add.at(named, canvas.at(areas.labels, names), 1)
    named[0] = 0
    return named


def wide_enough(
    areas: Areas, named: NDArray[np.int64], barrier: Mask, wall_px: float, door_px: float
) -> NDArray[np.bool_]:
    """bool (k,): the areas that are rooms; where the plan names its rooms, one without a name must be wider."""
    reach = areas.reach_px
    least = max(0.6 * wall_px, 0.2 * door_px)
    rooms = (reach >= least) & (areas.area_px >= 6 * least**2) & ~areas.outside
    rooms[0] = False
    if areas.was_outside.any():
        rooms &= ~areas.was_outside | ((named > 0) & (walled_share(areas.labels, barrier) > 0.5))
    broad = (reach > 0.5 * door_px) & ~areas.outside & ~areas.was_outside
    has_names = bool(broad.any()) and float((named[broad] > 0).mean()) > _NAMED_SHARE
    return rooms & ((named > 0) | (reach >= (0.6 if has_names else 0.35) * door_px))


def in_plans(areas: Areas, barrier: Mask, openings_px: NDArray[np.int64]) -> NDArray[np.bool_]:
    """bool (k,): the areas within walls that have openings; boxes without any beside such walls are tables and legends.

    Args:
        areas: the areas between barriers.
        barrier: uint8 (h, w), the walls with their openings shut.
        openings_px: int64 (n, 2), pixels x, y on the openings.
    """
    height, width = barrier.shape
    walls, _ = components(barrier)
    x, y = np.clip(openings_px, 0, [width - 1, height - 1]).T
    opened = np.bincount(walls[y, x], minlength=int(walls.max()) + 1)
    opened[0] = 0
    # The pixel above an area's topmost one belongs to what is around it.
    first = np.full(len(areas.area_px), -1)
    place = np.flatnonzero(areas.labels)
    first[areas.labels.ravel()[place[::-1]]] = place[::-1]
    above = np.maximum(first - width, 0)
    holder = np.where(first >= width, walls.ravel()[above], 0)
    beside = np.where(first >= width, areas.labels.ravel()[above], 0)
    plans = (opened[holder] > 0) | (holder == 0) & (beside > 0)
    # What has no opening of its own may stand inside a plan: a shaft, a core.
    top = np.full(len(opened), -1)
    place = np.flatnonzero(walls)
    top[walls.ravel()[place[::-1]]] = place[::-1]
    around = np.where(top >= width, areas.labels.ravel()[np.maximum(top - width, 0)], 0)
    detached = areas.outside[around] | (around == 0)
    inside: NDArray[np.bool_] = plans | ~detached[holder]
    if opened.max(initial=0) < _OPENINGS_OF_A_PLAN:
        inside[:] = True
    return inside


def judged(
    areas: Areas, rooms: NDArray[np.bool_], named: NDArray[np.int64], barrier: Mask
) -> dict[int, tuple[float, tuple[Flag, ...]]]:
    """For each room how sure it is, 0 to 1, and what speaks against it."""
    share = walled_share(areas.labels, barrier)
    out: dict[int, tuple[float, tuple[Flag, ...]]] = {}
    for k in np.flatnonzero(rooms).tolist():
        flags: list[Flag] = []
        confidence = 0.95
        if named[k] != 1:
            confidence -= 0.3 if named[k] else 0.35
            flags += [] if named[k] else ["no_label"]
        if areas.was_outside[k]:
            confidence -= 0.2
            flags.append("leaky")
        if areas.was_divided[k]:
            confidence -= 0.1 + 0.5 * (1 - float(share[k]))
            flags.append("closed_by_guess")
        out[k] = max(0.05, confidence), tuple(flags)
    return out


def _widest(labels: LabelImage, reach: NDArray[np.float32], count: int) -> FloatArray:
    """float64 (count,): each label's largest reach, taken from the peaks alone."""
    peak = (reach >= dilated(reach, box(3, 3))) & (reach > 0)
    widest = np.zeros(count)
    np.maximum.at(widest, labels[peak], reach[peak])
    return widest


def walled_share(labels: LabelImage, barrier: Mask) -> FloatArray:
    """float64 (k,): the share of each label's outline that runs along a wall or a closure."""
    edge = np.zeros(labels.shape, bool)
    for a, b in (
        ((slice(1, None),), (slice(None, -1),)),
        ((slice(None), slice(1, None)), (slice(None), slice(None, -1))),
    ):
        differ = labels[a] != labels[b]
        edge[a] |= differ
        edge[b] |= differ
    at = labels[edge]
    beside = dilated(barrier, box(3, 3))[edge] > 0
    count = np.bincount(at, minlength=int(labels.max()) + 1)
    walled: FloatArray = np.bincount(at, beside, minlength=len(count)) / np.maximum(count, 1)
    return walled


def room_words(words: list[Word], inside: NDArray[np.bool_]) -> FloatArray:
    """float64 (m, 2): where the rooms are named, one place a block of words: by names or numbers, as the plan does.

    Args:
        words: the page's words.
        inside: bool (n,), which of them lie in a closed area, where they tell the plan's habit.
    """
    names = [w for w in words if _NAME.search(w.text)]
    numbers = [w for w in words if _NUMBER.match(w.text) and not _NAME.search(w.text)]
    numbers = [w for w, beside in zip(numbers, _beside(numbers, names), strict=True) if not beside]
    within = {id(w) for w, is_inside in zip(words, inside.tolist(), strict=True) if is_inside}
    count = [sum(id(w) in within for w in kind) for kind in (names, numbers)]
    chosen = numbers if count[1] > 2 * count[0] else names
    usual = float(np.median([w.size_pt for w in chosen if id(w) in within] or [w.size_pt for w in chosen] or [0.0]))
    chosen = [w for w in chosen if w.size_pt < 1.8 * usual]
    blocks: list[list[Word]] = []
    for word in chosen:
        for block in blocks:
            if any(_together(word, other) for other in block):
                block.append(word)
                break
        else:
            blocks.append([word])
    out = np.zeros((len(blocks), 2))
    for k, block in enumerate(blocks):
        boxes = np.array([w.box for w in block])
        out[k] = (boxes[:, :2].min(axis=0) + boxes[:, 2:].max(axis=0)) / 2
    return out


def _beside(words: list[Word], others: list[Word]) -> list[bool]:
    """Whether each word lies next to, above or below one of the others: an area or a count to a name."""
    if not words or not others:
        return [False] * len(words)
    boxes = np.array([w.box for w in others])
    out = []
    for word in words:
        gap_x = np.maximum(boxes[:, 0], word.box[0]) - np.minimum(boxes[:, 2], word.box[2])
        gap_y = np.maximum(boxes[:, 1], word.box[1]) - np.minimum(boxes[:, 3], word.box[3])
        out.append(bool(((gap_x < 0.9 * word.size_pt) & (gap_y < 1.2 * word.size_pt)).any()))
    return out


def _together(one: Word, other: Word) -> bool:
    """Whether two words belong to one label: names on a line or on lines below each other."""
    if _NUMBER.match(one.text) and _NUMBER.match(other.text):
        return False
    size = max(one.size_pt, other.size_pt, 1e-6)
    gap_x = max(one.box[0], other.box[0]) - min(one.box[2], other.box[2])
    gap_y = max(one.box[1], other.box[1]) - min(one.box[3], other.box[3])
    return gap_x < 0.7 * size and gap_y < 0.9 * size
