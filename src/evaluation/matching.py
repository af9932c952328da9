"""Which found room is which true room: one to one, best first; and which were split or merged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely

from evaluation.geometry import Shape

#: A found room lies mostly in a true one, or covers most of it, from this share of its area on.
_MOSTLY: Final = 0.5
#: A found room that covers no more than this share of a true room does not split it.
_CRUMB: Final = 0.1


@dataclass(frozen=True, slots=True)
class Match:
    """A found room and the true room it was given, as places in their lists, with their IoU."""

    found: int
    true: int
    iou: float


@dataclass(frozen=True, slots=True)
class Matching:
    """How the found rooms of a page relate to its true rooms.

    Attributes:
        matches: by descending IoU; no room is in two of them.
        split: true rooms of which two or more found rooms are parts.
        merged: found rooms that cover most of two or more true rooms.
    """

    matches: tuple[Match, ...] = ()
    split: tuple[int, ...] = ()
    merged: tuple[int, ...] = ()

    def at_least(self, iou: float) -> list[Match]:
        """The matches whose IoU is no lower."""
        return [match for match in self.matches if match.iou >= iou]


def match_rooms(found: Sequence[Shape], true: Sequence[Shape]) -> Matching:
    """The one-to-one matching that takes the pair of highest IoU first, whatever that IoU is.

    Of pairs with equal IoU the one latest in the lists goes first: it has to be one of them, always the same.
    """
    if not found or not true:
        return Matching()
    f, t = shapely.STRtree(list(true)).query(list(found))
    common = shapely.area(shapely.intersection(np.asarray(found, object)[f], np.asarray(true, object)[t]))
    f, t, common = f[common > 0], t[common > 0], common[common > 0]
    found_area, true_area = shapely.area(found)[f], shapely.area(true)[t]
    iou = common / (found_area + true_area - common)
    parts = np.bincount(t[(common > _MOSTLY * found_area) & (common > _CRUMB * true_area)], minlength=len(true))
    swallowed = np.bincount(f[common > _MOSTLY * true_area], minlength=len(found))
    best_first = np.lexsort((t, f, iou))[::-1]
    return Matching(
        _greedy(f[best_first].tolist(), t[best_first].tolist(), iou[best_first].tolist()),
        split=tuple(np.flatnonzero(parts >= 2).tolist()),
        merged=tuple(np.flatnonzero(swallowed >= 2).tolist()),
    )


def _greedy(found: list[int], true: list[int], iou: list[float]) -> tuple[Match, ...]:
    """Every pair in the order given both of whose rooms are still free."""
    taken_found: set[int] = set()
    taken_true: set[int] = set()
    matches = []
    for i, j, value in zip(found, true, iou, strict=True):
        if i not in taken_found and j not in taken_true:
            taken_found.add(i)
            taken_true.add(j)
            matches.append(Match(i, j, value))
    return tuple(matches)
