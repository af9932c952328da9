"""A floor as cells, walls, openings and rooms: the one description that every drawing of it comes from.

Glossary: a *cell* is a space up to the centre lines of its walls; an *edge* is the straight piece of wall between two
cells, or a cell and the outside; an *opening* is a door, gap or window in an edge; a *room* is a cell less its walls.
All lengths are in metres, y down.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray
from shapely.geometry import LineString, MultiPolygon, Point, Polygon
from shapely.ops import linemerge, polygonize

Floats = NDArray[np.float64]
Rng = np.random.Generator

HUBS: Final = frozenset({"hall", "corridor", "landing", "lobby"})
OUTDOOR: Final = frozenset({"balcony", "terrace", "porch"})
NO_ROOM: Final = frozenset({"solid", "shaft"})
WET: Final = frozenset({"bath", "wc", "wcs", "shower", "laundry", "ensuite"})
_GRID_M: Final = 0.001


@dataclass(frozen=True)
class Cell:
    """A space up to its walls' centre lines."""

    polygon: Polygon
    kind: str
    name: str = ""


@dataclass(frozen=True)
class WallSizes:
    """How thick a building's walls are."""

    outer_m: float = 0.3
    inner_m: float = 0.12
    rail_m: float = 0.08


@dataclass(frozen=True)
class Edge:
    """A straight piece of wall; `cells` holds the indices on its left and right, -1 the outside."""

    a: tuple[float, float]
    b: tuple[float, float]
    cells: tuple[int, int]
    thickness_m: float
    kind: str  # outer | inner | rail

    @property
    def length_m(self) -> float:
        """The length of the centre line."""
        return float(np.hypot(self.b[0] - self.a[0], self.b[1] - self.a[1]))


@dataclass(frozen=True)
class Opening:
    """A door, a bare gap or a window from `p` to `q` on an edge's centre line.

    `side` tells where a leaf swings to: +1 into the edge's first cell, -1 into its second; `hinge` the end it hangs on, 0 or 1.
    """

    edge: Edge
    p: tuple[float, float]
    q: tuple[float, float]
    kind: str  # door | double | sliding | folding | cupboard | gap | window
    side: int = 1
    hinge: int = 0

    @property
    def width_m(self) -> float:
        """The clear width."""
        return float(np.hypot(self.q[0] - self.p[0], self.q[1] - self.p[1]))

    def quad(self, grow_m: float = 0.0) -> Floats:
        """The part of the wall it takes out, float64 (4, 2)."""
        return strip(self.p, self.q, self.edge.thickness_m / 2 + grow_m)


@dataclass(frozen=True)
class Room:
    """A space inside its walls' faces."""

    polygon: Polygon
    kind: str
    cell: int
    name: str = ""
    number: str = ""


@dataclass(frozen=True)
class Fixture:
    """A piece of furniture: its back left corner, the unit vectors along its back and into the room, its size."""

    kind: str
    origin: tuple[float, float]
    along: tuple[float, float]
    into: tuple[float, float]
    width_m: float
    depth_m: float

    def quad(self) -> Floats:
        """Its outline, float64 (4, 2)."""
        o, u, v = np.array(self.origin), np.array(self.along) * self.width_m, np.array(self.into) * self.depth_m
        return np.array([o, o + u, o + u + v, o + v])


@dataclass(frozen=True)
class Layout:
    """A floor, whole: what is drawn and what is true."""

    kind: str
    cells: tuple[Cell, ...]
    edges: tuple[Edge, ...]
    openings: tuple[Opening, ...]
    rooms: tuple[Room, ...]
    walls: Polygon | MultiPolygon  # the bodies, openings not yet taken out
    solids: tuple[Polygon, ...] = ()
    shafts: tuple[Polygon, ...] = ()
    fixtures: tuple[Fixture, ...] = ()
    extras: dict[str, Any] = field(default_factory=dict)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """x_min, y_min, x_max, y_max of the walls."""
        x0, y0, x1, y1 = self.walls.bounds
        return x0, y0, x1, y1


def strip(p: ArrayLike, q: ArrayLike, half_m: float) -> Floats:
    """The rectangle about p→q that reaches `half_m` to both sides, float64 (4, 2)."""
    a, b = np.asarray(p, float), np.asarray(q, float)
    along = (b - a) / max(float(np.hypot(*(b - a))), 1e-9)
    normal = np.array([-along[1], along[0]]) * half_m
    return np.array([a + normal, b + normal, b - normal, a - normal])


def node_cells(cells: Sequence[Cell]) -> list[Cell]:
    """The same cells with every corner of a neighbour made a corner of theirs, so that a warp keeps them joined."""
    lines = shapely.unary_union([shapely.set_precision(c.polygon.boundary, _GRID_M) for c in cells])
    noded = []
    for face in polygonize(lines):
        inside = face.representative_point()
        owner = next((c for c in cells if c.polygon.contains(inside)), None)
        if owner is not None:
            noded.append(Cell(face, owner.kind, owner.name))
    return noded


def warp_cells(cells: Sequence[Cell], move: Callable[[Floats], Floats]) -> list[Cell]:
    """The cells with `move` applied to their corners, float64 (n, 2) to (n, 2)."""
    moved = [Cell(shapely.transform(c.polygon, move), c.kind, c.name) for c in node_cells(cells)]
    return list(cells) if any(not c.polygon.is_valid for c in moved) else moved


def find_edges(cells: Sequence[Cell], sizes: WallSizes) -> list[Edge]:
    """The straight pieces of wall between the cells and around them."""
    lines = shapely.unary_union([shapely.set_precision(c.polygon.boundary, _GRID_M) for c in cells])
    points = [shapely.get_coordinates(line) for line in getattr(lines, "geoms", [lines])]
    starts = np.concatenate([p[:-1] for p in points])
    ends = np.concatenate([p[1:] for p in points])
    along = ends - starts
    length = np.hypot(along[:, 0], along[:, 1])
    normal = np.stack([-along[:, 1], along[:, 0]], axis=1) / np.maximum(length, 1e-9)[:, None]
    middle = (starts + ends) / 2
    sides = []
    for sign in (1, -1):
        probe = middle + normal * 0.02 * sign
        owner = np.full(len(probe), -1)
        for index, cell in enumerate(cells):
            owner[shapely.contains_xy(cell.polygon, probe[:, 0], probe[:, 1])] = index
        sides.append(owner)
    edges = []
    for a, b, left, right in zip(starts.tolist(), ends.tolist(), *sides, strict=True):
        if left == right or (a == b):
            continue
        kind, thickness = _edge_kind([cells[i].kind if i >= 0 else "" for i in (left, right)], sizes)
        edges.append(Edge((a[0], a[1]), (b[0], b[1]), (int(left), int(right)), thickness, kind))
    return edges


def _edge_kind(kinds: list[str], sizes: WallSizes) -> tuple[str, float]:
    outside = [k == "" or k in OUTDOOR for k in kinds]
    if all(outside):
        return "rail", sizes.rail_m
    if any(outside) or all(k in ("unit", "stair") for k in kinds):
        return "outer", sizes.outer_m
    return "inner", sizes.inner_m


def wall_bodies(edges: Sequence[Edge]) -> Polygon | MultiPolygon:
    """The area that the walls stand on, corners filled."""
    by_thickness: dict[float, list[LineString]] = defaultdict(list)
    at_node: dict[tuple[float, float], list[float]] = defaultdict(list)
    for edge in edges:
        by_thickness[edge.thickness_m].append(LineString([edge.a, edge.b]))
        for end in (edge.a, edge.b):
            at_node[(round(end[0], 3), round(end[1], 3))].append(edge.thickness_m)
    bodies = []
    for thickness, lines in by_thickness.items():
        merged = linemerge(lines) if len(lines) > 1 else lines[0]
        bodies.append(merged.buffer(thickness / 2, cap_style="flat", join_style="mitre", mitre_limit=3))
    for node, sizes in at_node.items():
        if len(sizes) > 1:
            bodies.append(Point(node).buffer(sorted(sizes)[-2] / 2, cap_style="square"))
    return shapely.unary_union(bodies)


def rooms_of(cells: Sequence[Cell], walls: Polygon | MultiPolygon) -> list[Room]:
    """What is left of the cells inside their walls' faces; a cell that the walls fill gives none."""
    rooms = []
    for index, cell in enumerate(cells):
        if cell.kind in NO_ROOM:
            continue
        free = shapely.difference(cell.polygon, walls)
        parts = [p for p in getattr(free, "geoms", [free]) if isinstance(p, Polygon)]
        if not parts:
            continue
        largest = max(parts, key=lambda p: p.area).simplify(0.002)
        if largest.area > 0.25 and largest.buffer(-0.18).area > 0:
            rooms.append(Room(largest, cell.kind, index, cell.name))
    return rooms


def assemble(kind: str, cells: Sequence[Cell], edges: Sequence[Edge], openings: Sequence[Opening]) -> Layout:
    """The floor of cells whose edges and openings are settled."""
    walls = wall_bodies(edges)
    solids = tuple(c.polygon for c in cells if c.kind == "solid")
    if solids:
        walls = shapely.unary_union([walls, *solids])
    free = [shapely.difference(c.polygon, walls) for c in cells if c.kind == "shaft"]
    shafts = tuple(s for s in free if not s.is_empty)
    rooms = tuple(rooms_of(cells, walls))
    return Layout(kind, tuple(cells), tuple(edges), tuple(openings), rooms, walls, solids, shafts)
