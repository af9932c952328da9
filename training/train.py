"""Teaches the segmentation network, in steps that go on from a checkpoint: `python -m training.train --steps 8000`.

Four crops of five are drawn on the spot (`training.sample`), one comes from the labelled plans of `training.cis`. The
rate is constant after a warm-up; the last `--decay` steps bring it down to nothing, and the running mean of the weights
is what is kept. A stage starts from nothing, from a checkpoint with all its state (`--resume`), or from the bare weights
that an earlier stage left (`--start`).
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from training import cis
from training.network import CLASSES, DEPTH_PX, RoomNet, load_bare
from training.sample import IGNORE, OPENING, ROOM, sample

SIZE_PX: Final = 416
BATCH: Final = 6
RATE: Final = 2.5e-3
WARM_STEPS: Final = 150
DECAY_FLOOR: Final = 0.002
CIS_SHARE: Final = 0.22
# Openings are few and decide whether two rooms are one.
CLASS_WEIGHTS: Final = (1.0, 1.0, 2.0, 5.0, 3.0)
AGREE: Final = 8
MEAN_KEEPS: Final = 0.997
_WORKER_RUN: Final = 1_000_000
_HELD_OUT: Final = 900_000_000

Item = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]


def crop(seed: int) -> Item:
    """A crop, its classes and the depth inside rooms, -1 where that is not known."""
    rng = np.random.default_rng([seed, 31])
    if rng.random() < CIS_SHARE and cis.plans():
        image, classes = cis.sample(seed, SIZE_PX)
        return image, classes, depth_of((classes == ROOM).astype(np.int16), classes)
    image, classes, rooms = sample(seed, SIZE_PX)
    return image, classes, depth_of(rooms, classes)


def depth_of(rooms: np.ndarray[Any, Any], classes: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """How far inside its room a pixel lies, float32 (h, w), 1 from `DEPTH_PX` on, -1 where it is not known."""
    inside = (rooms > 0).astype(np.uint8)
    for way in ((0, 1), (1, 0)):  # rooms that touch without a wall between them
        other = np.roll(rooms, 1, axis=way.index(1))
        inside[(rooms != other) & (rooms > 0) & (other > 0)] = 0
    padded = cv2.copyMakeBorder(inside, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    depth = np.minimum(cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1] / DEPTH_PX, 1.0).astype(np.float32)
    depth[classes == IGNORE] = -1
    return depth


class Crops(IterableDataset[Item]):
    """Batches without end; each worker walks a run of seeds of its own."""

    def __init__(self, first: int, seed: int) -> None:
        self._first, self._seed = first, seed

    def __iter__(self) -> Iterator[Item]:
        info = torch.utils.data.get_worker_info()
        number, count = (info.id, info.num_workers) if info else (0, 1)
        cv2.setNumThreads(1)
        at = self._seed * 50_000_000 + number * _WORKER_RUN + self._first // count
        while True:
            yield crop(at)
            at += 1


def half_is_fast() -> bool:
    """Whether this processor multiplies bfloat16 itself; where it is emulated, a step takes three times as long."""
    can = torch.cpu.get_capabilities()
    return any(can.get(name) for name in ("amx_bf16", "avx512_bf16", "bf16"))


def stack(items: list[Item]) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures (n, 1, h, w) in 0..1, classes (n, h, w), depths (n, h, w)."""
    images, classes, depths = (np.stack(part) for part in zip(*items, strict=True))
    return (
        torch.from_numpy(images[:, None].astype(np.float32) / 255),
        torch.from_numpy(classes.astype(np.int64)),
        torch.from_numpy(depths),
    )


def loss_of(out: Tensor, classes: Tensor, depths: Tensor, weights: Tensor) -> Tensor:
    """Weighted cross-entropy, overlap of the openings, and the error of the depth."""
    logits = out[:, : len(CLASSES)].float()
    known = (classes != IGNORE).float()
    cross = nn.functional.cross_entropy(logits, classes, weights, ignore_index=IGNORE)
    opening = torch.softmax(logits, 1)[:, OPENING] * known
    truth = (classes == OPENING).float()
    overlap = 1 - (2 * (opening * truth).sum() + 50) / (opening.sum() + truth.sum() + 50)
    depth = torch.sigmoid(out[:, len(CLASSES)].float())
    deep = ((depth - depths).abs() * (depths >= 0)).sum() / (depths >= 0).sum().clamp(min=1)
    return cross + 0.5 * overlap + 1.5 * deep


@torch.no_grad()
def measure(net: nn.Module, count: int = 30) -> str:
    """Intersection over union of each class on drawings that were held out, and on held-out labelled plans."""
    net.eval()
    lines = []
    for name in ("drawn", "cis"):
        hits, either = np.zeros(len(CLASSES)), np.zeros(len(CLASSES))
        for k in range(count):
            if name == "drawn":
                image, classes, _ = sample(_HELD_OUT + k, SIZE_PX)
            elif cis.plans("valid"):
                image, classes = cis.sample(k, SIZE_PX, "valid")
            else:
                break
            out = net(torch.from_numpy(image[None, None].astype(np.float32) / 255))
            said = out[0, : len(CLASSES)].argmax(0).numpy()
            for c in range(len(CLASSES)):
                a, b = (said == c) & (classes != IGNORE), classes == c
                hits[c] += (a & b).sum()
                either[c] += (a | b).sum()
        lines.append(
            f"{name} " + " ".join(f"{n} {h / max(e, 1):.3f}" for n, h, e in zip(CLASSES, hits, either, strict=True))
        )
    net.train()
    return "; ".join(lines)


def rate_at(step: int, last: int, decay: int) -> float:
    """The learning rate of a step: up in `WARM_STEPS`, constant, down over the last `decay` steps."""
    up = min(1.0, (step + 1) / WARM_STEPS)
    left = last - step
    down = 1.0 if decay == 0 or left >= decay else max(left / decay, DECAY_FLOOR)
    return RATE * up * down


def agree(net: nn.Module, count: int) -> None:
    """Make the weights of all peers their mean."""
    with torch.no_grad():
        values = [v for v in net.state_dict().values() if v.dtype.is_floating_point]
        flat = torch.cat([v.reshape(-1) for v in values])
        dist.all_reduce(flat)
        flat /= count
        at = 0
        for value in values:
            value.copy_(flat[at : at + value.numel()].view_as(value))
            at += value.numel()


def train(
    out: Path,
    steps: int,
    decay: int,
    resume: Path | None,
    seed: int,
    workers: int,
    threads: int,
    peers: int = 1,
    start: Path | None = None,
    rank: int = 0,
) -> None:
    """Train up to step `steps` and leave the checkpoint at `out`, with a copy on the way every 100 steps.

    Several peers, a process each, see other drawings and take the mean of their weights every `AGREE` steps: on a busy
    machine that loses less than threads that wait for each other at every layer.
    """
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    net = RoomNet().to(memory_format=torch.channels_last)
    mean = RoomNet()
    rule = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=1e-2)
    first = 0
    if peers > 1:
        dist.init_process_group("gloo", init_method="tcp://127.0.0.1:29533", rank=rank, world_size=peers)
    if resume is not None:
        kept = torch.load(resume, map_location="cpu", weights_only=True)
        net.load_state_dict(kept["net"])
        mean.load_state_dict(kept["mean"])
        rule.load_state_dict(kept["rule"])
        first = int(kept["step"])
    else:
        if start is not None:
            load_bare(net, start)
        mean.load_state_dict(net.state_dict())
    weights = torch.tensor(CLASS_WEIGHTS)
    loader = DataLoader(
        Crops(first * BATCH, seed + rank),
        BATCH,
        collate_fn=stack,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
    )
    batches = iter(loader)
    half = half_is_fast()
    began, total = time.monotonic(), 0.0
    for step in range(first, steps):
        images, classes, depths = next(batches)
        for group in rule.param_groups:
            group["lr"] = rate_at(step, steps, decay)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
            said = net(images.contiguous(memory_format=torch.channels_last))
        loss = loss_of(said, classes, depths, weights)
        rule.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 3.0)
        rule.step()
        keeps = min(MEAN_KEEPS, (1 + step) / (10 + step))
        with torch.no_grad():
            for kept_value, value in zip(mean.state_dict().values(), net.state_dict().values(), strict=True):
                if kept_value.dtype.is_floating_point:
                    kept_value.lerp_(value, 1 - keeps)
                else:
                    kept_value.copy_(value)
        total += loss.item()
        if peers > 1 and (step + 1) % AGREE == 0:
            agree(net, peers)
        if rank > 0:
            continue
        if (step + 1) % 50 == 0:
            print(
                f"{step + 1} loss {total / 50:.4f} {(time.monotonic() - began) / (step + 1 - first):.2f} s/step",
                flush=True,
            )
            total = 0.0
        if (step + 1) % 100 == 0 or step + 1 == steps:
            torch.save(
                {"net": net.state_dict(), "mean": mean.state_dict(), "rule": rule.state_dict(), "step": step + 1}, out
            )
        if (step + 1) % 1000 == 0 or step + 1 == steps:
            print(f"{step + 1} {measure(mean)}", flush=True)


def main() -> None:
    """Train as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/training/rooms.pt"))
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--decay", type=int, default=0)
    parser.add_argument("--resume", type=Path, help="a checkpoint to go on from")
    parser.add_argument("--start", type=Path, help="bare weights to start from at step 0")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peers", type=int, default=1, help="how many processes see other drawings and share weights")
    given = parser.parse_args()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    if given.peers == 1:
        _peer(0, given)
    else:
        _together(given)


def _together(given: argparse.Namespace) -> None:
    """Run the peers until the last is done; none outlives this process."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    peers = torch.multiprocessing.spawn(_peer, (given,), given.peers, join=False)  # type: ignore[no-untyped-call]
    try:
        while not peers.join():
            pass
    finally:
        for process in peers.processes:
            process.terminate()


def _peer(rank: int, given: argparse.Namespace) -> None:
    train(**vars(given), rank=rank)


if __name__ == "__main__":
    main()
