"""The words of a PDF page's text layer, where they stand on the page as displayed."""

from __future__ import annotations

import ctypes
import math
from typing import Any, Final

import numpy as np
import pypdfium2.raw as pdfium
from numpy.typing import NDArray

from detection.pdf import Word, display_matrix
from detection.pdfwalk import foreign, hidden_texts

MAX_CHARS: Final = 200_000

_P, _I = ctypes.c_void_p, ctypes.c_int
_unicode = foreign("FPDFText_GetUnicode", ctypes.c_uint, _P, _I)
_char_box = foreign("FPDFText_GetCharBox", _I, _P, _I, _P, _P, _P, _P)
_text_matrix = foreign("FPDFText_GetMatrix", _I, _P, _I, _P)
_text_object = foreign("FPDFText_GetTextObject", _P, _P, _I)
_font_size = foreign("FPDFText_GetFontSize", ctypes.c_double, _P, _I)


def read_words(page: Any, hides: bool = False) -> list[Word]:
    """The words of a raw pdfium page in the order of its text layer, at most MAX_CHARS letters of them.

    `hides` says that `pdflayers` marked hidden layers in the document: what belongs to one is left out.
    """
    layer = pdfium.FPDFText_LoadPage(page)
    if not layer:
        return []
    try:
        return _words(ctypes.cast(layer, ctypes.c_void_p).value, pdfium.FPDFText_CountChars(layer), page, hides)
    finally:
        pdfium.FPDFText_ClosePage(layer)


def _words(layer: Any, count: int, page: Any, hides: bool) -> list[Word]:
    to_display, width, height = display_matrix(page)
    count = max(0, min(count, MAX_CHARS))
    boxes = np.zeros((count, 4))  # left, right, bottom, top in user space
    base = boxes.ctypes.data
    letters: list[str] = []
    unseen = hidden_texts(page) if hides else set()
    for index in range(count):
        code = _unicode(layer, index)
        letter = chr(code) if 32 < code < 0x110000 and not 0xD800 <= code < 0xE000 else " "
        letter = "-" if code == 2 else letter  # 2 is a soft hyphen at the end of a line
        letters.append(" " if unseen and _text_object(layer, index) in unseen else letter)
        at = base + 32 * index
        _char_box(layer, index, at, at + 8, at + 16, at + 24)
    shown = _displayed(boxes, to_display)
    words = []
    start = 0
    for index in range(count + 1):
        if index < count and not letters[index].isspace():
            continue
        if index > start:
            word = _word(layer, "".join(letters[start:index]), start, shown[start:index], to_display)
            x, y = word.centre
            if 0 <= x <= width and 0 <= y <= height:
                words.append(word)
        start = index + 1
    return words


def _word(layer: Any, text: str, first: int, boxes: NDArray[np.float64], to_display: NDArray[np.float64]) -> Word:
    m = (ctypes.c_float * 6)(1, 0, 0, 1, 0, 0)
    _text_matrix(layer, first, ctypes.addressof(m))
    linear = to_display[:2, :2] @ np.array([[m[0], m[2]], [m[1], m[3]]])
    size = float(_font_size(layer, first)) * math.hypot(linear[0, 1], linear[1, 1])
    angle = math.degrees(math.atan2(linear[1, 0], linear[0, 0])) % 360
    x0, y0 = boxes[:, :2].min(axis=0)
    x1, y1 = boxes[:, 2:].max(axis=0)
    return Word(text, (float(x0), float(y0), float(x1), float(y1)), size, round(angle, 3) % 360)


def _displayed(boxes: NDArray[np.float64], to_display: NDArray[np.float64]) -> NDArray[np.float64]:
    """Boxes x0, y0, x1, y1 on the page as displayed; a quarter turn keeps them upright."""
    first = boxes[:, [0, 2]] @ to_display[:2, :2].T + to_display[:2, 2]
    second = boxes[:, [1, 3]] @ to_display[:2, :2].T + to_display[:2, 2]
    return np.hstack([np.minimum(first, second), np.maximum(first, second)])
