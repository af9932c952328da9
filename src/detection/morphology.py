"""Operations on masks (uint8 h x w, 0 or 1) and label images, typed: OpenCV's own signatures lose the types."""

from __future__ import annotations

from typing import TypeVar, cast

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.uint8]
Stats = NDArray[np.int32]  # per component: x, y, width, height, area
_Any = TypeVar("_Any", np.uint8, np.uint16, np.int32, np.float32)


def box(width_px: float, height_px: float) -> Mask:
    """A rectangular structuring element of at least one pixel a side."""
    return np.ones((max(1, int(height_px)), max(1, int(width_px))), np.uint8)


def dilated(image: NDArray[_Any], kernel: Mask) -> NDArray[_Any]:
    """The image with each pixel the maximum under the kernel."""
    return cast("NDArray[_Any]", cv2.dilate(image, kernel))


def eroded(image: NDArray[_Any], kernel: Mask) -> NDArray[_Any]:
    """The image with each pixel the minimum under the kernel; beyond its edge is 0."""
    return cast(
        "NDArray[_Any]",
        cv2.erode(image, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0),
    )


def opened(mask: Mask, kernel: Mask) -> Mask:
    """What of the mask the kernel fits into."""
    return cast(Mask, cv2.morphologyEx(mask, cv2.MORPH_OPEN, kernel))


def closed(mask: Mask, kernel: Mask) -> Mask:
    """The mask with the gaps filled that the kernel does not fit into."""
    return cast(Mask, cv2.morphologyEx(mask, cv2.MORPH_CLOSE, kernel))


def resized(image: NDArray[_Any], width_px: int, height_px: int, interpolation: int) -> NDArray[_Any]:
    """The image at another size."""
    return cast(
        "NDArray[_Any]",
        cv2.resize(image, (width_px, height_px), interpolation=interpolation),
    )


def components(mask: Mask, connectivity: int = 8) -> tuple[NDArray[np.int32], Stats]:
    """Labels (int32 h x w, 0 is the background) and one row of stats a label, the background's first."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=connectivity)
    return cast("NDArray[np.int32]", labels), cast(Stats, stats)


def distances(mask: Mask) -> NDArray[np.float32]:
    """float32 (h, w): how far each pixel of the mask is from the nearest pixel outside it."""
    return cast("NDArray[np.float32]", cv2.distanceTransform(mask, cv2.DIST_L2, 5))


def run_lengths(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """int32 (h, w): at each True pixel the length of the horizontal run of True through it, else 0."""
    height, width = mask.shape
    padded = np.zeros((height, width + 2), np.int8)
    padded[:, 1:-1] = mask
    flat = padded.ravel()
    step = np.diff(flat)
    lengths = np.flatnonzero(step == -1) - np.flatnonzero(step == 1)
    out = np.zeros(flat.size, np.int32)
    out[np.flatnonzero(flat)] = np.repeat(lengths, lengths)
    return out.reshape(height, width + 2)[:, 1:-1]
