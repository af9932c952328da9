"""From walls and closures to rooms on a drawn page: closed areas, judged by their width, labels and place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from detection.morphology import Mask, box, components, dilated, distances
from detection.pdf import Word
from detection.regions import FloatArray, LabelImage

_NAME: Final = re.compile(r"[^\W\d_]{2,}")
_NUMBER: Final = re.compile(r"^[A-Z]{0,2}\.?\d[\d.\-/]*[A-Z]{0,2}$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Areas:
    """The connected areas of what is not wall.

    Attributes:
        labels: int32 (h, w), 0 is wall.
        area_px: int64 (k,), by label.
        reach_px: float64 (k,), the radius of the largest circle inside.
        outside: bool (k,), whether the area reaches the page's edge or surrounds the plan.
    """

    labels: LabelImage
    area_px: NDArray[np.int64]
    reach_px: FloatArray
    outside: NDArray[np.bool_]


def find_areas(barrier: Mask) -> Areas:
    """The 4-connected areas between barriers (uint8 h x w)."""
    free = (barrier == 0).astype(np.uint8)
    labels, stats = components(free, connectivity=4)
    reach = distances(free)
    widest = _widest(labels, reach, len(stats))
    outside = np.zeros(len(stats), bool)
    edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    outside[np.unique(edge)] = True
    outside[0] = False
    return Areas(labels, stats[:, cv2.CC_STAT_AREA].astype(np.int64), widest, outside)


def _widest(labels: LabelImage, reach: NDArray[np.float32], count: int) -> FloatArray:
    """float64 (count,): each label's largest reach, taken from the peaks alone."""
    peak = (reach >= dilated(reach, box(3, 3))) & (reach > 0)
    widest = np.zeros(count)
    np.maximum.at(widest, labels[peak], reach[peak])
    return widest


def measured(labels: LabelImage, before: Areas, divided: NDArray[np.bool_]) -> Areas:
    """The areas of new labels, some of which were divided; parts that touch the page's edge are outside."""
    count = int(labels.max()) + 1
    area = np.bincount(labels.ravel(), minlength=count)
    inner = np.ones(labels.shape, np.uint8)
    inner[:, 1:][labels[:, 1:] != labels[:, :-1]] = 0
    inner[1:][labels[1:] != labels[:-1]] = 0
    inner[labels == 0] = 0
    reach = distances(inner)
    widest = _widest(labels, reach, count)
    outside = np.zeros(count, bool)
    outside[: len(before.outside)] = before.outside & ~divided
    outside[np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))] = True
    outside[0] = False
    return Areas(labels, area, widest, outside)


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


def room_words(words: list[Word], inside: NDArray[np.bool_]) -> list[tuple[float, float, str]]:
    """The places of words that may name a room, one entry a block: names or numbers, whichever the plan uses.

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
    out = []
    for block in blocks:
        boxes = np.array([w.box for w in block])
        middle = (boxes[:, :2].min(axis=0) + boxes[:, 2:].max(axis=0)) / 2
        out.append((float(middle[0]), float(middle[1]), " ".join(w.text for w in block)))
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
