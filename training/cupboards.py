"""Built-in cupboards: small rooms of their own behind thin walls and leaves, cut from the side of a larger room."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Final

import numpy as np
import shapely
from shapely.geometry import Polygon

from training.layout import Edge, Floats, Layout, Opening, Rng, Room, wall_bodies

_HOSTS: Final = frozenset(
    {"bedroom", "hall", "landing", "living", "kitchen", "corridor", "study", "bath", "laundry", "office", "staff"}
)
_NONE: Final = 0.25
_WAY_M: Final = 0.75  # what stays free before a door


def with_cupboards(layout: Layout, rng: Rng) -> Layout:
    """The floor with cupboards along some of its rooms' walls, alone or in rows; some floors have none."""
    if rng.random() < _NONE:
        return layout
    share, thick_m = float(rng.uniform(0.25, 0.85)), float(rng.uniform(0.05, 0.13))
    ways = [Polygon(o.quad(_WAY_M if o.kind != "window" else 0.02)) for o in layout.openings]
    for _ in range(3):
        for index, room in enumerate(layout.rooms):
            if room.kind in _HOSTS and rng.random() < share:
                layout = _with_one(layout, index, ways, thick_m, rng)
        share *= 0.5
    return layout


def _with_one(layout: Layout, index: int, ways: list[Polygon], thick_m: float, rng: Rng) -> Layout:
    room = layout.rooms[index]
    ring = np.asarray(shapely.geometry.polygon.orient(room.polygon, 1.0).exterior.coords, float)
    sides = [(a, b) for a, b in pairwise(ring) if float(np.hypot(*(b - a))) > 0.8]
    for _ in range(6 if sides else 0):
        a, b = sides[int(rng.integers(len(sides)))]
        length = float(np.hypot(*(b - a)))
        width, deep = min(float(rng.uniform(0.45, 2.6)), length), float(rng.uniform(0.35, 0.8))
        if length < 4.5 and rng.random() < 0.3:
            width = length  # from wall to wall
        at = (length - width) * float(rng.choice([0.0, 1.0, rng.random()]))
        found = _cut(room, a, (b - a) / length, (at, at + width, length), deep, thick_m, ways, rng)
        if found is not None:
            edges, openings, rest, inside = found
            rooms = (*layout.rooms[:index], replace(room, polygon=rest), *layout.rooms[index + 1 :], *inside)
            return replace(
                layout,
                rooms=rooms,
                edges=(*layout.edges, *edges),
                openings=(*layout.openings, *openings),
                walls=shapely.unary_union([layout.walls, wall_bodies(edges)]),
            )
    return layout


def _in_a_row(width_m: float, rng: Rng) -> int:
    """How many cupboards stand in a row of this width."""
    most = int(width_m / 0.5)
    if most < 2 or rng.random() < 0.45:
        return 1
    return int(rng.integers(2, min(most, 5) + 1))


def _cut(
    room: Room,
    start: Floats,
    along: Floats,
    span: tuple[float, float, float],
    deep_m: float,
    thick_m: float,
    ways: list[Polygon],
    rng: Rng,
) -> tuple[list[Edge], list[Opening], Polygon, list[Room]] | None:
    """The walls, the leaves, what is left of the room, and the cupboards; None where they would stand in the way."""
    into = np.array([-along[1], along[0]])
    low, high, length = span
    half = thick_m / 2

    def at(x: float, y: float) -> tuple[float, float]:
        point = start + along * x + into * y
        return float(point[0]), float(point[1])

    front = deep_m + half
    left, right = low + (0 if low < 0.01 else half), high - (0 if high > length - 0.01 else half)
    whole = Polygon([at(low, 0), at(high, 0), at(high, deep_m + thick_m), at(low, deep_m + thick_m)])
    if not room.polygon.buffer(0.02).contains(whole) or any(way.intersects(whole) for way in ways):
        return None
    cells = (room.cell, room.cell)
    edges = [Edge(at(low, front), at(high, front), cells, thick_m, "inner")]
    edges += [Edge(at(left, 0), at(left, front), cells, thick_m, "inner")] if left > low else []
    edges += [Edge(at(right, 0), at(right, front), cells, thick_m, "inner")] if right < high else []
    count = _in_a_row(high - low, rng)
    bounds = np.linspace(low, high, count + 1)
    edges += [Edge(at(x, 0), at(x, front), cells, thick_m, "inner") for x in bounds[1:-1]]
    walls = wall_bodies(edges)
    rest = room.polygon.difference(shapely.unary_union([whole, walls]))
    free = whole.difference(walls)
    inside = [part.simplify(0.002) for part in getattr(free, "geoms", [free])]
    if not isinstance(rest, Polygon) or len(inside) != count or rest.area < 2 * whole.area:
        return None
    if not isinstance(rest.buffer(-0.4), Polygon) or rest.buffer(-0.4).is_empty:
        return None
    if any(part.buffer(-0.15).is_empty for part in inside):
        return None
    jamb = float(rng.choice([0.0, 0.03, 0.08])) + thick_m / (1 if count == 1 else 2)
    if (high - low) / count - 2 * jamb < 0.25:
        return None
    single = high - low - 2 * jamb
    if count == 1 and single > 0.9 and rng.random() < 0.3:  # a narrower door, to one side or in the middle
        jamb += (single - float(rng.uniform(0.55, 0.9))) / 2
    kind = "cupboard" if rng.random() < 0.85 else str(rng.choice(["door", "double", "sliding", "folding"]))
    openings = [
        Opening(edges[0], at(x0 + jamb, front), at(x1 - jamb, front), kind, 1, int(rng.integers(2)))
        for x0, x1 in pairwise(bounds)
    ]
    return edges, openings, rest.simplify(0.002), [Room(part, "closet", room.cell) for part in inside]
