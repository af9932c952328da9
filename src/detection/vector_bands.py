"""Walls of a drawn page: pairs of parallel lines a wall apart, solid fills and thick pens.

Glossary: a *band* is the strip between two parallel lines that see each other; a *stack* is a row of bands side by
side, as stair treads and hatches make them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from detection.regions import FloatArray
from detection.segments import members
from detection.vector_lines import Family, Flags, Indices, axes_of

_LEAST_LINES_IN_STACK: Final = 4
_MAX_SEEN: Final = 60
_MAX_NEAR: Final = 4000
_MOST_PAIRS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Bands:
    """Strips of one direction between two lines that see each other.

    Attributes:
        angle_deg: the direction.
        low: float64 (n,), the offset of one side.
        high: float64 (n,), the offset of the other, larger.
        start: float64 (n,), where the strip begins along the direction.
        end: float64 (n,), where it ends.
        edges: float64 (n, 4), the exact offsets of its corners: low at the start and end, high at the start and end.
        pair: int64 (n, 2), the family's two lines.
        style: int64 (n, 2), their styles.
    """

    angle_deg: float
    low: FloatArray
    high: FloatArray
    start: FloatArray
    end: FloatArray
    edges: FloatArray
    pair: Indices
    style: Indices

    @property
    def depth(self) -> FloatArray:
        """float64 (n,): how thick each strip is."""
        return self.high - self.low

    @property
    def length(self) -> FloatArray:
        """float64 (n,): how long each strip is."""
        return self.end - self.start

    @property
    def middle(self) -> FloatArray:
        """float64 (n, 2): the strips' middles on the page."""
        along, across = axes_of(self.angle_deg)
        t, o = (self.start + self.end) / 2, (self.low + self.high) / 2
        return t[:, None] * along + o[:, None] * across

    def only(self, which: Flags | Indices) -> Bands:
        """Some of the strips."""
        return Bands(
            self.angle_deg,
            self.low[which],
            self.high[which],
            self.start[which],
            self.end[which],
            self.edges[which],
            self.pair[which],
            self.style[which],
        )

    def corners(self) -> FloatArray:
        """float64 (n, 4, 2): the strips' corners on the page."""
        along, across = axes_of(self.angle_deg)
        low_a, low_b, high_a, high_b = self.edges.T
        at = [(self.start, low_a), (self.end, low_b), (self.end, high_b), (self.start, high_a)]
        return np.stack([t[:, None] * along + o[:, None] * across for t, o in at], axis=1)


def find_bands(family: Family, least: float, most: float, same_line: float) -> Bands:
    """The strips between lines that see each other, `least` to `most` apart, as long as they are thick times 0.6."""
    rows: list[tuple[int, int, float, float]] = []
    one, other = _facing(family, same_line, most)
    start, end = family.start.tolist(), family.end.tolist()
    line, seen = -1, 0
    open_parts: list[tuple[float, float]] = []
    for i, j in zip(one.tolist(), other.tolist(), strict=True):
        if i != line:
            line, seen, open_parts = i, 0, [(start[i], end[i])]
        seen += 1
        if not open_parts or seen > _MAX_SEEN:
            continue
        a, b = start[j], end[j]
        left: list[tuple[float, float]] = []
        for p, q in open_parts:
            s, t = max(p, a), min(q, b)
            if t <= s:
                left.append((p, q))
                continue
            rows.append((i, j, s, t))
            if s - p > same_line:
                left.append((p, s))
            if q - t > same_line:
                left.append((t, q))
        open_parts = left
    table = np.array(rows).reshape(-1, 4)
    pair = table[:, :2].astype(np.int64)
    a, b = table[:, 2], table[:, 3]
    low, high = pair.T
    edges = np.column_stack([family.across_at(line, at) for line in (low, high) for at in (a, b)])
    middle = (edges[:, ::2] + edges[:, 1::2]) / 2
    bands = Bands(family.angle_deg, middle[:, 0], middle[:, 1], a, b, edges, pair, family.style[pair])
    keep = (bands.depth >= least) & (bands.length >= 0.6 * bands.depth)
    return bands.only(keep)


def _facing(family: Family, least: float, most: float) -> tuple[Indices, Indices]:
    """Pairs of lines, more than `least` and at most `most` apart, that overlap; by the first, then across."""
    offset, start, end = family.offset, family.start, family.end
    first = np.searchsorted(offset, offset + least, side="right")
    last = np.minimum(np.searchsorted(offset, offset + most, side="right"), first + _MAX_NEAR)
    pairs = [(np.zeros(0, np.int64), np.zeros(0, np.int64))]
    for lines in np.array_split(np.arange(len(offset)), 1 + int((last - first).clip(0).sum()) // _MOST_PAIRS):
        owner, other = members(first[lines], last[lines])
        one = lines[owner]
        overlap = (end[other] > start[one]) & (start[other] < end[one])
        pairs.append((one[overlap], other[overlap]))
    return np.concatenate([p[0] for p in pairs]), np.concatenate([p[1] for p in pairs])


def stack_depths(bands: Bands) -> FloatArray:
    """float64 (n,): how deep the regular stack of at least three like strips is that each belongs to, else 0."""
    count = len(bands.low)
    out = np.zeros(count)
    if not count:
        return out
    upper: dict[int, list[int]] = {}
    for k, line in enumerate(bands.pair[:, 0].tolist()):
        upper.setdefault(line, []).append(k)
    depth, length = bands.depth, bands.length
    follower = np.full(count, -1)
    preceded = np.zeros(count, bool)
    for k in range(count):
        for n in upper.get(int(bands.pair[k, 1]), ()):
            shared = min(bands.end[k], bands.end[n]) - max(bands.start[k], bands.start[n])
            alike = abs(depth[n] - depth[k]) <= 0.2 * max(depth[n], depth[k])
            if alike and shared >= 0.5 * max(length[k], length[n]):
                follower[k] = n
                preceded[n] = True
                break
    for k in np.flatnonzero(~preceded).tolist():
        chain = [k]
        while follower[chain[-1]] >= 0 and len(chain) < 5000:
            chain.append(int(follower[chain[-1]]))
        if len(chain) >= _LEAST_LINES_IN_STACK - 1:
            out[chain] = np.maximum(out[chain], depth[chain].sum())
    return out


def usual_depth(
    depth: FloatArray, length: FloatArray, least: float, most: float, weight: FloatArray | None = None
) -> float:
    """The depth that most of the length of the strips has, 0 without any: the plan's typical wall."""
    fit = (depth >= least) & (depth <= most) & (length >= 3 * depth)
    if not fit.any():
        return 0.0
    logs = np.log(depth[fit] / least)
    width = np.log(1.15)
    mass = length if weight is None else length * weight
    bins = np.bincount((logs / width * 3).astype(np.int64), mass[fit])
    smooth = np.convolve(bins, np.ones(3), mode="same")
    best = (int(np.argmax(smooth)) + 0.5) * width / 3
    near = np.abs(logs - best) <= width
    return float(np.exp(np.average(logs[near], weights=mass[fit][near])) * least)
