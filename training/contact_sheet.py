"""Sixty drawn plans on one picture, to look at: `python -m training.contact_sheet [FILE] [FIRST_SEED]`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from training import degrade, r2v
from training.draw_raster import render
from training.grammar import KINDS
from training.hand import draw_hand
from training.layout import Rng
from training.overlays import overlay
from training.plans import draw_plan, furnished, in_hand
from training.sheet import lay_out
from training.truth import page_rooms, page_truth

FILE = Path(__file__).parent.parent / "docs" / "images" / "contact-sheet.png"
_COLUMNS, _ROWS, _TILE_PX = 10, 6, 340


def draw_sheet(seed: int, long_side_px: int = 1100) -> tuple[Any, dict[str, Any]]:
    """A whole sheet in colour, uint8 (h, w, 3) BGR, worn as sheets are, and its truth."""
    rng = np.random.default_rng([seed, 3])
    kind = ("traced", *KINDS)[seed % (len(KINDS) + 1)]
    layouts = [_layout(kind, rng)]
    hand = draw_hand(rng, layouts[0].kind)
    if kind in ("house", "traced", "flat") and rng.random() < 0.4:
        layouts.append(_layout("upper" if kind == "house" else kind, rng))
    plans = [in_hand(layout, hand, rng) for layout in layouts]
    plans = [(named, [*marks, *overlay(named, hand, rng)]) for named, marks in plans]
    drawing, moves = lay_out(plans, hand, rng)
    x0, y0, x1, y1 = drawing.bounds
    px_per_m = long_side_px / max(x1 - x0, y1 - y0)
    image, matrix = render(drawing, px_per_m, max(0.8, px_per_m / 45))
    paper = 255
    if rng.random() < 0.35:
        image, turn = degrade.skew(image, rng, 2.5, paper, 0.02 if rng.random() < 0.3 else 0.0)
        matrix = turn @ np.vstack([matrix, [0, 0, 1]])
    image = degrade.wear(image, rng, 0.8)
    placed = [(plan[0], move) for plan, move in zip(plans, moves, strict=True)]
    rooms = page_rooms(placed, drawing.marks, matrix)
    return image, page_truth(f"{seed}.png", 1, float(image.shape[1]), float(image.shape[0]), "px", rooms)


def _layout(kind: str, rng: Rng) -> Any:
    if kind == "traced":
        files = r2v.traces()
        for _ in range(12 if files else 0):
            flat = r2v.load(files[int(rng.integers(len(files)))])
            if flat is not None:
                return furnished(r2v.flat_layout(flat, rng), rng, cupboards=True)
        kind = "flat"
    return draw_plan(kind, rng, cupboards=True)


def contact_sheet(first_seed: int) -> Any:
    """The sheet of sixty, uint8 (h, w, 3) RGB."""
    rows = []
    for row in range(_ROWS):
        tiles = []
        for column in range(_COLUMNS):
            image, _ = draw_sheet(first_seed + row * _COLUMNS + column)
            k = (_TILE_PX - 8) / max(image.shape[:2])
            small = cv2.resize(image, None, fx=k, fy=k, interpolation=cv2.INTER_AREA)
            tile = np.full((_TILE_PX, _TILE_PX, 3), 222, np.uint8)
            y, x = ((_TILE_PX - s) // 2 for s in small.shape[:2])
            tile[y : y + small.shape[0], x : x + small.shape[1]] = small
            tiles.append(tile)
        rows.append(np.hstack(tiles))
    return np.asarray(cv2.cvtColor(np.vstack(rows), cv2.COLOR_BGR2RGB), np.uint8)


def main() -> None:
    """Writes the sheet with sixty-four colours, which keeps it small."""
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    sheet = Image.fromarray(contact_sheet(int(sys.argv[2]) if len(sys.argv) > 2 else 100))
    sheet.quantize(64, dither=Image.Dither.NONE).save(file, optimize=True)
    print(f"{file}: {file.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()
