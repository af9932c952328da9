"""The drawing of a PDF page: its own lines, curves and fills, without a pixel in between.

Glossary: a *path* is one page object (one pen, one fill); it consists of *subpaths* (one stroke of the pen from a
move to the next), and those of *segments* (straight pieces; Béziers are flattened). Everything is in page units:
PDF points of the page as displayed, origin top left, y down.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pypdfium2.raw as pdfium
from numpy.typing import NDArray

from detection.pdfwalk import MOVETO, Clip, Walk
from detection.segments import cut_to_boxes, find_rectangles, flatten_beziers, rank_in_run

LINE: Final = 0  #: a subpath of straight segments
CURVE: Final = 1  #: a subpath with at least one Bézier
RECT: Final = 2  #: a closed subpath of four straight segments with right angles

_BEZIERTO: Final = 1


@dataclass(frozen=True, slots=True)
class Paths:
    """What a page draws with the pen, in drawing order (later covers earlier), cut to the boxes that clip it.

    Attributes:
        xy: float64 (n, 4), each segment's x0, y0, x1, y1; the segment that closes a subpath, or that a fill closes
            silently, is among them. Segments of one subpath follow each other. None has length 0. `kind`, `closed` and
            `curves` tell of the subpath as drawn, before any cut.
        subpath: int32 (n,), the subpath of each segment, not decreasing.
        from_curve: bool (n,), whether the segment is a piece of a flattened Bézier.
        implied: bool (n,), whether only a fill draws the segment (the silent closing of an open subpath).
        path_of: int32 (s,), the path of each subpath.
        kind: uint8 (s,), LINE, CURVE or RECT.
        closed: bool (s,), whether the subpath ends where it began.
        curves: int32 (s,), how many Béziers the subpath had.
        width_pt: float64 (p,), the pen's width in page units, 0 for a hairline or where nothing is stroked.
        stroked: bool (p,).
        filled: bool (p,).
        dashed: bool (p,), whether the stroke has a dash pattern.
        stroke_rgba: uint8 (p, 4); zeros where not stroked.
        fill_rgba: uint8 (p, 4); zeros where not filled.
        images: float64 (k, 4), the visible boxes x0, y0, x1, y1 of the page's images.
        clip: float64 (p, 4), the box that each path is clipped to, the page's where nothing else clips.
        clipped: bool (p,), whether the clip is not a box but another shape inside it: parts of such a path, often a
            hatch, may be invisible though their segments are here.
        complete: False when a limit ended the walk before the page did.
    """

    xy: NDArray[np.float64]
    subpath: NDArray[np.int32]
    from_curve: NDArray[np.bool_]
    implied: NDArray[np.bool_]
    path_of: NDArray[np.int32]
    kind: NDArray[np.uint8]
    closed: NDArray[np.bool_]
    curves: NDArray[np.int32]
    width_pt: NDArray[np.float64]
    stroked: NDArray[np.bool_]
    filled: NDArray[np.bool_]
    dashed: NDArray[np.bool_]
    stroke_rgba: NDArray[np.uint8]
    fill_rgba: NDArray[np.uint8]
    images: NDArray[np.float64]
    clip: NDArray[np.float64]
    clipped: NDArray[np.bool_]
    complete: bool = True

    @property
    def path(self) -> NDArray[np.int32]:
        """int32 (n,), the path of each segment."""
        return self.path_of[self.subpath]

    @property
    def path_count(self) -> int:
        """How many paths the page has."""
        return len(self.width_pt)


@dataclass(frozen=True, slots=True)
class Word:
    """A run of letters without a space, from the text layer.

    Attributes:
        text: the letters in reading order.
        box: x0, y0, x1, y1 in page units (the tight box of the ink).
        size_pt: the font's size as drawn.
        angle_deg: the direction of writing as displayed, clockwise on screen: 0 reads left to right, 90 downwards.
    """

    text: str
    box: tuple[float, float, float, float]
    size_pt: float
    angle_deg: float

    @property
    def centre(self) -> tuple[float, float]:
        """The middle of the box."""
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2


def display_matrix(page: Any) -> tuple[NDArray[np.float64], float, float]:
    """The affine map (3, 3) from a page's user space to the page as displayed, with its width and height in pt.

    Args:
        page: a raw pdfium page.
    """
    box = pdfium.FS_RECTF()
    pdfium.FPDF_GetPageBoundingBox(page, box)
    width, height = float(pdfium.FPDF_GetPageWidthF(page)), float(pdfium.FPDF_GetPageHeightF(page))
    turn = pdfium.FPDFPage_GetRotation(page)
    left, bottom, right, top = box.left, min(box.bottom, box.top), box.right, max(box.bottom, box.top)
    rows = {
        0: ((1, 0, -left), (0, -1, top)),
        1: ((0, 1, -bottom), (1, 0, -left)),
        2: ((-1, 0, right), (0, 1, -bottom)),
        3: ((0, -1, top), (-1, 0, right)),
    }[turn % 4]
    return np.array([*rows, (0, 0, 1)], dtype=np.float64), width, height


def read_paths(page: Any, hides: bool = False) -> Paths:
    """The drawing of a raw pdfium page, form XObjects included, bounded by MAX_PATHS, MAX_POINTS and MAX_DEPTH.

    `hides` says that `pdflayers` marked hidden layers in the document: what belongs to one is left out.
    """
    to_display, width, height = display_matrix(page)
    walk = Walk(to_display, Clip(np.array([0.0, 0.0, width, height])), hides)
    walk.run(page)
    return _assemble(walk)


def _assemble(walk: Walk) -> Paths:
    paths, total = len(walk.starts), len(walk.types)
    modes = np.array(walk.modes, dtype=np.int32)
    rows = {name: array[:paths] for name, array in walk.rows.arrays.items()}
    m = rows["matrix"].astype(np.float64)
    own = np.zeros((paths, 3, 3))
    own[:, 0] = m[:, [0, 2, 4]]
    own[:, 1] = m[:, [1, 3, 5]]
    own[:, 2, 2] = 1
    forms = np.array(walk.forms)
    matrices = forms[np.array(walk.form_of, dtype=np.intp)] @ own
    counts = np.diff(np.array([*walk.starts, total], dtype=np.int64))
    path_of_point = np.repeat(np.arange(paths), counts)
    raw = walk.points.arrays["xy"][:total].astype(np.float64)
    a = matrices[path_of_point]
    xy = np.column_stack([a[:, i, 0] * raw[:, 0] + a[:, i, 1] * raw[:, 1] + a[:, i, 2] for i in (0, 1)])
    return _segments_of(
        xy,
        np.array(walk.types, dtype=np.int8),
        np.array(walk.closing, dtype=np.int64),
        path_of_point,
        width_pt=rows["width"][:, 0] * np.sqrt(np.abs(np.linalg.det(matrices[:, :2, :2]))),
        stroked=(modes & 4) > 0,
        filled=(modes & 3) > 0,
        dashed=(modes & 8) > 0,
        stroke_rgba=rows["stroke"].astype(np.uint8),
        fill_rgba=rows["fill"].astype(np.uint8),
        images=np.array(walk.images).reshape(-1, 4),
        clip=np.array([clip.box for clip in walk.clips]).reshape(-1, 4),
        clipped=np.array([not clip.is_box for clip in walk.clips], dtype=bool),
        complete=walk.complete,
    )


def _segments_of(
    xy: NDArray[np.float64],
    types: NDArray[np.int8],
    closing: NDArray[np.int64],
    path_of_point: NDArray[np.int64],
    *,
    filled: NDArray[np.bool_],
    clip: NDArray[np.float64],
    **pens: Any,
) -> Paths:
    """Points with their types as segments with their subpaths, Béziers flattened."""
    total = len(types)
    starts = types == MOVETO
    starts[:1] = True
    starts[1:] |= path_of_point[1:] != path_of_point[:-1]
    subpath = np.cumsum(starts) - 1
    first = np.flatnonzero(starts)
    last = np.append(first, total)[1:] - 1
    path_of = path_of_point[first].astype(np.int32)

    # Béziers come as three points in a row; the third is the end.
    bezier = (types == _BEZIERTO) & ~starts
    rank = rank_in_run(bezier)
    ends = np.flatnonzero(bezier & (rank % 3 == 2))
    lines = np.flatnonzero(~starts & ~bezier)
    curve_xy, curve_of = flatten_beziers(xy, ends)

    closes = np.zeros(len(first), dtype=bool)
    closes[subpath[closing]] = True
    gap = np.any(xy[first] != xy[last], axis=1)
    silent = gap & ~closes & filled[path_of] & (last > first + 1)
    back = np.flatnonzero((closes | silent) & gap)

    pieces = np.vstack([np.hstack([xy[lines - 1], xy[lines]]), curve_xy, np.hstack([xy[last[back]], xy[first[back]]])])
    # Sort by place in the drawing; the closing segment comes after its subpath's last point.
    place = np.concatenate([2.0 * lines, 2.0 * curve_of, 2.0 * last[back] + 1])
    curved = np.concatenate([np.zeros(len(lines), bool), np.ones(len(curve_of), bool), np.zeros(len(back), bool)])
    implied = np.concatenate([np.zeros(len(lines) + len(curve_of), bool), silent[back]])
    owner = np.concatenate([subpath[lines], subpath[curve_of], back]).astype(np.int32)
    long = np.any(pieces[:, :2] != pieces[:, 2:], axis=1) & np.isfinite(pieces).all(axis=1)
    order = np.argsort(place, kind="stable")
    order = order[long[order]]

    curves = np.bincount(subpath[ends], minlength=len(first)).astype(np.int32)
    kind = np.where(curves > 0, CURVE, LINE).astype(np.uint8)
    kind[find_rectangles(pieces[order], owner[order], curves)] = RECT
    visible, cut = cut_to_boxes(pieces[order], clip[path_of[owner[order]]])
    order = order[visible]
    return Paths(
        xy=cut,
        subpath=owner[order],
        from_curve=curved[order],
        implied=implied[order],
        path_of=path_of,
        kind=kind,
        closed=closes | ~gap,
        curves=curves,
        filled=filled,
        clip=clip,
        **pens,
    )
