"""A ring of pixel edges (cracks) with running sums, so that lines can be fitted to any stretch of it at once."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from detection.regions import FloatArray
from detection.rings import following


class Cracks:
    """A ring's pixel edges with running sums, so that any stretch of them can be fitted at once."""

    def __init__(self, ring: FloatArray) -> None:
        self.ring = ring
        self.count = len(ring)
        step = following(ring) - ring
        middle = ring + step / 2
        length = np.abs(step).sum(axis=1)
        x, y = middle[:, 0], middle[:, 1]
        # A straight piece's own spread along itself counts too: length^3 / 12 about its middle.
        own = length / 12
        columns = np.column_stack(
            [
                length,
                length * x,
                length * y,
                length * x * x + own * step[:, 0] ** 2,
                length * y * y + own * step[:, 1] ** 2,
                length * x * y,
            ]
        )
        doubled = np.vstack([columns, columns])
        self.sums = np.vstack([np.zeros(6), np.cumsum(doubled, axis=0)])
        self.length = np.concatenate([length, length])
        self.middle = np.vstack([middle, middle])
        self.across = np.concatenate([step[:, 1] == 0, step[:, 1] == 0])  # runs along x

    def span(self, first: int, last: int) -> tuple[int, int]:
        """The stretch of the doubled arrays from vertex `first` to `last`."""
        return first, last if last > first else last + self.count

    def moments(self, first: int, last: int) -> NDArray[np.float64]:
        """Length, centre x and y, and the three second moments about the centre."""
        a, b = self.span(first, last)
        total = self.sums[b] - self.sums[a]
        m = total / max(total[0], 1e-9)
        return np.array([total[0], m[1], m[2], m[3] - m[1] ** 2, m[4] - m[2] ** 2, m[5] - m[1] * m[2]])

    def directions(self, first: NDArray[np.int64], last: NDArray[np.int64]) -> FloatArray:
        """The chords' lengths and the best lines' angles in degrees, float64 (2, n), of many stretches."""
        end = np.where(last > first, last, last + self.count)
        total = self.sums[end] - self.sums[first]
        weight, x, y, xx, yy, xy = (total / np.maximum(total[:, :1], 1e-9)).T
        angle = np.degrees(0.5 * np.arctan2(2 * (xy - x * y), (xx - x * x) - (yy - y * y)))
        chord = self.ring[last] - self.ring[first]
        return np.stack([np.hypot(chord[:, 0], chord[:, 1]), np.where(weight > 0, angle, 0.0)])

    def thirds(self, first: int, last: int) -> list[tuple[int, int]]:
        """The stretch cut in three of about equal length."""
        a, b = self.span(first, last)
        run = self.sums[:, 0]
        cuts = np.searchsorted(run[a : b + 1], run[a] + (run[b] - run[a]) * np.array([1 / 3, 2 / 3])) + a
        marks = [a, *np.clip(cuts, a + 1, b - 1).tolist(), b]
        return [(x % self.count, y % self.count) for x, y in itertools.pairwise(marks)]

    def level(self, first: int, last: int, along_x: bool) -> float | None:
        """Where most of the stretch's edges along x (or y) lie: the weighted median of their y (or x)."""
        a, b = self.span(first, last)
        wanted = self.across[a:b] == along_x
        if not wanted.any():
            return None
        value = self.middle[a:b, 1 if along_x else 0][wanted]
        if value.min() == value.max():
            return float(value[0])
        order = np.argsort(value, kind="stable")
        weight = np.cumsum(self.length[a:b][wanted][order])
        return float(value[order][np.searchsorted(weight, weight[-1] / 2)])
