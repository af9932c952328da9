"""Whole drawings with their true rooms, as files that nobody has seen: for calibration and for tests of the engine.

`python -m training.whole FOLDER --kind pdf --first 5000 --count 60` writes them as labelled plans, which
`location-detection evaluate FOLDER` reads.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal, get_args

import cv2
import numpy as np

from training import degrade
from training.draw_pdf import write_pdf
from training.draw_raster import Canvas
from training.layout import Rng
from training.marks import Drawing
from training.sample import Sheet, draw_sheet
from training.truth import page_rooms, page_truth, write_truth

Kind = Literal["png", "jpg", "pdf"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
_FIRST: Final = 40_000_000  # drawings that no crop for teaching is cut from
_PT_PER_M: Final = 28.35  # 1:100
_SIDES_PX: Final = (480.0, 1700.0)
_THINNEST_PX: Final = 1.5


def draw(seed: int, kind: Kind) -> tuple[bytes, dict[str, Any]]:
    """A drawing as the bytes of a file, and the truth of its one page as labelled plans have it."""
    rng = np.random.default_rng([seed, 53])
    sheet = draw_sheet(_FIRST + seed)
    x0, y0, x1, y1 = sheet.bounds
    margin = float(rng.uniform(0.5, 3.0)) + (2.5 if sheet.hand.dims else 0.0)
    bounds = (x0 - margin, y0 - margin, x1 + margin, y1 + margin)
    return _as_pdf(sheet, bounds, seed) if kind == "pdf" else _as_picture(sheet, bounds, rng, seed, kind)


def _as_pdf(sheet: Sheet, bounds: tuple[float, float, float, float], seed: int) -> tuple[bytes, dict[str, Any]]:
    drawing = Drawing(bounds, sheet.hand.paper, list(sheet.marks))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plan.pdf"
        (matrix,) = write_pdf(path, [drawing], _PT_PER_M, 0.35)
        data = path.read_bytes()
    width, height = ((bounds[k + 2] - bounds[k]) * _PT_PER_M for k in range(2))
    rooms = page_rooms(sheet.layouts, sheet.marks, matrix)
    return data, page_truth(f"{seed}.pdf", 1, round(width, 2), round(height, 2), "pt", rooms)


def _as_picture(
    sheet: Sheet, bounds: tuple[float, float, float, float], rng: Rng, seed: int, kind: Kind
) -> tuple[bytes, dict[str, Any]]:
    extent = max(bounds[2] - bounds[0], bounds[3] - bounds[1])
    edges = [e.thickness_m for layout, _ in sheet.layouts for e in layout.edges if e.kind != "rail"]
    thick, thin = max(edges, default=0.25), min(edges, default=0.1)
    px_per_m = float(np.exp(rng.uniform(*np.log(_SIDES_PX)))) / extent
    px_per_m = min(max(px_per_m, _THINNEST_PX / thin), 2600 / extent)
    width, height = (max(64, round((bounds[k + 2] - bounds[k]) * px_per_m)) for k in range(2))
    matrix = np.array([[px_per_m, 0, -bounds[0] * px_per_m], [0, px_per_m, -bounds[1] * px_per_m]])
    zoom = 2 if max(width, height) < 1300 else 1
    pen = float(np.clip(thick * px_per_m / 9, 0.7, 1.8) * rng.uniform(0.75, 1.35)) * zoom
    canvas = Canvas(width * zoom, height * zoom, matrix * zoom, sheet.hand.paper, pen, grey=True)
    canvas.draw(sheet.marks)
    image = np.asarray(cv2.resize(canvas.image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    if rng.random() < 0.8:
        image = degrade.wear(image, rng)
    options = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(60, 95))] if kind == "jpg" else []
    data = io.BytesIO(cv2.imencode(f".{kind}", image, options)[1].tobytes()).getvalue()
    rooms = page_rooms(sheet.layouts, sheet.marks, matrix)
    return data, page_truth(f"{seed}.{kind}", 1, float(width), float(height), "px", rooms)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write drawings and their truths as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kind", choices=KINDS, default="png")
    parser.add_argument("--first", type=int, default=5000, help="the first drawing's number")
    parser.add_argument("--count", type=int, default=60)
    given = parser.parse_args(arguments)
    given.folder.mkdir(parents=True, exist_ok=True)
    for seed in range(given.first, given.first + given.count):
        data, truth = draw(seed, given.kind)
        (given.folder / f"{seed}.{given.kind}").write_bytes(data)
        write_truth(given.folder / f"{seed}.rooms.json", truth)


if __name__ == "__main__":
    main()
