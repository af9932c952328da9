"""Found rooms drawn over a page's picture, for people to look at."""

from __future__ import annotations

import unicodedata
from typing import Final

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from detection.regions import ByteImage, LabelImage
from models.floorplan import Page, Room

# Eight tints that stay apart beside each other (blue, green, red).
_TINTS: Final = (
    (212, 160, 60),
    (90, 180, 80),
    (70, 120, 235),
    (190, 90, 170),
    (60, 190, 210),
    (160, 200, 90),
    (150, 120, 240),
    (200, 130, 120),
)
_OPENING_COLOURS: Final = {"door": (40, 40, 220), "window": (220, 120, 30), "gap": (150, 40, 200)}
_FILL_SHARE: Final = 0.35


def overlay_png(png: bytes, page: Page) -> bytes:
    """A page's picture, as PNG, with what was found on it drawn over it, as PNG.

    Raises:
        ValueError: the bytes are no picture.
    """
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError("the page's picture cannot be decoded")
    return encode_png(draw_rooms(np.asarray(picture, np.uint8), page))


def encode_png(picture: ByteImage) -> bytes:
    """The picture as PNG, quick to write rather than small.

    Raises:
        ValueError: it cannot be encoded.
    """
    whole, encoded = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    if not whole:
        raise ValueError("the picture cannot be encoded")
    return encoded.tobytes()


def draw_rooms(picture: ByteImage, page: Page) -> ByteImage:
    """A copy of the picture (uint8 h x w x 3, BGR) with rooms tinted and named, and openings as lines."""
    scale = np.array([picture.shape[1] / page.width, picture.shape[0] / page.height])
    pen_px = max(1, round(max(picture.shape[:2]) / 700))
    rings = [[_pixels(ring, scale) for ring in (room.polygon, *room.holes)] for room in page.rooms]
    tint = picture.copy()
    for index, outline in enumerate(rings):
        cv2.fillPoly(tint, outline, _TINTS[index % len(_TINTS)])
    canvas = np.asarray(cv2.addWeighted(tint, _FILL_SHARE, picture, 1 - _FILL_SHARE, 0), np.uint8)
    for index, outline in enumerate(rings):
        dark = tuple(0.6 * channel for channel in _TINTS[index % len(_TINTS)])
        cv2.polylines(canvas, outline, isClosed=True, color=dark, thickness=pen_px, lineType=cv2.LINE_AA)
    for opening in page.openings:
        line = _pixels(opening.line, scale)
        cv2.polylines(canvas, [line], False, _OPENING_COLOURS[opening.kind], 2 * pen_px, cv2.LINE_AA)
    for room in page.rooms:
        _write(canvas, room, scale)
    return canvas


def _pixels(ring: list[tuple[float, float]], scale: NDArray[np.float64]) -> NDArray[np.int32]:
    return np.rint(np.asarray(ring) * scale).astype(np.int32)


def _write(canvas: ByteImage, room: Room, scale: NDArray[np.float64]) -> None:
    """The room's number, name and confidence, as large as its widest inner circle allows."""
    shape = shapely.make_valid(shapely.Polygon(room.polygon * scale, [hole * scale for hole in room.holes]))
    circle = shapely.maximum_inscribed_circle(shape)
    radius_px, (x, y) = circle.length, circle.coords[0]
    name = " ".join(part for part in (room.number, room.name_hint) if part)
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().strip()[:28]
    lines = [plain or room.id.removeprefix("room_").lstrip("0"), f"{100 * room.confidence:.0f}%"]
    widest = max(cv2.getTextSize(line, cv2.FONT_HERSHEY_SIMPLEX, 1, 1)[0][0] for line in lines)
    size = min(1.9 * radius_px / widest, radius_px / 60, max(canvas.shape[:2]) / 1600)
    if size < 0.22:  # nobody could read it
        return
    for row, line in enumerate(lines):
        (w, h), _ = cv2.getTextSize(line, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
        at = (round(x - w / 2), round(y + (row - 0.1) * 1.6 * h))
        for colour, thickness in (((255, 255, 255), 3), ((20, 20, 20), 1)):
            cv2.putText(canvas, line, at, cv2.FONT_HERSHEY_SIMPLEX, size, colour, thickness, cv2.LINE_AA)


def draw_labels(picture: ByteImage, labels: LabelImage) -> ByteImage:
    """The picture (uint8 h x w x 3) with each label in a shade of its own, for `--debug`."""
    shades = np.random.default_rng(0).integers(60, 255, (int(labels.max()) + 1, 3), dtype=np.uint8)
    shades[0] = 255
    return (0.4 * picture + 0.6 * shades[labels]).astype(np.uint8)
