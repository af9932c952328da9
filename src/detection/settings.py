"""What of the engine may be set, validated in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Settings:
    """The engine's settings; equal settings and equal input give equal output.

    Attributes:
        max_side_px: the longer side of the working image at most.
        picture_side_px: the longer side of a page's picture at most.
        threads: how many threads OpenCV may use.
        network: whether pictures are looked at by the network; without it, by their strokes alone.
        read_pictures: whether names are read on pages without a text layer, where the extra `names` is installed.
    """

    max_side_px: int = 2400
    picture_side_px: int = 2000
    threads: int = 2
    network: bool = True
    read_pictures: bool = True

    def __post_init__(self) -> None:
        if not 256 <= self.max_side_px <= 8000:
            raise ValueError(f"max_side_px must be in 256..8000, not {self.max_side_px}")
        if not 256 <= self.picture_side_px <= 8000:
            raise ValueError(f"picture_side_px must be in 256..8000, not {self.picture_side_px}")
        if not 1 <= self.threads <= 64:
            raise ValueError(f"threads must be in 1..64, not {self.threads}")


DEFAULTS: Final = Settings()
