"""Draws the plans in examples/ with their true rooms, the same every time.

    python -m training.make_examples [FOLDER]
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
from reportlab.pdfgen.canvas import Canvas

from training.degrade import scan
from training.draw import Manner, PdfPen, RasterPen, sketch, truth, write_picture
from training.layout import Plan, dwelling, office

ENGLISH = {"hall": "Hall", "living": "Living Room", "kitchen": "Kitchen", "bedroom": "Bedroom", "bath": "Bath", "store": "Store"}
GERMAN = {"hall": "Flur", "living": "Wohnen", "kitchen": "Kueche", "bedroom": "Zimmer", "bath": "Bad", "store": "Abstell"}
OFFICE = {"hall": "Corridor", "office": "Office", "meeting": "Meeting Room", "store": "Store"}
TINTS = {"living": (250, 236, 208), "kitchen": (224, 236, 222), "bedroom": (246, 228, 214), "bath": (214, 232, 242), "hall": (240, 240, 234)}


def main() -> None:
    """Write every example and its truth."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "examples"
    folder.mkdir(parents=True, exist_ok=True)
    for name, rooms in make(folder).items():
        (folder / name).write_text(json.dumps(rooms) + "\n")


def make(folder: Path) -> dict[str, dict[str, Any]]:
    """Draw the four examples; the truth of each page under the name of its file."""
    truths: dict[str, dict[str, Any]] = {}
    flat = dwelling(5, 10.4, 8.2, ENGLISH)
    picture, rooms = _raster(flat, Manner(thin=0.022), 78.0, "GROUND FLOOR FLAT", 5)
    write_picture(folder / "flat.png", picture)
    truths["flat.rooms.json"] = _entry("flat.png", picture, rooms)

    house = dwelling(12, 13.6, 10.4, ENGLISH, smallest_m2=9.0)
    manner = Manner(walls="filled", wall_colour=(84, 70, 62), floors=TINTS, dimensions=False, text_m=0.36)
    picture, rooms = _raster(house, manner, 74.0, "Ground floor", 12)
    write_picture(folder / "house.jpg", picture)
    truths["house.rooms.json"] = _entry("house.jpg", picture, rooms)

    old = dwelling(23, 11.8, 9.0, GERMAN)
    picture, rooms = _raster(old, Manner(walls="hollow", thin=0.03), 86.0, "ERDGESCHOSS  M 1:100", 23)
    grey, matrix = scan(picture, 23)
    for room in rooms:
        turned = np.array([[*point, 1.0] for point in room["polygon"]]) @ matrix.T
        room["polygon"] = [[round(float(x), 2), round(float(y), 2)] for x, y in turned]
    write_picture(folder / "scan.png", grey)
    truths["scan.rooms.json"] = _entry("scan.png", grey, rooms)

    for page, rooms in enumerate(_pdf(folder / "office.pdf"), 1):
        entry = {"source": "office.pdf", "kind": "polygon", "page": page, "width": 1191.0, "height": 842.0, "unit": "pt"}
        truths[f"office.p{page}.rooms.json"] = entry | {"rooms": rooms}
    return truths


def _raster(plan: Plan, manner: Manner, scale: float, title: str, seed: int) -> tuple[Any, list[dict[str, Any]]]:
    _, _, width, height = plan.footprint.bounds
    pen = RasterPen(width, height, scale, 1.7)
    sketch(plan, pen, manner, random.Random(seed))
    pen.text(width / 2, -1.1, title, 0.4)
    return pen.picture(), truth(plan, pen)


def _entry(source: str, picture: Any, rooms: list[dict[str, Any]]) -> dict[str, Any]:
    height, width = picture.shape[:2]
    return {"source": source, "kind": "polygon", "page": 1, "width": width, "height": height, "unit": "px", "rooms": rooms}


def _pdf(path: Path) -> list[list[dict[str, Any]]]:
    width, height = 1191.0, 842.0
    canvas = Canvas(str(path), pagesize=(width, height), invariant=1, pageCompression=1)
    canvas.setTitle("Office building")
    pages = []
    for floor, seed in ((1, 31), (2, 34)):
        plan = office(seed, 8, OFFICE, floor)
        _, _, right, bottom = plan.footprint.bounds
        scale = min((width - 150) / right, (height - 330) / bottom)
        pen = PdfPen(canvas, height, scale, 90, 130)
        manner = Manner(walls="filled" if floor == 1 else "hatched", thin=0.03, grid=True, text_m=0.38)
        sketch(plan, pen, manner, random.Random(seed))
        _title_block(canvas, width, floor, scale)
        canvas.showPage()
        pages.append(truth(plan, pen))
    canvas.save()
    return pages


def _title_block(canvas: Canvas, width: float, floor: int, scale: float) -> None:
    canvas.setStrokeColorRGB(0, 0, 0)
    canvas.setLineWidth(1.2)
    canvas.rect(18, 18, width - 36, 806)
    canvas.setLineWidth(0.6)
    canvas.rect(width - 338, 18, 320, 96)
    for y in (50, 82):
        canvas.line(width - 338, y, width - 18, y)
    canvas.line(width - 178, 18, width - 178, 50)
    canvas.setFillColorRGB(0, 0, 0)
    canvas.setFont("Helvetica-Bold", 13)
    canvas.drawString(width - 328, 92, "OFFICE BUILDING")
    canvas.setFont("Helvetica", 9)
    canvas.drawString(width - 328, 62, f"Floor plan, level {floor}")
    canvas.drawString(width - 328, 30, f"Scale 1:{72 / 0.0254 / scale:.0f}")
    canvas.drawString(width - 168, 30, f"A-{100 + floor}")


if __name__ == "__main__":
    main()
