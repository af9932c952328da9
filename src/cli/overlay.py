"""A page's picture with its rooms drawn over it, for people to look at."""

from __future__ import annotations

import colorsys
import unicodedata
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.floorplan import Page, Room

_GOLDEN_RATIO = 0.618033988749895  # steps of it around the colour circle keep neighbours apart
_OPENING_COLOURS = {"door": (40, 40, 220), "window": (220, 120, 30), "gap": (150, 40, 200)}  # BGR


def draw_rooms(png: bytes, page: Page) -> bytes:
    """The picture as PNG with every room tinted, outlined and named, and every opening as a line.

    Args:
        png: the page's picture, of any size with the page's proportions.
        page: what was found on it.

    Raises:
        ValueError: the bytes are no picture.
    """
    decoded = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    if decoded is None:
        raise ValueError("the page's picture cannot be decoded")
    canvas = np.ascontiguousarray(decoded, dtype=np.uint8)
    scale = np.array([canvas.shape[1] / page.width, canvas.shape[0] / page.height])
    pen_px = max(1, round(max(canvas.shape[:2]) / 700))
    rings = [[_pixels(ring, scale) for ring in (room.polygon, *room.holes)] for room in page.rooms]
    tint = canvas.copy()
    for index, polygon in enumerate(rings):
        cv2.fillPoly(tint, polygon, _colour(index))
    canvas = cv2.addWeighted(tint, 0.35, canvas, 0.65, 0).astype(np.uint8)
    for index, polygon in enumerate(rings):
        dark = tuple(channel * 0.6 for channel in _colour(index))
        cv2.polylines(canvas, polygon, isClosed=True, color=dark, thickness=pen_px, lineType=cv2.LINE_AA)
    for opening in page.openings:
        line = _pixels(opening.line, scale)
        cv2.polylines(canvas, [line], False, _OPENING_COLOURS[opening.kind], 2 * pen_px, cv2.LINE_AA)
    for room, polygon in zip(page.rooms, rings, strict=True):
        _write_label(canvas, room, polygon)
    whole, encoded = cv2.imencode(".png", canvas)
    if not whole:
        raise ValueError("the overlay cannot be encoded")
    return encoded.tobytes()


def _pixels(ring: list[tuple[float, float]], scale: NDArray[np.float64]) -> NDArray[np.int32]:
    return np.rint(np.asarray(ring) * scale).astype(np.int32)


def _colour(index: int) -> tuple[float, float, float]:
    red, green, blue = colorsys.hsv_to_rgb(index * _GOLDEN_RATIO % 1, 0.65, 0.95)
    return 255 * blue, 255 * green, 255 * red


def label_of(room: Room) -> list[str]:
    """What is written into the room, as lines the drawing's plain font has letters for."""
    name = " ".join(part for part in (room.number, room.name_hint) if part)
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().strip()
    return [plain[:28] or room.id.removeprefix("room_").lstrip("0"), f"{100 * room.confidence:.0f}%"]


def _write_label(canvas: NDArray[np.uint8], room: Room, polygon: list[NDArray[np.int32]]) -> None:
    """Write the label around the point that is deepest inside the room, as large as fits."""
    x0, y0, width, height = cv2.boundingRect(polygon[0])
    if width < 3 or height < 3:
        return
    mask = np.zeros((height + 2, width + 2), np.uint8)
    cv2.fillPoly(mask, [ring - (x0 - 1, y0 - 1) for ring in polygon], 255)
    _, depth_px, _, (x, y) = cv2.minMaxLoc(cv2.distanceTransform(mask, cv2.DIST_L2, 3))
    lines = label_of(room)
    font: dict[str, Any] = {"fontFace": cv2.FONT_HERSHEY_SIMPLEX}
    widest = max(cv2.getTextSize(line, fontScale=1, thickness=1, **font)[0][0] for line in lines)
    size = min(1.9 * depth_px / widest, depth_px / 60, max(canvas.shape[:2]) / 1600)
    if size < 0.22:  # nobody could read it
        return
    for number, line in enumerate(lines):
        (w, h), _ = cv2.getTextSize(line, fontScale=size, thickness=1, **font)
        at = (round(x0 - 1 + x - w / 2), round(y0 - 1 + y + (number - 0.1) * 1.6 * h))
        for colour, thickness in (((255, 255, 255), 3), ((20, 20, 20), 1)):
            cv2.putText(canvas, line, at, cv2.FONT_HERSHEY_SIMPLEX, size, colour, thickness, cv2.LINE_AA)
