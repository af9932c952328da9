"""The drawing of a PDF page: its own lines, curves and fills, without a pixel in between.

Glossary: a *path* is one page object (one pen, one fill); it consists of *subpaths* (one stroke of the pen from a
move to the next), and those of *segments* (straight pieces; Béziers are flattened). Everything is in page units:
PDF points of the page as displayed, origin top left, y down.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pypdfium2.raw as pdfium
from numpy.typing import NDArray

MAX_PATHS: Final = 400_000
MAX_POINTS: Final = 3_000_000
MAX_DEPTH: Final = 12
_FLATNESS_PT: Final = 0.1  # a flattened curve stays this close to the true one
_MAX_PIECES: Final = 64

LINE: Final = 0  #: a subpath of straight segments
CURVE: Final = 1  #: a subpath with at least one Bézier
RECT: Final = 2  #: a closed subpath of four straight segments with right angles

_LINETO: Final = 0
_BEZIERTO: Final = 1
_MOVETO: Final = 2


@dataclass(frozen=True, slots=True)
class Paths:
    """What a page draws with the pen, in drawing order (later covers earlier), clipped to nothing.

    Attributes:
        xy: float64 (n, 4), each segment's x0, y0, x1, y1; the segment that closes a subpath, or that a fill closes
            silently, is among them. Segments of one subpath follow each other. None has length 0.
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
        images: float64 (k, 4), the boxes x0, y0, x1, y1 of the page's images, not clipped to the page.
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


def read_paths(page: Any) -> Paths:
    """The drawing of a raw pdfium page, form XObjects included, bounded by MAX_PATHS, MAX_POINTS and MAX_DEPTH."""
    to_display, _, _ = display_matrix(page)
    walk = _Walk()
    walk.run(page)
    return _assemble(walk, to_display)


def _fast(name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
    """A pdfium function that takes and gives plain addresses: several times faster than typed pointers.

    PYFUNCTYPE keeps the interpreter's lock, which is right here: none of these calls back or waits.
    """
    address = ctypes.cast(getattr(pdfium, name), ctypes.c_void_p).value
    return ctypes.PYFUNCTYPE(result, *arguments)(address)  # type: ignore[arg-type]


_P, _I = ctypes.c_void_p, ctypes.c_int
_page_count = _fast("FPDFPage_CountObjects", _I, _P)
_page_object = _fast("FPDFPage_GetObject", _P, _P, _I)
_form_count = _fast("FPDFFormObj_CountObjects", _I, _P)
_form_object = _fast("FPDFFormObj_GetObject", _P, _P, ctypes.c_ulong)
_type = _fast("FPDFPageObj_GetType", _I, _P)
_matrix = _fast("FPDFPageObj_GetMatrix", _I, _P, _P)
_segment_count = _fast("FPDFPath_CountSegments", _I, _P)
_segment = _fast("FPDFPath_GetPathSegment", _P, _P, _I)
_draw_mode = _fast("FPDFPath_GetDrawMode", _I, _P, _P, _P)
_stroke_width = _fast("FPDFPageObj_GetStrokeWidth", _I, _P, _P)
_stroke_colour = _fast("FPDFPageObj_GetStrokeColor", _I, _P, _P, _P, _P, _P)
_fill_colour = _fast("FPDFPageObj_GetFillColor", _I, _P, _P, _P, _P, _P)
_dash_count = _fast("FPDFPageObj_GetDashCount", _I, _P)
_point = _fast("FPDFPathSegment_GetPoint", _I, _P, _P, _P)
_segment_type = _fast("FPDFPathSegment_GetType", _I, _P)
_segment_closes = _fast("FPDFPathSegment_GetClose", _I, _P)


class _Columns:
    """Growing arrays that pdfium writes into by address."""

    def __init__(self, capacity: int, **columns: tuple[type[np.generic], int]) -> None:
        self.arrays = {n: np.zeros((capacity, w), dtype=t) for n, (t, w) in columns.items()}
        self.capacity = capacity
        self._aim()

    def _aim(self) -> None:
        self.base = {n: a.ctypes.data for n, a in self.arrays.items()}

    def reserve(self, count: int) -> bool:
        """Whether the arrays had to grow, and so moved."""
        if count <= self.capacity:
            return False
        self.capacity = max(count, 2 * self.capacity)
        for name, old in self.arrays.items():
            grown = np.zeros((self.capacity, old.shape[1]), dtype=old.dtype)
            grown[: len(old)] = old
            self.arrays[name] = grown
        self._aim()
        return True


class _Walk:
    """One pass over a page's objects that leaves raw arrays behind: as few calls into pdfium as the data needs."""

    def __init__(self) -> None:
        self.rows = _Columns(
            4096, matrix=(np.float32, 6), width=(np.float32, 1), stroke=(np.uint32, 4), fill=(np.uint32, 4)
        )
        self.points = _Columns(32768, xy=(np.float32, 2))
        self.types: list[int] = []
        self.starts: list[int] = []  # where each path's points begin
        self.closing: list[int] = []  # points that close their subpath
        self.modes: list[int] = []  # fill mode | 4 where stroked | 8 where dashed
        self.forms: list[NDArray[np.float64]] = [np.eye(3)]
        self.form_of: list[int] = []
        self.images: list[NDArray[np.float64]] = []
        self.complete = True
        self._fill_mode, self._stroke = ctypes.c_int(), ctypes.c_int()

    def run(self, page: Any) -> None:
        address = ctypes.cast(page, ctypes.c_void_p).value
        self._visit(address, _page_count(address), _page_object, 0, 0)

    def _visit(self, holder: Any, count: int, get: Callable[..., Any], form: int, depth: int) -> None:
        for index in range(count):
            if len(self.starts) >= MAX_PATHS or len(self.types) >= MAX_POINTS:
                self.complete = False
                return
            item = get(holder, index)
            kind = _type(item)
            if kind == pdfium.FPDF_PAGEOBJ_PATH:
                self._path(item, form)
            elif kind == pdfium.FPDF_PAGEOBJ_IMAGE:
                self.images.append(self.forms[form] @ self._matrix_of(item))
            elif kind == pdfium.FPDF_PAGEOBJ_FORM:
                if depth >= MAX_DEPTH:
                    self.complete = False
                    continue
                self.forms.append(self.forms[form] @ self._matrix_of(item))
                self._visit(item, _form_count(item), _form_object, len(self.forms) - 1, depth + 1)

    @staticmethod
    def _matrix_of(item: int) -> NDArray[np.float64]:
        m = (ctypes.c_float * 6)()
        if not _matrix(item, ctypes.addressof(m)):
            return np.eye(3)
        return np.array([[m[0], m[2], m[4]], [m[1], m[3], m[5]], [0, 0, 1]])

    def _path(self, item: int, form: int) -> None:
        count = _segment_count(item)
        if count < 2 or count > MAX_POINTS - len(self.types):
            self.complete &= count < 2
            return
        _draw_mode(item, ctypes.addressof(self._fill_mode), ctypes.addressof(self._stroke))
        mode, stroked = self._fill_mode.value, self._stroke.value
        if not mode and not stroked:
            return
        row, start = len(self.starts), len(self.types)
        self.rows.reserve(row + 1)
        self.points.reserve(start + count)
        base = self.rows.base
        if not _matrix(item, base["matrix"] + 24 * row):
            self.rows.arrays["matrix"][row] = (1, 0, 0, 1, 0, 0)
        if stroked:
            at = base["stroke"] + 16 * row
            _stroke_colour(item, at, at + 4, at + 8, at + 12)
            _stroke_width(item, base["width"] + 4 * row)
            mode |= 4 | (8 if _dash_count(item) > 0 else 0)
        if mode & 3:
            at = base["fill"] + 16 * row
            _fill_colour(item, at, at + 4, at + 8, at + 12)
        self.starts.append(start)
        self.modes.append(mode)
        self.form_of.append(form)
        self._segments(item, start, count)

    def _segments(self, item: int, start: int, count: int) -> None:
        at = self.points.base["xy"] + 8 * start
        types, before = self.types, 0
        for index in range(count):
            segment = _segment(item, index)
            _point(segment, at, at + 4)
            at += 8
            kind = _segment_type(segment)
            if kind == _MOVETO and index and _segment_closes(before):
                self.closing.append(start + index - 1)
            types.append(kind)
            before = segment
        if _segment_closes(before):
            self.closing.append(start + count - 1)


def _assemble(walk: _Walk, to_display: NDArray[np.float64]) -> Paths:
    paths, total = len(walk.starts), len(walk.types)
    images = _image_boxes(walk.images, to_display)
    modes = np.array(walk.modes, dtype=np.int32)
    rows = {name: array[:paths] for name, array in walk.rows.arrays.items()}
    m = rows["matrix"].astype(np.float64)
    own = np.zeros((paths, 3, 3))
    own[:, 0] = m[:, [0, 2, 4]]
    own[:, 1] = m[:, [1, 3, 5]]
    own[:, 2, 2] = 1
    forms = to_display @ np.array(walk.forms)
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
        images=images,
        complete=walk.complete,
    )


def _image_boxes(matrices: list[NDArray[np.float64]], to_display: NDArray[np.float64]) -> NDArray[np.float64]:
    square = np.array([[0, 1, 1, 0], [0, 0, 1, 1], [1, 1, 1, 1]], dtype=np.float64)
    corners = [(to_display @ matrix @ square)[:2] for matrix in matrices]
    return np.array([[*c.min(axis=1), *c.max(axis=1)] for c in corners]).reshape(-1, 4)


def _segments_of(
    xy: NDArray[np.float64],
    types: NDArray[np.int8],
    closing: NDArray[np.int64],
    path_of_point: NDArray[np.int64],
    *,
    filled: NDArray[np.bool_],
    **pens: Any,
) -> Paths:
    """Points with their types as segments with their subpaths, Béziers flattened."""
    total = len(types)
    starts = types == _MOVETO
    starts[:1] = True
    starts[1:] |= path_of_point[1:] != path_of_point[:-1]
    subpath = np.cumsum(starts) - 1
    first = np.flatnonzero(starts)
    last = np.append(first[1:], total) - 1
    path_of = path_of_point[first].astype(np.int32)

    # Béziers come as three points in a row; the third is the end.
    bezier = (types == _BEZIERTO) & ~starts
    rank = _rank_in_run(bezier)
    ends = np.flatnonzero(bezier & (rank % 3 == 2))
    lines = np.flatnonzero(~starts & ~bezier)
    curve_xy, curve_of = _flatten(xy, ends)

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
    kind[_rectangles(pieces[order], owner[order], curves)] = RECT
    return Paths(
        xy=pieces[order],
        subpath=owner[order],
        from_curve=curved[order],
        implied=implied[order],
        path_of=path_of,
        kind=kind,
        closed=closes | ~gap,
        curves=curves,
        filled=filled,
        **pens,
    )


def _rank_in_run(flags: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For each true flag its place (0, 1, 2 …) in its run of true ones."""
    index = np.arange(len(flags))
    run_start = np.maximum.accumulate(np.where(flags, 0, index + 1))
    rank: NDArray[np.int64] = index - run_start
    return rank


def _flatten(xy: NDArray[np.float64], ends: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The pieces (k, 4) of the Béziers that end at the points `ends`, and each piece's end point."""
    if not len(ends):
        return np.zeros((0, 4)), np.zeros(0, dtype=np.int64)
    p = np.stack([xy[ends - 3], xy[ends - 2], xy[ends - 1], xy[ends]], axis=1)
    # The chord of 1/n of a cubic strays at most max|second difference| * 6 / 8 / n^2 (Wang's formula).
    bend = np.linalg.norm(p[:, :2] - 2 * p[:, 1:3] + p[:, 2:], axis=2).max(axis=1)
    wanted = np.sqrt(0.75 * np.nan_to_num(bend, posinf=1e6) / _FLATNESS_PT)
    pieces = np.clip(np.ceil(wanted), 1, _MAX_PIECES).astype(np.int64)
    out = np.zeros((int(pieces.sum()), 4))
    offset = np.cumsum(pieces) - pieces
    for n in np.unique(pieces):
        which = np.flatnonzero(pieces == n)
        t = np.linspace(0, 1, n + 1)
        basis = np.stack([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3])
        points = np.einsum("kcd,cn->knd", p[which], basis)
        points[:, -1] = p[which, 3]
        rows = offset[which][:, None] + np.arange(n)
        out[rows] = np.concatenate([points[:, :-1], points[:, 1:]], axis=2)
    return out, np.repeat(ends, pieces)


def _rectangles(xy: NDArray[np.float64], owner: NDArray[np.int32], curves: NDArray[np.int32]) -> NDArray[np.int64]:
    """The subpaths that are four straight segments around a rectangle."""
    counts = np.bincount(owner, minlength=len(curves))
    first = np.cumsum(counts) - counts
    which = np.flatnonzero((counts == 4) & (curves == 0))
    if not len(which):
        return which
    sides = xy[first[which][:, None] + np.arange(4)]
    d = sides[:, :, 2:] - sides[:, :, :2]
    length = np.linalg.norm(d, axis=2)
    corner = np.abs(np.einsum("kij,kij->ki", d, np.roll(d, -1, axis=1))) / (length * np.roll(length, -1, axis=1))
    shut = np.all(np.isclose(sides[:, 3, 2:], sides[:, 0, :2], atol=1e-3), axis=1)
    found: NDArray[np.int64] = which[shut & (corner.max(axis=1) < 0.01)]
    return found
