"""What makes a floor less square: turns, slants, bays, round and cut outlines."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from shapely.geometry import Polygon, box

from training.layout import NO_ROOM, OUTDOOR, Cell, Floats, Rng, warp_cells


def turn(cells: list[Cell], rng: Rng) -> list[Cell]:
    """Mirrored and turned by quarters."""
    sx, sy, swap = rng.choice([-1, 1]), rng.choice([-1, 1]), rng.random() < 0.4

    def move(xy: Floats) -> Floats:
        turned = xy * [sx, sy]
        return np.asarray(turned[:, ::-1] if swap else turned, float)

    return warp_cells(cells, move)


def slant(cells: list[Cell], rng: Rng) -> Callable[[Floats], Floats]:
    """A projective map, mild: walls stay straight, right angles do not stay right."""
    bounds = np.array([c.polygon.bounds for c in cells])
    low, high = bounds[:, :2].min(0), bounds[:, 2:].max(0)
    size = high - low
    tilt = rng.uniform(-0.28, 0.28, 2) * rng.integers(0, 2, 2)
    shear = rng.uniform(-0.2, 0.2) if rng.random() < 0.5 else 0.0

    def move(xy: Floats) -> Floats:
        unit = (xy - low) / size
        weight = (1 + unit @ tilt)[:, None]
        moved: Floats = (unit / weight) * size
        moved[:, 0] += shear * moved[:, 1]
        return moved

    return move


def bay(cells: list[Cell], rng: Rng) -> list[Cell]:
    """A bay on the long free side of a living room or bedroom: slanted or round."""
    out = list(cells)
    for index, cell in enumerate(cells):
        if cell.kind not in ("living", "bedroom", "dining", "meeting") or rng.random() < 0.5:
            continue
        x0, _, x1, y1 = cell.polygon.bounds
        low = max(c.polygon.bounds[3] for c in cells)
        if abs(y1 - low) > 0.01 or x1 - x0 < 2.6:
            continue
        middle, half, out_m = (x0 + x1) / 2, (x1 - x0) * rng.uniform(0.25, 0.4), rng.uniform(0.5, 1.1)
        if rng.random() < 0.5:
            ring = [
                (middle - half, y1),
                (middle - half * 0.6, y1 + out_m),
                (middle + half * 0.6, y1 + out_m),
                (middle + half, y1),
            ]
        else:
            turns = np.linspace(math.pi, 0, 9)
            ring = [(middle + half * math.cos(t), y1 + out_m * math.sin(t)) for t in turns]
        grown = cell.polygon.union(Polygon(np.round(ring, 3)))
        if isinstance(grown, Polygon):
            out[index] = Cell(grown, cell.kind)
    return out


def clip_round(cells: list[Cell], rng: Rng) -> list[Cell]:
    """Only what lies in a many-sided round: the plan of a round house."""
    x0, y0, x1, y1 = (f(c.polygon.bounds[i] for c in cells) for i, f in enumerate((min, min, max, max)))
    sides = int(rng.choice([8, 12, 16, 24, 40]))
    turn = np.arange(sides) * 2 * math.pi / sides + math.pi / sides
    power = rng.uniform(0.5, 1.0)
    ex, ey = np.cos(turn), np.sin(turn)
    reach = rng.uniform(0.95, 1.15)
    ring = np.stack(
        [
            (x0 + x1) / 2 + np.sign(ex) * np.abs(ex) ** power * (x1 - x0) / 2 * reach,
            (y0 + y1) / 2 + np.sign(ey) * np.abs(ey) ** power * (y1 - y0) / 2 * reach,
        ],
        axis=1,
    )
    return _clipped(cells, Polygon(ring))


def cut_corner(cells: list[Cell], rng: Rng) -> list[Cell]:
    """One corner of the building cut off aslant."""
    x0, y0, x1, y1 = (f(c.polygon.bounds[i] for c in cells) for i, f in enumerate((min, min, max, max)))
    cx, cy = (x0, x1)[rng.integers(2)], (y0, y1)[rng.integers(2)]
    reach_x, reach_y = (x1 - x0) * rng.uniform(0.1, 0.35), (y1 - y0) * rng.uniform(0.1, 0.35)
    sx, sy = (1 if cx == x0 else -1), (1 if cy == y0 else -1)
    corner = Polygon(
        [
            (cx - sx, cy - sy),
            (cx + sx * reach_x, cy - sy),
            (cx + sx * reach_x, cy),
            (cx, cy + sy * reach_y),
            (cx - sx, cy + sy * reach_y),
        ]
    )
    return _clipped(cells, box(x0 - 2, y0 - 2, x1 + 2, y1 + 2).difference(corner))


def pillars(cells: list[Cell], rng: Rng) -> list[Cell]:
    """Solid blocks in corners, along walls and free in the floor: pillars, chimney breasts, ducts walled up."""
    out = list(cells)
    for _ in range(int(rng.integers(1, 5))):
        index = int(rng.integers(len(cells)))
        cell = out[index]
        x0, y0, x1, y1 = cell.polygon.bounds
        if min(x1 - x0, y1 - y0) < 2.2 or cell.kind in OUTDOOR | NO_ROOM | {"stair", "lift"}:
            continue
        w, h = rng.uniform(0.35, 1.3), rng.uniform(0.3, 0.8)
        x = float(rng.choice([x0, x1 - w, rng.uniform(x0, x1 - w)]))
        y = float(rng.choice([y0, y1 - h, rng.uniform(y0, y1 - h)]))
        block = box(round(x, 2), round(y, 2), round(x + w, 2), round(y + h, 2))
        if not cell.polygon.buffer(0.01).contains(block):
            continue
        rest = cell.polygon.difference(block)
        if isinstance(rest, Polygon) and isinstance(rest.buffer(-0.35), Polygon):
            out[index] = Cell(rest, cell.kind, cell.name)
            out.append(Cell(block, "solid"))
    return out


def _clipped(cells: list[Cell], mask: Polygon) -> list[Cell]:
    kept = []
    for cell in cells:
        part = cell.polygon.intersection(mask)
        parts = [p for p in getattr(part, "geoms", [part]) if isinstance(p, Polygon)]
        if not parts:
            continue
        largest = max(parts, key=lambda p: p.area)
        if cell.kind in OUTDOOR and largest.area < 1.5:
            continue
        if largest.area > 0.8 and not largest.buffer(-0.35).is_empty:
            kept.append(Cell(largest, cell.kind))
        elif largest.area > 0.2:
            kept.append(Cell(largest, "solid"))
    return kept
