"""Writes a checkpoint's running mean in half precision: as ONNX for OpenCV's dnn, or bare for a later stage to start from.

`python -m training.export [CHECKPOINT] [--bare] [--target FILE]`
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from training.network import RoomNet, save_bare

TARGET: Final = Path(__file__).parent.parent / "src" / "detection" / "weights" / "rooms.onnx"
BARE_TARGET: Final = Path(__file__).parent / "stages" / "first.npz"


class _Said(nn.Module):
    """The network with its answers as shares: five classes that sum to one, then the depth in 0..1."""

    def __init__(self, net: RoomNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.net(x)
        return torch.cat([torch.softmax(out[:, :-1], 1), torch.sigmoid(out[:, -1:])], 1)


def fused(module: nn.Module) -> nn.Module:
    """The module with every batch norm folded into the convolution before it."""
    for name, child in module.named_children():
        if isinstance(child, nn.Sequential):
            parts = list(child.children())
            for k in range(len(parts) - 1):
                if isinstance(parts[k], nn.Conv2d) and isinstance(parts[k + 1], nn.BatchNorm2d):
                    child[k] = fuse_conv_bn_eval(parts[k], parts[k + 1])
                    child[k + 1] = nn.Identity()
        fused(child)
        setattr(module, name, child)
    return module


def mean_of(checkpoint: Path) -> RoomNet:
    """The network with the running mean of the weights."""
    net = RoomNet()
    net.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True)["mean"])
    return net


def export(checkpoint: Path, target: Path) -> int:
    """Write the network; the file's size in bytes."""
    net = mean_of(checkpoint).eval()
    fused(net)
    buffer = io.BytesIO()
    torch.onnx.export(
        _Said(net).eval(),
        (torch.zeros(1, 1, 416, 416),),
        buffer,
        input_names=["picture"],
        output_names=["classes"],
        opset_version=13,
        dynamo=False,
    )
    model = onnx.load_from_string(buffer.getvalue())
    # Stored in half precision to halve the file; OpenCV widens the numbers when it reads them.
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.size > 64:
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), tensor.name))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(model.SerializeToString())
    return target.stat().st_size


def main() -> None:
    """Export as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path, nargs="?", default=Path("build/training/rooms.pt"))
    parser.add_argument("--target", type=Path)
    parser.add_argument("--bare", action="store_true", help="the weights alone, for `training.train --start`")
    given = parser.parse_args()
    if given.bare:
        save_bare(mean_of(given.checkpoint), given.target or BARE_TARGET)
        return
    target = given.target or TARGET
    print(f"{target}: {export(given.checkpoint, target)} bytes")


if __name__ == "__main__":
    main()
