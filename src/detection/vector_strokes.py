"""What a page draws, sorted for the search for walls: lines by direction, strips between them, doors, curves.

Glossary: a *strip* is a band of `vector_bands`; whether it is a wall is decided in `vector_walls`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from detection.pdf import Paths
from detection.regions import FloatArray
from detection.vector_arcs import Doors, find_arcs, find_doors
from detection.vector_bands import Bands, find_bands, stack_depths
from detection.vector_lines import Family, Flags, Indices, find_families, hatch_lines, simplified, styles_of, with_edges
from detection.vector_zones import of_plans

_MORE_THAN_A_FRAME: Final = 8
_MANY_LINES: Final = 200  # are no frame
_PAPER: Final = 0.96  # of both the page's sides
_OUTLINES: Final = 0.4  # of a wide pen's length in pairs says that it draws outlines


@dataclass(frozen=True, slots=True)
class Strokes:
    """The strokes of a page, in page units.

    Attributes:
        families: its straight lines by direction, without hatches and door leaves.
        rows: the strips of each family.
        stacks: float64 (n,) for each family, how deep the regular stack is that a strip belongs to, else 0.
        doors: its door arcs.
        inked: float64 (k, 4, 2), the corners of lines drawn by pens as wide as walls.
        bends: float64 (m, 4), the pieces of curves that are no doors.
        bend_style: int64 (m,), their styles.
        path_style: int64 (p,), the style of each path.
        weight: float64 (s,), how much each style's pen speaks for walls.
        least: what is thinner is no wall.
        most: what is thicker is no wall.
    """

    families: list[Family]
    rows: list[Bands]
    stacks: list[FloatArray]
    doors: Doors
    inked: FloatArray
    bends: FloatArray
    bend_style: Indices
    path_style: Indices
    weight: FloatArray
    least: float
    most: float


def read_strokes(paths: Paths, size: tuple[float, float]) -> Strokes:
    """The strokes of a page of that width and height."""
    side = max(size)
    same_line = 1e-4 * side
    path_style, pens = styles_of(paths)
    xy, source = simplified(paths.xy, path_style[paths.path], 1.2 * same_line)
    style = path_style[paths.path[source]]
    arcs, curve = find_arcs(xy)
    plain = ~(paths.dashed | _paper(paths, size))[paths.path[source]]
    straight = np.flatnonzero((curve < 0) & plain)
    doors = find_doors(arcs, xy[straight], 0.002 * side, 0.08 * side)
    kept = straight[~doors.leaves & of_plans(xy[straight], doors, size)]
    families = find_families(xy[kept], style[kept], pens, same_line)
    period = 0.8 * (doors.width or 0.02 * side)
    families = [f.only(~hatch_lines(f, period)) for f in families]
    least, most = (0.05 * doors.width, 0.65 * doors.width) if doors.width else (4e-4 * side, 0.035 * side)
    wide = _wall_pens(families, pens, max(least, 0.07 * doors.width, 8e-4 * side))
    if wide.any():
        wide[_paired(families, wide, most, same_line) > _OUTLINES] = 0.0
    inked = [_inked(f, wide) for f in families]
    families = [with_edges(f, wide[f.style]) for f in families]
    rows = [find_bands(f, least, 1.2 * most, same_line) for f in families]
    bends = np.flatnonzero((curve >= 0) & plain)
    bends = bends[_wide_curves(xy[bends], curve[bends], arcs.curve[arcs.radius <= 1.6 * doors.width], 0.03 * side)]
    return Strokes(
        families=families,
        rows=rows,
        stacks=[stack_depths(b) for b in rows],
        doors=doors,
        inked=np.vstack([np.zeros((0, 4, 2)), *inked]),
        bends=xy[bends],
        bend_style=style[bends],
        path_style=path_style,
        weight=_pen_weights(families, pens),
        least=least,
        most=most,
    )


def _paper(paths: Paths, size: tuple[float, float]) -> Flags:
    """bool (p,): the fills without an outline that cover the page: their edges are the paper's, not lines."""
    low, high = np.full((paths.path_count, 2), np.inf), np.full((paths.path_count, 2), -np.inf)
    for ends in (paths.xy[:, :2], paths.xy[:, 2:]):
        np.minimum.at(low, paths.path, ends)
        np.maximum.at(high, paths.path, ends)
    covers: Flags = ~paths.stroked & (high - low >= _PAPER * np.array(size)).all(axis=1)
    return covers


def _wall_pens(families: list[Family], pens: FloatArray, least: float) -> FloatArray:
    """float64 (s,): the widths of the pens that are as wide as walls and draw more than a frame; 0 for the others."""
    length, count = np.zeros(len(pens)), np.zeros(len(pens))
    for family in families:
        np.add.at(length, family.style, family.end - family.start)
        np.add.at(count, family.style, 1)
    order = np.argsort(pens, kind="stable")
    order = order[length[order] > 0]
    if not len(order):
        return np.zeros(len(pens))
    usual = float(pens[order][np.searchsorted(np.cumsum(length[order]), length[order].sum() / 2)])
    thin = float(pens[order][pens[order] > 0][:1].sum())
    wide = (pens >= least) & (pens >= 3 * min(max(usual, thin), 2 * thin)) & (count >= _MORE_THAN_A_FRAME)
    wide &= length >= 0.1 * length.sum()
    for style in np.flatnonzero(wide).tolist():
        wide[style] = _branching([f.only(f.style == style) for f in families], float(pens[style])) >= _MORE_THAN_A_FRAME
    return np.where(wide, pens, 0.0)


def _branching(families: list[Family], width: float) -> int:
    """How many lines of a pen are not the sides of plain boxes, as frames and title blocks are."""
    segments = np.vstack([f.segments() for f in families])[:_MANY_LINES]
    tips, own = segments.reshape(-1, 2), np.repeat(np.arange(len(segments)), 2)
    step = segments[:, 2:] - segments[:, :2]
    length = np.maximum(np.hypot(step[:, 0], step[:, 1]), 1e-9)
    away = tips[None, :] - segments[:, None, :2]
    along = (away * step[:, None]).sum(axis=2) / length[:, None]
    across = np.abs(away[..., 0] * step[:, None, 1] - away[..., 1] * step[:, None, 0]) / length[:, None]
    near = (across < width) & (np.arange(len(segments))[:, None] != own)
    inside = near & (along > width) & (along < length[:, None] - width)
    at_end = (near & ~inside & (along > -width) & (along < length[:, None] + width)).any(axis=0)
    boxed = at_end.reshape(-1, 2).all(axis=1) & ~inside.any(axis=1) & ~inside.any(axis=0).reshape(-1, 2).any(axis=1)
    return int(len(segments) - boxed.sum())


def _paired(families: list[Family], wide: FloatArray, most: float, same_line: float) -> FloatArray:
    """float64 (s,): the share of each wide pen's length that has a like line beside it, as outlines of walls have."""
    drawn, paired = np.zeros(len(wide)), np.zeros(len(wide))
    for family in families:
        some = family.only(wide[family.style] > 0)
        bands = find_bands(some, 1.5 * float(wide.max()), most, same_line)
        long = bands.length >= 2 * bands.depth
        np.add.at(drawn, some.style, some.end - some.start)
        np.add.at(paired, bands.style[long].ravel(), np.repeat(bands.length[long], 2))
    share: FloatArray = paired / np.maximum(drawn, 1e-9)
    return share


def _inked(family: Family, wide: FloatArray) -> FloatArray:
    """float64 (k, 4, 2): the corners of the lines of wide pens."""
    some = family.only(wide[family.style] > 0)
    half = wide[some.style] / 2
    along, across = some.axes
    ends = [(some.start, some.offset - some.lean / 2), (some.end, some.offset + some.lean / 2)]
    (t0, o0), (t1, o1) = ends
    at = [(t0, o0 - half), (t1, o1 - half), (t1, o1 + half), (t0, o0 + half)]
    return np.stack([t[:, None] * along + o[:, None] * across for t, o in at], axis=1)


def _wide_curves(xy: FloatArray, curve: Indices, doors: Indices, least: float) -> Indices:
    """Which pieces belong to curves at least `least` long that are not among `doors`."""
    if not len(xy):
        return np.zeros(0, np.int64)
    count = int(doors.max(initial=-1)) + 1  # the last curves may be dashed, and have no piece here
    length = np.bincount(curve, np.hypot(xy[:, 2] - xy[:, 0], xy[:, 3] - xy[:, 1]), minlength=count)
    wide = length >= least
    wide[doors] = False
    return np.flatnonzero(wide[curve])


def _pen_weights(families: list[Family], pens: FloatArray) -> FloatArray:
    """float64 (s,): how much each style's pen speaks for walls: what is cut is drawn heavier than what is seen."""
    length = np.zeros(len(pens))
    for family in families:
        np.add.at(length, family.style, family.end - family.start)
    order = np.argsort(pens, kind="stable")
    order = order[(pens[order] > 0) & (length[order] > 0)]
    if not len(order):
        return np.ones(len(pens))
    usual = float(pens[order][np.searchsorted(np.cumsum(length[order]), length[order].sum() / 2)])
    return np.where(pens > 0, np.clip((np.maximum(pens, 0) / usual) ** 1.5, 0.3, 5.0), 1.0)
