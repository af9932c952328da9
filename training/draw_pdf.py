"""Marks to a vector PDF: paths with pens, fills and clipped hatches, and a real text layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import reportlab  # type: ignore[import-untyped]
from reportlab.pdfbase import pdfmetrics  # type: ignore[import-untyped]
from reportlab.pdfbase.ttfonts import TTFont  # type: ignore[import-untyped]
from reportlab.pdfgen.canvas import Canvas  # type: ignore[import-untyped]

from training.layout import Floats
from training.marks import Colour, Drawing, Hatch, Shape, Text

_FONTS: Final = {
    "sans": "Helvetica",
    "bold": "Helvetica-Bold",
    "italic": "Helvetica-Oblique",
    "mono": "Courier",
    "vera": "Vera",
    "hershey": "Helvetica",
    "narrow": "Helvetica",
    "script": "Times-Italic",
}


def write_pdf(
    path: Path, pages: Sequence[Drawing], pt_per_m: float, pen_pt: float, title: str = "Floor plan"
) -> list[Floats]:
    """Writes one page a drawing; the same drawings give the same bytes.

    Returns:
        For each page the matrix (2, 3) from metres to points of the page as displayed, origin top left.
    """
    if "Vera" not in pdfmetrics.getRegisteredFontNames():
        pdfmetrics.registerFont(TTFont("Vera", str(Path(reportlab.__file__).parent / "fonts" / "Vera.ttf")))
    canvas = Canvas(str(path), pageCompression=1, invariant=1)
    canvas.setTitle(title)
    matrices = []
    for drawing in pages:
        x0, y0, x1, y1 = drawing.bounds
        width, height = (x1 - x0) * pt_per_m, (y1 - y0) * pt_per_m
        canvas.setPageSize((width, height))
        page = _Page(canvas, np.array([[pt_per_m, 0, -x0 * pt_per_m], [0, pt_per_m, -y0 * pt_per_m]]), height, pen_pt)
        if drawing.paper != (255, 255, 255):
            canvas.setFillColorRGB(*_rgb(drawing.paper))
            canvas.rect(0, 0, width, height, stroke=0, fill=1)
        for mark in drawing.marks:
            page.text(mark) if isinstance(mark, Text) else page.shape(mark)
        canvas.showPage()
        matrices.append(page.matrix)
    canvas.save()
    return matrices


def _rgb(colour: Colour) -> tuple[float, float, float]:
    return colour[0] / 255, colour[1] / 255, colour[2] / 255


class _Page:
    """One page's pen: metres in, PDF's upward points out."""

    def __init__(self, canvas: Any, matrix: Floats, height_pt: float, pen_pt: float) -> None:
        self.canvas = canvas
        self.matrix = matrix
        self.height_pt = height_pt
        self.pen_pt = pen_pt

    def _to_pt(self, points: Floats) -> Floats:
        moved = points @ self.matrix[:, :2].T + self.matrix[:, 2]
        moved[:, 1] = self.height_pt - moved[:, 1]
        return np.round(moved, 3)

    def _path(self, shape: Shape) -> Any:
        path = self.canvas.beginPath()
        for ring in shape.rings:
            points = self._to_pt(ring).tolist()
            path.moveTo(*points[0])
            for point in points[1:]:
                path.lineTo(*point)
            if shape.closed:
                path.close()
        return path

    def shape(self, shape: Shape) -> None:
        """Draws a shape: fill, hatch, line."""
        canvas = self.canvas
        if shape.fill is not None:
            canvas.setFillColorRGB(*_rgb(shape.fill))
            canvas.drawPath(self._path(shape), stroke=0, fill=1, fillMode=0)
        if shape.hatch is not None:
            self._hatch(shape, shape.hatch)
        if shape.line is not None:
            canvas.setStrokeColorRGB(*_rgb(shape.line))
            canvas.setLineWidth(shape.pen * self.pen_pt)
            dash = shape.dash_m * float(self.matrix[0, 0])
            canvas.setDash([dash, dash * 0.8] if dash else [])
            canvas.drawPath(self._path(shape), stroke=1, fill=0)

    def _hatch(self, shape: Shape, hatch: Hatch) -> None:
        canvas = self.canvas
        canvas.saveState()
        canvas.clipPath(self._path(shape), stroke=0, fill=0, fillMode=0)
        canvas.setStrokeColorRGB(*_rgb(hatch.colour))
        canvas.setLineWidth(hatch.pen * self.pen_pt)
        canvas.setDash([])
        points = np.concatenate([self._to_pt(ring) for ring in shape.rings])
        low, high = points.min(0), points.max(0)
        corners = np.array([low, [low[0], high[1]], high, [high[0], low[1]]])
        spacing = hatch.spacing_m * float(self.matrix[0, 0])
        for angle in hatch.angles_deg:
            along = np.array([math.cos(math.radians(angle)), math.sin(math.radians(angle))])
            across = np.array([-along[1], along[0]])
            reach, offsets = corners @ along, corners @ across
            for k in range(math.ceil(offsets.min() / spacing), math.floor(offsets.max() / spacing) + 1):
                a, b = across * k * spacing + along * reach.min(), across * k * spacing + along * reach.max()
                canvas.line(*np.round(a, 2).tolist(), *np.round(b, 2).tolist())
        canvas.restoreState()

    def text(self, mark: Text) -> None:
        """Writes a text, its box first."""
        canvas = self.canvas
        size = mark.height_m * float(self.matrix[0, 0])
        font = _FONTS.get(mark.font, "Helvetica")
        x, y = self._to_pt(np.array([mark.at]))[0].tolist()
        canvas.saveState()
        canvas.translate(x, y)
        canvas.rotate(mark.angle_deg)
        width = pdfmetrics.stringWidth(mark.text, font, size)
        if mark.box is not None:
            canvas.setFillColorRGB(*_rgb(mark.box))
            canvas.rect(-width / 2 - 1, -size * 0.55, width + 2, size * 1.1, stroke=0, fill=1)
        canvas.setFillColorRGB(*_rgb(mark.colour))
        canvas.setFont(font, size)
        if mark.anchor == "left":
            canvas.drawString(0, -size * 0.35, mark.text)
        else:
            canvas.drawCentredString(0, -size * 0.35, mark.text)
        canvas.restoreState()
