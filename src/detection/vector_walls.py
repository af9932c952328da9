"""Which of a page's strips, fills and curves are its walls.

Glossary: *solid* walls are filled, *hollow* ones are two lines with paper between; a plan may have both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from detection.morphology import Mask
from detection.pdf import Paths
from detection.regions import FloatArray
from detection.segments import members
from detection.vector_bands import Bands, usual_depth
from detection.vector_canvas import Canvas, paint_fills, solid_walls
from detection.vector_lines import Flags, axes_of
from detection.vector_strokes import Strokes

_WALL_PX: Final = 7.0
_LEAST_SIDE_PX: Final = 1000
_MARGIN_PX: Final = 4  # of paper around the walls
_DOOR_WALLS: Final = 6.0  # a door's width in walls, where no arc tells it
_ONLY_SOLID: Final = 2.5  # a plan with this many times more solid than hollow walls has no hollow ones in other pens


@dataclass(frozen=True, slots=True)
class Walls:
    """The walls of a page.

    Attributes:
        canvas: the working picture, of the part of the page that has walls.
        bands: the strips that are walls, one entry a family of lines.
        solid: uint8 (h, w), 1 on filled walls.
        mask: uint8 (h, w), 1 on all walls and their faces.
        faces: float64 (n, 4), their faces in page units.
        depth: how thick they usually are, in page units.
        door: how wide doors usually are, in page units.
        styles: bool (s,), the styles that draw hollow walls.
    """

    canvas: Canvas
    bands: list[Bands]
    solid: Mask
    mask: Mask
    faces: FloatArray
    depth: float
    door: float
    styles: Flags


def find_walls(
    paths: Paths, strokes: Strokes, size: tuple[float, float], words: FloatArray, max_px: int
) -> Walls | None:
    """The walls of a page, None where there are none.

    Args:
        paths: what the page draws.
        strokes: the same, sorted.
        size: the page's width and height.
        words: float64 (m, 2), the middles of its words.
        max_px: the longer side of the working picture at most.
    """
    rows, stacks = strokes.rows, strokes.stacks
    hollow = _usual(strokes, [s == 0 for s in stacks], weighted=True)
    side = max(size)
    scale = min(max_px / side, max(_WALL_PX / max(hollow, strokes.least), _LEAST_SIDE_PX / side))
    canvas = Canvas.of(*size, scale)
    thickest = min(strokes.most, 4 * hollow) if hollow else strokes.most
    solid, solid_px = solid_walls(paint_fills(paths, canvas), strokes.least * scale, thickest * scale)
    canvas.fill(solid, strokes.inked)
    filled = [canvas.at(solid, b.middle) > 0 for b in rows]
    styles = _wall_styles(strokes, filled, hollow)
    door = strokes.doors.width or 0.02 * side
    drawn = [b.length >= np.maximum(3 * b.depth, 1.5 * door) for b in rows]
    solid_length = sum(float(b.length[f & long].sum()) for b, f, long in zip(rows, filled, drawn, strict=True))
    hollow_length = sum(
        float(b.length[~f & (s == 0) & long & _like(b, hollow) & styles[b.style].all(axis=1)].sum())
        for b, f, s, long in zip(rows, filled, stacks, drawn, strict=True)
    )
    depth = hollow
    if (solid_px or len(strokes.inked)) and solid_length >= 0.5 * hollow_length:
        depth = _usual(strokes, filled) or solid_px / scale
    if not depth:
        return None
    allowed = styles
    if solid_length >= _ONLY_SOLID * hollow_length:
        allowed = styles & _styles_on(paths, strokes, canvas, solid)
    bands = [
        b.only(_are_walls(b, stack, on_fill, allowed, depth, strokes.least) & ~(_with_words(b, words) & ~on_fill))
        for b, stack, on_fill in zip(rows, stacks, filled, strict=True)
    ]
    return _drawn(strokes, canvas, bands, solid, depth, styles)


def _usual(strokes: Strokes, which: list[Flags], weighted: bool = False) -> float:
    rows = [b.only(some) for b, some in zip(strokes.rows, which, strict=True)]
    if not rows:
        return 0.0
    depth, length = np.concatenate([b.depth for b in rows]), np.concatenate([b.length for b in rows])
    weight = np.concatenate([strokes.weight[b.style].min(axis=1) for b in rows]) if weighted else None
    return usual_depth(depth, length, strokes.least, strokes.most, weight)


def _like(bands: Bands, depth: float) -> Flags:
    alike: Flags = np.abs(np.log(bands.depth / max(depth, 1e-9))) < 0.7
    return alike


def _wall_styles(strokes: Strokes, filled: list[Flags], wall: float) -> Flags:
    """bool (s,): the styles in which much of the length of hollow strips as thick as walls is drawn."""
    paired, drawn = np.zeros(len(strokes.weight)), np.zeros(len(strokes.weight))
    for bands, stack, solid, family in zip(strokes.rows, strokes.stacks, filled, strokes.families, strict=True):
        good = ~solid & (stack == 0) & (bands.length >= 4 * bands.depth)
        good &= (bands.depth > 0.6 * wall) & (bands.depth < 1.7 * wall)
        for side in (0, 1):
            np.add.at(paired, bands.style[good, side], bands.length[good])
        np.add.at(drawn, family.style, family.end - family.start)
    power = paired * strokes.weight
    walls: Flags = (power >= 0.04 * power.max(initial=0.0)) & (paired >= 0.15 * drawn)
    return walls


def _styles_on(paths: Paths, strokes: Strokes, canvas: Canvas, solid: Mask) -> Flags:
    """bool (s,): the styles of the filled paths that lie on solid walls, told by their first segments' two sides."""
    out = np.zeros(len(strokes.weight), bool)
    path = paths.path
    first = np.flatnonzero(np.diff(path, prepend=-1))
    first = first[paths.filled[path[first]]]
    xy = paths.xy[first]
    step = xy[:, 2:] - xy[:, :2]
    normal = np.column_stack([-step[:, 1], step[:, 0]]) / np.hypot(step[:, 0], step[:, 1])[:, None]
    middle = (xy[:, :2] + xy[:, 2:]) / 2
    for sign in (-1.0, 1.0):
        inside = canvas.at(solid, middle + sign * 2.0 / canvas.scale * normal) > 0
        out[strokes.path_style[path[first[inside]]]] = True
    return out


def _are_walls(bands: Bands, stack: FloatArray, filled: Flags, styles: Flags, depth: float, least: float) -> Flags:
    """bool (n,): the strips that are walls by their depth, length, pens and neighbours."""
    usual = (bands.depth >= 0.35 * depth) & (bands.depth <= 3 * depth)
    usual &= (stack == 0) | (stack <= 2.5 * depth)
    # A pier between windows is short; what is less like a wall must be longer to be one.
    likely = np.abs(np.log(bands.depth / depth)) < 0.5
    usual &= bands.length >= np.where(likely, 0.6, 1.5) * bands.depth
    usual &= styles[bands.style].all(axis=1)
    walls: Flags = usual | (filled & (bands.depth >= least))
    return walls


def _with_words(bands: Bands, words: FloatArray) -> Flags:
    """bool (n,): the strips with a word inside: lines of a table, frames of labels."""
    out = np.zeros(len(bands.low), bool)
    if not len(words) or not len(out):
        return out
    along, across = axes_of(bands.angle_deg)
    order = np.argsort(words @ across, kind="stable")
    t, o = (words @ along)[order], (words @ across)[order]
    one, word = members(np.searchsorted(o, bands.low, side="right"), np.searchsorted(o, bands.high))
    inside = (t[word] > bands.start[one]) & (t[word] < bands.end[one])
    out[one[inside]] = True
    return out


def _drawn(strokes: Strokes, page: Canvas, bands: list[Bands], solid: Mask, depth: float, styles: Flags) -> Walls:
    """The walls on the part of the page that has any: what lies around them is outside."""
    faces: list[FloatArray] = [np.zeros((0, 4))]
    faces += [family.segments(np.unique(some.pair)) for family, some in zip(strokes.families, bands, strict=True)]
    faces += [strokes.bends[styles[strokes.bend_style]]]
    all_faces = np.vstack(faces)
    strips = np.concatenate([np.zeros((0, 4, 2)), *(some.corners() for some in bands)])
    canvas = page.around(np.vstack([all_faces.reshape(-1, 2), strips.reshape(-1, 2)]), solid, _MARGIN_PX)
    solid = page.cut(solid, canvas)
    mask = solid.copy()
    canvas.fill(mask, strips)
    canvas.draw_lines(mask, all_faces)
    door = strokes.doors.width or _DOOR_WALLS * depth
    return Walls(canvas, bands, solid, mask, all_faces, depth, door, styles)
