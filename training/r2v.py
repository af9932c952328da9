"""Real flats, traced as loose segments and boxes, made into clean floors; what does not come clean is left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import shapely
from shapely.geometry import LineString, Point, Polygon
from shapely.ops import polygonize

from training.doors import on_edge
from training.grammar import draw_sizes
from training.layout import OUTDOOR, Cell, Edge, Floats, Layout, Opening, Rng, assemble, find_edges, warp_cells

FOLDER: Final = Path(__file__).parent.parent.parent / "shared" / "train" / "r2v"
_DOOR_M: Final = 0.78
_SNAP_PX: Final = 6.0
_KINDS: Final = {
    "living_room": "living", "kitchen": "kitchen", "bedroom": "bedroom", "bathroom": "bath", "washing_room": "laundry",
    "restroom": "wc", "corridor": "hall", "entrance": "hall", "balcony": "balcony", "closet": "closet", "PS": "shaft",
    "stairs": "stair",
}  # fmt: skip


@dataclass(frozen=True)
class Trace:
    """One file as traced: segments (n, 4) of walls and doors, boxes of rooms; pixels."""

    walls: Floats
    doors: Floats
    rooms: tuple[tuple[str, float, float], ...]  # kind and the middle of its box


@dataclass(frozen=True)
class Flat:
    """A clean flat in metres: its cells and where the traced openings lie."""

    cells: tuple[Cell, ...]
    doors: Floats


@lru_cache(maxsize=4)
def traces(folder: Path = FOLDER) -> tuple[Path, ...]:
    """The files of the collection, in order; empty where it is not there."""
    return tuple(sorted(folder.glob("*.txt"))) if folder.is_dir() else ()


def read_trace(path: Path) -> Trace:
    """One file's segments and boxes."""
    walls, doors, rooms = [], [], []
    for line in path.read_text().splitlines():
        parts = line.split("\t")
        if len(parts) < 5:
            continue
        box = [float(v) for v in parts[:4]]
        if parts[4] == "wall":
            walls.append(box)
        elif parts[4] == "door":
            doors.append(box)
        elif parts[4] in _KINDS:
            rooms.append((_KINDS[parts[4]], (box[0] + box[2]) / 2, (box[1] + box[3]) / 2))
    return Trace(np.array(walls).reshape(-1, 4), np.array(doors).reshape(-1, 4), tuple(rooms))


def _clusters(values: Floats) -> Floats:
    """Each value replaced by the mean of those near it."""
    order = np.argsort(values)
    out = values.copy()
    start = 0
    for k in range(1, len(order) + 1):
        if k == len(order) or values[order[k]] - values[order[k - 1]] > _SNAP_PX * 0.7:
            members = order[start:k]
            out[members] = values[members].mean()
            start = k
    return out


def _snapped(walls: Floats) -> Floats:
    """Walls level or upright, on shared lines, their ends on the walls they run into."""
    level = np.abs(walls[:, 2] - walls[:, 0]) >= np.abs(walls[:, 3] - walls[:, 1])
    fixed = walls.copy()
    for is_level, across in ((True, 1), (False, 0)):
        chosen = level == is_level
        if chosen.any():
            line = _clusters(fixed[chosen][:, [across, across + 2]].mean(1))
            fixed[np.ix_(chosen, [across, across + 2])] = line[:, None]
    for k in range(len(fixed)):
        along, across = (0, 1) if level[k] else (1, 0)
        others = fixed[level != level[k]]
        if not len(others):
            continue
        low, high = (
            np.minimum(others[:, across], others[:, across + 2]),
            np.maximum(others[:, across], others[:, across + 2]),
        )
        near = (fixed[k, across] > low - _SNAP_PX * 1.5) & (fixed[k, across] < high + _SNAP_PX * 1.5)
        lines = others[near][:, along]
        for end in (along, along + 2):
            if len(lines):
                best = lines[np.argmin(np.abs(lines - fixed[k, end]))]
                if abs(best - fixed[k, end]) < _SNAP_PX * 1.6:
                    fixed[k, end] = best
    return fixed


def clean(trace: Trace) -> Flat | None:
    """The flat as cells, or None where the segments do not close into labelled rooms."""
    if len(trace.walls) < 6 or len(trace.rooms) < 3:
        return None
    walls = _snapped(trace.walls)
    keep = np.hypot(walls[:, 2] - walls[:, 0], walls[:, 3] - walls[:, 1]) > 3
    lines = shapely.unary_union([LineString(w.reshape(2, 2)) for w in walls[keep]])
    faces = [f for f in polygonize(lines) if f.area > 60]
    if len(faces) < 3:
        return None
    enclosed = sum(f.exterior.length for f in faces)
    if shapely.intersection(shapely.unary_union([f.boundary for f in faces]), lines).length < 0.85 * lines.length:
        return None
    metres = _scale(trace, faces)
    labels: dict[int, list[str]] = {}
    for kind, x, y in trace.rooms:
        for k, face in enumerate(faces):
            if face.contains(Point(x, y)):
                labels.setdefault(k, []).append(kind)
    total = sum(f.area for f in faces) * metres**2
    unknown = sum(f.area for k, f in enumerate(faces) if k not in labels) * metres**2
    if not 14 < total < 220 or unknown > 0.14 * total or enclosed == 0:
        return None
    cells = []
    for k, face in enumerate(faces):
        small = face.area * metres**2 < 1.0
        kind = _one_of(labels[k]) if k in labels else ("shaft" if small else "store")
        cells.append(Cell(shapely.transform(face.simplify(0.5), lambda xy: np.round(xy * metres, 3)), kind))
    return Flat(tuple(cells), trace.doors * metres)


def _one_of(kinds: Sequence[str]) -> str:
    order = ("living", "kitchen", "bedroom", "bath", "wc", "laundry", "stair", "hall", "closet", "balcony", "shaft")
    return min(kinds, key=order.index)


def _scale(trace: Trace, faces: Sequence[Polygon]) -> float:
    """Metres a pixel, from doors between rooms, which are about as wide everywhere."""
    whole = shapely.unary_union(list(faces)).boundary
    inner = [
        float(np.hypot(d[2] - d[0], d[3] - d[1]))
        for d in trace.doors
        if whole.distance(Point((d[0] + d[2]) / 2, (d[1] + d[3]) / 2)) > _SNAP_PX * 2
    ]
    return _DOOR_M / float(np.median(inner)) if inner else 0.02


@lru_cache(maxsize=2048)
def load(path: Path) -> Flat | None:
    """The flat of a file, read and cleaned once."""
    return clean(read_trace(path))


def flat_layout(flat: Flat, rng: Rng) -> Layout:
    """A real flat with walls as thick as this builder's, its own openings, mirrored and turned at random."""
    sx, sy, swap = float(rng.choice([-1, 1])), float(rng.choice([-1, 1])), bool(rng.random() < 0.3)

    def move(xy: Floats) -> Floats:
        turned = xy * [sx, sy]
        return np.asarray(turned[:, ::-1] if swap else turned, float)

    cells = warp_cells(flat.cells, move)
    doors = move(flat.doors.reshape(-1, 2)).reshape(-1, 4)
    edges = find_edges(cells, draw_sizes(rng))
    return assemble("flat", cells, edges, _openings(cells, edges, doors, rng))


def _openings(cells: Sequence[Cell], edges: Sequence[Edge], doors: Floats, rng: Rng) -> list[Opening]:
    openings: list[Opening] = []
    used: dict[int, list[tuple[float, float]]] = {}
    starts, ends = np.array([e.a for e in edges]), np.array([e.b for e in edges])
    along = ends - starts
    length = np.hypot(along[:, 0], along[:, 1])
    unit = along / length[:, None]
    entered = False
    for door in doors:
        p, q = door[:2], door[2:]
        middle = (p + q) / 2
        direction = (q - p) / max(float(np.hypot(*(q - p))), 1e-6)
        parallel = np.abs(unit @ direction) > 0.97
        offset = middle - starts
        beside = np.abs(offset[:, 0] * unit[:, 1] - offset[:, 1] * unit[:, 0])
        at = (offset * unit).sum(1)
        fits = parallel & (beside < 0.3) & (at > -0.1) & (at < length + 0.1)
        if not fits.any():
            continue
        i = int(np.argmin(np.where(fits, beside, 9.0)))
        half = float(np.hypot(*(q - p))) / 2
        low, high = max(float(at[i]) - half, 0.12), min(float(at[i]) + half, float(length[i]) - 0.12)
        if high - low < 0.45 or any(low < b and high > a for a, b in used.get(i, [])):
            continue
        kind = _door_kind(edges[i], cells, high - low, entered, rng)
        entered |= kind == "door" and min(edges[i].cells) < 0
        side = 1 if rng.random() < 0.5 else -1
        if min(edges[i].cells) >= 0:
            larger = cells[edges[i].cells[0]].polygon.area > cells[edges[i].cells[1]].polygon.area
            side = (1 if larger else -1) if rng.random() < 0.7 else side
        hinge = 0 if low < length[i] - high else 1
        openings.append(on_edge(edges[i], (low, high), kind, side, hinge))
        used.setdefault(i, []).append((low, high))
    return openings


def _door_kind(edge: Edge, cells: Sequence[Cell], width_m: float, entered: bool, rng: Rng) -> str:
    kinds = [cells[c].kind if c >= 0 else "" for c in edge.cells]
    draw = rng.random()
    if "" in kinds:
        hall = "hall" in kinds and not entered and width_m < 1.3
        return "door" if hall else "window"
    if any(k in OUTDOOR for k in kinds):
        return "window" if draw < 0.35 or width_m < 0.7 else ("sliding" if width_m > 1.1 else "door")
    if "closet" in kinds:
        wide = ("folding", "double", "sliding", "gap")
        return str(rng.choice(wide)) if width_m > 0.95 else "door"
    if width_m > 1.25:
        return str(rng.choice(["sliding", "double", "gap", "gap"]))
    return "gap" if draw < 0.06 else "sliding" if draw < 0.14 else "door"
