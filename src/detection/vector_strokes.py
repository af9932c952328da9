"""What a page draws, sorted for the search for walls: lines by direction, strips between them, doors, curves.

Glossary: a *strip* is a band of `vector_bands`; whether it is a wall is decided in `vector_walls`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detection.pdf import Paths
from detection.regions import FloatArray
from detection.vector_arcs import Doors, find_arcs, find_doors
from detection.vector_bands import Bands, find_bands, stack_depths
from detection.vector_lines import Family, Indices, find_families, hatch_lines, simplified, styles_of


@dataclass(frozen=True, slots=True)
class Strokes:
    """The strokes of a page, in page units.

    Attributes:
        families: its straight lines by direction, without hatches and door leaves.
        rows: the strips of each family.
        stacks: float64 (n,) for each family, how deep the regular stack is that a strip belongs to, else 0.
        doors: its door arcs.
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
    bends: FloatArray
    bend_style: Indices
    path_style: Indices
    weight: FloatArray
    least: float
    most: float


def read_strokes(paths: Paths, side: float) -> Strokes:
    """The strokes of a page whose longer side is `side`."""
    same_line = 1e-4 * side
    path_style, pens = styles_of(paths)
    xy, source = simplified(paths.xy, path_style[paths.path], 1.2 * same_line)
    style = path_style[paths.path[source]]
    arcs, curve = find_arcs(xy)
    plain = ~paths.dashed[paths.path[source]]
    straight = np.flatnonzero((curve < 0) & plain)
    doors = find_doors(arcs, xy[straight], 0.002 * side, 0.08 * side)
    kept = straight[~doors.leaves]
    families = find_families(xy[kept], style[kept], pens, same_line)
    period = 0.8 * (doors.width or 0.02 * side)
    families = [f.only(~hatch_lines(f, period)) for f in families]
    least, most = (0.05 * doors.width, 0.65 * doors.width) if doors.width else (4e-4 * side, 0.035 * side)
    rows = [find_bands(f, least, 1.2 * most, same_line) for f in families]
    bends = np.flatnonzero((curve >= 0) & plain)
    bends = bends[_wide_curves(xy[bends], curve[bends], arcs.curve[arcs.radius <= 1.6 * doors.width], 0.03 * side)]
    return Strokes(
        families=families,
        rows=rows,
        stacks=[stack_depths(b) for b in rows],
        doors=doors,
        bends=xy[bends],
        bend_style=style[bends],
        path_style=path_style,
        weight=_pen_weights(families, pens),
        least=least,
        most=most,
    )


def _wide_curves(xy: FloatArray, curve: Indices, doors: Indices, least: float) -> Indices:
    """Which pieces belong to curves at least `least` long that are not among `doors`."""
    if not len(xy):
        return np.zeros(0, np.int64)
    length = np.bincount(curve, np.hypot(xy[:, 2] - xy[:, 0], xy[:, 3] - xy[:, 1]))
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
