"""A floor drawn by a hand: its marks in painting order, in metres."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import shapely
from shapely.geometry import Polygon, box

from training.hand import Hand
from training.labels import room_texts
from training.layout import OUTDOOR, WET, Floats, Layout, Opening, Rng, strip, wall_bodies
from training.marks import WHITE, Colour, Hatch, Mark, Shape, arc, area, polyline
from training.symbols import draw_fixture

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
    habit = _leaves(rng) if any(o.kind == "cupboard" for o in layout.openings) else None
    for opening in layout.openings:
        if opening.kind == "window":
            marks.extend(_window(opening, hand))
        elif habit is not None and opening.kind == "cupboard":
            marks.extend(_cupboard(opening, hand, habit, rng))
        else:
            marks.extend(_door(opening, hand, rng))
    marks.extend(room_texts(layout, hand, rng))
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
    if hand.rail == "body":
        marks += _body(found["rail"], "hollow" if hand.wall != "filled" or rng.random() < 0.6 else "filled", hand)
    else:
        dash = 0.2 if hand.rail == "dashed" else 0.0
        marks += [polyline([e.a, e.b], hand.ink, hand.thin_pen, dash) for e in layout.edges if e.kind == "rail"]
    if hand.inner_wall and hand.inner_wall != hand.wall:
        marks += _body(found["inner"], hand.inner_wall, hand) + _body(found["outer"], hand.wall, hand)
    else:
        marks += _body(found["main"], hand.wall, hand)
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


@dataclass(frozen=True)
class _Leaves:
    """How one floor's cupboards are drawn."""

    style: str  # straight | folded | shallow | sliding | shut
    bay_m: float  # a wide front has several pairs of leaves
    pairs: float  # how many have two leaves
    angle: float
    front: bool
    arcs: bool
    pen: float


def _leaves(rng: Rng) -> _Leaves:
    style = str(rng.choice(["straight", "folded", "shallow", "sliding", "shut"], p=[0.48, 0.2, 0.17, 0.11, 0.04]))
    return _Leaves(
        style,
        float(rng.uniform(0.8, 1.5)),
        float(rng.choice([0.2, 0.7, 1.0])),
        math.radians(float(rng.uniform(8, 28) if style == "shallow" else rng.uniform(20, 85))),
        style == "shut" or bool(rng.random() < 0.35),
        bool(rng.random() < 0.3),
        float(rng.choice([1.0, 1.0, 1.6])),
    )


def _cupboard(opening: Opening, hand: Hand, habit: _Leaves, rng: Rng) -> list[Mark]:
    """Leaves of a cupboard: plain lines ajar, mostly without their arcs, over a thin front line or none."""
    p, q, normal, half = _frame(opening)
    ink, pen = hand.door_ink, hand.door_pen * habit.pen
    face, out = normal * half * opening.side, normal * opening.side
    if rng.random() < 0.25:
        face = face * 0
    marks: list[Mark] = []
    if habit.front:
        marks.append(polyline([p + face, q + face], ink, hand.thin_pen))
    if habit.style == "shut":
        return marks
    bays = max(1, round(opening.width_m / habit.bay_m))
    if habit.style == "sliding":
        panels = np.linspace(p, q, bays + 2)
        off = normal * float(rng.uniform(0.02, 0.05))
        return marks + [
            polyline([a + face + off * (-1) ** k, b + face + off * (-1) ** k], ink, pen)
            for k, (a, b) in enumerate(pairwise(panels))
        ]
    angle = habit.angle * float(rng.uniform(0.85, 1.15))
    for a, b in pairwise(np.linspace(p, q, bays + 1)):
        leaves = [(a, b)] if opening.hinge == 0 else [(b, a)]
        if opening.width_m / bays > 0.45 and (bays > 1 or rng.random() < habit.pairs):
            leaves = [(a, (a + b) / 2), (b, (a + b) / 2)]
        for hinge, free in leaves:
            marks += _cupboard_leaf(hinge + face, free + face, out, angle, len(leaves) == 1, hand, habit)
    return marks


def _cupboard_leaf(
    hinge: Floats, free: Floats, out: Floats, angle: float, alone: bool, hand: Hand, habit: _Leaves
) -> list[Mark]:
    ink, pen = hand.door_ink, hand.door_pen * habit.pen
    reach = free - hinge
    width = float(np.hypot(*reach))
    if habit.style == "folded":
        half, up = reach / 2, out * width * 0.45 * math.sin(angle)
        starts = [hinge, hinge + half] if alone or habit.arcs else [hinge]
        return [polyline([a, a + half / 2 + up, a + half], ink, pen) for a in starts]
    turns = np.linspace(0.0, angle, 7)[:, None]
    swing = hinge + reach * np.cos(turns) + out * width * np.sin(turns)
    marks: list[Mark] = [polyline([hinge, swing[-1]], ink, pen)]
    return marks + [polyline(swing, ink, hand.thin_pen * 0.9)] if habit.arcs else marks


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
