"""Wall faces that a page knows exactly, found by direction and place."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from detection.regions import FloatArray

_ALIKE_DEG: Final = 1.0
_OVERLAP_SHARE: Final = 0.4  # of a side, that faces must lie beside for it to be set on them
_UPRIGHT_DEG: Final = 0.02
_SAME_LINE_PX: Final = 0.3


@dataclass(frozen=True, slots=True)
class _Family:
    """Faces of one direction: sorted offsets (n,), and each face's start and end along the direction (n, 2)."""

    angle_deg: float
    along: FloatArray
    offsets: FloatArray
    spans: FloatArray


def refined_axes(axes_deg: tuple[float, ...], segments: FloatArray) -> tuple[float, ...]:
    """The axes turned to what the faces beside them say, which is exact; those without faces stay."""
    step = segments[:, 2:] - segments[:, :2]
    length = np.hypot(step[:, 0], step[:, 1])
    angle = np.degrees(np.arctan2(step[:, 1], step[:, 0]))
    refined = []
    for axis in axes_deg:
        away = (angle - axis + 45) % 90 - 45
        near = np.abs(away) <= _ALIKE_DEG
        if length[near].sum() > 0:
            squares = length[near] ** 2
            axis += float(np.dot(away[near], squares) / squares.sum())
        refined.append(0.0 if abs(axis) < _UPRIGHT_DEG else axis)
    return tuple(refined)


class Faces:
    """Faces sorted by direction and offset; offsets and spans are measured as in `straight._Side`."""

    def __init__(self, families: list[_Family]) -> None:
        self._families = families

    @classmethod
    def none(cls) -> Faces:
        """No faces at all."""
        return cls([])

    @classmethod
    def along(cls, segments: FloatArray, axes_deg: tuple[float, ...]) -> Faces:
        """The faces among segments, float64 (n, 4) x0, y0, x1, y1, that run along one of the axes (modulo 90)."""
        step = segments[:, 2:] - segments[:, :2]
        angle = np.degrees(np.arctan2(step[:, 1], step[:, 0])) % 180
        families = []
        for axis in axes_deg:
            for direction in (axis % 180, (axis + 90) % 180):
                near = np.abs((angle - direction + 90) % 180 - 90) <= _ALIKE_DEG
                if near.any():
                    families.append(_family(segments[near], direction))
        return cls(families)

    def nearest(
        self, angle_deg: float, offset: float, start: FloatArray, end: FloatArray, reach: float
    ) -> float | None:
        """The offset of the nearest line of faces beside most of a side, at most `reach` away; None without one."""
        for family in self._families:
            away = (angle_deg - family.angle_deg + 90) % 180 - 90
            if abs(away) > _ALIKE_DEG:
                continue
            # A side at 179.9 degrees runs against a family at 0, so its offset has the other sign.
            sign = 1.0 if abs(angle_deg - family.angle_deg) < 90 else -1.0
            return _nearest(family, sign * offset, start, end, reach, sign)
        return None


def _family(segments: FloatArray, angle_deg: float) -> _Family:
    along, normal = _frame(angle_deg)
    middle = (segments[:, :2] + segments[:, 2:]) / 2
    spans = np.sort(np.column_stack([segments[:, :2] @ along, segments[:, 2:] @ along]), axis=1)
    offsets = middle @ normal
    order = np.argsort(offsets, kind="stable")
    return _Family(angle_deg, along, offsets[order], spans[order])


def _frame(angle_deg: float) -> tuple[FloatArray, FloatArray]:
    cos, sin = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    return np.array([cos, sin]), np.array([-sin, cos])


def _nearest(
    family: _Family, offset: float, start: FloatArray, end: FloatArray, reach: float, sign: float
) -> float | None:
    low, high = np.searchsorted(family.offsets, [offset - reach, offset + reach])
    if low == high:
        return None
    first, last = sorted((float(start @ family.along), float(end @ family.along)))
    spans, offsets = family.spans[low:high], family.offsets[low:high]
    beside = np.minimum(spans[:, 1], last) - np.maximum(spans[:, 0], first)
    wanted = _OVERLAP_SHARE * max(last - first, 1e-9)
    candidates = np.flatnonzero(beside > 0)
    offsets, beside = offsets[candidates], beside[candidates]
    for place in np.argsort(np.abs(offsets - offset), kind="stable"):
        same = np.abs(offsets - offsets[place]) <= _SAME_LINE_PX
        weight = beside[same]
        total = float(weight.sum())
        if total >= wanted:
            return sign * float(offsets[same] @ weight) / total
    return None
