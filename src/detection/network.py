"""What the segmentation network sees in a picture: shares of outside, room, wall, opening and window a pixel.

The weights (`weights/rooms.onnx`; docs/model-card.md says how they were made) are run by OpenCV's own dnn module.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from detection.morphology import resized
from detection.regions import ByteImage

WEIGHTS: Final = Path(__file__).parent / "weights" / "rooms.onnx"
_MULTIPLE: Final = 32  # the sides of what the network takes
_GLANCE: Final = 2 / 3

Shares = NDArray[np.float32]
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Evidence:
    """The network's view of a picture; each float32 (h, w) in 0..1, the first five sum to one.

    Attributes:
        depth: how far inside a room, 1 from 24 px of the network's picture on; 0 at what bounds the room.
    """

    outside: Shares
    room: Shares
    wall: Shares
    opening: Shares
    window: Shares
    depth: Shares


def available() -> bool:
    """Whether the weights are there."""
    return WEIGHTS.is_file()


def see(grey: ByteImage) -> Evidence:
    """The evidence in a grey picture (uint8 h x w, ink dark) in the picture's own pixels."""
    height, width = grey.shape
    down, right = -height % _MULTIPLE, -width % _MULTIPLE
    paper = int(np.percentile(grey, 90))
    padded = np.pad(grey, ((0, down), (0, right)), constant_values=paper)
    with _lock:  # the network keeps its buffers between calls
        network = _network()
        network.setInput(padded[None, None].astype(np.float32) / np.float32(255))
        said = network.forward()
    return Evidence(*(np.ascontiguousarray(channel[:height, :width]) for channel in said[0]))


def see_twice(grey: ByteImage) -> Evidence:
    """The mean of what the network sees in a grey picture and in a smaller mirrored copy, in the picture's pixels.

    The picture shows thin walls and cupboards; the copy shows more of the plan in one look, and furniture, notes and
    pipes in it are too fine to pass for walls. Mirrored, it errs elsewhere.
    """
    height, width = grey.shape
    small = resized(grey, max(8, round(width * _GLANCE)), max(8, round(height * _GLANCE)), cv2.INTER_AREA)
    near, far = see(grey), see(np.ascontiguousarray(small[:, ::-1]))
    shares = []
    for share in fields(Evidence):
        again = np.ascontiguousarray(getattr(far, share.name)[:, ::-1])
        shares.append((getattr(near, share.name) + resized(again, width, height, cv2.INTER_LINEAR)) / 2)
    return Evidence(*shares)


@lru_cache(maxsize=1)
def _network() -> cv2.dnn.Net:
    return cv2.dnn.readNetFromONNX(np.frombuffer(WEIGHTS.read_bytes(), np.uint8))
