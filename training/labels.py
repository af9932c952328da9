"""What is written in rooms, and where: names, areas, sizes and numbers, clear of what stands there."""

from __future__ import annotations

import numpy as np
import shapely

from training.hand import Hand
from training.layout import Floats, Layout, Rng, Room, strip
from training.marks import BLACK, Mark, Shape, Text, ellipse, polyline
from training.words import area_text, size_texts


def label_point(layout: Layout, room: Room) -> tuple[float, float, float]:
    """Where the room's name goes and how far it may reach to each side: clear of walls, furniture and doors if it can."""
    points = layout.extras.setdefault("labels", {})
    if room.cell not in points:
        squeeze = np.array([1.0, 2.5])  # a name is wide and low: clearance counts more to the sides
        x0, y0, x1, y1 = room.polygon.bounds
        odd = room.polygon.area < 0.75 * (x1 - x0) * (y1 - y0)  # a ring or an angle needs a finer search
        steps = np.linspace(0.04, 0.96, 25) if odd else np.linspace(0.14, 0.86, 9)
        grid: Floats = np.stack(np.meshgrid(x0 + (x1 - x0) * steps, y0 + (y1 - y0) * steps), -1).reshape(-1, 2)
        inside = room.polygon.representative_point()
        grid = np.concatenate([grid[shapely.contains_xy(room.polygon, *grid.T)], np.array([[inside.x, inside.y]])])
        squeezed = shapely.transform(room.polygon.boundary, lambda xy: xy * squeeze)
        clear = shapely.distance(shapely.points(grid * squeeze), squeezed)
        low, high = _taken(layout)
        near = (high > [x0, y0]).all(1) & (low < [x1, y1]).all(1)
        apart = np.maximum(np.maximum(low[near] - grid[:, None], grid[:, None] - high[near]), 0) * squeeze
        free = np.hypot(apart[..., 0], apart[..., 1]).min(1) if near.any() else np.full(len(grid), 9.0)
        off = np.hypot(*(grid - [(x0 + x1) / 2, (y0 + y1) / 2]).T)
        best = int(np.argmax(np.minimum(clear, 1.7) + 0.8 * np.minimum(free, 1.4) - 0.12 * off))
        points[room.cell] = (float(grid[best, 0]), float(grid[best, 1]), float(clear[best]))
    return points[room.cell]  # type: ignore[no-any-return]


def _taken(layout: Layout) -> tuple[Floats, Floats]:
    """The upright boxes about furniture and doors: their low and high corners, float64 (n, 2); kept with the layout."""
    if "taken" not in layout.extras:
        quads = [f.quad() for f in layout.fixtures] + [o.quad(0.5) for o in layout.openings if o.kind != "window"]
        stack = np.array(quads).reshape(-1, 4, 2)
        layout.extras["taken"] = (stack.min(1), stack.max(1))
    return layout.extras["taken"]  # type: ignore[no-any-return]


def room_texts(layout: Layout, hand: Hand, rng: Rng) -> list[Mark]:
    """Names, areas, sizes and numbers of the rooms as the hand writes them."""
    marks: list[Mark] = []
    for room in layout.rooms:
        x0, y0, x1, y1 = room.polygon.bounds
        if rng.random() < hand.inner_dims and min(x1 - x0, y1 - y0) > 2:
            marks += _room_arrows(room, hand, rng)
        lines: list[str] = []
        if room.name:
            lines.append(room.name)
            if hand.areas >= 0 and room.polygon.area > 2.0:
                lines.append(area_text(room.polygon.area, hand.areas))
            if hand.sizes >= 0 and room.polygon.area > 5.0:
                lines += size_texts(x1 - x0, y1 - y0, hand.sizes)
        if hand.numbers and room.number:
            lines.insert(0 if rng.random() < 0.4 else len(lines), room.number)
        if lines:
            marks += _label(room, lines, hand, label_point(layout, room))
    return marks


def _label(room: Room, lines: list[str], hand: Hand, at: tuple[float, float, float]) -> list[Mark]:
    x, y, reach = at
    x0, y0, x1, y1 = room.polygon.bounds
    wide, tall = x1 - x0, y1 - y0
    longest = max(len(t) for t in lines)
    turned = not hand.upright_text and tall > wide * 1.6
    room_for = tall if turned else min(wide, reach * 2 + 0.1)
    height = min(
        hand.text_m, room_for * 0.92 / max(longest, 3) / 0.55, (wide if turned else tall) * 0.6 / (len(lines) * 1.3)
    )
    if height < hand.text_m * 0.55 and len(lines) > 1:
        return _label(room, lines[:1], hand, at)
    if height < 0.08:
        return []
    marks: list[Mark] = []
    step = height * 1.35
    if not turned and tall > step * (len(lines) + 1):
        y = min(max(y, y0 + step * (len(lines) + 1) / 2), y1 - step * (len(lines) + 1) / 2)
    for k, text in enumerate(lines):
        off = (k - (len(lines) - 1) / 2) * step
        spot = (x + off, y) if turned else (x, y + off)
        size = height if k == 0 else height * 0.85
        is_number = text == room.number and hand.numbers
        if is_number and hand.numbers == "round":
            marks.append(Shape((ellipse(spot[0], spot[1], size * 1.3, size * 1.3),), hand.paper, hand.text_ink, 0.8))
        elif is_number and hand.numbers == "boxed":
            half = size * 0.4 * len(text)
            frame = strip((spot[0] - half, spot[1]), (spot[0] + half, spot[1]), size * 0.8)
            marks.append(Shape((frame,), hand.paper, hand.text_ink, 0.8))
        turn = 90.0 if turned else 0.0
        marks.append(Text(spot, text, size, hand.font, hand.text_ink, turn, hand.paper if hand.boxed else None))
    return marks


def _room_arrows(room: Room, hand: Hand, rng: Rng) -> list[Mark]:
    """Lines from wall to wall with heads, as estate agents draw a room's size."""
    x0, y0, x1, y1 = room.polygon.bounds
    fx, fy = rng.uniform(0.15, 0.85, 2)
    marks: list[Mark] = []
    for a, b in (
        ((x0, y0 + (y1 - y0) * fy), (x1, y0 + (y1 - y0) * fy)),
        ((x0 + (x1 - x0) * fx, y0), (x0 + (x1 - x0) * fx, y1)),
    ):
        marks.append(polyline([a, b], hand.text_ink, 0.7, 0.2 if hand.threshold else 0.0))
        for tip, other in ((a, b), (b, a)):
            d = np.array(other) - np.array(tip)
            d = d / np.hypot(*d)
            n = np.array([-d[1], d[0]])
            t = np.array(tip)
            marks.append(Shape((np.array([t, t + d * 0.2 + n * 0.06, t + d * 0.2 - n * 0.06]),), BLACK, BLACK, 0.5))
    return marks
