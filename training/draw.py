"""Hands that draw a layout: one list of strokes and fills, carried out on pixels or on a PDF page.

A `Pen` is what the two media share; `sketch` decides what is drawn and in which manner.
"""

from __future__ import annotations

import math
import random
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from reportlab.pdfgen.canvas import Canvas
from shapely.geometry import LineString, Point, Polygon
from shapely.geometry.base import BaseGeometry

from training.layout import Opening, Plan, Room

Colour = tuple[int, int, int]
BLACK: Colour = (0, 0, 0)
Points = list[tuple[float, float]]


@dataclass
class Manner:
    """How a drawing looks; lengths in metres on the building, widths of pens in metres too."""

    walls: str = "filled"  # or hollow, hatched
    wall_colour: Colour = BLACK
    thin: float = 0.025
    floors: dict[str, Colour] | None = None
    text_m: float = 0.32
    areas: bool = True
    dimensions: bool = True
    furniture: bool = True
    grid: bool = False


class Pen(ABC):
    """Draws in metres; the origin and the scale are the medium's."""

    @abstractmethod
    def line(self, points: Points, width: float, colour: Colour = BLACK) -> None:
        """A polyline."""

    @abstractmethod
    def fill(self, shape: Polygon, colour: Colour) -> None:
        """A polygon with holes, filled."""

    @abstractmethod
    def text(self, x: float, y: float, words: str, size: float) -> None:
        """Words centred at a point."""


class RasterPen(Pen):
    """Draws on a BGR picture, `scale` px a metre, twice as fine as it is kept."""

    def __init__(self, width_m: float, height_m: float, scale: float, margin_m: float, paper: Colour = (255, 255, 255)):
        self.scale, self.margin, self.fine = scale, margin_m, 2
        size = (round((height_m + 2 * margin_m) * scale) * 2, round((width_m + 2 * margin_m) * scale) * 2)
        self.image = np.full((*size, 3), paper[::-1], np.uint8)

    def _at(self, points: Any) -> Any:
        xy = (np.asarray(points, float)[:, :2] + self.margin) * self.scale * self.fine
        return np.rint(xy * 16).astype(np.int32)

    def line(self, points: Points, width: float, colour: Colour = BLACK) -> None:
        thickness = max(1, round(width * self.scale * self.fine))
        cv2.polylines(self.image, [self._at(points)], False, colour[::-1], thickness, cv2.LINE_AA, 4)

    def fill(self, shape: Polygon, colour: Colour) -> None:
        rings = [self._at(shape.exterior.coords)] + [self._at(ring.coords) for ring in shape.interiors]
        cv2.fillPoly(self.image, rings, colour[::-1], cv2.LINE_AA, 4)

    def text(self, x: float, y: float, words: str, size: float) -> None:
        font, height = cv2.FONT_HERSHEY_SIMPLEX, size * self.scale * self.fine
        zoom = height / 22
        (w, h), _ = cv2.getTextSize(words, font, zoom, 1)
        cx, cy = ((v + self.margin) * self.scale * self.fine for v in (x, y))
        at = (round(cx - w / 2), round(cy + h / 2))
        cv2.putText(self.image, words, at, font, zoom, (30, 30, 30), max(1, round(height / 11)), cv2.LINE_AA)

    def picture(self) -> Any:
        """The finished picture (uint8 h x w x 3, BGR)."""
        height, width = self.image.shape[:2]
        return cv2.resize(self.image, (width // 2, height // 2), interpolation=cv2.INTER_AREA)

    def to_page(self, points: Any) -> list[list[float]]:
        """Metres as pixels of the finished picture."""
        return [[round((x + self.margin) * self.scale, 2), round((y + self.margin) * self.scale, 2)] for x, y in points]


class PdfPen(Pen):
    """Draws on the current page of a reportlab canvas; `scale` points a metre from the top left `(x0, y0)`."""

    def __init__(self, canvas: Canvas, height_pt: float, scale: float, x0: float, y0: float):
        self.canvas, self.height, self.scale, self.x0, self.y0 = canvas, height_pt, scale, x0, y0

    def _xy(self, x: float, y: float) -> tuple[float, float]:
        return self.x0 + x * self.scale, self.height - self.y0 - y * self.scale

    def line(self, points: Points, width: float, colour: Colour = BLACK) -> None:
        self.canvas.setStrokeColorRGB(*(c / 255 for c in colour))
        self.canvas.setLineWidth(max(0.15, width * self.scale))
        path = self.canvas.beginPath()
        path.moveTo(*self._xy(*points[0]))
        for point in points[1:]:
            path.lineTo(*self._xy(*point))
        self.canvas.drawPath(path)

    def fill(self, shape: Polygon, colour: Colour) -> None:
        self.canvas.setFillColorRGB(*(c / 255 for c in colour))
        path = self.canvas.beginPath()
        for ring in (shape.exterior, *shape.interiors):
            points = list(ring.coords)[:-1]
            path.moveTo(*self._xy(*points[0][:2]))
            for point in points[1:]:
                path.lineTo(*self._xy(*point[:2]))
            path.close()
        self.canvas.drawPath(path, stroke=0, fill=1, fillMode=0)

    def text(self, x: float, y: float, words: str, size: float) -> None:
        self.canvas.setFillColorRGB(0.1, 0.1, 0.1)
        self.canvas.setFont("Helvetica", size * self.scale)
        px, py = self._xy(x, y + size * 0.36)
        self.canvas.drawCentredString(px, py, words)

    def to_page(self, points: Any) -> list[list[float]]:
        """Metres as points of the displayed page, origin top left."""
        return [[round(self.x0 + x * self.scale, 2), round(self.y0 + y * self.scale, 2)] for x, y in points]


def polygons(shape: BaseGeometry) -> list[Polygon]:
    """The polygons that a geometry consists of."""
    return [shape] if isinstance(shape, Polygon) else [p for g in getattr(shape, "geoms", []) for p in polygons(g)]


def sketch(plan: Plan, pen: Pen, manner: Manner, rng: random.Random) -> None:
    """Draw the plan: floors, furniture, walls, openings, words, dimensions."""
    for room in plan.rooms:
        inner = plan.interior(room)
        if manner.floors and room.kind in manner.floors:
            pen.fill(inner, manner.floors[room.kind])
        if manner.furniture:
            furnish(inner, room, pen, manner.thin)
    for part in polygons(plan.walls):
        _wall(part, pen, manner)
    for opening in plan.openings:
        _opening(plan, opening, pen, manner)
    for room in plan.rooms:
        _words(plan, room, pen, manner)
    if manner.dimensions:
        _dimensions(plan, pen, manner)


def _wall(part: Polygon, pen: Pen, manner: Manner) -> None:
    if manner.walls == "filled":
        pen.fill(part, manner.wall_colour)
        return
    if manner.walls == "hatched":
        left, top, right, bottom = part.bounds
        step = 0.11
        for k in range(int((right - left + bottom - top) / step)):
            x = left + k * step
            stripe = LineString([(x, top), (x - (bottom - top), bottom)]).intersection(part)
            for piece in getattr(stripe, "geoms", [stripe]):
                if piece.geom_type == "LineString" and not piece.is_empty:
                    pen.line(list(piece.coords), manner.thin * 0.6)
    for ring in (part.exterior, *part.interiors):
        pen.line([c[:2] for c in ring.coords], manner.thin * 1.8)


def _opening(plan: Plan, opening: Opening, pen: Pen, manner: Manner) -> None:
    facade = plan.footprint.boundary.distance(Point(opening.x, opening.y)) < plan.outer_m
    depth = plan.outer_m if facade else plan.inner_m
    half, along = opening.width / 2, (1, 0) if opening.horizontal else (0, 1)
    across = (0, 1) if opening.horizontal else (1, 0)

    def at(a: float, b: float) -> tuple[float, float]:
        return opening.x + along[0] * a + across[0] * b, opening.y + along[1] * a + across[1] * b

    if opening.kind == "window":
        for b in (-depth / 2, 0.0, depth / 2):
            pen.line([at(-half, b), at(half, b)], manner.thin)
    elif opening.kind == "door":
        hinge, side = opening.hinge * half, opening.side
        start = side * depth / 2
        pen.line([at(hinge, start), at(hinge, start + side * opening.width)], manner.thin * 1.4)
        arc = [math.pi / 2 * k / 14 for k in range(15)]
        swing = opening.hinge * opening.width
        pen.line([at(hinge - swing * math.sin(a), start + side * opening.width * math.cos(a)) for a in arc], manner.thin)


def _words(plan: Plan, room: Room, pen: Pen, manner: Manner) -> None:
    inner = plan.interior(room)
    left, top, right, bottom = inner.bounds
    x, y = (left + right) / 2, (top + bottom) / 2
    size = min(manner.text_m, (right - left) / max(4, len(room.label)) * 1.4)
    lines = [text for text in (room.number, room.label) if text]
    if manner.areas and inner.area > 4:
        lines.append(f"{inner.area:.1f} m²" if isinstance(pen, PdfPen) else f"{inner.area:.1f} m2")
    for index, text in enumerate(lines):
        pen.text(x, y + (index - (len(lines) - 1) / 2) * size * 1.45, text, size)


def _dimensions(plan: Plan, pen: Pen, manner: Manner) -> None:
    left, top, right, bottom = plan.footprint.bounds
    y, x = bottom + 0.9, left - 0.9
    pen.line([(left, y), (right, y)], manner.thin)
    pen.line([(x, top), (x, bottom)], manner.thin)
    for px in (left, right):
        pen.line([(px - 0.12, y + 0.12), (px + 0.12, y - 0.12)], manner.thin)
        pen.line([(px, y - 0.3), (px, y + 0.3)], manner.thin * 0.7)
    for py in (top, bottom):
        pen.line([(x - 0.12, py + 0.12), (x + 0.12, py - 0.12)], manner.thin)
        pen.line([(x - 0.3, py), (x + 0.3, py)], manner.thin * 0.7)
    pen.text((left + right) / 2, y - 0.25, f"{(right - left) * 1000:.0f}", 0.26)
    pen.text(x - 0.1, bottom + 0.35, f"{(bottom - top) * 1000:.0f}", 0.26)
    if manner.grid:
        for k in range(int((right - left) // 5) + 1):
            gx = left + 5 * k
            pen.line([(gx, top - 1.6), (gx, top - 0.4)], manner.thin * 0.7)
            ring = [(gx + 0.3 * math.cos(a), top - 1.9 + 0.3 * math.sin(a)) for a in np.linspace(0, 2 * math.pi, 25)]
            pen.line(ring, manner.thin)
            pen.text(gx, top - 1.9, "ABCDEFGHJKLMN"[k % 13], 0.3)


def furnish(inner: Polygon, room: Room, pen: Pen, thin: float) -> None:
    """Symbols of the furniture that such a room has, against its walls."""
    left, top, right, bottom = inner.bounds
    w, h = right - left, bottom - top

    def rect(x: float, y: float, rw: float, rh: float) -> None:
        pen.line([(x, y), (x + rw, y), (x + rw, y + rh), (x, y + rh), (x, y)], thin)

    def ring(x: float, y: float, rx: float, ry: float) -> None:
        pen.line([(x + rx * math.cos(a), y + ry * math.sin(a)) for a in np.linspace(0, 2 * math.pi, 25)], thin)

    if room.kind == "bedroom" and w > 2.4 and h > 2.3:
        rect(left + 0.15, top + 0.15, 1.6, 2.0)
        rect(left + 0.25, top + 0.22, 0.62, 0.4)
        rect(left + 1.0, top + 0.22, 0.62, 0.4)
        pen.line([(left + 0.15, top + 0.8), (left + 1.75, top + 0.8)], thin)
    elif room.kind == "living" and w > 3 and h > 3:
        rect(left + 0.2, top + 0.3, 0.85, 2.1)
        rect(left + 0.2, top + 0.3, 0.25, 2.1)
        rect(left + 1.4, top + 0.8, 0.6, 1.1)
        ring(right - 1.2, bottom - 1.2, 0.55, 0.55)
    elif room.kind == "kitchen" and w > 2.2:
        rect(left + 0.02, top + 0.02, w - 0.04, 0.6)
        for k in range(4):
            ring(left + 0.5 + 0.28 * (k % 2), top + 0.2 + 0.24 * (k // 2), 0.09, 0.09)
        rect(left + 1.3, top + 0.12, 0.5, 0.38)
    elif room.kind == "bath" and min(w, h) > 1.4:
        rect(left + 0.05, top + 0.05, 0.7, 1.6 if h > 2 else h - 0.4)
        ring(left + 0.4, top + 0.85, 0.26, 0.65 if h > 2 else 0.4)
        ring(right - 0.35, bottom - 0.4, 0.2, 0.27)
        rect(right - 0.55, bottom - 0.2, 0.4, 0.15)
    elif room.kind in ("office", "meeting") and w > 2.4:
        rect(left + w / 2 - 0.8, bottom - 1.6, 1.6, 0.75)
        ring(left + w / 2, bottom - 0.55, 0.24, 0.24)


def truth(plan: Plan, pen: RasterPen | PdfPen) -> list[dict[str, Any]]:
    """The rooms as labelled plans state them, in the pen's pixels or points."""
    rooms = []
    for room in plan.rooms:
        inner = plan.interior(room)
        entry: dict[str, Any] = {"polygon": pen.to_page(list(inner.exterior.coords)[:-1])}
        if inner.interiors:
            entry["holes"] = [pen.to_page(list(hole.coords)[:-1]) for hole in inner.interiors]
        entry |= {"label": room.label, "area_m2": round(inner.area, 2)}
        if room.number:
            entry["number"] = room.number
        rooms.append(entry)
    return rooms


def write_picture(path: Path, picture: Any, quality: int = 88) -> None:
    """Save a BGR or grey picture in the format of the file's ending."""
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if path.suffix == ".jpg" else [cv2.IMWRITE_PNG_COMPRESSION, 9]
    if not cv2.imwrite(str(path), picture, options):
        raise OSError(f"{path} could not be written")
