"""Drawn plans with labels in every format, rooms to match, and the scorer that lies beside the project."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, settings
from PIL import Image, ImageDraw

from evaluation.truth import LabelledPage, TrueRoom
from models.floorplan import Room

ROOT = Path(__file__).resolve().parents[3]
EVAL = ROOT.parent / "shared" / "eval"

Ring = list[tuple[float, float]]

#: How property tests run here: a busy machine is no reason to fail.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def draw_plan(path: Path, rooms: int = 2) -> list[Ring]:
    """A plan of rooms beside each other, with walls of 8 px, drawn into the file; the rooms' inner wall faces."""
    picture = Image.new("RGB", (80 + 200 * rooms, 320), "white")
    pen = ImageDraw.Draw(picture)
    for index in range(rooms):
        pen.rectangle((40 + 200 * index, 40, 248 + 200 * index, 280), outline="black", width=8)
    picture.save(path)
    return [box(48 + 200 * index, 48, 241 + 200 * index, 273) for index in range(rooms)]


def box(x0: float, y0: float, x1: float, y1: float) -> Ring:
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


def own(source: str, rings: list[Ring], **more: Any) -> dict[str, Any]:
    return {"source": source, "rooms": [{"polygon": ring} for ring in rings], **more}


def labelme(source: str, rings: list[Ring], **more: Any) -> dict[str, Any]:
    shapes = [{"label": f"Room {n}", "points": ring, "shape_type": "polygon"} for n, ring in enumerate(rings)]
    return {"version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": source, "imageData": None, **more}


def coco(plans: dict[str, list[Ring]], size: tuple[int, int] = (480, 320)) -> dict[str, Any]:
    images, annotations = [], []
    for image_id, (name, rings) in enumerate(plans.items(), start=7):
        images.append({"id": image_id, "file_name": name, "width": size[0], "height": size[1]})
        for ring in rings:
            flat = [value for point in ring for value in point]
            annotations.append({"id": len(annotations), "image_id": image_id, "category_id": 3, "segmentation": [flat]})
    return {"images": images, "annotations": annotations, "categories": [{"id": 3, "name": "Kitchen"}]}


def write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def found_room(ring: Ring, **facts: Any) -> Room:
    known = {"id": "room_001", "polygon": ring, "bounding_box": [0, 0, 1, 1], "confidence": 0.5, **facts}
    return Room.model_validate(known)


def labelled_page(rooms: list[TrueRoom], **facts: Any) -> LabelledPage:
    known = {"set_name": "a", "labels": Path("a.json"), "document": Path("a.png"), "page": 1, "width": None}
    return LabelledPage(**{**known, "height": None, "kind": "polygon", "rooms": tuple(rooms), **facts})


def partition(random: np.random.Generator, rooms: int) -> list[Any]:
    """Rooms that do not overlap: a page of 100 x 80 cut at random again and again, each then drawn in a little."""
    boxes = [(0.0, 0.0, 100.0, 80.0)]
    while len(boxes) < rooms:
        x0, y0, x1, y1 = boxes.pop(int(random.integers(len(boxes))))
        cut = float(random.uniform(0.25, 0.75))
        if x1 - x0 > y1 - y0:
            middle = x0 + cut * (x1 - x0)
            boxes += [(x0, y0, middle, y1), (middle, y0, x1, y1)]
        else:
            middle = y0 + cut * (y1 - y0)
            boxes += [(x0, y0, x1, middle), (x0, middle, x1, y1)]
    return [shapely.box(*corners).buffer(-float(random.uniform(0.01, 0.05)), join_style="mitre") for corners in boxes]


@pytest.fixture(scope="session")
def scorer() -> ModuleType:
    """The plans' own scorer, which is no part of the project."""
    file = EVAL / "score.py"
    if not file.is_file():
        pytest.skip("the scorer does not lie beside this checkout")
    spec = importlib.util.spec_from_file_location("scorer", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
