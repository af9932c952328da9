"""Crops with their truth a pixel, for teaching a segmentation network: drawn on the spot, equal for equal seeds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from training import degrade, r2v
from training.compose import columns
from training.draw_raster import Canvas
from training.grammar import KINDS
from training.hand import Hand, draw_hand
from training.layout import Floats, Layout, Rng
from training.marks import Mark, Shape
from training.overlays import overlay
from training.plans import draw_plan, furnished, in_hand
from training.sheet import (
    dimension_chains,
    grid_bubbles,
    heading,
    legend,
    north_arrow,
    scale_bar,
    shifted,
    site,
    title_block,
)

OUTSIDE, ROOM, WALL, OPENING, WINDOW, IGNORE = 0, 1, 2, 3, 4, 255
Bytes = NDArray[np.uint8]
Sample = tuple[Bytes, Bytes, NDArray[np.int16]]
_CROPS_A_DRAWING: Final = 5
_BLOCK: Final = 400
_KIND_WEIGHTS: Final = {"flat": 0.26, "house": 0.2, "upper": 0.14, "office": 0.2, "school": 0.08, "units": 0.12}


@dataclass(frozen=True)
class Sheet:
    """A drawing ready to be cut: its plans, each where it lies, and all marks."""

    layouts: tuple[tuple[Layout, tuple[float, float]], ...]
    hand: Hand
    marks: tuple[Mark, ...]
    bounds: tuple[float, float, float, float]


def sample(seed: int, size_px: int = 416) -> Sample:
    """A crop of a drawing nobody has seen.

    Neighbouring seeds share drawings (each is cut about five times, at another scale and angle and with other wear), so
    walking through seeds in order is fast.

    Returns:
        The picture, uint8 (h, w) grey; the classes, uint8 (h, w): 0 outside, 1 room, 2 wall, 3 door or gap, 4 window;
        the rooms, int16 (h, w): 0 no room, else a number of its own for each room.
    """
    rng = np.random.default_rng([seed, 7])
    block = seed // _BLOCK
    sheet = draw_sheet(block * (_BLOCK // _CROPS_A_DRAWING) + int(rng.integers(_BLOCK // _CROPS_A_DRAWING)))
    matrix, wall_px = _view(sheet, size_px, rng)
    image = _paint(sheet, matrix, size_px, wall_px, rng)
    classes, rooms = truth_masks(sheet, matrix, size_px)
    if rng.random() < 0.08:
        image, classes, rooms = _bend(image, classes, rooms, rng)
    if rng.random() < 0.02:
        image = np.asarray(255 - image, np.uint8)
    if rng.random() < 0.06:
        image, covered = degrade.dark_edges(image, rng)
        classes[covered], rooms[covered] = OUTSIDE, 0
    if rng.random() < 0.85:
        image = degrade.wear(image, rng)
    return image, classes, rooms


def truth_masks(sheet: Sheet, matrix: Floats, size_px: int) -> tuple[Bytes, NDArray[np.int16]]:
    """Classes and room numbers of the view."""
    classes = np.zeros((size_px, size_px), np.uint8)
    rooms = np.zeros((size_px, size_px), np.int16)
    number = 0
    for layout, move in sheet.layouts:
        shift = np.array(move)

        def fixed(polygon: Any, shift: Floats = shift) -> list[Any]:
            rings = []
            for part in getattr(polygon, "geoms", [polygon]):
                for ring in (part.exterior, *part.interiors):
                    points = (shapely.get_coordinates(ring) + shift) @ matrix[:, :2].T + matrix[:, 2]
                    rings.append(np.rint(points * 16).astype(np.int32).reshape(-1, 1, 2))
            return rings

        for room in layout.rooms:
            number += 1
            rings = fixed(room.polygon)
            cv2.fillPoly(rooms, rings, number, cv2.LINE_8, 4)
            cv2.fillPoly(classes, rings, ROOM, cv2.LINE_8, 4)
        cv2.fillPoly(classes, fixed(layout.walls), WALL, cv2.LINE_8, 4)
        for opening in layout.openings:
            quad = (opening.quad() + shift) @ matrix[:, :2].T + matrix[:, 2]
            value = WINDOW if opening.kind == "window" else OPENING
            cv2.fillPoly(classes, [np.rint(quad * 16).astype(np.int32).reshape(-1, 1, 2)], value, cv2.LINE_8, 4)
        if sheet.hand.columns:
            for column in columns(layout):
                cv2.fillPoly(classes, fixed(column), WALL, cv2.LINE_8, 4)
    rooms[classes != ROOM] = 0
    return classes, rooms


@lru_cache(maxsize=96)
def draw_sheet(index: int) -> Sheet:
    """A whole drawing, equal for equal numbers."""
    rng = np.random.default_rng([index, 11])
    first = _layout(rng)
    hand = draw_hand(rng, first.kind)
    layouts = [first]
    if first.kind in ("flat", "house", "upper") and rng.random() < 0.3:
        layouts += [_layout(rng, small=True) for _ in range(int(rng.integers(1, 3)))]
    placed = []
    marks: list[Mark] = []
    x, y = 0.0, 0.0
    gap = float(rng.uniform(0.6, 4.0))
    for k, layout in enumerate(layouts):
        named, drawn = in_hand(layout, hand, rng)
        x0, y0, x1, y1 = named.bounds
        move = (0.0, 0.0) if k == 0 else (x - x0, y - y0)
        marks += drawn if k == 0 else shifted(drawn, *move)
        marks += shifted(_around(named, hand, rng), *move)
        placed.append((named, move))
        if rng.random() < 0.75:
            x, y = x1 + move[0] + gap, y0 + move[1]
        else:
            x, y = x0 + move[0], y1 + move[1] + gap
    boxes = np.array([np.array(lay.bounds) + [*move, *move] for lay, move in placed])
    low, high = boxes[:, :2].min(0), boxes[:, 2:].max(0)
    bounds = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    marks += _margins(bounds, hand, rng)
    if rng.random() < 0.25:
        marks = [*site(bounds, hand, rng), *marks]
    return Sheet(tuple(placed), hand, tuple(marks), bounds)


def _layout(rng: Rng, small: bool = False) -> Layout:
    files = r2v.traces()
    if files and rng.random() < 0.42:
        for _ in range(4):
            flat = r2v.load(files[int(rng.integers(len(files)))])
            if flat is not None:
                return furnished(r2v.flat_layout(flat, rng), rng, cupboards=True)
    kinds = ("flat", "house", "upper") if small else KINDS
    weights = np.array([_KIND_WEIGHTS[k] for k in kinds])
    return draw_plan(str(rng.choice(kinds, p=weights / weights.sum())), rng, cupboards=True)


def _around(layout: Layout, hand: Hand, rng: Rng) -> list[Mark]:
    x0, y0, x1, _ = layout.bounds
    marks = [*overlay(layout, hand, rng), *dimension_chains(layout, hand, rng)]
    if hand.grid:
        marks += grid_bubbles(layout, hand, rng)
    if hand.header:
        off = hand.text_m * 2.5 + (2.2 if hand.dims else 0)
        marks += heading((x0 + x1) / 2, y0 - off, hand, rng, sum(r.polygon.area for r in layout.rooms))
    return marks


def _margins(bounds: tuple[float, float, float, float], hand: Hand, rng: Rng) -> list[Mark]:
    x0, y0, x1, y1 = bounds
    marks: list[Mark] = []
    below = y1 + float(rng.uniform(0.5, 2.5)) + (2 if hand.dims else 0)
    if rng.random() < 0.35:
        marks += north_arrow(x1 + 1.2, below, hand.text_m * 1.6, hand, rng)
    if rng.random() < 0.25:
        marks += scale_bar(x0, below, hand)
    if rng.random() < 0.25:
        marks += legend(x0, below + 1, hand, rng)
    if rng.random() < 0.3:
        w, h = float(rng.uniform(4, 9)), float(rng.uniform(2, 4.5))
        left = float(rng.uniform(x0, max(x0 + 0.1, x1 - w)))
        marks += title_block(left, below + 0.6, left + w, below + 0.6 + h, hand, rng, "Plan")
    if rng.random() < 0.2:
        gap = float(rng.uniform(1.0, 4.0)) + (2 if hand.dims else 0)
        ring = np.array(
            [[x0 - gap, y0 - gap], [x1 + gap, y0 - gap], [x1 + gap, y1 + gap * 1.5], [x0 - gap, y1 + gap * 1.5]]
        )
        marks.append(Shape((ring,), None, hand.ink, float(rng.choice([1.0, 2.0, 3.0]))))
    return marks


def _view(sheet: Sheet, size_px: int, rng: Rng) -> tuple[Floats, float]:
    """Metres to crop pixels, and how thick the outer walls become."""
    layout = sheet.layouts[0][0]
    thick = max((e.thickness_m for e in layout.edges), default=0.25)
    thin = min((e.thickness_m for e in layout.edges if e.kind != "rail"), default=thick)
    wall_px = float(np.exp(rng.uniform(np.log(3.0), np.log(16.0))))
    scale = wall_px / thick
    if thin * scale < 1.6:
        scale = 1.6 / thin
    extent = max(sheet.bounds[2] - sheet.bounds[0], sheet.bounds[3] - sheet.bounds[1])
    if extent * scale < size_px * 0.55 and rng.random() < 0.8:
        scale = min(size_px * float(rng.uniform(0.55, 1.0)) / extent, 16.0 / thick)
    scale = float(np.clip(scale, 7.0, 95.0))
    turn = 0.0
    draw = rng.random()
    if draw < 0.3:
        turn = float(rng.integers(4)) * np.pi / 2
    elif draw < 0.42:
        turn = float(rng.normal(0, 0.03))
    elif draw < 0.58:
        turn = float(rng.uniform(0, 2 * np.pi))
    x0, y0, x1, y1 = sheet.bounds
    reach = size_px / scale / 2
    centre = []
    for low, high in ((x0, x1), (y0, y1)):
        slack = max((high - low) / 2 - reach * 0.75, 0.0) + reach * 0.2
        centre.append((low + high) / 2 + float(rng.uniform(-1, 1)) * slack)
    c, s = np.cos(turn) * scale, np.sin(turn) * scale
    spin = np.array([[c, -s], [s, c]])
    shift = size_px / 2 - spin @ np.array(centre)
    return np.column_stack([spin, shift]), thick * scale


def _paint(sheet: Sheet, matrix: Floats, size_px: int, wall_px: float, rng: Rng) -> Bytes:
    draw = rng.random()
    zoom = 1.0 if draw < 0.5 else 2.0 if draw < 0.68 else float(rng.uniform(0.55, 1.5))
    drawn_px = round(size_px * zoom)
    pen = float(np.clip(wall_px / 9, 0.7, 1.8) * rng.uniform(0.75, 1.35)) * (zoom if zoom > 1 else 1.0)
    canvas = Canvas(drawn_px, drawn_px, matrix * (drawn_px / size_px), sheet.hand.paper, pen, grey=True)
    canvas.draw(sheet.marks)
    if drawn_px == size_px:
        return canvas.image
    way = cv2.INTER_AREA if zoom > 1 else (cv2.INTER_CUBIC if rng.random() < 0.6 else cv2.INTER_LINEAR)
    return np.asarray(cv2.resize(canvas.image, (size_px, size_px), interpolation=way), np.uint8)


def _bend(image: Bytes, classes: Bytes, rooms: NDArray[np.int16], rng: Rng) -> Sample:
    """Paper that does not lie flat: a soft warp, the same for picture and truth."""
    size = image.shape[0]
    flow = rng.uniform(-1, 1, (2, 4, 4)).astype(np.float32) * float(rng.uniform(2, 7))
    grid = np.stack(np.meshgrid(np.arange(size), np.arange(size))).astype(np.float32)
    xs, ys = (grid[k] + cv2.resize(flow[k], (size, size), interpolation=cv2.INTER_CUBIC) for k in range(2))
    bent = cv2.remap(image, xs, ys, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    masks = [cv2.remap(m, xs, ys, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE) for m in (classes, rooms)]
    return np.asarray(bent, np.uint8), np.asarray(masks[0], np.uint8), np.asarray(masks[1], np.int16)
