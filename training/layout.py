"""Layouts in metres: rooms by subdivision, walls between them, doors that reach every room, windows, furniture.

One description serves every drawing, so the truth is exact: a room is what its walls' inner faces enclose, and a
doorway belongs to neither of its rooms.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from shapely.geometry import LineString, MultiLineString, Polygon, box
from shapely.geometry.base import BaseGeometry
from shapely.ops import linemerge, unary_union

MIN_SHARED_M = 1.3
DOOR_M = 0.85


@dataclass
class Room:
    """A room by its walls' centre lines (or outer faces, at the facade), with what is printed in it."""

    outline: Polygon
    kind: str
    label: str = ""
    number: str = ""


@dataclass
class Opening:
    """A door, window or bare gap: its middle, whether its wall runs horizontally, and how a leaf hangs."""

    kind: str
    x: float
    y: float
    horizontal: bool
    width: float
    hinge: int = 1
    side: int = 1

    def cut(self, depth: float) -> Polygon:
        """The piece of wall that is missing, for walls up to `depth` thick."""
        along, across = self.width / 2, depth / 2 + 0.01
        dx, dy = (along, across) if self.horizontal else (across, along)
        return box(self.x - dx, self.y - dy, self.x + dx, self.y + dy)


@dataclass
class Plan:
    """A floor: y grows downwards, the origin is the top left corner of the building."""

    rooms: list[Room]
    openings: list[Opening] = field(default_factory=list)
    outer_m: float = 0.35
    inner_m: float = 0.14
    title: str = ""

    @property
    def footprint(self) -> BaseGeometry:
        """All rooms together."""
        return unary_union([room.outline for room in self.rooms])

    @property
    def solid(self) -> BaseGeometry:
        """The walls as if they had no openings."""
        partitions = unary_union([room.outline.exterior for room in self.rooms]).buffer(
            self.inner_m / 2, cap_style="square", join_style="mitre"
        )
        shell = self.footprint.boundary.buffer(self.outer_m, join_style="mitre")
        return unary_union([partitions, shell]).intersection(self.footprint.buffer(0.0, join_style="mitre"))

    @property
    def walls(self) -> BaseGeometry:
        """The walls as drawn, doors and windows cut out."""
        return self.solid.difference(unary_union([o.cut(2.2 * self.outer_m) for o in self.openings]))

    def interior(self, room: Room) -> Polygon:
        """The room's floor between the inner faces of its walls."""
        inner = room.outline.difference(self.solid)
        parts = [inner] if isinstance(inner, Polygon) else list(inner.geoms)
        return max(parts, key=lambda part: part.area)


def subdivide(rng: random.Random, x: float, y: float, w: float, h: float, smallest_m2: float) -> list[Polygon]:
    """The rectangle cut into rooms of at least `smallest_m2`, none much longer than wide."""
    if w * h < 2.2 * smallest_m2 or (w * h < 3.4 * smallest_m2 and rng.random() < 0.35):
        return [box(x, y, x + w, y + h)]
    share = rng.uniform(0.36, 0.64)
    if w > h:
        cut = round(w * share, 1)
        return subdivide(rng, x, y, cut, h, smallest_m2) + subdivide(rng, x + cut, y, w - cut, h, smallest_m2)
    cut = round(h * share, 1)
    return subdivide(rng, x, y, w, cut, smallest_m2) + subdivide(rng, x, y + cut, w, h - cut, smallest_m2)


def shared_runs(a: BaseGeometry, b: BaseGeometry) -> list[LineString]:
    """The straight pieces of wall that two outlines share, longest first."""
    common = a.intersection(b)
    if common.geom_type in ("MultiLineString", "GeometryCollection"):
        lines = [g for g in common.geoms if g.geom_type == "LineString"]
        common = linemerge(MultiLineString(lines)) if len(lines) > 1 else (lines[0] if lines else LineString())
    pieces = list(common.geoms) if common.geom_type == "MultiLineString" else [common]
    straight: list[LineString] = []
    for piece in pieces:
        if piece.geom_type != "LineString" or piece.is_empty:
            continue
        points = list(piece.simplify(0.001).coords)
        straight += [LineString(pair) for pair in zip(points, points[1:], strict=False)]
    return sorted(straight, key=lambda s: -s.length)


def place(run: LineString, rng: random.Random, kind: str, width: float, share: float | None = None) -> Opening:
    """An opening on a run of wall, away from its ends."""
    (x0, y0), (x1, y1) = run.coords[0], run.coords[-1]
    spare = max(0.0, run.length - width - 0.6)
    at = (0.3 + width / 2 + spare * (rng.random() if share is None else share)) / run.length
    return Opening(
        kind, x0 + (x1 - x0) * at, y0 + (y1 - y0) * at, abs(y1 - y0) < 1e-6, width, rng.choice((-1, 1)), rng.choice((-1, 1))
    )


def connect(plan: Plan, rng: random.Random, hub: int = 0, bare_gaps: float = 0.1) -> None:
    """Doors so that every room is reached, as many as possible straight from the hub; windows and a front door."""
    reached, waiting = [hub], [i for i in range(len(plan.rooms)) if i != hub]
    while waiting:
        door = None
        for inside in reached:
            for room in waiting:
                runs = shared_runs(plan.rooms[inside].outline, plan.rooms[room].outline)
                if runs and runs[0].length >= MIN_SHARED_M:
                    kind = "gap" if rng.random() < bare_gaps else "door"
                    door = room, place(runs[0], rng, kind, DOOR_M if kind == "door" else 1.0)
                    break
            if door:
                break
        if door is None:
            raise ValueError("a room has no wall long enough for a door")
        reached.append(door[0])
        waiting.remove(door[0])
        plan.openings.append(door[1])
    edge = plan.footprint.boundary
    entered = False
    for index, room in enumerate(plan.rooms):
        for run in shared_runs(room.outline, edge):
            opening = None
            if index == hub and not entered and run.length > 1.2:
                opening, entered = place(run, rng, "door", 0.95, 0.5), True
            elif run.length > 2.2 and room.kind not in ("store",):
                opening = place(run, rng, "window", min(2.2, run.length - 1.4), 0.5)
            if opening is not None:  # the facade's wall lies inside the footprint's edge
                _inwards(plan, opening)
                plan.openings.append(opening)


def _inwards(plan: Plan, opening: Opening) -> None:
    for dx, dy in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        if (dx == 0) != opening.horizontal:
            continue
        probe = box(opening.x + dx * 0.2 - 0.05, opening.y + dy * 0.2 - 0.05, opening.x + dx * 0.2 + 0.05, opening.y + dy * 0.2 + 0.05)
        if plan.footprint.contains(probe):
            opening.x += dx * plan.outer_m / 2
            opening.y += dy * plan.outer_m / 2
            opening.side = dx + dy
            return


def dwelling(seed: int, width: float, height: float, names: dict[str, str], smallest_m2: float = 7.0) -> Plan:
    """A flat or a house: a hall along one side of the middle, rooms around it."""
    rng = random.Random(seed)
    hall = 1.5
    top = round(height * rng.uniform(0.42, 0.55), 1)
    outlines = [box(0, top, width * 0.72, top + hall)]
    outlines += subdivide(rng, 0, 0, width, top, smallest_m2)
    outlines += subdivide(rng, 0, top + hall, width * 0.72, height - top - hall, smallest_m2)
    outlines += [box(width * 0.72, top, width, height)]
    rooms = [Room(outlines[0], "hall")] + [Room(outline, "room") for outline in outlines[1:]]
    by_area = sorted(rooms[1:], key=lambda room: -room.outline.area)
    kinds = ["living", "kitchen", "bedroom", "bedroom", "bedroom", "bath", "store", "bath", "store"]
    for room, kind in zip(by_area, kinds[: len(by_area) - 2] + ["bath", "store"][: min(2, len(by_area))], strict=False):
        room.kind = kind
    for room in rooms:
        room.kind = "bedroom" if room.kind == "room" else room.kind
        room.label = names[room.kind]
    plan = Plan(rooms)
    connect(plan, rng)
    return plan


def office(seed: int, bays: int, names: dict[str, str], floor: int) -> Plan:
    """An office floor: rooms on both sides of a corridor, numbered along it."""
    rng = random.Random(seed)
    depth, corridor = 5.2, 2.0
    rooms: list[Room] = []
    width = 0.0
    for row, y in ((0, 0.0), (1, depth + corridor)):
        x = 0.0
        for bay in range(bays):
            w = round(rng.uniform(2.7, 5.4), 1)
            if row and bay == bays - 1:
                w = round(width - x, 1)
            if row and (x + w > width - 2.6 or bay == bays - 1):
                w = round(width - x, 1)
            kind = rng.choice(("office", "office", "office", "meeting", "store"))
            rooms.append(Room(box(x, y, x + w, y + depth), kind, names[kind]))
            x += w
            if row and x >= width - 0.01:
                break
        if not row:
            width = x
    rooms.insert(0, Room(box(0, depth, width, depth + corridor), "hall", names["hall"]))
    for index, room in enumerate(rooms):
        room.number = f"{floor}{index:02d}"
    plan = Plan(rooms, outer_m=0.4, inner_m=0.12)
    connect(plan, rng, bare_gaps=0.0)
    return plan
