"""PDFs and pictures that the engine's tests draw for themselves."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pypdfium2
from numpy.typing import NDArray
from reportlab.pdfgen.canvas import Canvas

from models.blueprint import Blueprint

Draw = Callable[[Canvas], None]


def pdf_of(*pages: Draw, size: tuple[float, float] = (400, 300), **options: Any) -> bytes:
    """A PDF with one page a drawing function."""
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=size, **options)
    for draw in pages:
        draw(canvas)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def changed(data: bytes, page: int, turn: int = 0, crop: tuple[float, float, float, float] | None = None) -> bytes:
    """The PDF with one page (1-based) turned clockwise and cut to a crop box (left, bottom, right, top)."""
    document = pypdfium2.PdfDocument(data)
    document[page - 1].set_rotation(turn)
    if crop is not None:
        document[page - 1].set_cropbox(*crop)
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def blueprint_of(data: bytes) -> Blueprint:
    """The parsed blueprint."""
    return Blueprint.parse(data)


def png_of(image: NDArray[Any]) -> bytes:
    """The array as PNG."""
    return cv2.imencode(".png", image)[1].tobytes()


def two_rooms(width: int = 640, height: int = 420) -> NDArray[np.uint8]:
    """Two rooms with a door between them, walls 12 px thick: inner faces 72..308 and 320..568 by 72..348."""
    image = np.full((height, width, 3), 255, dtype=np.uint8)
    cv2.rectangle(image, (60, 60), (579, 359), (0, 0, 0), -1)
    cv2.rectangle(image, (72, 72), (307, 347), (255, 255, 255), -1)
    cv2.rectangle(image, (320, 72), (567, 347), (255, 255, 255), -1)
    cv2.rectangle(image, (307, 180), (320, 230), (255, 255, 255), -1)
    cv2.line(image, (307, 180), (257, 180), (0, 0, 0), 1)
    cv2.ellipse(image, (307, 180), (50, 50), 0, 90, 180, (0, 0, 0), 1)
    return image
