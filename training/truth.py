"""The true rooms of a drawn sheet, in the form that labelled plans have."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from shapely.geometry import Polygon

from training.layout import Floats, Layout
from training.marks import Mark, Text


def apply(matrix: Floats, points: Floats) -> Floats:
    """Points (n, 2) through an affine (2, 3) or projective (3, 3) matrix."""
    moved = points @ matrix[:, :2].T + matrix[:, 2]
    return moved[:, :2] / moved[:, 2:3] if matrix.shape[0] == 3 else moved


def page_rooms(
    plans: Sequence[tuple[Layout, tuple[float, float]]], marks: Sequence[Mark], matrix: Floats
) -> list[dict[str, Any]]:
    """The rooms of the plans, each moved to its place, in the page's unit; labels and numbers only where they are written."""
    written = {m.text for m in marks if isinstance(m, Text)}
    rooms = []
    for layout, (dx, dy) in plans:
        shift = np.array([dx, dy])
        for room in layout.rooms:
            placed = shapely.transform(room.polygon, partial(_placed, matrix, shift))
            entry: dict[str, Any] = {"polygon": _ring(placed.exterior)}
            if placed.interiors:
                entry["holes"] = [_ring(hole) for hole in placed.interiors]
            if room.name in written and room.name:
                entry["label"] = room.name
            if room.number in written and room.number:
                entry["number"] = room.number
            entry["area_m2"] = round(room.polygon.area, 2)
            rooms.append(entry)
    return rooms


def _placed(matrix: Floats, shift: Floats, points: Floats) -> Floats:
    return apply(matrix, points + shift)


def _ring(ring: Any) -> list[list[float]]:
    return [[round(float(x), 1), round(float(y), 1)] for x, y in np.asarray(ring.coords)[:-1]]


def page_truth(
    source: str, page: int, width: float, height: float, unit: str, rooms: list[dict[str, Any]]
) -> dict[str, Any]:
    """One page's truth."""
    return {
        "source": source,
        "kind": "polygon",
        "page": page,
        "width": width,
        "height": height,
        "unit": unit,
        "rooms": rooms,
    }


def write_truth(path: Path, truth: dict[str, Any]) -> None:
    """The truth as a file, one room a line."""
    head = {k: v for k, v in truth.items() if k != "rooms"}
    lines = ",\n  ".join(json.dumps(room, ensure_ascii=False) for room in truth["rooms"])
    path.write_text(json.dumps(head, ensure_ascii=False)[:-1] + ', "rooms": [\n  ' + lines + "\n]}\n", encoding="utf-8")


def polygons(truth: dict[str, Any]) -> list[Polygon]:
    """The truth's rooms as polygons with their holes."""
    return [Polygon(room["polygon"], room.get("holes", [])) for room in truth["rooms"]]
