"""What a drawing is made of: shapes and texts in metres of the plan, pens in multiples of the thin pen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from shapely.geometry import MultiPolygon, Polygon

from training.layout import Floats

Colour = tuple[int, int, int]
BLACK: Final[Colour] = (0, 0, 0)
WHITE: Final[Colour] = (255, 255, 255)


@dataclass(frozen=True, slots=True)
class Hatch:
    """Parallel lines in a shape; `angles_deg` more than one for a crossed hatch."""

    spacing_m: float
    angles_deg: tuple[float, ...] = (45.0,)
    colour: Colour = BLACK
    pen: float = 0.7


@dataclass(frozen=True, slots=True)
class Shape:
    """Rings (even-odd) or one open line, filled, hatched and drawn with a pen; float64 (n, 2) each."""

    rings: tuple[Floats, ...]
    fill: Colour | None = None
    line: Colour | None = BLACK
    pen: float = 1.0
    closed: bool = True
    hatch: Hatch | None = None
    dash_m: float = 0.0
    layer: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    """A line of text about its middle; `angle_deg` turns it counter-clockwise on screen."""

    at: tuple[float, float]
    text: str
    height_m: float
    font: str = "sans"
    colour: Colour = BLACK
    angle_deg: float = 0.0
    box: Colour | None = None
    anchor: str = "middle"  # middle | left
    layer: str = "text"


Mark = Shape | Text


@dataclass
class Drawing:
    """Marks in painting order over a sheet whose frame is `bounds` (x_min, y_min, x_max, y_max, metres)."""

    bounds: tuple[float, float, float, float]
    paper: Colour = WHITE
    marks: list[Mark] = field(default_factory=list)


def polyline(points: ArrayLike | list[Floats], colour: Colour = BLACK, pen: float = 1.0, dash_m: float = 0.0) -> Shape:
    """An open line."""
    return Shape((np.asarray(points, float),), None, colour, pen, closed=False, dash_m=dash_m)


def area(
    polygon: Polygon | MultiPolygon,
    fill: Colour | None,
    line: Colour | None = None,
    pen: float = 1.0,
    hatch: Hatch | None = None,
    layer: str = "",
) -> Shape:
    """A polygon with its holes."""
    rings: list[Floats] = []
    for part in getattr(polygon, "geoms", [polygon]):
        if isinstance(part, Polygon) and not part.is_empty:
            rings.append(np.asarray(part.exterior.coords, float)[:-1])
            rings.extend(np.asarray(hole.coords, float)[:-1] for hole in part.interiors)
    return Shape(tuple(rings), fill, line, pen, True, hatch, layer=layer)


def arc(centre: Sequence[float] | Floats, radius: float, from_rad: float, to_rad: float) -> Floats:
    """Points along a circle, float64 (n, 2)."""
    turns = np.linspace(from_rad, to_rad, max(6, math.ceil(abs(to_rad - from_rad) / 0.16)))
    return np.stack([centre[0] + radius * np.cos(turns), centre[1] + radius * np.sin(turns)], axis=1)


def ellipse(cx: float, cy: float, rx: float, ry: float, count: int = 28) -> Floats:
    """A closed ring, float64 (n, 2)."""
    turns = np.linspace(0, 2 * math.pi, count, endpoint=False)
    return np.stack([cx + rx * np.cos(turns), cy + ry * np.sin(turns)], axis=1)


def rounded(x0: float, y0: float, x1: float, y1: float, radius: float) -> Floats:
    """A rectangle with round corners, float64 (n, 2)."""
    r = min(radius, (x1 - x0) / 2, (y1 - y0) / 2)
    half = math.pi / 2
    corners = [(x1 - r, y0 + r, -half), (x1 - r, y1 - r, 0), (x0 + r, y1 - r, half), (x0 + r, y0 + r, 2 * half)]
    return np.concatenate([arc((cx, cy), r, start, start + half) for cx, cy, start in corners])
