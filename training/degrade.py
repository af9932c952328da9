"""What happens to drawings: scanners, fax machines, copiers, phones, markers and time.

Pictures are uint8, (h, w) grey or (h, w, 3) BGR. What moves pixels hands back the matrix that moved them.
"""

from __future__ import annotations

import math
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training.layout import Floats, Rng

Bytes = NDArray[np.uint8]
_MARKERS: Final = ((90, 255, 255), (160, 130, 255), (150, 255, 150), (255, 200, 120))


def skew(image: Bytes, rng: Rng, degrees: float, paper: int = 255, perspective: float = 0.0) -> tuple[Bytes, Floats]:
    """The picture turned a little, or seen aslant; and the matrix (3, 3) from old pixels to new."""
    h, w = image.shape[:2]
    angle = math.radians(float(rng.uniform(-degrees, degrees)))
    c, s = math.cos(angle), math.sin(angle)
    new_w, new_h = math.ceil(w * abs(c) + h * abs(s)), math.ceil(w * abs(s) + h * abs(c))
    turn = np.array([[c, -s, new_w / 2 - c * w / 2 + s * h / 2], [s, c, new_h / 2 - s * w / 2 - c * h / 2], [0, 0, 1]])
    if perspective:
        corners = np.array([[0, 0], [new_w, 0], [new_w, new_h], [0, new_h]], np.float32)
        pulled = corners + rng.uniform(0, perspective, (4, 2)) * [new_w, new_h] * [[1, 1], [-1, 1], [-1, -1], [1, -1]]
        turn = np.asarray(cv2.getPerspectiveTransform(corners, pulled.astype(np.float32)), float) @ turn
    moved = cv2.warpPerspective(image, turn, (new_w, new_h), flags=cv2.INTER_AREA, borderValue=(paper,) * 3)
    return np.asarray(moved, np.uint8), turn


def jpeg(image: Bytes, quality: int) -> Bytes:
    """The picture after a trip through JPEG."""
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_UNCHANGED), np.uint8)


def rescale(image: Bytes, rng: Rng) -> Bytes:
    """The picture made small and large again, as the web does to it."""
    h, w = image.shape[:2]
    k = float(rng.uniform(0.45, 0.9))
    way = [cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_NEAREST][int(rng.integers(3))]
    small = cv2.resize(image, (max(8, round(w * k)), max(8, round(h * k))), interpolation=way)
    return np.asarray(
        cv2.resize(small, (w, h), interpolation=cv2.INTER_LINEAR if rng.random() < 0.7 else cv2.INTER_CUBIC), np.uint8
    )


def noise(image: Bytes, rng: Rng, strength: float) -> Bytes:
    """Grain over everything; a tile of it repeated, for speed."""
    h, w = image.shape[:2]
    tile = rng.standard_normal((128, 160)).astype(np.float32) * strength
    grain = np.tile(tile, (h // 128 + 1, w // 160 + 1))[:h, :w]
    grain = grain[..., None] if image.ndim == 3 else grain
    return np.clip(image + grain, 0, 255).astype(np.uint8)


def specks(image: Bytes, rng: Rng, count: int) -> Bytes:
    """Dust: dark points, and light ones that break lines."""
    out = image.copy()
    h, w = image.shape[:2]
    for x, y, dark in zip(rng.integers(0, w, count), rng.integers(0, h, count), rng.random(count), strict=True):
        tone = (0 if dark < 0.75 else 255,) * 3
        cv2.circle(out, (int(x), int(y)), int(dark * 10) % 2, tone, -1)
    return out


def fax(image: Bytes, rng: Rng) -> Bytes:
    """Two tones only, the threshold somewhat uneven."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) if image.ndim == 3 else image
    uneven = grey.astype(np.float32) + _clouds(grey.shape, rng) * 18 + rng.standard_normal((1, 1)) * 3
    two = np.where(uneven > rng.uniform(130, 215), 255, 0).astype(np.uint8)
    if float(two.mean()) < 150:  # a dark floor would be all black, and nobody sends that
        return image
    return np.asarray(cv2.cvtColor(two, cv2.COLOR_GRAY2BGR), np.uint8) if image.ndim == 3 else two


def blur(image: Bytes, sigma: float) -> Bytes:
    """Out of focus."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)


def fade(image: Bytes, rng: Rng, ink: float) -> Bytes:
    """Ink paler and paper darker, unevenly: an old copy."""
    h, w = image.shape[:2]
    cloud = _clouds((h, w), rng)
    low = 255 * ink * (0.85 + 0.15 * cloud)
    high = 255 - (255 * 0.16 * rng.random()) * (0.8 + 0.2 * cloud)
    if image.ndim == 3:
        low, high = low[..., None], high[..., None]
    return np.clip(low + image.astype(np.float32) / 255 * (high - low), 0, 255).astype(np.uint8)


def lighting(image: Bytes, rng: Rng) -> Bytes:
    """A lamp on one side and a shadow on the other."""
    h, w = image.shape[:2]
    angle = float(rng.uniform(0, 2 * math.pi))
    ramp = np.linspace(-1, 1, w)[None] * math.cos(angle) + np.linspace(-1, 1, h)[:, None] * math.sin(angle)
    light = (1 + ramp * rng.uniform(0.05, 0.25) + _clouds((h, w), rng) * 0.04 - 0.08).astype(np.float32)
    return np.clip(image * (light[..., None] if image.ndim == 3 else light), 0, 255).astype(np.uint8)


def wash(image: Bytes, rng: Rng) -> Bytes:
    """The whole sheet in a colour, as blueprints and yellowed paper are."""
    if image.ndim == 2:
        low, high = sorted(rng.uniform(0, 255, 2).tolist())
        if high - low < 90:
            low, high = max(0.0, low - 60), min(255.0, high + 60)
        return np.asarray(low + image.astype(np.float32) / 255 * (high - low), np.uint8)
    tint = np.array([[0.82, 0.93, 0.98], [0.95, 0.95, 0.9], [0.85, 0.9, 0.9]][int(rng.integers(3))])
    return np.asarray(image * tint, np.uint8)


def folds(image: Bytes, rng: Rng) -> Bytes:
    """Creases: a light and a dark line across the sheet, a shade to one side."""
    out = image.astype(np.float32)
    h, w = image.shape[:2]
    for _ in range(int(rng.integers(1, 3))):
        if rng.random() < 0.5:
            at = int(rng.integers(1, max(2, w - 2)))
            out[:, :at] *= 0.96
            out[:, at : at + 1] = out[:, at : at + 1] * 0.6 + 255 * 0.4
            out[:, at - 1 : at] *= 0.85
        else:
            at = int(rng.integers(1, max(2, h - 2)))
            out[:at] *= 0.96
            out[at : at + 1] = out[at : at + 1] * 0.6 + 255 * 0.4
            out[at - 1 : at] *= 0.85
    return np.clip(out, 0, 255).astype(np.uint8)


def _tone(image: Bytes, colour: tuple[int, int, int]) -> Any:
    return colour if image.ndim == 3 else (0.114 * colour[0] + 0.587 * colour[1] + 0.299 * colour[2],)


def stamp(image: Bytes, rng: Rng, at: tuple[int, int] | None = None) -> Bytes:
    """An office's stamp, aslant, anywhere or about `at`."""
    layer = np.full_like(image, 255)
    h, w = image.shape[:2]
    size = max(12, round(min(h, w) * rng.uniform(0.03, 0.08)))
    x, y = at or (int(rng.integers(0, w)), int(rng.integers(0, h)))
    tone = _tone(image, [(60, 60, 190), (150, 70, 60), (40, 40, 40)][int(rng.integers(3))])
    word = str(rng.choice(["APPROVED", "RECEIVED", "COPY", "KOPIE", "VOID", "ARCHIV"]))
    if rng.random() < 0.5:
        cv2.circle(layer, (x, y), size, tone, max(1, size // 16), cv2.LINE_AA)
        cv2.circle(layer, (x, y), round(size * 0.75), tone, 1, cv2.LINE_AA)
    else:
        cv2.rectangle(
            layer,
            (x - round(size * 1.4), y - size // 2),
            (x + round(size * 1.4), y + size // 2),
            tone,
            max(1, size // 14),
        )
    scale = size / 48
    (tw, th), _ = cv2.getTextSize(word, cv2.FONT_HERSHEY_DUPLEX, scale, 1)
    cv2.putText(
        layer, word, (x - tw // 2, y + th // 2), cv2.FONT_HERSHEY_DUPLEX, scale, tone, max(1, size // 22), cv2.LINE_AA
    )
    matrix = cv2.getRotationMatrix2D((x, y), float(rng.uniform(-30, 30)), 1.0)
    layer = np.asarray(cv2.warpAffine(layer, matrix, (w, h), borderValue=(255, 255, 255)), np.uint8)
    return np.minimum(image, layer)


def dark_edges(image: Bytes, rng: Rng) -> tuple[Bytes, NDArray[np.bool_]]:
    """The lid left open, or a table round the paper: dark along one to four sides; and where, bool (h, w)."""
    h, w = image.shape[:2]
    covered = np.zeros((h, w), bool)
    for side in range(4):
        if rng.random() < 0.5:
            width = round(float(rng.uniform(0.01, 0.14)) * min(h, w))
            covered[
                ((slice(0, width), slice(None)), (slice(h - width, h), slice(None)))[side]
                if side < 2
                else ((slice(None), slice(0, width)), (slice(None), slice(w - width, w)))[side - 2]
            ] = True
    out = image.copy()
    out[covered] = int(rng.integers(0, 110))
    return out, covered


def marker(image: Bytes, rng: Rng) -> Bytes:
    """A text marker's broad stroke along something."""
    layer = np.full_like(image, 255)
    h, w = image.shape[:2]
    x, y = int(rng.integers(0, w)), int(rng.integers(0, h))
    points = [(x, y)]
    for _ in range(int(rng.integers(1, 4))):
        x, y = (
            (int(rng.integers(0, w)), y + int(rng.integers(-3, 4)))
            if rng.random() < 0.5
            else (x + int(rng.integers(-3, 4)), int(rng.integers(0, h)))
        )
        points.append((x, y))
    tone = _tone(image, _MARKERS[int(rng.integers(len(_MARKERS)))])
    cv2.polylines(
        layer,
        [np.array(points, np.int32)],
        False,
        tone,
        max(4, round(min(h, w) * rng.uniform(0.015, 0.04))),
        cv2.LINE_AA,
    )
    return np.minimum(image, layer)


def scribble(image: Bytes, rng: Rng) -> Bytes:
    """Handwriting: a word of loops, an arrow or a ring round something."""
    out = image.copy()
    h, w = image.shape[:2]
    tone = _tone(image, [(160, 60, 30), (40, 40, 200), (40, 40, 40)][int(rng.integers(3))])
    size = min(h, w) * rng.uniform(0.015, 0.04)
    x, y = rng.uniform(0, w), rng.uniform(0, h)
    form = rng.random()
    turns = np.linspace(0, 6.28 * rng.uniform(3, 8), 90)
    if form < 0.6:
        points = np.stack(
            [
                x + turns * size * 0.4 + size * 0.4 * np.sin(turns + 0.4),
                y + size * np.cos(turns) * (0.5 + 0.5 * np.sin(turns * 0.37 + x)),
            ],
            1,
        )
    elif form < 0.8:
        wide = size * rng.uniform(2, 6)
        turns = np.linspace(0, 6.6, 50)
        points = np.stack([x + wide * np.cos(turns) * (1 + turns * 0.01), y + wide * 0.7 * np.sin(turns)], 1)
    else:
        end = (x + rng.uniform(-8, 8) * size, y + rng.uniform(-8, 8) * size)
        points = np.array(
            [
                [x, y],
                [(x + end[0]) / 2 + size, (y + end[1]) / 2],
                end,
                [end[0] - size, end[1] - size * 0.4],
                end,
                [end[0] - size * 0.3, end[1] + size],
            ]
        )
    cv2.polylines(out, [points.astype(np.int32)], False, tone, 1 if min(h, w) < 600 else 2, cv2.LINE_AA)
    return out


def _clouds(shape: tuple[int, ...], rng: Rng) -> NDArray[np.float32]:
    """Soft spots in -1..1, float32 (h, w)."""
    coarse = rng.uniform(-1, 1, (6, 7)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC), np.float32)


def wear(image: Bytes, rng: Rng, strength: float = 1.0) -> Bytes:
    """A random life: none, one or several of the above; nothing that moves pixels."""

    def hit(chance: float) -> bool:
        return bool(rng.random() < chance * strength)

    if hit(0.08):
        image = marker(image, rng)
    for _ in range(2):
        if hit(0.07):
            image = scribble(image, rng)
    if hit(0.06):
        image = stamp(image, rng)
    if hit(0.06):
        image = folds(image, rng)
    if hit(0.25):
        image = fade(image, rng, float(rng.uniform(0, 0.5)))
    if hit(0.1):
        image = wash(image, rng)
    if hit(0.12):
        image = lighting(image, rng)
    if hit(0.25):
        image = rescale(image, rng)
    if hit(0.2):
        image = blur(image, float(rng.uniform(0.4, 1.3)))
    if hit(0.3):
        image = noise(image, rng, float(rng.choice([3, 6, 12, 22])))
    if hit(0.1):
        image = specks(image, rng, int(rng.integers(20, 300)))
    if hit(0.1):
        image = fax(image, rng)
    if hit(0.4):
        image = jpeg(image, int(rng.integers(25, 90)))
    return image
