"""Doors, gaps and windows for cells that have none yet: every room reachable, as people build them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from training.layout import HUBS, NO_ROOM, OUTDOOR, WET, Cell, Edge, Opening, Rng

_LIVING: Final = frozenset({"living", "kitchen", "dining", "openoffice", "classroom"})
_DARK: Final = frozenset({"closet", "store", "wc", "wcs", "bath", "shower", "ensuite", "lift", "stair", "laundry"})


def place_openings(cells: Sequence[Cell], edges: Sequence[Edge], rng: Rng, entrance: bool = True) -> list[Opening]:
    """Doors along a spanning tree from the entrance, a few gaps and garden doors, and windows in what is left."""
    used: dict[int, list[tuple[float, float]]] = {}
    openings: list[Opening] = []
    start = _entrance(cells, edges, rng, used, openings)
    if not entrance:  # an upper floor is reached by its stairs
        used.clear()
        openings.clear()
    _connect(cells, edges, rng, start, used, openings)
    _outdoor(cells, edges, rng, used, openings)
    _windows(cells, edges, rng, used, openings)
    return openings


def fit(edge: Edge, width_m: float, rng: Rng, where: str = "any") -> tuple[float, float] | None:
    """From and to along the edge, in metres, where an opening of this width goes; None where it does not fit."""
    margin = 0.2 if edge.kind != "rail" else 0.05
    free = edge.length_m - 2 * margin - width_m
    if free < 0:
        return None
    at = float(rng.random())
    if where == "end":
        at = float(rng.choice([0.0, 1.0])) if rng.random() < 0.75 else at
    elif where == "middle":
        at = 0.5 if rng.random() < 0.6 else 0.3 + 0.4 * at
    start = margin + free * at
    return start, start + width_m


def on_edge(edge: Edge, span: tuple[float, float], kind: str, side: int = 1, hinge: int = 0) -> Opening:
    """The opening at `span` metres along the edge."""
    a, b = np.array(edge.a), np.array(edge.b)
    unit = (b - a) / edge.length_m
    p, q = a + unit * span[0], a + unit * span[1]
    return Opening(edge, (float(p[0]), float(p[1])), (float(q[0]), float(q[1])), kind, side, hinge)


def _entrance(
    cells: Sequence[Cell],
    edges: Sequence[Edge],
    rng: Rng,
    used: dict[int, list[tuple[float, float]]],
    openings: list[Opening],
) -> int:
    best = [
        (cells[c].kind not in HUBS, cells[c].kind in _DARK, -edge.length_m * rng.random(), i, c)
        for i, edge in enumerate(edges)
        for c in edge.cells
        if edge.kind == "outer" and min(edge.cells) < 0 <= c and cells[c].kind not in NO_ROOM and edge.length_m > 1.16
    ]
    if not best:
        return 0
    _, _, _, i, cell = min(best)
    wide = rng.random() < (0.6 if edges[i].length_m > 4 and len(cells) > 14 else 0.06)
    width = float(rng.uniform(1.4, 1.9)) if wide else float(rng.uniform(0.85, 1.05))
    span = fit(edges[i], width, rng) or fit(edges[i], 0.75, rng, "middle")
    if span:
        side = 1 if edges[i].cells[0] == cell else -1
        side = side if rng.random() < 0.7 else -side
        openings.append(on_edge(edges[i], span, "double" if wide else "door", side, int(rng.integers(2))))
        used.setdefault(i, []).append(span)
    return cell


def _cost(from_kind: str, to_kind: str, rng: Rng) -> float:
    if to_kind in HUBS:
        base = 0.2
    elif to_kind == "ensuite" or (to_kind == "closet" and from_kind in ("bedroom", "hall")):
        base = 0.6 if from_kind == "bedroom" else 4.0
    elif from_kind in HUBS or from_kind == "stair":
        base = 1.0
    elif from_kind in _LIVING and to_kind in _LIVING:
        base = 1.5
    elif from_kind in _LIVING or from_kind == "bedroom":
        base = 3.0
    else:
        base = 6.0
    return base + float(rng.random()) * 0.5


def _connect(
    cells: Sequence[Cell],
    edges: Sequence[Edge],
    rng: Rng,
    start: int,
    used: dict[int, list[tuple[float, float]]],
    openings: list[Opening],
) -> None:
    inner = [(i, e) for i, e in enumerate(edges) if min(e.cells) >= 0 and e.length_m > 1.05 and i not in used]
    inner = [(i, e) for i, e in inner if not any(cells[c].kind in NO_ROOM | OUTDOOR for c in e.cells)]
    reached = {start}
    while True:
        choices = []
        for i, edge in inner:
            for here, there in (edge.cells, edge.cells[::-1]):
                if here in reached and there not in reached:
                    cost = _cost(cells[here].kind, cells[there].kind, rng)
                    if cells[there].kind == "stair":  # entered at a short side, at the foot of the flight
                        cost += edge.length_m + (0 if cells[here].kind in HUBS else 6)
                    choices.append((cost, i, here, there))
        if not choices:
            return
        _, i, here, there = min(choices)
        _open_between(edges[i], cells[here].kind, cells[there].kind, there, rng, used, openings, i)
        reached.add(there)


def _open_between(
    edge: Edge,
    here: str,
    there: str,
    into: int,
    rng: Rng,
    used: dict[int, list[tuple[float, float]]],
    openings: list[Opening],
    index: int,
) -> None:
    social = here in _LIVING | HUBS and there in _LIVING | HUBS
    kind, width = "door", float(rng.uniform(0.75, 0.95))
    if there in WET | {"closet", "store"}:
        width = float(rng.uniform(0.62, 0.8))
    draw = rng.random()
    if there == "stair" and here in ("hall", "landing"):
        kind, width = "gap", min(edge.length_m - 0.4, 1.4)
    elif social and draw < 0.35 and edge.length_m > 2.2:
        kind, width = "gap", float(rng.uniform(1.0, min(edge.length_m - 0.5, 3.2)))
    elif social and draw < 0.55 and edge.length_m > 2.4:
        kind, width = "double", float(rng.uniform(1.3, 1.8))
    elif there == "closet" and draw < 0.5 and edge.length_m > 1.6:
        kind, width = str(rng.choice(["sliding", "folding", "double"])), min(edge.length_m - 0.4, 1.8)
    elif there == "lift":
        kind, width = "sliding", 0.9
    elif draw < (0.015 if there in WET | {"bedroom"} else 0.08):
        kind = "gap"
    elif draw < 0.14:
        kind = "sliding"
    elif there in ("classroom", "meeting", "openoffice") and draw < 0.35 and edge.length_m > 2:
        kind, width = "double", 1.6
    where = "middle" if kind in ("gap", "double", "sliding", "folding") else "end"
    span = fit(edge, width, rng, where) or fit(edge, 0.62, rng, "middle")
    if span is None:
        return
    side = 1 if edge.cells[0] == into else -1
    if there in ("wc", "closet", "store") and rng.random() < 0.6:
        side = -side
    hinge = 0 if span[0] < edge.length_m - span[1] else 1
    openings.append(on_edge(edge, span, kind, side, hinge if rng.random() < 0.85 else 1 - hinge))
    used.setdefault(index, []).append(span)


def _outdoor(
    cells: Sequence[Cell],
    edges: Sequence[Edge],
    rng: Rng,
    used: dict[int, list[tuple[float, float]]],
    openings: list[Opening],
) -> None:
    for i, edge in enumerate(edges):
        if min(edge.cells) < 0 or i in used or edge.length_m < 1.2:
            continue
        kinds = [cells[c].kind for c in edge.cells]
        if sum(k in OUTDOOR for k in kinds) != 1 or any(k in NO_ROOM | _DARK for k in kinds):
            continue
        kind = str(rng.choice(["door", "double", "sliding", "sliding"]))
        width = float(rng.uniform(0.8, 1.0)) if kind == "door" else min(edge.length_m - 0.4, float(rng.uniform(1.5, 3)))
        span = fit(edge, width, rng, "middle")
        if span:
            outside = 1 if kinds[0] in OUTDOOR else -1
            side = outside if rng.random() < 0.6 else -outside
            openings.append(on_edge(edge, span, kind, side, int(rng.integers(2))))
            used.setdefault(i, []).append(span)


def _windows(
    cells: Sequence[Cell],
    edges: Sequence[Edge],
    rng: Rng,
    used: dict[int, list[tuple[float, float]]],
    openings: list[Opening],
) -> None:
    broad = rng.uniform(0.4, 0.85)
    gated: set[int] = set()
    for i, edge in enumerate(edges):
        if edge.kind != "outer" or i in used or edge.length_m < 0.9:
            continue
        indoor = [c for c in edge.cells if c >= 0 and cells[c].kind not in OUTDOOR]
        if not indoor or cells[indoor[0]].kind in NO_ROOM:
            continue
        kind = cells[indoor[0]].kind
        if kind == "garage" and indoor[0] not in gated and edge.length_m > 2.7:
            gated.add(indoor[0])
            gate = min(edge.length_m - 0.5, 2.5 if edge.length_m < 5 else 4.8)
            openings.append(on_edge(edge, ((edge.length_m - gate) / 2, (edge.length_m + gate) / 2), "sliding"))
            continue
        if rng.random() > (0.3 if kind in _DARK | HUBS else 0.85):
            continue
        count = max(1, round(edge.length_m / rng.uniform(2.6, 5.5)))
        bay = edge.length_m / count
        width = min(bay * broad, 0.8 if kind in _DARK else 2.6)
        if width < 0.45 or bay - width < 0.3:
            continue
        for k in range(count):
            middle = bay * (k + 0.5)
            openings.append(on_edge(edge, (middle - width / 2, middle + width / 2), "window"))
