"""One pass over a PDF page's objects that leaves raw arrays behind: as few calls into pdfium as the data needs."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pypdfium2.raw as pdfium
from numpy.typing import NDArray

from detection.pdflayers import HIDDEN

MAX_PATHS: Final = 400_000
MAX_POINTS: Final = 3_000_000
MAX_DEPTH: Final = 12
_MAX_CLIP_POINTS: Final = 4_000
MOVETO: Final = 2


def foreign(name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
    """A pdfium function that takes and gives plain addresses: several times faster than typed pointers.

    PYFUNCTYPE keeps the interpreter's lock, which is right here: none of these calls back or waits.
    """
    address = ctypes.cast(getattr(pdfium, name), ctypes.c_void_p).value
    return ctypes.PYFUNCTYPE(result, *arguments)(address)  # type: ignore[arg-type]


_P, _I = ctypes.c_void_p, ctypes.c_int
_page_count = foreign("FPDFPage_CountObjects", _I, _P)
_page_object = foreign("FPDFPage_GetObject", _P, _P, _I)
_form_count = foreign("FPDFFormObj_CountObjects", _I, _P)
_form_object = foreign("FPDFFormObj_GetObject", _P, _P, ctypes.c_ulong)
_type = foreign("FPDFPageObj_GetType", _I, _P)
_matrix = foreign("FPDFPageObj_GetMatrix", _I, _P, _P)
_segment_count = foreign("FPDFPath_CountSegments", _I, _P)
_segment = foreign("FPDFPath_GetPathSegment", _P, _P, _I)
_draw_mode = foreign("FPDFPath_GetDrawMode", _I, _P, _P, _P)
_stroke_width = foreign("FPDFPageObj_GetStrokeWidth", _I, _P, _P)
_stroke_colour = foreign("FPDFPageObj_GetStrokeColor", _I, _P, _P, _P, _P, _P)
_fill_colour = foreign("FPDFPageObj_GetFillColor", _I, _P, _P, _P, _P, _P)
_dash_count = foreign("FPDFPageObj_GetDashCount", _I, _P)
_point = foreign("FPDFPathSegment_GetPoint", _I, _P, _P, _P)
_segment_type = foreign("FPDFPathSegment_GetType", _I, _P)
_segment_closes = foreign("FPDFPathSegment_GetClose", _I, _P)
_mark_count = foreign("FPDFPageObj_CountMarks", _I, _P)
_mark = foreign("FPDFPageObj_GetMark", _P, _P, ctypes.c_ulong)
_mark_number = foreign("FPDFPageObjMark_GetParamIntValue", _I, _P, ctypes.c_char_p, _P)
_clip_path = foreign("FPDFPageObj_GetClipPath", _P, _P)
_clip_count = foreign("FPDFClipPath_CountPaths", _I, _P)
_clip_segment_count = foreign("FPDFClipPath_CountPathSegments", _I, _P, _I)
_clip_segment = foreign("FPDFClipPath_GetPathSegment", _P, _P, _I, _I)


@dataclass(frozen=True, slots=True)
class Clip:
    """What an object is clipped to: float64 (4,), the box x0, y0, x1, y1, and whether the box is the exact shape."""

    box: NDArray[np.float64]
    is_box: bool = True


def is_hidden(item: int) -> bool:
    """Whether a page object belongs to a layer that `pdflayers` marked as hidden."""
    value = ctypes.c_int()
    marks = (_mark(item, index) for index in range(max(0, _mark_count(item))))
    return any(_mark_number(mark, HIDDEN, ctypes.addressof(value)) and value.value == 1 for mark in marks)


def hidden_texts(page: Any) -> set[int]:
    """The addresses of the text objects of a raw pdfium page that belong to hidden layers, those in forms included."""
    address = ctypes.cast(page, ctypes.c_void_p).value
    found: set[int] = set()
    waiting = [(address, _page_count(address), _page_object, False, 0)]
    while waiting:
        holder, count, get, within, depth = waiting.pop()
        for item in (get(holder, index) for index in range(count)):
            hidden, kind = within or is_hidden(item), _type(item)
            if hidden and kind == pdfium.FPDF_PAGEOBJ_TEXT:
                found.add(item)
            elif kind == pdfium.FPDF_PAGEOBJ_FORM and depth < MAX_DEPTH:
                waiting.append((item, _form_count(item), _form_object, hidden, depth + 1))
    return found


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


class Walk:
    """What the objects of a page are, form XObjects included, bounded by MAX_PATHS, MAX_POINTS and MAX_DEPTH.

    Attributes:
        rows: a path's own matrix, stroke width and colours, as pdfium gives them.
        points: the paths' points in their own space; `types` says move, line or curve.
        starts: where each path's points begin.
        closing: the points that close their subpath.
        modes: a path's fill mode (1 even-odd, 2 winding), plus 4 where stroked, plus 8 where dashed.
        forms: for each form XObject (0 is the page) the map to the page as displayed.
        form_of: the form that holds each path.
        clips: what each path is clipped to, as a box on the page as displayed; `free` where nothing clips.
        clip_rect: whether that box is the clip's exact shape.
        images: the boxes of the images on the page as displayed.
    """

    def __init__(self, to_display: NDArray[np.float64], free: Clip, hides: bool = False) -> None:
        self._hides = hides
        self.rows = _Columns(
            4096, matrix=(np.float32, 6), width=(np.float32, 1), stroke=(np.uint32, 4), fill=(np.uint32, 4)
        )
        self.points = _Columns(32768, xy=(np.float32, 2))
        self.types: list[int] = []
        self.starts: list[int] = []
        self.closing: list[int] = []
        self.modes: list[int] = []
        self.forms = [to_display]
        self.form_of: list[int] = []
        self.clips: list[Clip] = []
        self.images: list[NDArray[np.float64]] = []
        self.complete = True
        self._form_clips = [free]
        self._clip_cache: dict[tuple[int, ...], Clip] = {}
        self._fill_mode, self._stroke = ctypes.c_int(), ctypes.c_int()

    def run(self, page: Any) -> None:
        """Fills the arrays from a raw pdfium page."""
        address = ctypes.cast(page, ctypes.c_void_p).value
        self._visit(address, _page_count(address), _page_object, 0, 0)

    def _visit(self, holder: Any, count: int, get: Callable[..., Any], form: int, depth: int) -> None:
        for index in range(count):
            if len(self.starts) >= MAX_PATHS or len(self.types) >= MAX_POINTS:
                self.complete = False
                return
            item = get(holder, index)
            if self._hides and is_hidden(item):
                continue
            kind = _type(item)
            if kind == pdfium.FPDF_PAGEOBJ_PATH:
                self._path(item, form)
            elif kind == pdfium.FPDF_PAGEOBJ_IMAGE:
                self._image(item, form)
            elif kind == pdfium.FPDF_PAGEOBJ_FORM:
                if depth >= MAX_DEPTH or len(self.forms) >= MAX_PATHS:
                    self.complete = False
                    continue
                self._form_clips.append(self._clip_of(item, form))
                self.forms.append(self.forms[form] @ _matrix_of(item))
                self._visit(item, _form_count(item), _form_object, len(self.forms) - 1, depth + 1)

    def _image(self, item: int, form: int) -> None:
        corners = (self.forms[form] @ _matrix_of(item) @ _UNIT_SQUARE)[:2]
        clip = self._clip_of(item, form).box
        low, high = np.maximum(corners.min(axis=1), clip[:2]), np.minimum(corners.max(axis=1), clip[2:])
        if (high > low).all():
            self.images.append(np.array([*low, *high]))

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
        self.clips.append(self._clip_of(item, form))
        self._segments(item, start, count)

    def _segments(self, item: int, start: int, count: int) -> None:
        at = self.points.base["xy"] + 8 * start
        types, before = self.types, 0
        for index in range(count):
            segment = _segment(item, index)
            _point(segment, at, at + 4)
            at += 8
            kind = _segment_type(segment)
            if kind == MOVETO and index and _segment_closes(before):
                self.closing.append(start + index - 1)
            types.append(kind)
            before = segment
        if _segment_closes(before):
            self.closing.append(start + count - 1)

    def _clip_of(self, item: int, form: int) -> Clip:
        """The object's clip with that of the forms around it; equal clips are read once."""
        clip = _clip_path(item)
        count = _clip_count(clip) if clip else 0
        if count <= 0:
            return self._form_clips[form]
        # pdfium shares equal clip paths between objects, so the addresses of their first points name them.
        key = (form, *(_clip_segment(clip, index, 0) or 0 for index in range(count)))
        known = self._clip_cache.get(key)
        if known is None:
            known = self._form_clips[form]
            for index in range(count):
                known = self._narrowed(known, clip, index, form)
            self._clip_cache[key] = known
        return known

    def _narrowed(self, known: Clip, clip: int, index: int, form: int) -> Clip:
        points = _clip_points(clip, index)
        if not len(points):
            return known
        form_map = self.forms[form]
        shown = points @ form_map[:2, :2].T + form_map[:2, 2]
        low, high = shown.min(axis=0), shown.max(axis=0)
        at_edge = np.isclose(shown, low, atol=0.01) | np.isclose(shown, high, atol=0.01)
        box = np.array([*np.maximum(known.box[:2], low), *np.minimum(known.box[2:], high)])
        return Clip(box, known.is_box and len(points) <= 5 and bool(at_edge.all()))


_UNIT_SQUARE: Final = np.array([[0, 1, 1, 0], [0, 0, 1, 1], [1, 1, 1, 1]], dtype=np.float64)


def _matrix_of(item: int) -> NDArray[np.float64]:
    m = (ctypes.c_float * 6)()
    if not _matrix(item, ctypes.addressof(m)):
        return np.eye(3)
    return np.array([[m[0], m[2], m[4]], [m[1], m[3], m[5]], [0, 0, 1]], dtype=np.float64)


def _clip_points(clip: int, index: int) -> NDArray[np.float64]:
    count = min(_clip_segment_count(clip, index), _MAX_CLIP_POINTS)
    points = np.zeros((max(count, 0), 2), dtype=np.float32)
    for row in range(count):
        at = points.ctypes.data + 8 * row
        _point(_clip_segment(clip, index, row), at, at + 4)
    return points.astype(np.float64)
