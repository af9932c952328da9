"""Pure steps on arrays of segments: flattening curves, cutting to boxes, knowing rectangles."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

_FLATNESS_PT: Final = 0.1  # a flattened curve stays this close to the true one
_MAX_PIECES: Final = 64


def rank_in_run(flags: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For each true flag its place (0, 1, 2 …) in its run of true ones."""
    index = np.arange(len(flags))
    run_start = np.maximum.accumulate(np.where(flags, 0, index + 1))
    rank: NDArray[np.int64] = index - run_start
    return rank


def members(first: NDArray[np.int64], last: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For ranges first..last (exclusive) the number of the range and the place of every member, range by range."""
    count = np.maximum(last - first, 0)
    owner = np.repeat(np.arange(len(count)), count)
    place: NDArray[np.int64] = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count) + first[owner]
    return owner, place


def flatten_beziers(xy: NDArray[np.float64], ends: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The pieces (k, 4) of the Béziers that end at the points `ends`, and each piece's end point."""
    if not len(ends):
        return np.zeros((0, 4)), np.zeros(0, dtype=np.int64)
    p = np.stack([xy[ends - 3], xy[ends - 2], xy[ends - 1], xy[ends]], axis=1)
    # The chord of 1/n of a cubic strays at most max|second difference| * 6 / 8 / n^2 (Wang's formula).
    bend = np.linalg.norm(p[:, :2] - 2 * p[:, 1:3] + p[:, 2:], axis=2).max(axis=1)
    wanted = np.sqrt(0.75 * np.nan_to_num(bend, posinf=1e6) / _FLATNESS_PT)
    pieces = np.clip(np.ceil(wanted), 1, _MAX_PIECES).astype(np.int64)
    out = np.zeros((int(pieces.sum()), 4))
    offset = np.cumsum(pieces) - pieces
    for n in np.unique(pieces):
        which = np.flatnonzero(pieces == n)
        t = np.linspace(0, 1, n + 1)
        basis = np.stack([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3])
        points = np.einsum("kcd,cn->knd", p[which], basis)
        points[:, -1] = p[which, 3]
        rows = offset[which][:, None] + np.arange(n)
        out[rows] = np.concatenate([points[:, :-1], points[:, 1:]], axis=2)
    return out, np.repeat(ends, pieces)


def find_rectangles(xy: NDArray[np.float64], owner: NDArray[np.int32], curves: NDArray[np.int32]) -> NDArray[np.int64]:
    """The subpaths that are four straight segments around a rectangle."""
    counts = np.bincount(owner, minlength=len(curves))
    first = np.cumsum(counts) - counts
    which = np.flatnonzero((counts == 4) & (curves == 0))
    if not len(which):
        return which
    sides = xy[first[which][:, None] + np.arange(4)]
    d = sides[:, :, 2:] - sides[:, :, :2]
    length = np.linalg.norm(d, axis=2)
    corner = np.abs(np.einsum("kij,kij->ki", d, np.roll(d, -1, axis=1))) / (length * np.roll(length, -1, axis=1))
    shut = np.all(np.isclose(sides[:, 3, 2:], sides[:, 0, :2], atol=1e-3), axis=1)
    found: NDArray[np.int64] = which[shut & (corner.max(axis=1) < 0.01)]
    return found


def cut_to_boxes(xy: NDArray[np.float64], boxes: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The segments that touch their box, by index, and what of each lies in it (Liang and Barsky's clipping).

    Args:
        xy: float64 (n, 4) x0, y0, x1, y1.
        boxes: float64 (n, 4) x_min, y_min, x_max, y_max, the box of each segment.
    """
    start, step = xy[:, :2], xy[:, 2:] - xy[:, :2]
    still = step == 0
    over = np.where(still, 1.0, step)
    near, far = (boxes[:, :2] - start) / over, (boxes[:, 2:] - start) / over
    enter = np.where(still, -np.inf, np.minimum(near, far)).max(axis=1, initial=-np.inf)
    leave = np.where(still, np.inf, np.maximum(near, far)).min(axis=1, initial=np.inf)
    beside = (still & ((start < boxes[:, :2]) | (start > boxes[:, 2:]))).any(axis=1)
    enter, leave = np.maximum(enter, 0.0), np.minimum(leave, 1.0)
    visible = np.flatnonzero(~beside & (enter < leave))
    first, last = enter[visible, None], leave[visible, None]
    ends = xy[visible]
    cut = np.hstack(
        [
            np.where(first == 0, ends[:, :2], ends[:, :2] + first * step[visible]),
            np.where(last == 1, ends[:, 2:], ends[:, :2] + last * step[visible]),
        ]
    )
    return visible, cut
