"""Furniture and fixtures where people put them: backs to the walls, clear of doors."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Final

import numpy as np
import shapely
from shapely.geometry import Point, Polygon

from training.layout import OUTDOOR, Fixture, Floats, Layout, Opening, Rng, Room

Box = tuple[float, float, float, float]
# kind: (width, depth, chance) against a wall, in the order they are placed
_WALL: Final[dict[str, list[tuple[str, tuple[float, float], float, float]]]] = {
    "bedroom": [
        ("bed", (0.9, 1.9), 2.0, 0.95),
        ("wardrobe", (1.2, 2.4), 0.6, 0.7),
        ("desk", (1.0, 1.5), 0.65, 0.4),
        ("drawers", (0.8, 1.2), 0.45, 0.35),
    ],
    "living": [
        ("sofa", (1.6, 2.6), 0.9, 0.95),
        ("tv", (1.2, 2.0), 0.4, 0.7),
        ("armchair", (0.8, 0.9), 0.85, 0.5),
        ("plant", (0.45, 0.6), 0.5, 0.5),
        ("piano", (1.4, 1.6), 1.4, 0.12),
        ("fireplace", (1.1, 1.5), 0.35, 0.2),
    ],
    "kitchen": [
        ("counter", (1.8, 3.6), 0.6, 1.0),
        ("fridge", (0.6, 0.75), 0.62, 0.85),
        ("counter", (1.2, 2.0), 0.6, 0.5),
    ],
    "dining": [("sideboard", (1.2, 1.9), 0.45, 0.6), ("plant", (0.45, 0.6), 0.5, 0.4)],
    "bath": [
        ("bathtub", (0.7, 0.8), 1.65, 0.75),
        ("wc", (0.38, 0.42), 0.66, 0.95),
        ("basin", (0.5, 0.9), 0.48, 0.97),
        ("shower", (0.8, 0.95), 0.9, 0.45),
        ("washer", (0.6, 0.62), 0.6, 0.4),
    ],
    "ensuite": [("shower", (0.8, 0.95), 0.9, 0.9), ("wc", (0.38, 0.42), 0.66, 0.95), ("basin", (0.5, 0.9), 0.45, 0.95)],
    "shower": [("shower", (0.8, 1.0), 0.9, 0.9), ("basin", (0.5, 0.7), 0.45, 0.9)],
    "wc": [
        ("wc", (0.38, 0.42), 0.66, 1.0),
        ("basin", (0.35, 0.6), 0.38, 0.9),
        ("wc", (0.38, 0.42), 0.66, 0.3),
        ("basin", (0.4, 0.6), 0.42, 0.3),
    ],
    "wcs": [("stalls", (2.7, 3.7), 1.55, 1.0), ("basins", (1.4, 2.2), 0.5, 1.0), ("stalls", (1.8, 1.9), 1.55, 0.4)],
    "laundry": [
        ("washer", (0.6, 0.62), 0.6, 1.0),
        ("washer", (0.6, 0.62), 0.6, 0.7),
        ("counter", (1.0, 1.6), 0.6, 0.4),
    ],
    "closet": [("shelf", (0.8, 2.0), 0.4, 0.7)],
    "store": [("shelf", (1.0, 2.4), 0.45, 0.6), ("shelf", (1.0, 2.4), 0.45, 0.4)],
    "study": [("desk", (1.2, 1.8), 0.7, 0.95), ("shelf", (1.0, 2.4), 0.35, 0.7), ("armchair", (0.8, 0.9), 0.85, 0.4)],
    "landing": [("openstair", (2.6, 3.6), 0.95, 0.3), ("drawers", (0.7, 1.0), 0.35, 0.3)],
    "hall": [
        ("openstair", (2.6, 3.6), 0.95, 0.12),
        ("wardrobe", (1.0, 1.8), 0.55, 0.4),
        ("drawers", (0.7, 1.0), 0.35, 0.3),
    ],
    "office": [("desk", (1.4, 1.8), 0.8, 0.95), ("desk", (1.4, 1.8), 0.8, 0.5), ("shelf", (0.8, 2.4), 0.4, 0.7)],
    "staff": [("shelf", (0.8, 2.4), 0.4, 0.7), ("sofa", (1.6, 2.2), 0.8, 0.5)],
    "copy": [("copier", (1.0, 1.3), 0.7, 1.0), ("shelf", (0.8, 2.0), 0.4, 0.8)],
    "lobby": [("sofa", (1.6, 2.4), 0.8, 0.6), ("plant", (0.45, 0.6), 0.5, 0.7)],
}
# kind: (width, depth, chance) in the middle of the floor
_FREE: Final[dict[str, list[tuple[str, tuple[float, float], tuple[float, float], float]]]] = {
    "living": [("coffee", (0.9, 1.3), (0.5, 0.7), 0.8), ("table", (1.4, 2.0), (0.85, 1.0), 0.4)],
    "kitchen": [("table", (1.0, 1.5), (0.8, 0.9), 0.5)],
    "dining": [("table", (1.5, 2.4), (0.9, 1.1), 1.0)],
    "meeting": [("table", (2.4, 4.0), (1.1, 1.4), 1.0)],
    "staff": [("table", (2.0, 3.0), (1.0, 1.2), 1.0)],
    "garage": [("car", (4.3, 4.8), (1.75, 1.9), 0.7)],
    "terrace": [("roundtable", (1.6, 2.0), (1.6, 2.0), 0.5)],
    "balcony": [("roundtable", (0.9, 1.1), (0.9, 1.1), 0.3)],
}


def furnish(layout: Layout, rng: Rng) -> tuple[Fixture, ...]:
    """Fixtures of every room; none overlaps a wall, a door's way or another."""
    gates = [_way(o) for o in layout.openings if o.kind != "window"]
    stairs = any(room.kind == "stair" for room in layout.rooms)
    fixtures: list[Fixture] = []
    for room in layout.rooms:
        bounds = room.polygon.bounds
        blocked = [g for g in gates if _overlap(g, bounds)]
        shapely.prepare(room.polygon)
        if room.kind in ("stair", "lift"):
            fixtures.append(_filling(room, blocked))
        elif room.kind in ("openoffice", "classroom"):
            fixtures.extend(_grid(room, blocked, rng))
        else:
            fixtures.extend(f for f in _along_walls(room, blocked, rng) if f.kind != "openstair" or not stairs)
    return tuple(fixtures)


def _way(opening: Opening) -> Box:
    """What must stay free to go through."""
    quad = opening.quad(min(opening.width_m, 0.9) * 0.75)
    return _box_of(quad)


def _box_of(quad: Floats) -> Box:
    (x0, y0), (x1, y1) = quad.min(0).tolist(), quad.max(0).tolist()
    return x0, y0, x1, y1


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _sides(polygon: Polygon) -> list[tuple[Floats, Floats, Floats, float]]:
    """The wall faces longer than a chair: start, unit along, unit into the room, length."""
    ring = np.asarray(shapely.geometry.polygon.orient(polygon, 1.0).exterior.coords, float)
    sides = []
    for a, b in pairwise(ring):
        length = float(np.hypot(*(b - a)))
        if length > 0.4:
            along = (b - a) / length
            sides.append((a, along, np.array([-along[1], along[0]]), length))
    return sides


def _free(fixture: Fixture, room: Polygon, taken: list[Box]) -> Box | None:
    """The fixture's box where it stands inside the room and clear of what is taken."""
    quad = fixture.quad()
    inner = quad + (quad.mean(0) - quad) * 0.04
    body = _box_of(inner)
    if any(_overlap(body, t) for t in taken) or not room.contains(Polygon(inner)):
        return None
    return body


def _along_walls(room: Room, blocked: list[Box], rng: Rng) -> list[Fixture]:
    taken = list(blocked)
    placed: list[Fixture] = []
    sides = _sides(room.polygon)
    for kind, widths, depth, chance in _WALL.get(room.kind, []):
        if not sides or rng.random() > chance:
            continue
        width = float(rng.uniform(*widths))
        for _ in range(14):
            a, along, into, length = sides[int(rng.integers(len(sides)))]
            turned = kind == "bathtub" and rng.random() < 0.75
            w, d = (depth, width) if turned else (width, depth)
            if w > length:
                continue
            at = (length - w) * float(rng.choice([0.0, 1.0, rng.random()]))
            origin = a + along * at + into * 0.01
            fixture = Fixture(
                kind,
                (float(origin[0]), float(origin[1])),
                (float(along[0]), float(along[1])),
                (float(into[0]), float(into[1])),
                w,
                d,
            )
            body = _free(fixture, room.polygon, taken)
            if body is not None:
                taken.append(body)
                placed.append(fixture)
                break
    placed.extend(_in_middle(room, taken, rng))
    return placed


def _in_middle(room: Room, taken: list[Box], rng: Rng) -> list[Fixture]:
    placed = []
    x0, y0, x1, y1 = room.polygon.bounds
    for kind, widths, depths, chance in _FREE.get(room.kind, []):
        if rng.random() > chance:
            continue
        for _ in range(6):
            w, d = float(rng.uniform(*widths)), float(rng.uniform(*depths))
            u = (1.0, 0.0) if (rng.random() < 0.5) == (x1 - x0 > y1 - y0) else (0.0, 1.0)
            v = (-u[1], u[0])
            cx, cy = rng.uniform(x0, x1) * 0.5 + (x0 + x1) / 4, rng.uniform(y0, y1) * 0.5 + (y0 + y1) / 4
            origin = (cx - u[0] * w / 2 - v[0] * d / 2, cy - u[1] * w / 2 - v[1] * d / 2)
            fixture = Fixture(kind, (float(origin[0]), float(origin[1])), u, v, w, d)
            body = _free(fixture, room.polygon, taken)
            if body is not None:
                taken.append(body)
                placed.append(fixture)
                break
    return placed


def _filling(room: Room, blocked: list[Box]) -> Fixture:
    """Stairs and lifts take the whole room; the stairs begin at its door."""
    x0, y0, x1, y1 = room.polygon.bounds
    first = blocked[0] if blocked else (x0, y1, x0, y1)
    door = Point((first[0] + first[2]) / 2, (first[1] + first[3]) / 2)
    if y1 - y0 > x1 - x0:
        if door.y > (y0 + y1) / 2:
            return Fixture(room.kind, (x0, y1), (0.0, -1.0), (1.0, 0.0), y1 - y0, x1 - x0)
        return Fixture(room.kind, (x0, y0), (0.0, 1.0), (1.0, 0.0), y1 - y0, x1 - x0)
    if door.x > (x0 + x1) / 2:
        return Fixture(room.kind, (x1, y0), (-1.0, 0.0), (0.0, 1.0), x1 - x0, y1 - y0)
    return Fixture(room.kind, (x0, y0), (1.0, 0.0), (0.0, 1.0), x1 - x0, y1 - y0)


def _grid(room: Room, blocked: list[Box], rng: Rng) -> list[Fixture]:
    x0, y0, x1, y1 = room.polygon.bounds
    if room.kind == "classroom":
        kind, w, d, gap_x, gap_y = "pupildesk", 1.3, 0.9, 0.7, 0.5
    else:
        kind, w, d, gap_x, gap_y = "desks", 1.6, 2.6, 0.3, 1.2
    if min(x1 - x0, y1 - y0) < 2.6:
        return []
    columns = math.floor((x1 - x0 - 1.2 + gap_x) / (w + gap_x))
    rows = math.floor((y1 - y0 - 1.2 + gap_y) / (d + gap_y))
    placed = []
    for i in range(columns):
        for j in range(rows):
            fixture = Fixture(
                kind, (x0 + 0.6 + i * (w + gap_x), y0 + 0.6 + j * (d + gap_y)), (1.0, 0.0), (0.0, 1.0), w, d
            )
            if rng.random() < 0.95 and _free(fixture, room.polygon, blocked) is not None:
                placed.append(fixture)
    return placed


def is_indoor(room: Room) -> bool:
    """Whether the room has a roof."""
    return room.kind not in OUTDOOR
