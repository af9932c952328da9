"""The search for rooms on pictures and scans: by what the network sees, or by the strokes alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, cast

import cv2
import numpy as np

from detection import network, raster_ink, raster_seen
from detection.morphology import resized
from detection.regions import ByteImage, Closure, Debug, Regions
from detection.settings import Settings

_INK_SIDE_PX: Final = 1400  # walls of a dwelling are 6 to 20 px thick at this size
_SEEN_SIDE_PX: Final = 864  # and 4 to 13 px at this one, as the network was taught
_LEAST_WALL_PX: Final = 1.5  # that is seen there
_MAX_ENLARGEMENT: Final = 3.0
_INK_MARGIN: Final = 0.07
_SEEN_MARGIN_PX: Final = 16  # with it a side is a multiple of what the network takes
NO_CLOSED_ROOM: Final = "Walls were found, but no closed room among them."


def sees(settings: Settings) -> bool:
    """Whether the network looks at pictures; otherwise their strokes have to do."""
    return settings.network and network.available()


def are_seen(wall: float, side: float) -> bool:
    """Whether walls so thick are seen by the network on a page whose longer side is so long."""
    return wall * _SEEN_SIDE_PX >= _LEAST_WALL_PX * side


def find_regions(image: ByteImage, settings: Settings, debug: Debug | None = None) -> Regions:
    """The rooms of a picture (uint8 h x w x 3 BGR, or h x w grey), in its own pixels as page units."""
    by_network = sees(settings)
    side_px = min(_SEEN_SIDE_PX if by_network else _INK_SIDE_PX, settings.max_side_px)
    margin_px = _SEEN_MARGIN_PX if by_network else round(_INK_MARGIN * side_px)
    grey, scale, margin = _working_image(image, side_px, margin_px)
    find = (raster_seen if by_network else raster_ink).search(grey, debug)
    if isinstance(find, str):
        return Regions(np.zeros(image.shape[:2], np.int32), 1.0, [], message=find)
    return Regions(
        labels=np.ascontiguousarray(find.labels[margin:-margin, margin:-margin]),
        units_per_px=1 / scale,
        regions=find.regions,
        closures=[_without_margin(closure, margin) for closure in find.closures],
        wall_px=find.wall_px,
        message=None if find.regions else NO_CLOSED_ROOM,
    )


def _working_image(image: ByteImage, side_px: int, margin: int) -> tuple[ByteImage, float, int]:
    """The grey working image with a blank margin, its scale to the picture, and the margin in pixels."""
    grey = cast(ByteImage, cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)) if image.ndim == 3 else image
    scale = min(side_px / max(grey.shape), _MAX_ENLARGEMENT)
    width, height = (max(8, round(side * scale)) for side in (grey.shape[1], grey.shape[0]))
    grey = resized(grey, width, height, cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA)
    paper = int(np.percentile(grey, 90))
    margin = max(8, margin)
    return np.pad(grey, margin, constant_values=paper), scale, margin


def _without_margin(closure: Closure, margin: int) -> Closure:
    (x0, y0), (x1, y1) = closure.line_px
    return replace(closure, line_px=((x0 - margin, y0 - margin), (x1 - margin, y1 - margin)))
