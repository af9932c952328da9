"""The segmentation network: a small U-Net that tells outside, room, wall, door and window, and how deep inside a room."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

CLASSES: Final = ("outside", "room", "wall", "opening", "window")
DEPTH_PX: Final = 24.0  # the depth channel is 1 this far inside a room, in crop pixels
WIDTHS: Final = (24, 40, 64, 96, 128)
MULTIPLE: Final = 32  # width and height of what goes in are multiples of this


def _conv(inputs: int, outputs: int, size: int = 3, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, dilation * (size // 2), dilation, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class _Residual(nn.Module):
    """Two convolutions around a shortcut."""

    def __init__(self, width: int, dilation: int = 1) -> None:
        super().__init__()
        self.first = _conv(width, width, dilation=dilation)
        self.second = nn.Sequential(
            nn.Conv2d(width, width, 3, 1, dilation, dilation, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.second(self.first(x)))


class RoomNet(nn.Module):
    """Grey picture (n, 1, h, w) in 0..1, ink dark, to logits (n, 6, h, w): five classes, then depth inside a room.

    A stride-2 stem keeps the cost down; the deepest level lies at 1/32 and looks far by dilation, so that the middle
    of a large room is seen as a room.
    """

    def __init__(self, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.stem = nn.Sequential(_conv(1, widths[0], 5, 2), _conv(widths[0], widths[0]))
        self.downs = nn.ModuleList(
            nn.Sequential(_conv(a, b, 3, 2), _Residual(b)) for a, b in zip(widths, widths[1:], strict=False)
        )
        deep = widths[-1]
        self.deep = nn.Sequential(_Residual(deep, 2), _Residual(deep, 4), _Residual(deep, 1))
        # What comes up is narrowed before it is enlarged, and added: the finest level is where the time goes.
        self.narrow = nn.ModuleList(
            nn.Sequential(nn.Conv2d(b, a, 1, bias=False), nn.BatchNorm2d(a))
            for a, b in zip(reversed(widths[:-1]), reversed(widths[1:]), strict=True)
        )
        self.ups = nn.ModuleList(_conv(a, a) if a == widths[0] else _Residual(a) for a in reversed(widths[:-1]))
        self.head = nn.ConvTranspose2d(widths[0], len(CLASSES) + 1, 4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        kept = []
        for down in self.downs:
            kept.append(x)
            x = down(x)
        x = self.deep(x)
        for narrow, up in zip(self.narrow, self.ups, strict=True):
            x = nn.functional.interpolate(narrow(x), scale_factor=2.0, mode="bilinear", align_corners=False)
            x = up(torch.relu(x + kept.pop()))
        out: Tensor = self.head(x)
        return out


def save_bare(net: nn.Module, file: Path) -> None:
    """Write the weights alone, in half precision, for a later stage to start from."""
    values = {name: value.numpy() for name, value in net.state_dict().items()}
    np.savez(file, **{k: v.astype(np.float16) if v.dtype == np.float32 else v for k, v in values.items()})  # type: ignore[arg-type]


def load_bare(net: nn.Module, file: Path) -> None:
    """Read what `save_bare` wrote."""
    with np.load(file) as kept:
        values = {k: torch.from_numpy(kept[k]) for k in kept.files}
    net.load_state_dict({k: v.float() if v.dtype == torch.float16 else v for k, v in values.items()})
