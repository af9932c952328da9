"""The labelled estate-agent plans of `shared/train/cis` as crops.

Walls, doors and windows are labelled. Where they close, what they enclose is a room; the rest is not known. Plans whose
wall polygon was drawn without its holes, so that whole flats count as wall, are left out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training import degrade
from training.sample import IGNORE, OPENING, OUTSIDE, ROOM, WALL, WINDOW

FOLDER: Final = Path(__file__).parent.parent.parent / "shared" / "train" / "cis"
_CLASSES: Final = {"wall": WALL, "door": OPENING, "window": WINDOW}
_ORDER: Final = ("wall", "window", "door")  # painted in this order: openings lie on walls
_MOST_WALL: Final = 0.45  # of the plan's hull: more is a wall polygon whose holes are missing
_LEAST_CLOSED: Final = 0.4  # of the hull, enclosed by labels: less says that doors are not labelled
_DARK: Final = 90
_LEAST_ROOM: Final = 0.004  # of the hull: smaller enclosed spots are shafts and gaps between labels
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class LabelledPlan:
    """A picture's file and its polygons by class, in pixels."""

    file: Path
    width_px: int
    height_px: int
    polygons: tuple[tuple[str, tuple[Any, ...]], ...]


@lru_cache(maxsize=8)
def plans(part: str = "train", folder: Path = FOLDER) -> tuple[LabelledPlan, ...]:
    """The labelled plans of a part (train, valid, test); empty where the collection is not there."""
    notes = folder / part / "_annotations.coco.json"
    if not notes.is_file():
        return ()
    coco = json.loads(notes.read_text())
    names = {c["id"]: c["name"] for c in coco["categories"]}
    shapes: dict[int, list[tuple[str, tuple[Any, ...]]]] = {}
    for note in coco["annotations"]:
        name = names[note["category_id"]]
        if name in _CLASSES and isinstance(note["segmentation"], list):
            rings = tuple(np.asarray(s, np.float64).reshape(-1, 2) for s in note["segmentation"] if len(s) >= 6)
            shapes.setdefault(note["image_id"], []).append((name, rings))
    return tuple(
        LabelledPlan(folder / part / i["file_name"], i["width"], i["height"], tuple(shapes[i["id"]]))
        for i in sorted(coco["images"], key=lambda i: i["id"])
        if i["id"] in shapes
    )


def classes_of(plan: LabelledPlan) -> Bytes:
    """The classes of the whole picture, uint8 (h, w): wall, opening, window, and IGNORE where nothing is known."""
    classes = np.full((plan.height_px, plan.width_px), IGNORE, np.uint8)
    for wanted in _ORDER:
        for name, rings in plan.polygons:
            if name == wanted:
                fixed = [np.rint(r * 16).astype(np.int32).reshape(-1, 1, 2) for r in rings]
                cv2.fillPoly(classes, fixed, _CLASSES[name], cv2.LINE_8, 4)
    return classes


def rooms_of(classes: Bytes) -> Bytes | None:
    """The classes with what is enclosed as rooms and what lies beyond the hull as outside; None if they are not usable.

    Where the labels leave doors open, only the labels themselves stay known.
    """
    known = (classes != IGNORE).astype(np.uint8)
    hull = np.zeros_like(known)
    points = cv2.findNonZero(known)
    if points is None:
        return None
    cv2.fillConvexPoly(hull, cv2.convexHull(points), 1)
    whole = int(hull.sum())
    if int((classes == WALL).sum()) > _MOST_WALL * whole:
        return None
    barrier = cv2.morphologyEx(known, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    _, parts, stats, _ = cv2.connectedComponentsWithStats(1 - barrier, connectivity=4)
    edge = np.unique(np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]]))
    closed = stats[:, cv2.CC_STAT_AREA] > _LEAST_ROOM * whole
    closed[edge] = False
    closed[0] = False
    inside = closed[parts]
    if int(inside.sum()) < _LEAST_CLOSED * whole:
        return classes
    out = classes.copy()
    out[inside & (classes == IGNORE)] = ROOM
    out[(hull == 0) & (classes == IGNORE)] = OUTSIDE
    return out


@lru_cache(maxsize=400)
def _loaded(part: str, index: int) -> tuple[Bytes, Bytes, float] | None:
    plan = plans(part)[index]
    # The labels are in pixels as stored, before any turn that the file asks for.
    image = cv2.imread(str(plan.file), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise FileNotFoundError(plan.file)
    if (
        np.median(image) < _DARK
    ):  # paper is light: a fifth of the plans were saved with a transparent ground that turned black
        image = np.asarray(255 - image, np.uint8)
    labels = classes_of(plan)
    classes = rooms_of(labels)
    if classes is None:
        return None
    depth = cv2.distanceTransform((labels != IGNORE).astype(np.uint8), cv2.DIST_L2, 3)
    inner = depth[depth > 0]
    thick = 2 * float(np.percentile(inner, 90)) if len(inner) else 8.0
    return np.asarray(image, np.uint8), classes, max(thick, 2.0)


def sample(seed: int, size_px: int = 416, part: str = "train") -> tuple[Bytes, Bytes]:
    """A crop of a labelled plan at a random scale and quarter turn: grey picture and classes, uint8 (h, w) each.

    Classes are 0 outside, 1 room, 2 wall, 3 door, 4 window and 255 (ignore) for what is not known; outside the picture
    lies white paper, 0.

    Raises:
        IndexError: the collection is not there.
    """
    rng = np.random.default_rng([seed, 23])
    available = plans(part)
    if not available:
        raise IndexError(f"no labelled plans in {FOLDER / part}")
    loaded = None
    while loaded is None:
        loaded = _loaded(part, int(rng.integers(len(available))))
    image, classes, thick = loaded
    scale = float(np.exp(rng.uniform(np.log(3.5), np.log(14.0)))) / thick
    scale = max(scale, size_px * 0.5 / max(image.shape))
    size = (max(8, round(image.shape[1] * scale)), max(8, round(image.shape[0] * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    left, top = (int(rng.integers(min(0, s - size_px), max(0, s - size_px) + 1)) for s in size)
    matrix = np.array([[scale, 0, -left], [0, scale, -top]])
    small = cv2.resize(image, size, interpolation=way)
    picture = cv2.warpAffine(small, np.array([[1.0, 0, -left], [0, 1.0, -top]]), (size_px, size_px), borderValue=(255,))
    truth = cv2.warpAffine(classes, matrix, (size_px, size_px), flags=cv2.INTER_NEAREST, borderValue=(0,))
    turns, flip = int(rng.integers(4)), bool(rng.integers(2))
    out = [np.ascontiguousarray(np.rot90(m[:, ::-1] if flip else m, turns)) for m in (picture, truth)]
    worn = degrade.wear(np.asarray(out[0], np.uint8), rng, 0.6)
    return worn, np.asarray(out[1], np.uint8)
