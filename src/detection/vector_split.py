"""Areas that hold several labels, or leak out, divided by the drawing's lesser lines where the labels ask for it.

Glossary: a *divider* is a line that may part two rooms: one that is drawn but belongs to no wall, a wide gap between
walls, or a wall's face drawn on into the open; its *strength* says how readily it is believed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detection.morphology import Mask, box, components, dilated
from detection.regions import FloatArray, LabelImage
from detection.vector_bands import Bands
from detection.vector_canvas import Canvas
from detection.vector_lines import Family

_RAY_DOORS: Final = 9.0
_MOST_DIVIDERS: Final = 65_000  # their numbers are drawn as 16 bits


@dataclass(frozen=True, slots=True)
class Dividers:
    """Segments float64 (n, 4) in page units, and their strengths float64 (n,), 0 to 1."""

    segments: FloatArray
    strength: FloatArray

    def __add__(self, other: Dividers) -> Dividers:
        return Dividers(np.vstack([self.segments, other.segments]), np.append(self.strength, other.strength))


@dataclass(frozen=True, slots=True)
class Lesser:
    """The lines of a page that belong to no wall: float64 (n, 4) segments; bool (n,), which are drawn as walls are."""

    segments: FloatArray
    is_like_wall: NDArray[np.bool_]

    @property
    def like_walls(self) -> FloatArray:
        """float64 (m, 4): those drawn with the pens of walls."""
        return self.segments[self.is_like_wall]

    @property
    def dividers(self) -> Dividers:
        """The same as dividers."""
        return Dividers(self.segments, np.where(self.is_like_wall, 0.7, 0.5))

    def longer_than(self, length: float) -> FloatArray:
        """float64 (m, 4): those longer than this."""
        step = self.segments[:, 2:] - self.segments[:, :2]
        return self.segments[np.hypot(step[:, 0], step[:, 1]) > length]


def lesser_lines(families: list[Family], bands: list[Bands], styles: NDArray[np.bool_], least: float) -> Lesser:
    """The lines of at least that length that are the side of no wall."""
    segments: list[FloatArray] = [np.zeros((0, 4))]
    alike: list[NDArray[np.bool_]] = [np.zeros(0, bool)]
    for family, some in zip(families, bands, strict=True):
        rest = family.end - family.start > least
        rest[some.pair.ravel()] = False
        segments.append(family.segments(rest))
        alike.append(styles[family.style[rest]])
    return Lesser(np.vstack(segments), np.concatenate(alike))


def rays(canvas: Canvas, barrier: Mask, faces: FloatArray, where: NDArray[np.bool_], door: float) -> Dividers:
    """Faces (n, 4) drawn on from their ends to the next barrier, where they run through the mask `where`."""
    tips = np.vstack([faces[:, 2:], faces[:, :2]])
    back = np.vstack([faces[:, :2], faces[:, 2:]])
    length = np.linalg.norm(tips - back, axis=1)
    good = length > 0.25 * door
    tips, unit = tips[good], (tips - back)[good] / length[good][:, None]
    step = 1.0 / canvas.scale
    open_ahead = canvas.at(where.astype(np.uint8), tips + 2.5 * step * unit) > 0
    tips, unit = tips[open_ahead], unit[open_ahead]
    ways = np.arange(2.0 * step, _RAY_DOORS * door, step)
    if not len(tips):
        return Dividers(np.zeros((0, 4)), np.zeros(0))
    at = tips[:, None, :] + ways[None, :, None] * unit[:, None, :]
    hit = canvas.at(barrier, at.reshape(-1, 2)).reshape(len(tips), len(ways)) > 0
    reached = hit.any(axis=1)
    far = ways[hit.argmax(axis=1)] + step
    segments = np.hstack([tips, tips + far[:, None] * unit])[reached]
    strength = 0.3 - 0.02 * far[reached] / door
    return Dividers(segments, strength)


def divided(
    canvas: Canvas, labels: LabelImage, chosen: NDArray[np.bool_], dividers: Dividers, names: FloatArray
) -> LabelImage:
    """The labels with the chosen areas cut along dividers, so that no part holds two names where lines allow it.

    Args:
        canvas: the picture's scale.
        labels: int32 (h, w), 0 is wall.
        chosen: bool (k,), which labels to divide.
        dividers: what may divide them.
        names: float64 (m, 2), the places of the rooms' names in page units.
    """
    where = chosen[labels]
    order = np.argsort(dividers.strength, kind="stable")[-_MOST_DIVIDERS:]
    drawn = np.zeros(labels.shape, np.uint16)
    for rank, k in enumerate(order.tolist()):
        canvas.draw_lines(drawn, dividers.segments[k : k + 1], value=rank + 1)
    lines = drawn.astype(np.int32) * where
    mask = (where & (lines == 0)).astype(np.uint8)
    parts, stats = components(mask, connectivity=4)
    whole = parts
    for _ in range(4):
        whole = _grown(whole, where)
    edges, weight = _borders(whole, lines, np.append(dividers.strength[order], 1.0))
    named = np.zeros(len(stats), np.int64)
    np.add.at(named, canvas.at(whole, names), 1)
    named[0] = 0
    outside = np.zeros(len(stats), bool)
    outside[np.unique(np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]]))] = True
    group = _merged(edges, weight, named > 0, outside)
    out = labels.copy()
    first = int(labels.max()) + 1
    merged = np.where(whole > 0, group[whole] + first, 0).astype(np.int32)
    out[where] = merged[where]
    return out


def _grown(parts: LabelImage, where: NDArray[np.bool_]) -> LabelImage:
    """The parts grown by a pixel into what of `where` is in none."""
    wide = dilated(parts.astype(np.float32), box(3, 3)).astype(np.int32)
    grown: LabelImage = np.where((parts == 0) & where, wide, parts)
    return grown


def _borders(parts: LabelImage, lines: LabelImage, strength: FloatArray) -> tuple[NDArray[np.int64], FloatArray]:
    """Pairs of parts (e, 2) with a line between them, and the mean strength (e,) of the line there."""
    pairs = []
    power = np.where(lines > 0, strength[lines - 1], 0.0)
    for one, other in ((np.s_[1:, :], np.s_[:-1, :]), (np.s_[:, 1:], np.s_[:, :-1])):
        a, b = parts[one], parts[other]
        apart = (a != b) & (a > 0) & (b > 0)
        a, b = a[apart], b[apart]
        between = np.maximum(power[one][apart], power[other][apart])
        pairs.append(np.column_stack([np.minimum(a, b), np.maximum(a, b), between]))
    table = np.vstack(pairs)
    edges, which = np.unique(table[:, :2].astype(np.int64), axis=0, return_inverse=True)
    which = which.ravel()
    count = np.bincount(which, minlength=len(edges))
    return edges, np.bincount(which, table[:, 2], minlength=len(edges)) / np.maximum(count, 1)


def _merged(
    edges: NDArray[np.int64], weight: FloatArray, named: NDArray[np.bool_], outside: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """int64 (k,): for each part the part that stands for its group, weakest borders opened first.

    A border stays where both sides hold a name, or one does and the other is outside.
    """
    root = np.arange(len(named))
    named, outside = named.copy(), outside.copy()

    def find(k: int) -> int:
        while root[k] != k:
            root[k] = root[root[k]]
            k = int(root[k])
        return k

    for e in np.argsort(weight, kind="stable").tolist():
        a, b = find(int(edges[e, 0])), find(int(edges[e, 1]))
        if a == b or (named[a] and (named[b] or outside[b])) or (named[b] and outside[a]):
            continue
        root[b] = a
        named[a] |= named[b]
        outside[a] |= outside[b]
    return np.array([find(k) for k in range(len(root))])
