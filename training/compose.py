"""A floor drawn by a hand: its marks in painting order, in metres."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import shapely
from shapely.geometry import Polygon, box

from training.hand import Hand
from training.layout import OUTDOOR, WET, Floats, Layout, Opening, Rng, Room, strip, wall_bodies
from training.marks import BLACK, WHITE, Colour, Hatch, Mark, Shape, Text, arc, area, ellipse, polyline
from training.symbols import draw_fixture
from training.words import area_text, size_texts

_TINTS: Final[tuple[Colour, ...]] = (
    (253, 244, 220),
    (226, 240, 250),
    (232, 245, 228),
    (250, 230, 225),
    (240, 232, 246),
    (245, 245, 235),
    (222, 205, 178),
    (205, 225, 235),
)
_PLUMBED: Final = frozenset({"wc", "bathtub", "basin", "shower", "counter", "stalls"})
_USES: Final[tuple[Colour, ...]] = (
    (250, 220, 60),
    (240, 90, 80),
    (130, 205, 90),
    (120, 180, 240),
    (200, 150, 220),
    (245, 170, 80),
    (90, 200, 190),
)


def compose(layout: Layout, hand: Hand, rng: Rng) -> list[Mark]:
    """Everything within and on the walls: floors, furniture, walls, windows, doors and room texts."""
    marks: list[Mark] = []
    marks.extend(_floors(layout, hand, rng))
    for fixture in layout.fixtures:
        built = 1.0 if fixture.kind in ("stair", "lift") else 0.6 if fixture.kind in _PLUMBED else 0.0
        if rng.random() < max(hand.furniture, built):
            marks.extend(draw_fixture(fixture, rng, hand.furniture_ink, hand.furniture_pen, hand.furniture_fill))
    marks.extend(_walls(layout, hand, rng))
    for opening in layout.openings:
        if opening.kind == "window":
            marks.extend(_window(opening, hand))
        else:
            marks.extend(_door(opening, hand, rng))
    marks.extend(_room_texts(layout, hand, rng))
    return marks


def bodies(layout: Layout) -> dict[str, Any]:
    """The walls as drawn, openings taken out: `outer`, `inner`, `rail` and `main` (outer and inner); kept with the layout."""
    known = layout.extras.get("bodies")
    if known is not None:
        return known  # type: ignore[no-any-return]
    gaps = shapely.unary_union([Polygon(o.quad(0.01)) for o in layout.openings]) if layout.openings else Polygon()
    kinds = {k: [e for e in layout.edges if e.kind == k] for k in ("outer", "inner", "rail")}
    outer = wall_bodies(kinds["outer"]) if kinds["outer"] else Polygon()
    if layout.solids:
        outer = shapely.unary_union([outer, *layout.solids])
    main = wall_bodies([*kinds["outer"], *kinds["inner"]])
    main = shapely.unary_union([main, outer])
    inner = main.difference(outer)
    rail = wall_bodies(kinds["rail"]).difference(main) if kinds["rail"] else Polygon()
    found = {
        "outer": outer.difference(gaps),
        "inner": inner.difference(gaps),
        "main": main.difference(gaps),
        "rail": rail.difference(gaps),
    }
    layout.extras["bodies"] = found
    return found


def _body(polygon: Any, style: str, hand: Hand) -> list[Mark]:
    if polygon.is_empty:
        return []
    if style == "filled":
        return [area(polygon, hand.ink, hand.ink, 1.0, layer="wall")]
    if style == "tone":
        return [area(polygon, hand.tone, hand.ink, hand.wall_pen, layer="wall")]
    if style == "hollow":
        return [area(polygon, hand.paper, hand.ink, hand.wall_pen, layer="wall")]
    angles = {"hatched": (45.0,), "crossed": (45.0, 135.0), "dotted": (20.0, 75.0, 140.0)}[style]
    hatch = Hatch(hand.hatch_m, angles, hand.ink, hand.thin_pen * 0.8)
    return [area(polygon, hand.paper, hand.ink, hand.wall_pen, hatch, layer="wall")]


def _walls(layout: Layout, hand: Hand, rng: Rng) -> list[Mark]:
    found = bodies(layout)
    marks: list[Mark] = []
    if hand.inner_wall and hand.inner_wall != hand.wall:
        marks += _body(found["inner"], hand.inner_wall, hand) + _body(found["outer"], hand.wall, hand)
    else:
        marks += _body(found["main"], hand.wall, hand)
    marks += _body(found["rail"], "hollow" if hand.wall != "filled" or rng.random() < 0.6 else "filled", hand)
    for shaft in layout.shafts:
        x0, y0, x1, y1 = shaft.bounds
        marks.append(area(shaft, None, hand.ink, hand.thin_pen))
        marks += [
            polyline([(x0, y0), (x1, y1)], hand.ink, hand.thin_pen),
            polyline([(x1, y0), (x0, y1)], hand.ink, hand.thin_pen),
        ]
    if hand.columns:
        marks += [area(c, hand.ink, hand.ink) for c in columns(layout)]
    return marks


def columns(layout: Layout) -> list[Polygon]:
    """Square columns where inner walls meet the outer ones; they stand on the walls and take nothing from the rooms' truth."""
    ends = {e.a for e in layout.edges if e.kind == "inner"} | {e.b for e in layout.edges if e.kind == "inner"}
    half = max((e.thickness_m for e in layout.edges), default=0.2) * 0.5
    return [
        box(x - half, y - half, x + half, y + half) for x, y in sorted(ends) if (round(x * 7) + round(y * 13)) % 3 == 0
    ]


def _frame(opening: Opening) -> tuple[Floats, Floats, Floats, float]:
    p, q = np.array(opening.p), np.array(opening.q)
    along = (q - p) / opening.width_m
    return p, q, np.array([-along[1], along[0]]), opening.edge.thickness_m / 2


def _window(opening: Opening, hand: Hand) -> list[Mark]:
    p, q, normal, half = _frame(opening)
    thin = hand.thin_pen
    if hand.window == "solid":
        return [Shape((strip(p, q, half * 0.35),), hand.ink, hand.ink, thin, layer="window")]
    glass: Colour = (205, 228, 245) if hand.floors in ("tint", "colour") else hand.paper
    marks: list[Mark] = [Shape((opening.quad(),), glass, hand.ink, thin, layer="window")]
    if hand.window == "box":
        marks.append(Shape((strip(p, q, half * 0.4),), WHITE, hand.ink, thin, layer="window"))
    else:
        lines = {"1": (), "2": (0.0,), "3": (-0.25, 0.25), "4": (-0.5, 0.0, 0.5)}[hand.window]
        marks += [polyline([p + normal * half * f, q + normal * half * f], hand.ink, thin) for f in lines]
    if hand.window_sill:
        out = normal * (half + 0.07)
        side = -1 if opening.edge.cells[0] >= 0 else 1
        marks.append(polyline([p + out * side, q + out * side], hand.ink, thin))
    return marks


def _door(opening: Opening, hand: Hand, rng: Rng) -> list[Mark]:
    p, q, normal, half = _frame(opening)
    marks: list[Mark] = []
    if hand.threshold and opening.kind != "window":
        dash = 0.12 if hand.threshold == "dashed" else 0.0
        marks += [
            polyline([p + normal * half * s, q + normal * half * s], hand.door_ink, hand.thin_pen, dash)
            for s in (-1, 1)
        ]
    if opening.kind == "gap" or (hand.door == "none" and opening.kind == "door"):
        if opening.kind == "gap" and rng.random() < 0.35 and not marks:
            marks += [
                polyline([p + normal * half * s, q + normal * half * s], hand.door_ink, hand.thin_pen, 0.15)
                for s in (-1, 1)
            ]
        return marks
    if opening.kind == "sliding":
        return marks + _sliding(opening, hand, rng)
    if opening.kind == "folding":
        return marks + _folding(opening, hand)
    face = normal * half * opening.side
    hinges = [(p, q)] if opening.hinge == 0 else [(q, p)]
    if opening.kind == "double":
        middle = (p + q) / 2
        hinges = [(p, middle), (q, middle)]
    for hinge, free in hinges:
        marks += _leaf(hinge + face, free + face, normal * opening.side, hand)
    return marks


def _leaf(hinge: Floats, free: Floats, into: Floats, hand: Hand) -> list[Mark]:
    reach = free - hinge
    width = float(np.hypot(*reach))
    start = math.atan2(reach[1], reach[0])
    turn = math.atan2(float(reach[0] * into[1] - reach[1] * into[0]), float(reach @ into))
    angle = math.copysign(math.pi / 2, turn)
    if hand.door == "open":
        angle *= 0.5
    tip = hinge + width * np.array([math.cos(start + angle), math.sin(start + angle)])
    sweep = arc(hinge, width, start, start + angle)
    ink, pen = hand.door_ink, hand.door_pen
    marks: list[Mark] = []
    if hand.door == "sector":
        marks.append(Shape((np.concatenate([hinge[None], sweep]),), (232, 232, 232), ink, pen))
    if hand.door in ("arc", "slab"):
        marks.append(polyline(sweep, ink, hand.thin_pen * 0.9))
    if hand.door in ("slab", "leaf", "open"):
        marks.append(Shape((strip(hinge, tip, 0.02),), hand.paper, ink, pen))
    else:
        marks.append(polyline([hinge, tip], ink, pen * 1.3))
    return marks


def _sliding(opening: Opening, hand: Hand, rng: Rng) -> list[Mark]:
    p, q, normal, half = _frame(opening)
    middle = (p + q) / 2
    over = (q - p) * 0.04
    off = normal * max(half * 0.3, 0.02)
    thick = max(half * 0.18, 0.012)
    if opening.width_m < 1.2 and rng.random() < 0.6:
        beside = normal * (half + 0.04) * opening.side
        return [
            Shape(
                (strip(p + beside + (q - p) * 0.4, q + beside + (q - p) * 0.4, 0.02),),
                hand.paper,
                hand.door_ink,
                hand.door_pen,
            )
        ]
    return [
        Shape((strip(p, middle + over, thick) + off,), hand.paper, hand.door_ink, hand.door_pen),
        Shape((strip(middle - over, q, thick) - off,), hand.paper, hand.door_ink, hand.door_pen),
    ]


def _folding(opening: Opening, hand: Hand) -> list[Mark]:
    p, q, normal, half = _frame(opening)
    face, side = normal * half * opening.side, normal * opening.side
    count = max(2, round(opening.width_m / 0.45)) * 2
    fold = opening.width_m / count * 0.8
    points = [p + (q - p) * k / count + face + side * (fold if k % 2 else 0.0) for k in range(count + 1)]
    return [polyline(points, hand.door_ink, hand.door_pen)]


def _floors(layout: Layout, hand: Hand, rng: Rng) -> list[Mark]:
    marks: list[Mark] = []
    if hand.floors == "none":
        return marks
    base = _TINTS[int(rng.integers(len(_TINTS)))]
    for room in layout.rooms:
        fill: Colour | None = None
        hatch = None
        outdoor = room.kind in OUTDOOR
        wet = room.kind in WET | {"kitchen"}
        if hand.floors == "tint":
            fill = base if not wet else (226, 240, 248)
            fill = (226, 238, 218) if outdoor else fill
        elif hand.floors == "use":
            fill = _USES[int(rng.integers(len(_USES)))] if rng.random() < 0.9 else None
            if room.kind in ("corridor", "hall", "stair"):
                fill, hatch = None, Hatch(0.35, (45.0,), (110, 140, 220), 0.8)
        elif hand.floors == "colour":
            fill = _TINTS[int(rng.integers(len(_TINTS)))] if wet or outdoor else (226, 205, 170)
            hatch = None if wet or outdoor else Hatch(0.16, (0.0,), (200, 172, 130), 0.6)
        if hand.floors in ("tiles", "colour") and (wet or outdoor):
            hatch = Hatch(
                float(rng.choice([0.2, 0.3, 0.45])),
                (0.0, 90.0) if rng.random() < 0.7 else (45.0, 135.0),
                (170, 170, 170),
                0.6,
            )
        if fill is not None or hatch is not None:
            marks.append(area(room.polygon, fill, None, 1.0, hatch, layer="floor"))
    return marks


def label_point(layout: Layout, room: Room) -> tuple[float, float, float]:
    """Where the room's name goes and how far it may reach to each side: clear of walls, furniture and doors if it can."""
    points = layout.extras.setdefault("labels", {})
    if room.cell not in points:
        squeeze = np.array([1.0, 2.5])  # a name is wide and low: clearance counts more to the sides
        x0, y0, x1, y1 = room.polygon.bounds
        steps = np.linspace(0.14, 0.86, 9)
        grid = np.stack(np.meshgrid(x0 + (x1 - x0) * steps, y0 + (y1 - y0) * steps), -1).reshape(-1, 2)
        grid = grid[shapely.contains_xy(room.polygon, grid[:, 0], grid[:, 1])]
        inside = room.polygon.representative_point()
        grid = np.vstack([grid, [[inside.x, inside.y]]])
        around = box(x0, y0, x1, y1)
        taken = [
            Polygon(q)
            for q in [f.quad() for f in layout.fixtures] + [o.quad(0.5) for o in layout.openings if o.kind != "window"]
        ]
        taken = [shapely.transform(t, lambda xy: xy * squeeze) for t in taken if t.intersects(around)]
        spots = shapely.points(grid * squeeze)
        clear = shapely.distance(spots, shapely.transform(room.polygon.boundary, lambda xy: xy * squeeze))
        free = shapely.distance(spots, shapely.unary_union(taken)) if taken else np.full(len(grid), 9.0)
        off = np.hypot(*(grid - [(x0 + x1) / 2, (y0 + y1) / 2]).T)
        best = int(np.argmax(np.minimum(clear, 1.7) + 0.8 * np.minimum(free, 1.4) - 0.12 * off))
        points[room.cell] = (float(grid[best, 0]), float(grid[best, 1]), float(clear[best]))
    return points[room.cell]  # type: ignore[no-any-return]


def _room_texts(layout: Layout, hand: Hand, rng: Rng) -> list[Mark]:
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
        at = (x + off, y) if turned else (x, y + off)
        size = height if k == 0 else height * 0.85
        is_number = text == room.number and hand.numbers
        if is_number and hand.numbers == "round":
            marks.append(Shape((ellipse(at[0], at[1], size * 1.3, size * 1.3),), hand.paper, hand.text_ink, 0.8))
        elif is_number and hand.numbers == "boxed":
            half = size * 0.4 * len(text)
            marks.append(
                Shape(
                    (
                        np.array(
                            [
                                [at[0] - half, at[1] - size * 0.8],
                                [at[0] + half, at[1] - size * 0.8],
                                [at[0] + half, at[1] + size * 0.8],
                                [at[0] - half, at[1] + size * 0.8],
                            ]
                        ),
                    ),
                    hand.paper,
                    hand.text_ink,
                    0.8,
                )
            )
        marks.append(
            Text(at, text, size, hand.font, hand.text_ink, 90.0 if turned else 0.0, hand.paper if hand.boxed else None)
        )
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
