"""What a drawn page tells for and against each of its rooms, as numbers that a calibration can learn from."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from detection.morphology import Mask
from detection.regions import FloatArray, LabelImage
from detection.vector_canvas import Canvas
from detection.vector_openings import JOINT, Openings
from detection.vector_rooms import Areas

#: What an outline may run along, in the order of `outline_shares`.
BORDERS: Final = ("cut", "wall", "door", "window", "gap")
_WALL: Final = 1

Evidence = tuple[tuple[str, float], ...]


def borders(canvas: Canvas, walls: Mask, closed: Mask, shut: Openings) -> Mask:
    """uint8 (h, w): 0 where nothing stands, else what does, as its place in BORDERS; joints are walls."""
    out = closed.copy()
    openings = canvas.blank()
    for kind in range(JOINT):
        canvas.fill(openings, shut.shape[shut.kind == kind], _WALL + 1 + kind)
    between = (closed > 0) & (walls == 0) & (openings > 0)
    out[between] = openings[between]
    return out


def outline_shares(labels: LabelImage, kinds: Mask) -> FloatArray:
    """float64 (k, 5): each label's outline, the share along each of BORDERS; `cut` is where it meets another label."""
    count = int(labels.max(initial=0)) + 1
    found = np.zeros(count * len(BORDERS), np.int64)
    ways = ((np.s_[1:, :], np.s_[:-1, :]), (np.s_[:, 1:], np.s_[:, :-1]))
    for one, other in (*ways, *(way[::-1] for way in ways)):
        mine, beside = labels[one], labels[other]
        edge = np.flatnonzero((mine != beside) & (mine > 0))
        found += np.bincount(
            mine.ravel()[edge].astype(np.int64) * len(BORDERS) + kinds[other].ravel()[edge], minlength=len(found)
        )
    table = found.reshape(count, len(BORDERS))
    shares: FloatArray = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    return shares


def evidence_of(
    areas: Areas, rooms: NDArray[np.int64], named: NDArray[np.int64], kinds: Mask, door_px: float, wall_px: float
) -> dict[int, Evidence]:
    """For each room its evidence by name, all in 0..1.

    `on_cut` to `on_gap` are the shares of the outline along each of BORDERS; `named` and `several_names` say that one
    name or more stand inside, `others_named` is the share of the page's rooms that hold any; `reach` is the radius of
    the largest circle inside in doors' widths and `area` the area in doors' widths squared, `walls_reach` the radius in
    walls, each as x / (x + usual); `divided` and `leaked` tell that the room was cut from a larger area, and from one
    that ran out of the plan.
    """
    shares = outline_shares(areas.labels, kinds)
    others = float((named[rooms] > 0).mean()) if len(rooms) else 0.0
    out: dict[int, Evidence] = {}
    for k in rooms.tolist():
        values = [(f"on_{name}", shares[k, place]) for place, name in enumerate(BORDERS)]
        values += [
            ("named", named[k] == 1),
            ("several_names", named[k] > 1),
            ("others_named", others),
            ("reach", _share(areas.reach_px[k] / door_px, 1.0)),
            ("area", _share(areas.area_px[k] / door_px**2, 10.0)),
            ("walls_reach", _share(areas.reach_px[k] / max(wall_px, 1.0), 5.0)),
            ("divided", areas.was_divided[k]),
            ("leaked", areas.was_outside[k]),
        ]
        out[k] = tuple((name, round(float(value), 4)) for name, value in values)
    return out


def _share(value: float, usual: float) -> float:
    """A size from 0 up as a share that grows with it: a half at the usual size."""
    return value / (value + usual)
