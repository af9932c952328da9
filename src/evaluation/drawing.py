"""Found and true rooms drawn over a page, so that a person sees at a glance what went wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from detection.document import Page
from detection.regions import ByteImage
from evaluation.figures import LEVELS, Compared
from evaluation.geometry import Shape

SIDE_PX: Final = 720
_QUALITY: Final = 60
_FILL_SHARE: Final = 0.38
_PALE_SHARE: Final = 0.45
_SUBPIXEL_BITS: Final = 4
_ASIDE_PX: Final = 8  # a room that is merged and one that is split may have their middles in one place

# Blue, green, red. Told apart by colour-blind eyes too, and split and merged rooms have letters besides.
FOUND_RIGHT: Final = (120, 170, 40)
FOUND_WRONG: Final = (60, 60, 225)
FOUND_MERGED: Final = (190, 60, 160)
TRUE_FOUND: Final = (150, 80, 20)
TRUE_MISSED: Final = (30, 30, 190)
TRUE_SPLIT: Final = (0, 120, 235)

Colour = tuple[int, int, int]


def draw_comparison(page: Page, compared: Compared) -> bytes:
    """The page with found rooms filled and true rooms outlined, as WebP of at most SIDE_PX."""
    picture = page.raster(SIDE_PX / max(page.width, page.height))
    scale = np.array([picture.shape[1] / page.width, picture.shape[0] / page.height])
    canvas = draw_rooms(picture, compared, scale)
    whole, encoded = cv2.imencode(".webp", canvas, [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])
    if not whole:
        raise ValueError("the picture cannot be encoded")
    return encoded.tobytes()


def draw_rooms(picture: ByteImage, compared: Compared, scale: NDArray[np.float64]) -> ByteImage:
    """A copy of the picture (uint8 h x w x 3, BGR), paled, with the rooms of both sides drawn over it.

    Args:
        picture: the page's picture.
        compared: the rooms, matched.
        scale: pixels a unit of the page in x and y.
    """
    right = {match.found for match in compared.matching.at_least(LEVELS[0])}
    known = {match.true for match in compared.matching.at_least(LEVELS[0])}
    split, merged = set(compared.matching.split), set(compared.matching.merged)
    grey = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    paled = cv2.addWeighted(grey, 1 - _PALE_SHARE, np.full_like(grey, 255), _PALE_SHARE, 0)
    tint = paled.copy()
    for place, shape in enumerate(compared.found_shapes):
        colour = FOUND_MERGED if place in merged else FOUND_RIGHT if place in right else FOUND_WRONG
        cv2.fillPoly(tint, _rings(shape, scale), colour, cv2.LINE_AA, _SUBPIXEL_BITS)
    canvas = np.asarray(cv2.addWeighted(tint, _FILL_SHARE, paled, 1 - _FILL_SHARE, 0), np.uint8)
    for place, room in enumerate(compared.true):
        outline = TRUE_SPLIT if place in split else TRUE_FOUND if place in known else TRUE_MISSED
        cv2.polylines(canvas, _rings(room.shape, scale), True, outline, 2, cv2.LINE_AA, _SUBPIXEL_BITS)
    for place in sorted(merged):
        _letter(canvas, "M", compared.found_shapes[place], scale, FOUND_MERGED, -_ASIDE_PX)
    for place in sorted(split):
        _letter(canvas, "S", compared.true[place].shape, scale, TRUE_SPLIT, _ASIDE_PX)
    return canvas


def _rings(shape: Shape, scale: NDArray[np.float64]) -> list[NDArray[np.int32]]:
    """The rings of every part, holes too, in the fixed-point pixels that OpenCV draws."""
    parts: Sequence[Shape] = [part for part in shapely.get_parts(shape) if part.geom_type == "Polygon"]
    rings = [ring for part in parts for ring in (part.exterior, *part.interiors)]
    # A pixel's middle has whole numbers in OpenCV, its corner has them on the page.
    return [
        np.rint((np.asarray(ring.coords)[:, :2] * scale - 0.5) * (1 << _SUBPIXEL_BITS)).astype(np.int32)
        for ring in rings
    ]


def _letter(
    canvas: ByteImage, letter: str, shape: Shape, scale: NDArray[np.float64], colour: Colour, aside_px: float
) -> None:
    point = shape.representative_point()
    (width, height), _ = cv2.getTextSize(letter, cv2.FONT_HERSHEY_SIMPLEX, 0.6, 2)
    at = round(point.x * scale[0] - width / 2 + aside_px), round(point.y * scale[1] + height / 2)
    for shade, thickness in (((255, 255, 255), 5), (colour, 2)):
        cv2.putText(canvas, letter, at, cv2.FONT_HERSHEY_SIMPLEX, 0.6, shade, thickness, cv2.LINE_AA)
