"""Which strokes of a sheet belong to its plans: not its frame, title block, legend, sections or details."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from detection.morphology import box, components, dilated
from detection.regions import FloatArray
from detection.vector_arcs import Doors
from detection.vector_canvas import Canvas
from detection.vector_lines import Flags

_SIDE_PX: Final = 1000.0
_JOINED_PX: Final = 3.0  # strokes as close as this hang together
_LEAST_DOORS: Final = 2
_LARGE: Final = 0.25  # of the largest plan's box: a plan without doors, not a title block


def of_plans(segments: FloatArray, doors: Doors, size: tuple[float, float]) -> Flags:
    """bool (n,): the segments (n, 4) in groups of strokes that have doors, lie beside such a group, or are large.

    All of them where the page has hardly a door.
    """
    everything = np.ones(len(segments), bool)
    if len(doors.radius) < _LEAST_DOORS or not doors.width:
        return everything
    canvas = Canvas.of(*size, _SIDE_PX / max(size))
    drawn = canvas.blank()
    canvas.draw_lines(drawn, segments)
    groups, stats = components(dilated(drawn, box(_JOINED_PX, _JOINED_PX)))
    usual = np.abs(doors.radius - doors.width) <= 0.5 * doors.width
    at_doors = [canvas.at(groups, point[usual]) for point in (doors.hinge, doors.latch)]
    with_doors = np.zeros(len(stats), bool)
    with_doors[np.concatenate(at_doors)] = True
    with_doors[0] = False
    if not with_doors.any():
        return everything
    boxes = _boxes(stats)
    reach = doors.width * canvas.scale
    plans = boxes[with_doors] + np.array([-reach, -reach, reach, reach])
    sizes = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    large = sizes >= _LARGE * sizes[with_doors].max()
    keep = with_doors.copy()
    for k in np.flatnonzero(~with_doors).tolist():
        beside = (boxes[k, :2] <= plans[:, 2:]).all(axis=1) & (boxes[k, 2:] >= plans[:, :2]).all(axis=1)
        around = (boxes[k, :2] <= plans[:, :2]).all(axis=1) & (boxes[k, 2:] >= plans[:, 2:]).all(axis=1)
        keep[k] = bool((beside & ~around).any()) or (large[k] and not around.any())
    middle = (segments[:, :2] + segments[:, 2:]) / 2
    group = canvas.at(groups, middle)
    kept: Flags = keep[group] | (group == 0)
    return kept


def _boxes(stats: NDArray[np.int32]) -> FloatArray:
    """float64 (k, 4): the groups' boxes x0, y0, x1, y1 in pixels."""
    low = stats[:, [cv2.CC_STAT_LEFT, cv2.CC_STAT_TOP]].astype(np.float64)
    return np.hstack([low, low + stats[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]]])
