"""Marks to pixels: the same drawing in colour or grey, at any scale, turned and cut as asked."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import reportlab  # type: ignore[import-untyped]
from numpy.typing import NDArray
from PIL import ImageFont

from training.layout import Floats
from training.marks import Colour, Drawing, Hatch, Mark, Shape, Text

Bytes = NDArray[np.uint8]
_SHIFT: Final = 4
_FONT_DIR: Final = Path(reportlab.__file__).parent / "fonts"
_FONTS: Final = {
    "vera": "Vera.ttf",
    "bold": "VeraBd.ttf",
    "italic": "VeraIt.ttf",
    "mono": "Vera.ttf",
    "narrow": "Vera.ttf",
}
_GLYPHS: Final = 0xE000


class Canvas:
    """A picture being drawn; `matrix` (2, 3) takes metres to pixels."""

    def __init__(
        self, width_px: int, height_px: int, matrix: Floats, paper: Colour, pen_px: float, grey: bool = False
    ) -> None:
        self.grey: Final = grey
        self.pen_px: Final = pen_px
        self.matrix: Final = matrix
        self.scale: Final = math.sqrt(abs(float(np.linalg.det(matrix[:, :2]))))
        self.turn_deg: Final = math.degrees(math.atan2(matrix[1, 0], matrix[0, 0]))
        shape = (height_px, width_px) if grey else (height_px, width_px, 3)
        self.image: Bytes = np.empty(shape, np.uint8)
        self.image[:] = self._tone(paper)

    def _tone(self, colour: Colour, strength: float = 1.0) -> Any:
        red, green, blue = (c * strength + 255 * (1 - strength) for c in colour) if strength < 1 else colour
        return 0.299 * red + 0.587 * green + 0.114 * blue if self.grey else (blue, green, red)

    def to_px(self, points: Floats) -> Floats:
        """Metres to pixels, float64 (n, 2)."""
        return points @ self.matrix[:, :2].T + self.matrix[:, 2]

    def draw(self, marks: Iterable[Mark]) -> None:
        """Paints the marks in order; those outside the picture cost next to nothing."""
        for mark in marks:
            if isinstance(mark, Text):
                self._text(mark)
            else:
                self._shape(mark)

    def _outside(self, points: Floats, margin: float) -> bool:
        low, high = points.min(0), points.max(0)
        return bool(
            high[0] < -margin
            or high[1] < -margin
            or low[0] > self.image.shape[1] + margin
            or low[1] > self.image.shape[0] + margin
        )

    def _shape(self, shape: Shape) -> None:
        rings = [self.to_px(ring) for ring in shape.rings]
        if not rings or self._outside(np.concatenate(rings) if len(rings) > 1 else rings[0], 4):
            return
        fixed = [np.rint(ring * (1 << _SHIFT)).astype(np.int32).reshape(-1, 1, 2) for ring in rings]
        if shape.fill is not None:
            cv2.fillPoly(self.image, fixed, self._tone(shape.fill), cv2.LINE_AA, _SHIFT)
        if shape.hatch is not None:
            self._hatch(fixed, rings, shape.hatch)
        if shape.line is None:
            return
        width = shape.pen * self.pen_px
        tone = self._tone(shape.line, min(1.0, max(width, 0.3)))
        thickness = max(1, round(width))
        if shape.dash_m > 0:
            fixed = _dashes(rings, shape.closed, max(shape.dash_m * self.scale, 3.0))
        cv2.polylines(self.image, fixed, shape.closed and shape.dash_m == 0, tone, thickness, cv2.LINE_AA, _SHIFT)

    def _hatch(self, fixed: list[Any], rings: list[Floats], hatch: Hatch) -> None:
        everything = np.concatenate(rings)
        low = np.maximum(np.floor(everything.min(0)), 0).astype(int)
        high = np.minimum(np.ceil(everything.max(0)), [self.image.shape[1], self.image.shape[0]]).astype(int)
        if (high <= low).any():
            return
        size = high - low
        mask = np.zeros((size[1], size[0]), np.uint8)
        cv2.fillPoly(mask, [f - (low << _SHIFT).astype(np.int32) for f in fixed], 255, cv2.LINE_8, _SHIFT)
        ink = np.zeros_like(mask)
        spacing = max(hatch.spacing_m * self.scale, 2.5)
        anchor = self.to_px(np.zeros((1, 2)))[0] - low
        for angle in hatch.angles_deg:
            lines = _hatch_lines(size, math.radians(angle + self.turn_deg), spacing, anchor)
            width = hatch.pen * self.pen_px
            cv2.polylines(
                ink, lines, False, 255 * min(1.0, max(0.35, width)), max(1, round(width)), cv2.LINE_AA, _SHIFT
            )
        self._blend(low, cv2.bitwise_and(ink, mask), hatch.colour)

    def _blend(self, corner: Any, mask: Any, colour: Colour) -> None:
        x, y = int(corner[0]), int(corner[1])
        x0, y0 = max(x, 0), max(y, 0)
        x1, y1 = min(x + mask.shape[1], self.image.shape[1]), min(y + mask.shape[0], self.image.shape[0])
        if x1 <= x0 or y1 <= y0:
            return
        part = self.image[y0:y1, x0:x1]
        cover = mask[y0 - y : y1 - y, x0 - x : x1 - x].astype(np.float32) / 255
        if not self.grey:
            cover = cover[..., None]
        tone = np.asarray(self._tone(colour), np.float32)
        part[:] = (part * (1 - cover) + tone * cover + 0.5).astype(np.uint8)

    def _text(self, mark: Text) -> None:
        at = self.to_px(np.array([mark.at]))[0]
        height = mark.height_m * self.scale
        if height < 3.5 or self._outside(at[None], height * len(mark.text)):
            return
        mask = _text_mask(mark.text, mark.font, round(height * 2) / 2)
        if mark.anchor == "left":
            turn = math.radians(self.turn_deg - mark.angle_deg)
            at = at + np.array([math.cos(turn), math.sin(turn)]) * mask.shape[1] / 2
        turned = _turn(mask, mark.angle_deg - self.turn_deg)
        corner = np.rint(at - np.array([turned.shape[1], turned.shape[0]]) / 2).astype(int)
        if mark.box is not None:
            self._blend(corner, _turn(np.full_like(mask, 255), mark.angle_deg - self.turn_deg), mark.box)
        self._blend(corner, turned, mark.colour)


def render(drawing: Drawing, px_per_m: float, pen_px: float, oversample: int = 2) -> tuple[Bytes, Floats]:
    """The whole sheet, uint8 (h, w, 3) BGR, and the matrix (2, 3) from metres to its pixels."""
    x0, y0, x1, y1 = drawing.bounds
    width, height = round((x1 - x0) * px_per_m), round((y1 - y0) * px_per_m)
    k = oversample
    matrix = np.array([[px_per_m * k, 0, -x0 * px_per_m * k], [0, px_per_m * k, -y0 * px_per_m * k]])
    canvas = Canvas(width * k, height * k, matrix, drawing.paper, pen_px * k)
    canvas.draw(drawing.marks)
    image = canvas.image if k == 1 else cv2.resize(canvas.image, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(image, np.uint8), matrix / k


def _dashes(rings: list[Floats], closed: bool, length_px: float) -> list[Any]:
    pieces = []
    for ring in rings:
        points = np.concatenate([ring, ring[:1]]) if closed else ring
        for a, b in pairwise(points):
            count = max(1, math.ceil(float(np.hypot(*(b - a))) / length_px / 2))
            starts = a + (b - a) * (np.arange(count) / count)[:, None]
            ends = starts + (b - a) * 0.55 / count
            pieces.append(np.stack([starts, ends], axis=1))
    return [np.rint(line * (1 << _SHIFT)).astype(np.int32).reshape(-1, 1, 2) for line in np.concatenate(pieces)]


def _hatch_lines(size: Any, angle: float, spacing: float, anchor: Floats) -> list[Any]:
    along = np.array([math.cos(angle), -math.sin(angle)])
    across = np.array([-along[1], along[0]])
    corners = np.array([[0, 0], [size[0], 0], [0, size[1]], [size[0], size[1]]]) - anchor
    reach = float(np.abs(corners @ along).max()) + 2
    offsets = corners @ across
    first, last = math.ceil(offsets.min() / spacing), math.floor(offsets.max() / spacing)
    steps = np.arange(first, last + 1)[:, None] * spacing * across + anchor
    lines = np.stack([steps - along * reach, steps + along * reach], axis=1)
    return [np.rint(line * (1 << _SHIFT)).astype(np.int32).reshape(-1, 1, 2) for line in lines]


@lru_cache(maxsize=64)
def _font(name: str, size: float) -> Any:
    if name in _FONTS:
        return ImageFont.truetype(str(_FONT_DIR / _FONTS[name]), size)
    return ImageFont.load_default(size)


@lru_cache(maxsize=4096)
def _text_mask(text: str, font: str, height_px: float) -> Bytes:
    """The text as coverage, uint8 (h, w); `height_px` is about the height of its capitals times 1.35."""
    if any(ord(c) >= _GLYPHS for c in text):
        return _strokes(text, height_px)
    if font in ("hershey", "script"):
        plain = unicodedata.normalize("NFKD", text.replace("ß", "ss")).encode("ascii", "ignore").decode() or "x"
        face = cv2.FONT_HERSHEY_SIMPLEX if font == "hershey" else cv2.FONT_HERSHEY_SCRIPT_SIMPLEX
        size = height_px / 30
        weight = max(1, round(height_px / 14))
        (w, h), base = cv2.getTextSize(plain, face, size, weight)
        drawn = np.zeros((h + base + 4, w + 4), np.uint8)
        cv2.putText(drawn, plain, (2, h + 2), face, size, 255, weight, cv2.LINE_AA)
        return drawn
    if font == "sans" and not text.isascii():
        font = "vera"  # Pillow's own face has hardly a letter beyond ASCII
    mask_image = _font(font, max(height_px, 4)).getmask(text, mode="L")
    w, h = mask_image.size
    mask: Bytes = np.array(mask_image, np.uint8).reshape(h, w) if w and h else np.zeros((1, 1), np.uint8)
    if font in ("narrow", "mono") and w > 4:
        mask = np.asarray(
            cv2.resize(
                mask, (max(2, round(w * (0.75 if font == "narrow" else 1.15))), h), interpolation=cv2.INTER_AREA
            ),
            np.uint8,
        )
    return mask


def _strokes(text: str, height_px: float) -> Bytes:
    """Signs of a script nobody reads: upright and level strokes, as a picture of kanji is at this size."""
    size = max(6, round(height_px))
    mask = np.zeros((size, (size + 2) * len(text)), np.uint8)
    for k, sign in enumerate(text):
        rng = np.random.default_rng(ord(sign))
        left = k * (size + 2)
        for _ in range(int(rng.integers(4, 9))):
            x, y = left + rng.random() * size, rng.random() * size
            dx, dy = (
                ((rng.random() * 0.8 + 0.2) * size, 0.0)
                if rng.random() < 0.5
                else (0.0, (rng.random() * 0.8 + 0.2) * size)
            )
            if rng.random() < 0.2:
                dx, dy = size * 0.4, size * 0.4 * float(rng.choice([-1, 1]))
            end = (round(min(x + dx, left + size - 1)), round(np.clip(y + dy, 0, size - 1)))
            cv2.line(mask, (round(x), round(y)), end, 255, max(1, size // 14), cv2.LINE_AA)
    return mask


def _turn(mask: Bytes, angle_deg: float) -> Bytes:
    angle = angle_deg % 360
    if min(angle, 360 - angle) < 0.3:
        return mask
    if abs(angle - 90) < 0.3:
        return np.ascontiguousarray(np.rot90(mask))
    if abs(angle - 180) < 0.3:
        return np.ascontiguousarray(np.rot90(mask, 2))
    if abs(angle - 270) < 0.3:
        return np.ascontiguousarray(np.rot90(mask, 3))
    h, w = mask.shape
    c, s = abs(math.cos(math.radians(angle))), abs(math.sin(math.radians(angle)))
    big_w, big_h = math.ceil(w * c + h * s) + 2, math.ceil(w * s + h * c) + 2
    matrix = np.asarray(cv2.getRotationMatrix2D((w / 2, h / 2), angle, 1.0), float)
    matrix[:, 2] += [big_w / 2 - w / 2, big_h / 2 - h / 2]
    return np.asarray(cv2.warpAffine(mask, matrix, (big_w, big_h), flags=cv2.INTER_LINEAR), np.uint8)
