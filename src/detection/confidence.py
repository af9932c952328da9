"""How likely a room is right: a logistic model of its evidence and its shape, fitted on drawn plans.

*Right* means an intersection over union of at least 0.7 with a true room. Rooms that a page draws and rooms that are
seen on its picture have a model each, for different things speak for them. The coefficients are in
`weights/confidence.json`, written by `python -m training.calibrate`; nothing but drawn plans taught them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from shapely.geometry import Polygon

from detection.regions import Kind, Region

COEFFICIENTS: Final = Path(__file__).parent / "weights" / "confidence.json"
_LEAST: Final = 0.02
_MOST: Final = 0.98

Features = dict[str, float]


def features_of(rooms: Sequence[tuple[Region, Polygon]], unlabelled: Sequence[bool]) -> list[Features]:
    """What is known of each room of a page, as numbers of about unit size.

    Args:
        rooms: regions with their polygons in page units.
        unlabelled: whether a room holds no text although others of the page do.
    """
    if not rooms:
        return []
    usual = float(np.median([shape.area for _, shape in rooms]))
    own = [
        _own(region, shape, usual) | {"unlabelled": float(bare)}
        for (region, shape), bare in zip(rooms, unlabelled, strict=True)
    ]
    # A page on which much is doubtful is one that was misread: its other rooms are doubtful, too.
    names = sorted({name for features in own for name in features if name.startswith("evidence ")})
    page = {f"page {n}": float(np.mean([f[n] for f in own if n in f])) for n in [*names, "prior", "leaky"]}
    page["page count"] = math.log(len(rooms)) / 3
    return [features | page for features in own]


def _own(region: Region, shape: Polygon, usual_area: float) -> Features:
    hull = shape.convex_hull.area
    relative = math.log(max(shape.area, 1e-9) / max(usual_area, 1e-9))
    prior = min(max(region.confidence, _LEAST), _MOST)
    return {
        "prior": math.log(prior / (1 - prior)) / 2,
        "leaky": float("leaky" in region.flags),
        "guessed": float("closed_by_guess" in region.flags),
        "solidity": Polygon(shape.exterior).area / hull if hull > 0 else 0.0,
        "compactness": 4 * math.pi * shape.area / max(shape.length, 1e-9) ** 2,
        "vertices": math.log(len(shape.exterior.coords)) / 3,
        "small": max(0.0, -relative) / 2,
        "large": max(0.0, relative) / 2,
    } | {f"evidence {name}": value for name, value in region.evidence}


def confidence_of(features: Mapping[str, float], region: Region, kind: Kind) -> float:
    """The chance that the room is right, in 0..1; the region's own confidence where nothing more is known of it."""
    model = _models().get(kind)
    if model is None or not region.evidence:
        return region.confidence
    score = model["bias"] + sum(model.get(name, 0.0) * value for name, value in sorted(features.items()))
    return min(max(1 / (1 + math.exp(-score)), _LEAST), _MOST)


@lru_cache(maxsize=1)
def _models() -> dict[str, dict[str, float]]:
    if not COEFFICIENTS.is_file():
        return {}
    kinds = json.loads(COEFFICIENTS.read_text())["kinds"]
    return {
        str(kind): {str(name): float(value) for name, value in found["coefficients"].items()}
        for kind, found in kinds.items()
    }
