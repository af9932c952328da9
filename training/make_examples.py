"""Draws the plans of `examples/` with their true rooms; run it again and the same files come out.

python -m training.make_examples [FOLDER]
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from training import degrade
from training.draw_pdf import write_pdf
from training.draw_raster import render
from training.hand import Hand
from training.layout import Layout, WallSizes
from training.marks import Drawing, Text
from training.plans import draw_plan, in_hand
from training.sheet import (
    dimension_chains,
    heading,
    lay_out,
    legend,
    north_arrow,
    rectangle,
    scale_bar,
    shifted,
    title_block,
)
from training.truth import page_rooms, page_truth, write_truth

FOLDER = Path(__file__).parent.parent / "examples"
Truths = dict[str, dict[str, Any]]


def make_flat(folder: Path | None) -> Truths:
    """An estate agent's flat: black walls, sizes in metres and feet."""
    rng = np.random.default_rng(41)
    hand = Hand(
        wall="filled",
        window="2",
        door="arc",
        threshold="",
        floors="tiles",
        language="en",
        font="sans",
        text_m=0.24,
        sizes=1,
        furniture=0.85,
        furniture_ink=(70, 70, 70),
        furniture_fill=(255, 255, 255),
        header=True,
        wall_pen=1.0,
    )
    layout, marks = in_hand(draw_plan("flat", rng, sizes=WallSizes(0.3, 0.11, 0.08)), replace(hand, names=1.0), rng)
    drawing, moves = lay_out([(layout, marks)], hand, rng, frame=False, titles=["SECOND FLOOR"])
    image, matrix = render(drawing, 62, 1.0)
    return _raster("flat.png", image, page_rooms([(layout, moves[0])], drawing.marks, matrix), folder)


def make_house(folder: Path | None) -> Truths:
    """A brochure's house on two floors, in colour, as JPEG."""
    rng = np.random.default_rng(7)
    hand = Hand(
        wall="tone",
        tone=(74, 70, 68),
        ink=(74, 70, 68),
        wall_pen=1.0,
        window="3",
        door="sector",
        door_ink=(110, 105, 100),
        floors="colour",
        language="en",
        font="sans",
        text_m=0.26,
        text_ink=(60, 55, 50),
        furniture=1.0,
        furniture_ink=(125, 110, 95),
        furniture_fill=(250, 247, 240),
        areas=0,
        names=1.0,
        paper=(252, 250, 245),
    )
    plans = []
    for kind in ("house", "upper"):
        layout = draw_plan(kind, np.random.default_rng(3), plain=True, turn=False, sizes=WallSizes(0.32, 0.12, 0.08))
        plans.append(in_hand(layout, hand, rng))
    drawing, moves = lay_out(plans, hand, np.random.default_rng(12), frame=False)
    x1, y1 = drawing.bounds[2:]
    drawing.bounds = (0, -2.2, x1, y1 + 1.0)
    drawing.marks.append(Text((x1 / 2, -1.2), "HARBOUR & LANE  |  The Orchards, Plot 14", 0.55, "bold", (130, 60, 45)))
    for (layout, _), (dx, dy), title in zip(plans, moves, ("Ground Floor", "First Floor"), strict=True):
        bounds = layout.bounds
        drawing.marks += heading(
            (bounds[0] + bounds[2]) / 2 + dx,
            y1 + 0.1,
            hand,
            np.random.default_rng(1),
            sum(r.polygon.area for r in layout.rooms),
            title,
        )
        del dy
    image, matrix = render(drawing, 52, 1.0)
    image = degrade.jpeg(image, 88)
    return _raster(
        "house.jpg",
        image,
        page_rooms([(p[0], m) for p, m in zip(plans, moves, strict=True)], drawing.marks, matrix),
        folder,
    )


def make_office(folder: Path | None) -> Truths:
    """An architect's office building, two floors on two pages of a vector PDF."""
    hand = Hand(
        wall="tone",
        tone=(175, 175, 175),
        window="4",
        door="arc",
        language="en",
        font="sans",
        text_m=0.42,
        names=1.0,
        areas=0,
        numbers="boxed",
        furniture=1.0,
        furniture_ink=(110, 110, 110),
        furniture_pen=0.7,
        furniture_fill=(255, 255, 255),
        dims="ticks",
        columns=True,
        wall_pen=1.4,
        sizes=-1,
    )
    pages, truths = [], []
    for page, (seed, floor) in enumerate(((5, "GROUND FLOOR"), (8, "FIRST FLOOR")), start=1):
        rng = np.random.default_rng(seed)
        layout, marks = in_hand(
            draw_plan("office", rng, plain=True, turn=False, sizes=WallSizes(0.36, 0.14, 0.1), floor=page), hand, rng
        )
        drawing, move = _drawing_office_sheet(layout, marks, hand, rng, floor)
        pages.append(drawing)
        truths.append((layout, move))
    target = (folder / "office.pdf") if folder else Path("/dev/null")
    matrices = write_pdf(target, pages, 28.35, 0.35, "Office building, floor plans")
    out: Truths = {}
    for page, (drawing, (layout, move), matrix) in enumerate(zip(pages, truths, matrices, strict=True), start=1):
        x0, y0, x1, y1 = drawing.bounds
        size = round((x1 - x0) * 28.35, 2), round((y1 - y0) * 28.35, 2)
        name = f"office.p{page}.rooms.json"
        out[name] = page_truth("office.pdf", page, *size, "pt", page_rooms([(layout, move)], drawing.marks, matrix))
    return _written(out, folder)


def _drawing_office_sheet(
    layout: Layout, marks: Sequence[Any], hand: Hand, rng: np.random.Generator, title: str
) -> tuple[Drawing, tuple[float, float]]:
    x0, y0, x1, y1 = layout.bounds
    left, top, strip = 4.0, 4.5, 9.5
    width, height = left + (x1 - x0) + 4.0 + strip, top + (y1 - y0) + 5.0
    dx, dy = left - x0, top - y0
    drawing = Drawing((0, 0, width, height), hand.paper)
    drawing.marks += shifted([*marks, *dimension_chains(layout, hand, rng)], dx, dy)
    drawing.marks.append(rectangle(0.6, 0.6, width - 0.6, height - 0.6, None, hand.ink, 2.5))
    edge = width - strip
    drawing.marks += title_block(edge, height - 8.6, width - 0.6, height - 0.6, hand, np.random.default_rng(2), title)
    drawing.marks += legend(edge + 0.8, 2.2, hand, rng)
    drawing.marks += north_arrow(edge + 4.2, height - 12, 1.1, hand, rng)
    drawing.marks += scale_bar(left, height - 1.6, hand)
    drawing.marks.append(Text((left + (x1 - x0) / 2, height - 1.5), f"{title}   1:100", 0.6, "bold", hand.ink))
    return drawing, (dx, dy)


def make_scan(folder: Path | None) -> Truths:
    """An old architect's sheet, copied, folded, stamped and scanned askew."""
    rng = np.random.default_rng(19)
    hand = Hand(
        wall="hatched",
        inner_wall="filled",
        hatch_m=0.09,
        window="3",
        door="slab",
        threshold="lines",
        language="de",
        font="hershey",
        text_m=0.26,
        areas=0,
        names=1.0,
        furniture=0.9,
        furniture_ink=(20, 20, 20),
        furniture_pen=0.8,
        dims="ticks",
        header=True,
        wall_pen=1.6,
    )
    layout = draw_plan("house", np.random.default_rng(23), plain=True, sizes=WallSizes(0.38, 0.12, 0.1))
    layout, marks = in_hand(layout, hand, rng)
    drawing, moves = lay_out([(layout, marks)], hand, rng, frame=True, titles=["Erdgeschoss"])
    image, matrix = render(drawing, 66, 1.3)
    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
    grey, turn = degrade.skew(grey, rng, 1.6)
    grey = degrade.blur(grey, 0.7)
    grey = degrade.fade(grey, rng, 0.22)
    grey = degrade.stamp(
        degrade.folds(grey, rng), np.random.default_rng(4), (grey.shape[1] // 2, grey.shape[0] * 9 // 10)
    )
    grey = degrade.specks(grey, rng, 260)
    grey = np.asarray((degrade.noise(grey, rng, 2.0) >> 4) * 17, np.uint8)  # sixteen greys, as office scanners keep
    whole = (turn @ np.vstack([matrix, [0, 0, 1]]))[:2]
    return _raster("scan.png", grey, page_rooms([(layout, moves[0])], drawing.marks, whole), folder)


def _raster(name: str, image: Any, rooms: list[dict[str, Any]], folder: Path | None) -> Truths:
    height, width = image.shape[:2]
    if folder:
        options = [cv2.IMWRITE_JPEG_QUALITY, 88] if name.endswith("jpg") else [cv2.IMWRITE_PNG_COMPRESSION, 9]
        cv2.imwrite(str(folder / name), image, options)
    truth = page_truth(name, 1, float(width), float(height), "px", rooms)
    return _written({f"{name.split('.')[0]}.rooms.json": truth}, folder)


def _written(truths: Truths, folder: Path | None) -> Truths:
    for name, truth in truths.items():
        if folder:
            write_truth(folder / name, truth)
    return truths


MAKERS = (make_flat, make_house, make_office, make_scan)


def main() -> None:
    """Writes all examples."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for maker in MAKERS:
        for name, truth in maker(folder).items():
            print(f"{name}: {len(truth['rooms'])} rooms")


if __name__ == "__main__":
    main()
