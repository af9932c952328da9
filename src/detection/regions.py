"""What the search for rooms hands to the assembly: a labelled image, and what is known of each label.

Both searches end here: `raster.find_regions` for pictures and scans, `vector.find_regions` for drawn PDF pages.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.floorplan import Flag

ByteImage = NDArray[np.uint8]
LabelImage = NDArray[np.int32]
FloatArray = NDArray[np.float64]

#: Takes an intermediate picture (a name such as `walls`, BGR or grey uint8) for `--debug`.
Debug = Callable[[str, ByteImage], None]


#: How a page was read: by the lines that it draws, or by its picture.
Kind = Literal["drawn", "seen"]


@dataclass(frozen=True, slots=True)
class Closure:
    """A segment that closes an opening, in working pixels."""

    kind: Literal["door", "window", "gap"]
    line_px: tuple[tuple[float, float], tuple[float, float]]
    confidence: float


@dataclass(frozen=True, slots=True)
class Region:
    """One room's label with the evidence-based confidence (0..1), the reasons against it, and what speaks for it.

    Attributes:
        evidence: named shares in 0..1, such as how much of the outline lies on walls, for the calibration.
    """

    label: int
    confidence: float
    flags: tuple[Flag, ...] = ()
    evidence: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Regions:
    """The rooms of one page at working scale.

    Attributes:
        labels: int32 (h, w); 0 is no room. Each label is one 4-connected area that ends at the inner wall faces.
        units_per_px: page units (px or pt) one working pixel is long; working pixel (x, y) has its top left corner at
            page position (x * units_per_px, y * units_per_px).
        regions: one entry a label in use.
        closures: the openings that were closed, kept ones only.
        wall_px: the typical wall's thickness in working pixels; 0 when unknown.
        faces: float64 (n, 4), wall faces x0, y0, x1, y1 in page units where the page knows them exactly, else (0, 4).
        message: why there are no regions, in a sentence; else None.
        kind: how the page was read.
    """

    labels: LabelImage
    units_per_px: float
    regions: list[Region]
    closures: list[Closure] = field(default_factory=list)
    wall_px: float = 0.0
    faces: FloatArray = field(default_factory=lambda: np.zeros((0, 4)))
    message: str | None = None
    kind: Kind = "seen"


@dataclass(frozen=True, slots=True)
class RasterFind:
    """What was found in a working picture, in its own pixels: labels as in `Regions`, closures, typical thickness."""

    labels: LabelImage
    regions: list[Region]
    closures: list[Closure]
    wall_px: float
