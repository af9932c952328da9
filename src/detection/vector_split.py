"""Areas that hold several labels, or leak out, divided by the drawing's lesser lines where the labels ask for it.

Glossary: a *divider* is a line that may part two rooms: one that is drawn but belongs to no wall, a wide gap between
walls, or a wall's face drawn on into the open; its *strength* says how readily it is believed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detection.morphology import Mask, components
from detection.regions import FloatArray, LabelImage
from detection.vector_bands import Bands
from detection.vector_canvas import Canvas
from detection.vector_lines import Family

_RAY_DOORS: Final = 9.0
_GROWN_PX: Final = 4  # into a line's own pixels: lines are thin, and where they cross three wide
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
    canvas.draw_numbered(drawn, dividers.segments[order])
    drawn *= where
    parts, stats = components((where & (drawn == 0)).astype(np.uint8), connectivity=4)
    line = np.flatnonzero(drawn)
    outside = np.zeros(len(stats), bool)
    outside[np.unique(np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]]))] = True
    _grow(parts, line)
    edges, weight = _borders(parts, line, np.append(0.0, dividers.strength[order])[drawn.ravel()[line]])
    named = np.zeros(len(stats), np.int64)
    np.add.at(named, canvas.at(parts, names), 1)
    named[0] = 0
    group = _merged(edges, weight, named > 0, outside) + int(labels.max()) + 1
    group[0] = 0
    out: LabelImage = np.where(where, group.astype(np.int32)[parts], labels)
    return out


def _grow(parts: LabelImage, line: NDArray[np.int64]) -> None:
    """Grows the parts, in place, by up to four pixels into the pixels `line` (flat places) that are in none."""
    width = parts.shape[1] + 2
    padded = np.pad(parts, 1)
    flat = padded.ravel()
    at = line + line // parts.shape[1] * 2 + width + 1
    around = [row * width + column for row in (-1, 0, 1) for column in (-1, 0, 1)]
    rest = at
    for _ in range(_GROWN_PX):
        found = np.max([flat[rest + step] for step in around], axis=0)
        flat[rest] = found
        rest = rest[found == 0]
    parts.ravel()[line] = flat[at]


def _borders(parts: LabelImage, line: NDArray[np.int64], strength: FloatArray) -> tuple[NDArray[np.int64], FloatArray]:
    """Pairs of parts (e, 2) that meet, and the mean strength (e,) of the line between them.

    Args:
        parts: int32 (h, w), the grown parts.
        line: the flat places of the pixels that lines were drawn on: no two parts meet elsewhere.
        strength: float64, the lines' strength there.
    """
    height, width = parts.shape
    flat, power, drawn = parts.ravel(), np.zeros(parts.size), np.zeros(parts.size, bool)
    power[line], drawn[line] = strength, True
    pairs = []
    for step, fits in (
        (1, line % width < width - 1),
        (width, line < (height - 1) * width),
        (-1, line % width > 0),
        (-width, line >= width),
    ):
        one = line[fits]
        other = one + step
        apart = (flat[one] != flat[other]) & (flat[one] > 0) & (flat[other] > 0)
        if step < 0:
            apart &= ~drawn[other]  # seen from there already
        one, other = one[apart], other[apart]
        a, b = flat[one].astype(np.int64), flat[other].astype(np.int64)
        between = np.maximum(power[one], power[other])
        pairs.append((np.minimum(a, b), np.maximum(a, b), between))
    low, high, between = (np.concatenate(column) for column in zip(*pairs, strict=True))
    base = int(flat.max(initial=0)) + 1
    key, which = np.unique(low * base + high, return_inverse=True)
    count = np.bincount(which, minlength=len(key))
    edges = np.column_stack([key // base, key % base])
    return edges, np.bincount(which, between, minlength=len(key)) / np.maximum(count, 1)


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
