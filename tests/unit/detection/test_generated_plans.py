"""What holds for every floorplan, on plans drawn by many hands and on pictures that are hardly plans.

`make test-plans` takes 500 drawn plans, `make test` the first 20 of them; `GENERATED_PLANS` says how many.
"""

from __future__ import annotations

import os
from itertools import combinations, pairwise

import cv2
import numpy as np
import pytest
import shapely
from reportlab.pdfgen.canvas import Canvas
from shapely.geometry import Polygon
from tests.unit.detection.drawn import changed, pdf_of, png_of
from training import whole

from detection.engine import detect
from detection.settings import Settings
from models.blueprint import Blueprint
from models.floorplan import Floorplan, Page, Room

COUNT = int(os.environ.get("GENERATED_PLANS", "20"))
MOST_OVERLAP = 0.02
#: Points are rounded to hundredths; half of one, and what adding up floats loses.
ROUNDING = 0.006


def kind_of(seed: int) -> whole.Kind:
    """Pictures twice as often as PDF pages, as in calibration."""
    return whole.KINDS[seed % len(whole.KINDS)]


def assert_sound(plan: Floorplan) -> None:
    """The whole contract of geometry, ids, boxes and order."""
    rooms = [room for page in plan.pages for room in page.rooms]
    assert [room.id for room in rooms] == [f"room_{number:03d}" for number in range(1, len(rooms) + 1)]
    for page in plan.pages:
        assert page.rooms or page.message, "a page without rooms says why"
        for room in page.rooms:
            assert_room(room, page)
        assert_apart(page)
        assert_openings(page)
    assert Floorplan.from_json(plan.to_json()) == plan


def assert_room(room: Room, page: Page) -> None:
    shell = Polygon(room.polygon)
    assert shell.is_valid, f"{room.id}: {shapely.is_valid_reason(shell)}"
    assert shell.area > 0, room.id
    assert room.polygon[0] != room.polygon[-1], f"{room.id} repeats its first point"
    assert all(one != other for one, other in pairwise(room.polygon)), f"{room.id} repeats a point"
    x, y = np.array(room.polygon).T
    assert np.dot(x, np.roll(y, -1)) > np.dot(y, np.roll(x, -1)), f"{room.id} is not clockwise on screen"
    assert room.polygon[0][0] + room.polygon[0][1] <= (x + y).min() + 0.011, f"{room.id} begins elsewhere"
    assert min(x.min(), y.min()) >= 0, room.id
    assert x.max() <= page.width, room.id
    assert y.max() <= page.height, room.id
    whole_room = Polygon(room.polygon, room.holes)
    assert whole_room.is_valid, f"{room.id} with holes: {shapely.is_valid_reason(whole_room)}"
    assert whole_room.area > 0, room.id
    for hole in room.holes:
        inner = Polygon(hole)
        assert inner.is_valid, room.id
        assert inner.area > 0, room.id
        assert shell.covers(inner), f"{room.id}: a hole reaches outside"
    width, height = page.width, page.height
    expected = [1000 * x.min() / width, 1000 * y.min() / height, 1000 * x.max() / width, 1000 * y.max() / height]
    assert all(0 <= side <= 1000 for side in room.bounding_box), room.id
    assert np.abs(np.array(room.bounding_box) - expected).max() <= 0.5 + 1000 * ROUNDING / min(width, height), room.id
    assert 0 < room.confidence < 1, room.id


def assert_apart(page: Page) -> None:
    shapes = [Polygon(room.polygon, room.holes) for room in page.rooms]
    for one, other in combinations(range(len(shapes)), 2):
        if shapes[one].intersects(shapes[other]):
            common = shapes[one].intersection(shapes[other]).area
            smaller = min(shapes[one].area, shapes[other].area)
            names = f"{page.rooms[one].id} and {page.rooms[other].id} share {common / smaller:.1%}"
            assert common <= MOST_OVERLAP * smaller, names


def assert_openings(page: Page) -> None:
    known = {room.id for room in page.rooms}
    for opening in page.openings:
        assert opening.rooms, "an opening of no room"
        assert set(opening.rooms) <= known
        assert len(set(opening.rooms)) == len(opening.rooms)
        assert opening.line[0] != opening.line[1]


@pytest.mark.slow
# 446: its last curve is a dashed door arc
@pytest.mark.parametrize("seed", sorted({*range(COUNT), 446}))
def test_every_drawn_plan_gives_sound_rooms(seed: int) -> None:
    data, truth = whole.draw(seed, kind_of(seed))
    plan = detect(Blueprint.parse(data))
    (page,) = plan.pages
    assert (page.width, page.height) == pytest.approx((truth["width"], truth["height"]), abs=0.02)
    assert_sound(plan)


def noise(height: int, width: int, seed: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def paper(height: int, width: int, grey: int = 255) -> np.ndarray:
    return np.full((height, width, 3), grey, np.uint8)


def board(height: int, width: int, field_px: int) -> np.ndarray:
    rows, columns = np.indices((height, width)) // field_px
    return np.repeat((((rows + columns) % 2) * 255).astype(np.uint8)[..., None], 3, axis=2)


def line() -> np.ndarray:
    image = paper(400, 600)
    cv2.line(image, (80, 90), (520, 310), (0, 0, 0), 7)
    return image


def letters() -> np.ndarray:
    image = paper(900, 1200)
    for row in range(28):
        cv2.putText(image, "Lorem ipsum dolor sit amet 0123456789", (20, 40 + 31 * row), 0, 1.1, (0, 0, 0), 2)
    return image


def maze() -> np.ndarray:
    """Cells of 12 px with walls of 3 px and no door."""
    image = paper(600, 600)
    image[::12] = image[1::12] = image[2::12] = 0
    image[:, ::12] = image[:, 1::12] = image[:, 2::12] = 0
    return image


def corners() -> np.ndarray:
    """Two rooms that touch in one corner, and one that touches itself in one."""
    image = paper(500, 700, 0)
    image[60:200, 60:200] = image[200:340, 200:340] = 255
    image[60:300, 400:640] = 255
    image[100:200, 440:540] = image[200:260, 540:600] = 0
    return image


def nested() -> np.ndarray:
    """Rooms within rooms, each in the hole of the one around it."""
    image = paper(640, 640)
    for inset in range(20, 300, 40):
        cv2.rectangle(image, (inset, inset), (640 - inset, 640 - inset), (0, 0, 0), 8)
    return image


def to_the_edge() -> np.ndarray:
    """Rooms that the page's edge cuts."""
    image = paper(400, 600)
    image[:, 190:200] = image[195:205] = image[:, 395:405] = 0
    return image


HARD = {
    "blank": paper(300, 400),
    "black": paper(300, 400, 0),
    "grey": paper(300, 400, 128),
    "noise": noise(200, 300),
    "large noise": noise(900, 1200),
    "checkerboard of 1 px": board(300, 400, 1),
    "checkerboard of 3 px": board(300, 400, 3),
    "checkerboard of 40 px": board(480, 640, 40),
    "one line": line(),
    "one pixel": paper(1, 1, 0),
    "three pixels": noise(3, 3),
    "a pixel high": noise(1, 900),
    "a ribbon": noise(12, 4000),
    "a tower": board(4000, 14, 7),
    "letters": letters(),
    "maze": maze(),
    "corners": corners(),
    "nested": nested(),
    "to the edge": to_the_edge(),
}


@pytest.mark.slow
@pytest.mark.parametrize("network", [True, False], ids=["seen", "strokes"])
@pytest.mark.parametrize("name", HARD)
def test_pictures_that_are_hardly_plans_give_sound_rooms(name: str, network: bool) -> None:
    plan = detect(Blueprint.parse(png_of(HARD[name])), Settings(network=network))
    (page,) = plan.pages
    assert (page.height, page.width) == HARD[name].shape[:2]
    assert_sound(plan)


def nothing(canvas: Canvas) -> None:
    """An empty page."""


def scribble(canvas: Canvas) -> None:
    random = np.random.default_rng(4)
    for _ in range(400):
        canvas.setLineWidth(float(random.uniform(0.1, 6)))
        canvas.line(*(random.uniform(-50, 450, 4)).tolist())


def specks(canvas: Canvas) -> None:
    """A page of strokes that hardly have a length, and of fills that have none."""
    random = np.random.default_rng(6)
    for x, y in random.uniform(0, 300, (800, 2)).tolist():
        canvas.line(x, y, x + 0.05, y)
        canvas.rect(x, y, 0, 3, stroke=0, fill=1)


def bars(canvas: Canvas) -> None:
    """Fills over most of the page that overlap each other."""
    for step in range(12):
        canvas.setFillGray(step / 12)
        canvas.rect(20 + 7 * step, 15 + 5 * step, 300, 220, stroke=1, fill=1)


def across(canvas: Canvas) -> None:
    """A plan that hangs over the page's edges."""
    canvas.setLineWidth(6)
    for x in range(-60, 480, 90):
        canvas.line(x, -80, x, 380)
    for y in range(-70, 380, 80):
        canvas.line(-80, y, 480, y)


DRAWN = {"nothing": nothing, "scribble": scribble, "specks": specks, "bars": bars, "across": across}


@pytest.mark.slow
@pytest.mark.parametrize("turn", [0, 90])
@pytest.mark.parametrize("name", DRAWN)
def test_pages_that_are_hardly_plans_give_sound_rooms(name: str, turn: int) -> None:
    plan = detect(Blueprint.parse(changed(pdf_of(DRAWN[name]), 1, turn)))
    (page,) = plan.pages
    assert (page.width, page.height) == ((300, 400) if turn else (400, 300))
    assert_sound(plan)


class TestTheChecksThemselves:
    """The checks do find what they look for."""

    def plan(self, *rings: list[tuple[float, float]]) -> Floorplan:
        rooms = [
            Room.model_validate(
                {
                    "id": f"room_{number:03d}",
                    "polygon": ring,
                    "bounding_box": [round(10 * v) for v in Polygon(ring).bounds],
                    "confidence": 0.5,
                }
            )
            for number, ring in enumerate(rings, start=1)
        ]
        page = Page(page=1, width=100, height=100, unit="px", rooms=rooms)
        return Floorplan.model_validate(
            {"model_version": "t", "source": {"format": "png", "sha256": "0" * 64}, "pages": [page.model_dump()]}
        )

    def square(self, x0: float, y0: float, side: float) -> list[tuple[float, float]]:
        return [(x0, y0), (x0 + side, y0), (x0 + side, y0 + side), (x0, y0 + side)]

    def test_rooms_side_by_side_are_sound(self) -> None:
        assert_sound(self.plan(self.square(10, 10, 20), self.square(30.1, 10, 20)))

    @pytest.mark.parametrize(
        "ring",
        [
            [(10, 10), (30, 30), (30, 10), (10, 30)],
            [(10, 10), (30, 10), (50, 10)],
            [(10, 10), (10, 30), (30, 30), (30, 10)],
            [(30, 30), (10, 30), (10, 10), (30, 10)],
            [(90, 10), (110, 10), (110, 30), (90, 30)],
            [(-1, 10), (20, 10), (20, 30), (-1, 30)],
        ],
        ids=["crosses itself", "without area", "the other way", "begins elsewhere", "outside", "before the edge"],
    )
    def test_a_ring_that_is_not_sound_is_found(self, ring: list[tuple[float, float]]) -> None:
        with pytest.raises(AssertionError):
            assert_sound(self.plan(ring))

    def test_an_overlap_is_found(self) -> None:
        with pytest.raises(AssertionError, match="share"):
            assert_sound(self.plan(self.square(10, 10, 20), self.square(29, 10, 20)))
