"""The search for rooms on drawn pages, on PDFs that the tests draw themselves."""

from __future__ import annotations

import io
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pypdfium2
import pytest
from reportlab.pdfgen.canvas import Canvas as Pdf
from shapely import affinity
from shapely.geometry import Polygon, box

from detection.document import open_document
from detection.polygons import find_outlines
from detection.regions import Regions
from detection.settings import DEFAULTS
from detection.vector import find_regions
from models.blueprint import Blueprint

SIZE = (600.0, 400.0)
WALL = 8.0
DOOR = 36.0
# Three rooms: two above each other on the left, one on the right; interior faces, y up as PDF counts.
LEFT_TOP, LEFT_BOTTOM, RIGHT = box(108, 204, 300, 292), box(108, 108, 300, 196), box(308, 108, 492, 292)
ROOMS = (LEFT_TOP, LEFT_BOTTOM, RIGHT)
NAMES = ("Bedroom", "Kitchen", "Living")

Draw = Callable[[Pdf], None]
# Walls as x0, y0, x1, y1, cut by the door of each left room (x 300..308) and the window of the right one (y 292..300).
DOOR_TOP, DOOR_BOTTOM, WINDOW = (230.0, 266.0), (130.0, 166.0), (360.0, 440.0)
WALLS = (
    (100, 100, 500, 108),
    (100, 100, 108, 300),
    (492, 100, 500, 300),
    (100, 292, WINDOW[0], 300),
    (WINDOW[1], 292, 500, 300),
    (108, 196, 300, 204),
    (300, 108, 308, DOOR_BOTTOM[0]),
    (300, DOOR_BOTTOM[1], 308, DOOR_TOP[0]),
    (300, DOOR_TOP[1], 308, 292),
)


def _page(draw: Draw, rotate: int = 0, size: tuple[float, float] = SIZE) -> bytes:
    out = io.BytesIO()
    pdf = Pdf(out, pagesize=size)
    draw(pdf)
    pdf.showPage()
    pdf.save()
    if not rotate:
        return out.getvalue()
    with pypdfium2.PdfDocument(out.getvalue()) as document:
        document[0].set_rotation(rotate)
        turned = io.BytesIO()
        document.save(turned)
    return turned.getvalue()


def _search(data: bytes) -> tuple[Regions | None, list[Polygon]]:
    with open_document(Blueprint.parse(data)) as document:
        page = next(iter(document.pages()))
        regions = find_regions(page, DEFAULTS)
        if regions is None:
            return None, []
        return regions, [o.polygon for o in find_outlines(regions, page.width, page.height)]


def _on_page(room: Polygon) -> Polygon:
    """A room in PDF user space as it lies on the page, origin top left."""
    return affinity.affine_transform(room, [1, 0, 0, -1, 0, SIZE[1]])


def _assert_rooms(found: list[Polygon], true: list[Polygon], iou: float) -> None:
    assert len(found) == len(true)
    for room in true:
        best = max(room.intersection(p).area / room.union(p).area for p in found)
        assert best >= iou, f"room at {room.centroid} is found with {best:.2f} only"


def _outline() -> Polygon:
    walls = box(0, 0, 0, 0)
    for wall in WALLS:
        walls = walls.union(box(*wall))
    return walls


def _stroke_hollow(pdf: Pdf, pen: float = 0.6) -> None:
    pdf.setLineWidth(pen)
    shape = _outline()
    parts = list(shape.geoms) if hasattr(shape, "geoms") else [shape]
    for part in parts:
        if part.area == 0:
            continue
        for ring in (part.exterior, *part.interiors):
            for (x0, y0), (x1, y1) in pairwise(ring.coords):
                pdf.line(x0, y0, x1, y1)


def _fill_walls(pdf: Pdf, grey: float) -> None:
    pdf.setFillGray(grey)
    for x0, y0, x1, y1 in WALLS:
        pdf.rect(x0, y0, x1 - x0, y1 - y0, stroke=0, fill=1)
    pdf.setFillGray(0)


def _doors(pdf: Pdf) -> None:
    pdf.setLineWidth(0.3)
    for low, high in (DOOR_TOP, DOOR_BOTTOM):
        width = high - low
        pdf.line(300, low, 300 - width, low)
        pdf.arc(300 - width, low - width, 300 + width, low + width, startAng=90, extent=90)


def _window(pdf: Pdf) -> None:
    pdf.setLineWidth(0.3)
    for y in (292, 295, 297, 300):
        pdf.line(WINDOW[0], y, WINDOW[1], y)


def _names(pdf: Pdf) -> None:
    pdf.setFont("Helvetica", 9)
    for room, name in zip(ROOMS, NAMES, strict=True):
        pdf.drawCentredString(room.centroid.x, room.centroid.y, name)


def _furniture(pdf: Pdf) -> None:
    pdf.setLineWidth(0.2)
    pdf.setStrokeGray(0.5)
    pdf.rect(400, 180, 60, 30)
    pdf.rect(405, 185, 50, 20)
    pdf.circle(350, 150, 12)
    pdf.rect(112, 112, 30, 24)
    pdf.setStrokeGray(0)


def _hollow(pdf: Pdf) -> None:
    _stroke_hollow(pdf)
    _doors(pdf)
    _window(pdf)
    _names(pdf)
    _furniture(pdf)


def _filled(grey: float) -> Draw:
    def draw(pdf: Pdf) -> None:
        _fill_walls(pdf, grey)
        _doors(pdf)
        _window(pdf)
        _names(pdf)
        _furniture(pdf)

    return draw


@pytest.mark.parametrize(
    "draw", [_hollow, _filled(0.0), _filled(0.75)], ids=["double lines", "black walls", "grey walls"]
)
def test_rooms_end_at_the_inner_faces_and_at_shut_doors(draw: Draw) -> None:
    regions, found = _search(_page(draw))

    assert regions is not None
    _assert_rooms(found, [_on_page(r) for r in ROOMS], 0.95)
    assert {c.kind for c in regions.closures} >= {"door", "window"}
    assert regions.wall_px * regions.units_per_px == pytest.approx(WALL, rel=0.15)


def test_faces_are_the_drawing_s_own_lines() -> None:
    regions, _ = _search(_page(_hollow))

    assert regions is not None
    vertical = regions.faces[np.abs(regions.faces[:, 0] - regions.faces[:, 2]) < 1e-6]
    assert np.abs(vertical[:, 0] - 308).min() < 0.01
    assert np.abs(vertical[:, 0] - 492).min() < 0.01


def test_thick_pens_draw_walls() -> None:
    def draw(pdf: Pdf) -> None:
        pdf.setLineWidth(WALL)
        for x0, y0, x1, y1 in WALLS:
            if x1 - x0 > y1 - y0:
                pdf.line(x0, (y0 + y1) / 2, x1, (y0 + y1) / 2)
            else:
                pdf.line((x0 + x1) / 2, y0, (x0 + x1) / 2, y1)
        _doors(pdf)
        _window(pdf)
        _names(pdf)

    _, found = _search(_page(draw))

    _assert_rooms(found, [_on_page(r) for r in ROOMS], 0.9)


@pytest.mark.parametrize("angle", [90, 180, 270])
def test_a_turned_page_has_the_same_rooms_as_displayed(angle: int) -> None:
    _, found = _search(_page(_hollow, rotate=angle))

    width, height = SIZE
    turn = {90: [0, -1, 1, 0, height, 0], 180: [-1, 0, 0, -1, width, height], 270: [0, 1, -1, 0, 0, width]}[angle]
    true = [affinity.affine_transform(_on_page(r), turn) for r in ROOMS]
    _assert_rooms(found, true, 0.95)


def test_a_plan_at_an_angle_is_read_like_an_upright_one() -> None:
    def draw(pdf: Pdf) -> None:
        pdf.translate(120, -60)
        pdf.rotate(17)
        _hollow(pdf)

    _, found = _search(_page(draw, size=(700, 600)))

    assert len(found) == len(ROOMS)
    assert sorted(p.area for p in found) == pytest.approx(sorted(r.area for r in ROOMS), rel=0.05)


def test_walls_cut_into_crumbs_are_walls_still() -> None:
    """Drawings come with every line cut into short pieces on a coarse grid, arcs too."""

    def draw(pdf: Pdf) -> None:
        pdf.setLineWidth(0.6)
        for part in getattr(_outline(), "geoms", [_outline()]):
            for ring in (part.exterior, *part.interiors):
                for start, end in pairwise(ring.coords):
                    steps = max(2, int(np.hypot(end[0] - start[0], end[1] - start[1]) / 1.5))
                    points = np.round(np.linspace(start, end, steps + 1) / 0.06) * 0.06
                    for (x0, y0), (x1, y1) in pairwise(points.tolist()):
                        pdf.line(x0, y0, x1, y1)
        for low, high in (DOOR_TOP, DOOR_BOTTOM):
            width = high - low
            pdf.line(300, low, 300 - width, low)
            angles = np.linspace(np.pi / 2, np.pi, 90)
            arc = np.column_stack([300 + width * np.cos(angles), low + width * np.sin(angles)])
            arc = np.round(arc / 0.06) * 0.06
            for (x0, y0), (x1, y1) in pairwise(arc.tolist()):
                pdf.line(x0, y0, x1, y1)
        _window(pdf)
        _names(pdf)

    data = _page(draw)
    regions, found = _search(data)

    assert regions is not None
    _assert_rooms(found, [_on_page(r) for r in ROOMS], 0.95)
    assert [c.kind for c in regions.closures].count("door") >= 2


def test_lines_written_as_separate_dashes_are_lines() -> None:
    """Some exporters write a line as thousands of short strokes that do not quite meet; doors' arcs too."""

    def dashes(pdf: Pdf, points: np.ndarray) -> None:
        for a, b in pairwise(points):
            count = max(1, int(np.hypot(*(b - a)) / 2.4))
            for k in range(count):
                first, last = a + (b - a) * k / count, a + (b - a) * (k + 0.85) / count
                pdf.line(*np.round(first, 2).tolist(), *np.round(last, 2).tolist())

    def draw(pdf: Pdf) -> None:
        pdf.setLineWidth(0.6)
        for part in getattr(_outline(), "geoms", [_outline()]):
            for ring in (part.exterior, *part.interiors):
                dashes(pdf, np.array(ring.coords))
        pdf.setLineWidth(0.3)
        for low, high in (DOOR_TOP, DOOR_BOTTOM):
            width = high - low
            dashes(pdf, np.array([[300, low], [300 - width, low]]))
            angles = np.linspace(np.pi / 2, np.pi, 24)
            dashes(pdf, np.column_stack([300 + width * np.cos(angles), low + width * np.sin(angles)]))
        _window(pdf)
        _names(pdf)

    regions, found = _search(_page(draw))

    assert regions is not None
    _assert_rooms(found, [_on_page(r) for r in ROOMS], 0.95)
    assert [c.kind for c in regions.closures].count("door") >= 2


def _title_block(pdf: Pdf, x: float, y: float) -> None:
    pdf.setLineWidth(1.2)
    for k in range(4):
        pdf.rect(x, y + 18 * k, 150, 18)
        pdf.drawString(x + 8, y + 6 + 18 * k, f"Drawn by office {k}")


def test_frames_title_blocks_and_coloured_paper_are_no_rooms() -> None:
    def draw(pdf: Pdf) -> None:
        pdf.setFillColorRGB(0.97, 0.96, 0.9)
        pdf.rect(0, 0, 800, 600, stroke=0, fill=1)
        pdf.setFillGray(0)
        pdf.setLineWidth(5)
        pdf.rect(12, 12, 776, 576)
        pdf.rect(30, 470, 200, 100)
        _title_block(pdf, 620, 20)
        pdf.translate(40, 60)
        _hollow(pdf)

    _, found = _search(_page(draw, size=(800, 600)))

    assert len(found) == len(ROOMS)
    assert sorted(p.area for p in found) == pytest.approx(sorted(r.area for r in ROOMS), rel=0.05)


def test_plans_side_by_side_on_a_sheet_are_all_read() -> None:
    def draw(pdf: Pdf) -> None:
        for x, y, turn in ((0, 0, 0), (520, 0, 0), (520, 560, 90)):
            pdf.saveState()
            pdf.translate(x + (300 if turn else 0), y)
            pdf.rotate(turn)
            _hollow(pdf)
            pdf.restoreState()
        _title_block(pdf, 60, 700)

    _, found = _search(_page(draw, size=(1100, 1200)))

    assert len(found) == 3 * len(ROOMS)
    assert sorted(p.area for p in found) == pytest.approx(sorted(3 * [r.area for r in ROOMS]), rel=0.05)


def test_rooms_carry_the_evidence_for_them() -> None:
    regions, _ = _search(_page(_hollow))

    assert regions is not None
    for region in regions.regions:
        evidence = dict(region.evidence)
        borders = [value for name, value in region.evidence if name.startswith("on_")]
        assert sum(borders) == pytest.approx(1, abs=1e-3)
        assert evidence["on_cut"] == 0
        assert evidence["on_wall"] > 0.7
        assert evidence["named"] == evidence["others_named"] == 1
        assert evidence["divided"] == evidence["leaked"] == evidence["several_names"] == 0
        assert all(0 <= value <= 1 for value in evidence.values())
    on_doors = sorted(dict(r.evidence)["on_door"] for r in regions.regions)
    assert all(0.02 < share < 0.2 for share in on_doors)
    areas = sorted(dict(r.evidence)["area"] for r in regions.regions)
    true = [r.area / DOOR**2 for r in ROOMS]
    assert areas == pytest.approx(sorted(area / (area + 10) for area in true), rel=0.05)


def test_a_hatched_floor_divides_nothing() -> None:
    def draw(pdf: Pdf) -> None:
        _hollow(pdf)
        pdf.setLineWidth(0.6)
        pdf.saveState()
        clip = pdf.beginPath()
        clip.rect(308, 108, 184, 184)
        pdf.clipPath(clip, stroke=0)
        for k in range(60):
            pdf.line(308 + 6 * k - 190, 108, 308 + 6 * k, 298)
        pdf.restoreState()

    _, found = _search(_page(draw))

    _assert_rooms(found, [_on_page(r) for r in ROOMS], 0.9)


def test_an_open_plan_is_divided_where_the_names_ask_for_it() -> None:
    def draw(pdf: Pdf) -> None:
        _hollow(pdf)
        pdf.setLineWidth(0.6)
        for y in (196, 204):  # a stub of a wall between two named parts
            pdf.line(440, y, 492, y)
        pdf.line(440, 196, 440, 204)
        pdf.setFont("Helvetica", 9)
        pdf.drawCentredString(400, 260, "Dining")
        pdf.setFillGray(1)
        pdf.rect(RIGHT.centroid.x - 20, RIGHT.centroid.y - 3, 40, 12, stroke=0, fill=1)

    regions, found = _search(_page(draw))

    assert regions is not None
    assert len(found) in (3, 4)
    divided = [r for r in regions.regions if "closed_by_guess" in r.flags]
    assert len(divided) == (2 if len(found) == 4 else 0)


def test_a_page_of_text_and_a_frame_has_no_rooms() -> None:
    def draw(pdf: Pdf) -> None:
        pdf.rect(20, 20, 560, 360)
        pdf.rect(400, 20, 180, 80)
        for k in range(4):
            pdf.line(400, 36 + 16 * k, 580, 36 + 16 * k)
            pdf.drawString(410, 40 + 16 * k, f"Drawn by office {k}")

    _, found = _search(_page(draw))

    assert found == []


def test_a_page_with_hardly_a_line_is_left_to_its_picture() -> None:
    regions, _ = _search(_page(lambda pdf: pdf.line(10, 10, 500, 300)))

    assert regions is None


def test_equal_pages_give_equal_labels() -> None:
    first, _ = _search(_page(_hollow))
    second, _ = _search(_page(_hollow))

    assert first is not None
    assert second is not None
    assert np.array_equal(first.labels, second.labels)
    assert first.regions == second.regions
