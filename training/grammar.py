"""Floors of our own invention: flats, houses, offices, schools and floors of several units, as cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from shapely.geometry import Polygon, box

from training.doors import place_openings
from training.layout import Cell, Layout, Rng, WallSizes, assemble, find_edges, node_cells, warp_cells
from training.shaping import bay, clip_round, cut_corner, pillars, slant, turn

KINDS: Final = ("flat", "house", "office", "school", "units", "upper")


def draw_layout(
    kind: str, rng: Rng, plain: bool = False, turned: bool = True, sizes: WallSizes | None = None
) -> Layout:
    """A floor of this kind; `plain` keeps it at right angles and free of curves, `turned` mirrors and turns it at random."""
    cells = _MAKERS[kind](rng)
    if rng.random() < 0.35 and not plain:
        cells = bay(cells, rng)
    if rng.random() < 0.12 and not plain:
        cells = clip_round(cells, rng)
    elif rng.random() < 0.2 and not plain:
        cells = cut_corner(cells, rng)
    if rng.random() < 0.3 and not plain:
        cells = pillars(cells, rng)
    cells = turn(cells, rng) if turned else cells
    if rng.random() < 0.14 and not plain:
        cells = warp_cells(cells, slant(cells, rng))
    cells = node_cells(cells)
    sizes = sizes or draw_sizes(rng)
    edges = find_edges(cells, sizes)
    return assemble(kind, cells, edges, place_openings(cells, edges, rng, kind != "upper"))


def draw_sizes(rng: Rng) -> WallSizes:
    """Wall thicknesses as different builders and draughtsmen have them."""
    outer = float(rng.uniform(0.14, 0.46))
    inner = outer if rng.random() < 0.2 else float(rng.uniform(0.07, min(0.2, outer)))
    return WallSizes(outer, inner, float(rng.choice([0.05, 0.08, 0.12, inner])))


def row(rng: Rng, x0: float, x1: float, y0: float, y1: float, kinds: Sequence[tuple[str, float]]) -> list[Cell]:
    """Rooms side by side from x0 to x1, as wide as their weights."""
    weights = np.array([w for _, w in kinds]) * rng.uniform(0.85, 1.15, len(kinds))
    cuts = np.round(x0 + (x1 - x0) * np.concatenate([[0], np.cumsum(weights) / weights.sum()]), 2)
    return [Cell(box(cuts[i], y0, cuts[i + 1], y1), kind) for i, (kind, _) in enumerate(kinds)]


def carve(cells: list[Cell], index: int, part: Polygon, kind: str) -> list[Cell]:
    """The cells with `part` of one made a cell of its own, where both stay whole and wide enough."""
    rest = cells[index].polygon.difference(part)
    new = cells[index].polygon.intersection(part)
    if not isinstance(rest, Polygon) or not isinstance(new, Polygon) or rest.buffer(-0.9).is_empty or new.area < 0.6:
        return cells
    if not isinstance(rest.buffer(-0.6), Polygon):
        return cells
    out = list(cells)
    out[index] = Cell(rest, cells[index].kind)
    return [*out, Cell(new, kind)]


def _flat(rng: Rng, width: float | None = None, depth: float | None = None) -> list[Cell]:
    w = width or float(rng.uniform(6.5, 14))
    top = float(rng.uniform(3.2, 5.2)) if depth is None else depth * 0.46
    hall = float(rng.uniform(1.25, 1.8))
    bottom = float(rng.uniform(2.4, 4.2)) if depth is None else depth - top - hall
    beds = max(1, round((w - 4) / 3.2))
    upper: list[tuple[str, float]] = [("bedroom", rng.uniform(2.8, 4.0)) for _ in range(beds)]
    lower: list[tuple[str, float]] = [("bath", 2.2), ("kitchen", 3.2)]
    if w > 8:
        lower.insert(int(rng.integers(3)), ("bedroom", 3.4))
    if w > 9.5 and rng.random() < 0.7:
        lower.insert(int(rng.integers(3)), ("wc", 1.2))
    if rng.random() < 0.4:
        lower.insert(int(rng.integers(3)), (str(rng.choice(["closet", "laundry", "store"])), 1.3))
    living = w * float(rng.uniform(0.3, 0.42))
    through = rng.random() < 0.5
    y1, y2, y3 = top, top + hall, top + hall + bottom
    cells = row(rng, 0, w - living, 0, y1, upper)
    end = w - living if through else w
    cells += [Cell(box(w - living, 0, w, y3 if through else y1), "living"), Cell(box(0, y1, end, y2), "hall")]
    inset = float(rng.uniform(0, 1.5)) if depth is None and rng.random() < 0.4 else 0.0
    cells += row(rng, inset, end, y2, y3, lower)
    cells = _wardrobes(cells, rng)
    if through and rng.random() < 0.6:
        living_at = next(i for i, c in enumerate(cells) if c.kind == "living")
        cells = carve(
            cells, living_at, box(w - living, y3 - bottom, w, y3), "dining" if rng.random() < 0.5 else "study"
        )
    return _outdoors(cells, rng, depth is not None)


def _wardrobes(cells: list[Cell], rng: Rng) -> list[Cell]:
    for index, cell in enumerate(list(cells)):
        if cell.kind != "bedroom" or rng.random() > 0.5:
            continue
        x0, y0, x1, y1 = cell.polygon.bounds
        wide, deep = (x1 - x0) * rng.uniform(0.4, 0.65), rng.uniform(0.75, 1.1)
        kind = "closet"
        if (x1 - x0) * (y1 - y0) > 15 and rng.random() < 0.6:
            wide, deep, kind = rng.uniform(1.6, 2.4), rng.uniform(1.6, 2.2), "ensuite"
        left = x0 if rng.random() < 0.5 else x1 - wide
        cells = carve(cells, index, box(round(left, 2), y0, round(left + wide, 2), round(y0 + deep, 2)), kind)
    return cells


def _outdoors(cells: list[Cell], rng: Rng, small: bool = False) -> list[Cell]:
    target = next((c for c in cells if c.kind == "living"), cells[0])
    x0, y0, x1, _ = target.polygon.bounds
    if rng.random() < 0.55:
        deep = float(rng.uniform(1.1, 2.0 if small else 3.0))
        wide = (x1 - x0) * float(rng.uniform(0.6, 1.0))
        kind = "balcony" if deep < 2.2 else "terrace"
        return [*cells, Cell(box(round(x1 - wide, 2), round(y0 - deep, 2), x1, y0), kind)]
    return cells


def _house(rng: Rng, upper: bool = False) -> list[Cell]:
    left, mid, right = rng.uniform(3.6, 5.2), rng.uniform(2.5, 3.3), rng.uniform(3.0, 4.6)
    depth = float(rng.uniform(7.5, 11))
    a, b, c = round(left, 2), round(left + mid, 2), round(left + mid + right, 2)
    cut, cut2 = round(depth * rng.uniform(0.42, 0.6), 2), round(depth * rng.uniform(0.35, 0.55), 2)
    if upper:
        cells = [Cell(box(0, 0, a, cut), "bedroom"), Cell(box(0, cut, a, depth), "bedroom")]
        cells += [Cell(box(b, 0, c, cut2), "bedroom"), Cell(box(b, cut2 + 2.2, c, depth), "bedroom")]
        cells += [Cell(box(b, cut2, c, cut2 + 2.2), "bath")]
    else:
        cells = [Cell(box(0, 0, a, cut), "dining"), Cell(box(0, cut, a, depth), "living")]
        cells += [Cell(box(b, 0, c, cut2), "kitchen"), Cell(box(b, cut2 + 1.8, c, depth), "study")]
        split = round(b + right * rng.uniform(0.4, 0.6), 2)
        cells += [Cell(box(b, cut2, split, cut2 + 1.8), "wc"), Cell(box(split, cut2, c, cut2 + 1.8), "laundry")]
    stair = round(max(mid * 0.45, 1.2), 2)
    long = round(min(depth * 0.45, 3.4), 2)
    hall = Cell(box(a, 0, b, depth), "landing" if upper else "hall")
    cells = carve(
        [*cells, hall],
        len(cells),
        box(a, round(depth * 0.2, 2), round(a + stair, 2), round(depth * 0.2 + long, 2)),
        "stair",
    )
    if not upper and rng.random() < 0.6:
        back = round(depth - rng.uniform(5.2, 6.2), 2)
        cells.append(Cell(box(c, max(back, 0), round(c + rng.uniform(3.0, 5.6), 2), depth), "garage"))
    if not upper and rng.random() < 0.7:
        cells.append(Cell(box(0, round(-rng.uniform(2, 3.6), 2), round(a + mid * rng.uniform(0, 1), 2), 0), "terrace"))
    elif upper and rng.random() < 0.4:
        cells.append(Cell(box(0, -1.4, a, 0), "balcony"))
    if not upper and rng.random() < 0.4:
        cells.append(Cell(box(a, depth, b, round(depth + 1.4, 2)), "porch"))
    return _wardrobes(cells, rng)


def _office(rng: Rng) -> list[Cell]:
    w, d = float(rng.uniform(20, 44)), float(rng.uniform(14, 22))
    side, corridor = float(rng.uniform(3.8, 5.2)), float(rng.uniform(1.5, 2.2))
    y1, y2, y3, y4 = side, side + corridor, d - side - corridor, d - side
    front = [
        (str(rng.choice(["office", "office", "office", "meeting", "openoffice"])), rng.uniform(2.4, 5))
        for _ in range(round(w / 4.2))
    ]
    back = [
        (str(rng.choice(["office", "office", "meeting", "kitchen", "office"])), rng.uniform(2.4, 5))
        for _ in range(round(w / 4.4))
    ]
    cells = row(rng, 0, w, 0, y1, front) + row(rng, 0, w, y4, d, back)
    x0, x1 = corridor, w - corridor
    if rng.random() < 0.4:
        x1 = w - rng.uniform(6, 9)
        cells.append(Cell(box(x1, y1, w, y4), "openoffice"))
        ring = box(0, y1, x1, y4)
        x1 = x1 - corridor
    else:
        ring = box(0, y1, w, y4)
    core: list[tuple[str, float]] = [
        ("stair", 5.0),
        ("lift", 2.2),
        ("lift", 2.2),
        ("wcs", 4.2),
        ("wcs", 4.2),
        ("shaft", 1.2),
    ]
    fillers = [
        ("store", 3.2),
        ("meeting", 5.5),
        ("copy", 3.2),
        ("office", 3.6),
        ("stair", 5.0),
        ("meeting", 4.5),
        ("office", 3.6),
    ]
    rows = 2 if y3 - y2 > 7 else 1
    while sum(width for _, width in core) < (x1 - x0) * rows * 0.85:
        core.append(fillers[int(rng.integers(len(fillers)))])
    order = rng.permutation(len(core))
    if rows == 2:
        half = round((y2 + y3) / 2, 2)
        cells += row(rng, x0, x1, y2, half, [core[i] for i in order[::2]]) + row(
            rng, x0, x1, half, y3, [core[i] for i in order[1::2]]
        )
    else:
        cells += row(rng, x0, x1, y2, y3, [core[i] for i in order])
    return [*cells, Cell(ring.difference(box(x0, y2, x1, y3)), "corridor")]


def _school(rng: Rng) -> list[Cell]:
    w, corridor = float(rng.uniform(28, 50)), float(rng.uniform(2.2, 3.4))
    deep, deep2 = float(rng.uniform(6.4, 7.8)), float(rng.uniform(4.5, 7.5))
    top: list[tuple[str, float]] = [("stair", 3.0)] + [("classroom", 8.4) for _ in range(round(w / 9.5))]
    if rng.random() < 0.5:
        top.insert(2, ("store", 2.6))
    low: list[tuple[str, float]] = [("wcs", 4.2), ("wcs", 4.2), ("office", 3.6), ("staff", 6), ("lobby", 4)]
    low += [("classroom", 8.4)] * max(0, round((w - 20) / 9))
    low = [low[i] for i in rng.permutation(len(low))]
    cells = row(rng, 0, w, 0, deep, top) + [Cell(box(0, deep, w, deep + corridor), "corridor")]
    cells += row(rng, 0 if rng.random() < 0.6 else 6.0, w, deep + corridor, deep + corridor + deep2, low)
    if rng.random() < 0.4:
        y = deep + corridor + deep2
        cells += [Cell(box(w - 14, y, w, y + 11), "gym")]
    return cells


def _units(rng: Rng) -> list[Cell]:
    count, corridor = int(rng.integers(2, 5)), float(rng.uniform(1.5, 2.2))
    cells: list[Cell] = []
    x = 0.0
    sides = [1] if rng.random() < 0.4 else [1, -1]
    depth = float(rng.uniform(8, 10))
    widths = [round(float(rng.uniform(6.5, 10.5)), 2) for _ in range(count)]
    for width in widths:
        for side in sides:
            unit = _flat(rng, width, depth)
            flip = rng.random() < 0.5
            for cell in unit:
                kind = cell.kind
                ring = np.array(cell.polygon.exterior.coords)
                ring[:, 0] = width - ring[:, 0] if flip else ring[:, 0]
                ring[:, 0] += x
                ring[:, 1] = ring[:, 1] - depth if side > 0 else corridor + depth - ring[:, 1]
                cells.append(Cell(Polygon(np.round(ring, 2)), kind))
        x += width
    stair_at = round(x * 0.5, 2)
    total = round(sum(widths), 2)
    if len(sides) == 1:
        cells.append(Cell(box(stair_at - 1.4, corridor, stair_at + 1.4, corridor + 4.2), "stair"))
        cells.append(Cell(box(stair_at + 1.4, corridor, stair_at + 3.3, corridor + 2.0), "lift"))
    return [*cells, Cell(box(0, 0, total, round(corridor, 3)), "corridor")]


_MAKERS: Final[dict[str, Callable[[Rng], list[Cell]]]] = {
    "flat": _flat,
    "house": _house,
    "upper": lambda rng: _house(rng, upper=True),
    "office": _office,
    "school": _school,
    "units": _units,
}
