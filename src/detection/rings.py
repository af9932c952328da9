"""The outlines of labels along the edges of their pixels: a mask over pixels 10..19 spans 10.0 to 20.0."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from detection.regions import FloatArray, LabelImage

_Any = TypeVar("_Any", bound=np.generic)


def label_boxes(labels: LabelImage) -> dict[int, tuple[int, int, int, int]]:
    """For each label in use its box x0, y0, x1, y1 in pixels, the ends exclusive."""
    height, width = labels.shape
    if labels.size == 0:
        return {}
    starts = np.ones((height, width), dtype=bool)
    starts[:, 1:] = labels[:, 1:] != labels[:, :-1]
    at = np.flatnonzero(starts)
    ends = np.append(at[1:], labels.size)  # exclusive; a run never crosses a row, for every row starts one
    run = labels.ravel()[at]
    used = run > 0
    run, row, first = run[used], at[used] // width, at[used] % width
    last = (ends[used] - 1) % width
    boxes = np.empty((int(run.max(initial=0)) + 1, 4), dtype=np.int64)
    boxes[:, :2], boxes[:, 2:] = max(width, height), -1
    np.minimum.at(boxes[:, 0], run, first)
    np.minimum.at(boxes[:, 1], run, row)
    np.maximum.at(boxes[:, 2], run, last)
    np.maximum.at(boxes[:, 3], run, row)
    return {
        int(k): (int(b[0]), int(b[1]), int(b[2]) + 1, int(b[3]) + 1) for k, b in enumerate(boxes) if k and b[2] >= 0
    }


def pixel_rings(mask: NDArray[np.bool_]) -> list[FloatArray]:
    """The closed outlines of a mask (h, w), the longest area first; float64 (k, 2), corners x, y only.

    A ring runs with the mask on one side; where two pixels touch at a corner only, they are not joined.
    """
    padded = np.pad(mask, 1).astype(np.int8)
    a, b, c, d = padded[:-1, :-1], padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    count = a + b + c + d
    crossing = (count == 2) & (a == d)
    ys, xs = np.nonzero((count == 1) | (count == 3) | crossing)
    twice = crossing[ys, xs]
    joins_left = (a[ys, xs] == 0) & twice
    times = 1 + twice.astype(np.int64)
    ys, xs, joins_left = (np.repeat(v, times) for v in (ys, xs, joins_left))
    # Corners pair up along each row (in this order) and along each column; a ring takes the two in turns.
    index = np.arange(len(xs))
    by_column = np.lexsort((np.where(joins_left, -index, index), ys, xs))
    column_mate = np.empty_like(index)
    column_mate[by_column] = by_column[index ^ 1]
    points = np.column_stack([xs, ys]).astype(np.float64)
    rings = [points[ring] for ring in _cycles(column_mate.tolist())]
    return sorted(rings, key=lambda ring: -abs(signed_area(ring)))


def _cycles(column_mate: list[int]) -> Iterator[list[int]]:
    seen = bytearray(len(column_mate))
    for start in range(len(column_mate)):
        if seen[start]:
            continue
        ring: list[int] = []
        at = start
        while not seen[at]:
            mate = at ^ 1
            ring += (at, mate)
            seen[at] = seen[mate] = 1
            at = column_mate[mate]
        yield ring


def following(values: NDArray[_Any]) -> NDArray[_Any]:
    """For each value of a ring the next one: np.roll by -1, several times faster on short arrays."""
    return np.concatenate([values[1:], values[:1]])


def signed_area(ring: FloatArray) -> float:
    """The enclosed area; positive where the ring runs clockwise on screen (y down)."""
    x, y = ring[:, 0], ring[:, 1]
    return float(np.dot(x, following(y)) - np.dot(y, following(x))) / 2


def simplified(ring: FloatArray, tolerance: float) -> NDArray[np.int64]:
    """The indices, ascending, of the vertices that keep the ring within the tolerance (Douglas and Peucker)."""
    single = ring.astype(np.float32)
    kept = cv2.approxPolyDP(single.reshape(-1, 1, 2), tolerance, True).reshape(-1, 2)
    places: dict[tuple[float, float], list[int]] = {}
    for place, (x, y) in enumerate(single.tolist()):
        places.setdefault((x, y), []).append(place)
    found: list[int] = []
    for x, y in kept.tolist():
        options = places[(x, y)]
        later = [place for place in options if found and (place - found[-1]) % len(ring)]
        found.append(min(later, key=lambda place: (place - found[-1]) % len(ring)) if later else options[0])
    return np.unique(np.array(found, dtype=np.int64))
