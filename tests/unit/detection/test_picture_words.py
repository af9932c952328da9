"""Names, numbers and areas on pictures: where letters stand, what they say, and what is not read at all."""

from __future__ import annotations

import io
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import reportlab
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas
from shapely.geometry import Polygon, box
from tests.unit.detection.drawn import blueprint_of, pdf_of, png_of, two_rooms

from detection import reading
from detection.document import PicturePage
from detection.engine import MODEL_VERSION, detect, version_of
from detection.lettering import find_rows
from detection.picture_words import read_words
from detection.settings import Settings
from models.floorplan import Room

with_names = pytest.mark.skipif(not reading.available(), reason="the extra `names` is not installed")

FONT = Path(reportlab.__file__).parent / "fonts" / "Vera.ttf"
LEFT, RIGHT = (190, 210), (444, 210)  # the middles of the rooms of `two_rooms`
ROOMS = [box(72, 72, 308, 348), box(320, 72, 568, 348)]
#: Words of nine languages, with the letters that English has not.
WORDS = (
    "Bedroom 2",
    "Küche",
    "Gäste-WC",
    "Séjour",
    "Entrée",
    "Baño",
    "Habitación",
    "Löylyhuone",
    "Kök",
    "Förråd",
    "Gangtøj",
    "Łazienka",
    "Área de serviço",
    "STAIRS",
)

Picture = NDArray[np.uint8]


def write(
    image: Picture, text: str, middle: tuple[int, int], size: int = 20, turn: int = 0, *, colour: int = 0
) -> Picture:
    """The picture with a text around a point, turned counter-clockwise by `turn` degrees."""
    font = ImageFont.truetype(str(FONT), size)
    x0, y0, x1, y1 = (round(side) for side in font.getbbox(text))
    stamp = Image.new("L", (x1 - x0 + 4, y1 - y0 + 4), 0)
    ImageDraw.Draw(stamp).text((2 - x0, 2 - y0), text, fill=255, font=font)
    stamp = stamp.rotate(turn, expand=True)
    paper = Image.fromarray(image)
    corner = middle[0] - stamp.width // 2, middle[1] - stamp.height // 2
    paper.paste((colour, colour, colour), corner, stamp)
    return np.asarray(paper, np.uint8).copy()


def rooms_of(image: Picture, **settings: bool) -> list[Room]:
    """The rooms on a picture, from left to right."""
    return detect(blueprint_of(png_of(image)), Settings(**settings)).pages[0].rooms  # type: ignore[arg-type]


def said_on(image: Picture, rooms: list[Polygon]) -> list[str]:
    """The words on a picture whose rooms are known."""
    return [word.text for word in read_words(PicturePage(image), rooms, 1)]


def grey_of(image: Picture) -> Picture:
    return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)  # type: ignore[return-value]


# Where letters stand; no model is needed for that.


@pytest.mark.parametrize("turn", [0, 90, 270])
def test_a_printed_word_is_a_row_of_its_room(turn: int) -> None:
    rows = find_rows(grey_of(write(two_rooms(), "Kitchen", RIGHT, 20, turn)), ROOMS)
    assert [(row.room, row.turned) for row in rows if row.spots > 3] == [(1, turn != 0)]
    x0, y0, x1, y1 = rows[0].box
    assert abs((x0 + x1) / 2 - RIGHT[0]) < 3
    assert abs((y0 + y1) / 2 - RIGHT[1]) < 4
    assert 12 <= rows[0].letter_px <= 17


def test_two_words_are_one_row_and_two_lines_are_two() -> None:
    image = write(write(two_rooms(), "Master Bedroom", LEFT, 18), "3.40 x 4.29", (LEFT[0], LEFT[1] + 24), 18)
    rows = [row for row in find_rows(grey_of(image), ROOMS) if row.spots > 3]
    assert len(rows) == 2
    assert not any(row.turned for row in rows)


def test_nothing_is_looked_for_outside_rooms_or_without_any() -> None:
    image = write(two_rooms(), "Ground floor", (320, 30))
    assert find_rows(grey_of(image), []) == []
    assert all(row.box[1] > 60 for row in find_rows(grey_of(image), ROOMS))


def test_a_word_whose_first_letter_is_under_a_line_is_no_row() -> None:
    image = write(two_rooms(), "Kitchen", RIGHT, 20)
    (whole,) = [row for row in find_rows(grey_of(image), ROOMS) if row.spots > 3]
    x = round(whole.box[0]) + 4
    cv2.line(image, (x, 150), (x, 270), (0, 0, 0), 7)
    assert [row for row in find_rows(grey_of(image), ROOMS) if row.spots > 3] == []


@settings(deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(0, 40))
def test_rows_lie_in_the_picture_and_come_out_the_same_twice(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    image = np.full((160, 220), 255, np.uint8)
    for _ in range(count):
        start, end = ((int(rng.integers(0, 220)), int(rng.integers(0, 160))) for _ in range(2))
        cv2.line(image, start, (start[0] + (end[0] - start[0]) // 8, start[1] + (end[1] - start[1]) // 8), 0, 2)
    rooms = [box(0, 0, 110, 160), box(112, -20, 260, 170)]
    rows = find_rows(image, rooms)
    assert rows == find_rows(image, rooms)
    for row in rows:
        x0, y0, x1, y1 = row.box
        assert -1 <= x0 < x1 <= 221
        assert -1 <= y0 < y1 <= 161
        assert row.room in (0, 1)
        assert row.letter_px > 0


# What they say.


@with_names
@pytest.mark.parametrize("word", WORDS)
def test_words_of_many_languages_are_read(word: str) -> None:
    blank = np.full((60, 400, 3), 255, np.uint8)
    assert said_on(write(blank, word, (200, 30), 22), [box(0, 0, 400, 60)]) == word.split()


@with_names
@pytest.mark.parametrize("size", [11, 16, 30, 44])
def test_names_of_any_legible_size_are_read(size: int) -> None:
    image = write(write(two_rooms(), "Kitchen", LEFT, size), "Bedroom", RIGHT, size)
    assert [room.name_hint for room in rooms_of(image)] == ["Kitchen", "Bedroom"]


@with_names
@pytest.mark.parametrize("turn", [90, 270])
def test_turned_names_are_read(turn: int) -> None:
    image = write(write(two_rooms(), "Kitchen", LEFT, 20, turn), "Bedroom", RIGHT, 20)
    assert [room.name_hint for room in rooms_of(image)] == ["Kitchen", "Bedroom"]


@with_names
def test_lines_below_each_other_are_one_name_and_measures_are_none() -> None:
    image = write(two_rooms(), "Reception", (RIGHT[0], 190), 20)
    image = write(write(image, "Room", (RIGHT[0], 214), 20), "3.48 x 3.21", (RIGHT[0], 238), 20)
    assert [(room.name_hint, room.number, room.area_m2) for room in rooms_of(image)] == [
        (None, None, None),
        ("Reception Room", None, None),
    ]


@with_names
def test_printed_areas_give_the_scale() -> None:
    """At 2 cm a pixel the rooms of 236 x 276 and 248 x 276 px have 26.1 and 27.4 m²."""
    image = write(write(two_rooms(), "Küche", (LEFT[0], 190)), "26,1 m²", (LEFT[0], 220))
    image = write(write(image, "Salon", (RIGHT[0], 190)), "27,4 m²", (RIGHT[0], 220))
    page = detect(blueprint_of(png_of(image))).pages[0]
    assert [room.name_hint for room in page.rooms] == ["Küche", "Salon"]
    assert page.scale is not None
    assert page.scale.metres_per_unit == pytest.approx(0.02, rel=0.02)
    assert [room.area_m2 for room in page.rooms] == [pytest.approx(26.1, rel=0.04), pytest.approx(27.4, rel=0.04)]


@with_names
def test_a_series_of_numbers_is_the_rooms_and_a_lone_measure_is_none() -> None:
    blank = np.full((80, 600, 3), 255, np.uint8)
    rooms = [box(150 * k, 0, 150 * k + 149, 80) for k in range(4)]
    for texts, told in (
        (("101", "102", "103", "104"), ["101", "102", "103", "104"]),
        (("3400", "2100", "3300", "1250"), []),
        (("MH 11.2", "OH 24.5", "KH 4.7", "2870"), ["MH", "OH", "KH"]),
    ):
        image = blank
        for k, text in enumerate(texts):
            image = write(image, text, (150 * k + 75, 40), 22)
        assert said_on(image, rooms) == told


@with_names
def test_mirrored_names_are_read_as_they_were_written() -> None:
    blank = np.full((80, 600, 3), 255, np.uint8)
    for k, text in enumerate(("MH", "OH", "ET", "VAR")):
        blank = write(blank, text, (150 * k + 75, 40), 22)
    rooms = [box(150 * k, 0, 150 * k + 149, 80) for k in range(4)]
    assert sorted(said_on(np.ascontiguousarray(blank[:, ::-1]), rooms)) == ["ET", "MH", "OH", "VAR"]


@with_names
def test_names_on_a_scanned_page_are_read() -> None:
    image = write(write(two_rooms(1280, 840), "Kitchen", LEFT, 20), "Bedroom", RIGHT, 20)[:420, :640]

    def scan(canvas: Canvas) -> None:
        canvas.drawImage(ImageReader(Image.fromarray(image)), 0, 0, 400, 262)

    page = detect(blueprint_of(pdf_of(scan, size=(400, 262)))).pages[0]
    assert page.unit == "pt"
    assert [room.name_hint for room in page.rooms] == ["Kitchen", "Bedroom"]


# What is not read.


@with_names
@pytest.mark.parametrize("drawing", ["hob", "stairs", "table", "noise"])
def test_furniture_says_nothing(drawing: str) -> None:
    image = two_rooms()
    rng = np.random.default_rng(3)
    if drawing == "hob":
        for x, y in ((400, 200), (424, 200), (400, 224), (424, 224)):
            cv2.circle(image, (x, y), 9, (0, 0, 0), 1)
    elif drawing == "stairs":
        for k in range(9):
            cv2.line(image, (360 + 12 * k, 150), (360 + 12 * k, 190), (0, 0, 0), 1)
    elif drawing == "table":
        cv2.rectangle(image, (400, 180), (480, 230), (0, 0, 0), 1)
        for x in (410, 440):
            for y in (166, 234):
                cv2.rectangle(image, (x, y), (x + 14, y + 10), (0, 0, 0), 1)
    else:
        ys, xs = rng.integers(80, 340, 150), rng.integers(330, 560, 150)
        image[ys, xs] = 0
    assert said_on(image, ROOMS) == []


@with_names
def test_what_cannot_be_read_for_sure_is_not_told() -> None:
    image = write(two_rooms(), "Kitchen", RIGHT, 20)
    worn = cv2.GaussianBlur(image, (0, 0), 5)
    assert said_on(np.asarray(worn, np.uint8), ROOMS) == []


@with_names
def test_a_cupboards_name_is_not_the_rooms_where_that_cannot_be_read() -> None:
    blank = np.full((160, 500, 3), 255, np.uint8)
    small = write(blank, "Wardrobe", (250, 120), 16)
    assert said_on(small, [box(0, 0, 500, 160)]) == ["Wardrobe"]
    both = write(write(small, "Bedroom", (250, 50), 34), "Sitting", (258, 52), 34)  # one over the other
    assert said_on(both, [box(0, 0, 500, 160)]) == []


@with_names
def test_a_word_whose_end_is_faint_is_not_told_without_it() -> None:
    blank = np.full((60, 500, 3), 255, np.uint8)
    whole = write(blank, "KITCHEN", (250, 30), 24)
    assert said_on(whole, [box(0, 0, 500, 60)]) == ["KITCHEN"]
    (row,) = find_rows(grey_of(whole), [box(0, 0, 500, 60)])
    middle = round((row.box[0] + row.box[2]) / 2)
    whole[:, middle:] = 255 - (255 - whole[:, middle:]) // 14  # hardly there, but there
    assert said_on(whole, [box(0, 0, 500, 60)]) in ([], ["KITCHEN"])


@with_names
def test_other_scripts_are_not_told() -> None:
    blank = np.full((60, 400, 3), 255, np.uint8)
    font = ImageFont.truetype(str(FONT), 24)
    paper = Image.fromarray(blank)
    ImageDraw.Draw(paper).text((120, 15), "口口口 日日", fill=(0, 0, 0), font=font)  # boxes, as cupboards are drawn
    assert said_on(np.asarray(paper, np.uint8).copy(), [box(0, 0, 400, 60)]) == []


# With and without.


def test_without_reading_nothing_is_told_and_the_version_says_so() -> None:
    image = write(write(two_rooms(), "Kitchen", LEFT), "27,4 m²", RIGHT)
    plan = detect(blueprint_of(png_of(image)), Settings(read_pictures=False))
    assert [(room.name_hint, room.number, room.area_m2) for room in plan.pages[0].rooms] == [(None, None, None)] * 2
    assert plan.model_version == version_of(Settings(read_pictures=False))
    assert plan.model_version + ("+names" if reading.available() else "") == MODEL_VERSION


@pytest.mark.skipif(reading.available(), reason="the extra `names` is installed")
def test_without_the_extra_the_setting_changes_nothing() -> None:
    data = png_of(write(two_rooms(), "Kitchen", LEFT))
    asked, not_asked = (detect(blueprint_of(data), Settings(read_pictures=on)).to_json() for on in (True, False))
    assert asked == not_asked


@with_names
def test_reading_changes_nothing_but_what_is_told() -> None:
    data = png_of(write(write(two_rooms(), "Kitchen", LEFT), "27,4 m²", RIGHT))
    told, untold = (
        json.loads(detect(blueprint_of(data), Settings(read_pictures=on)).to_json()) for on in (True, False)
    )
    assert [room["name_hint"] for room in told["pages"][0]["rooms"]] == ["Kitchen", None]
    for plan in (told, untold):
        plan["model_version"] = None
        for room in plan["pages"][0]["rooms"]:
            room["name_hint"] = room["area_m2"] = None
    assert told == untold


@with_names
def test_a_text_layer_goes_before_the_picture() -> None:
    image = write(two_rooms(), "Kitchen", LEFT, 20)

    def scan(canvas: Canvas) -> None:
        canvas.drawImage(ImageReader(io.BytesIO(png_of(image))), 0, 0, 400, 262)
        text = canvas.beginText(270, 131)
        text.setTextRenderMode(3)
        text.textLine("Bedroom")
        canvas.drawText(text)

    page = detect(blueprint_of(pdf_of(scan, size=(400, 262)))).pages[0]
    assert [room.name_hint for room in page.rooms] == [None, "Bedroom"]


@with_names
def test_words_do_not_depend_on_the_threads_and_come_out_the_same_twice() -> None:
    image = write(write(two_rooms(), "Reception Room", LEFT, 16), "27,4 m²", RIGHT)
    page = PicturePage(image)
    first, second, others = (read_words(page, ROOMS, threads) for threads in (1, 1, 2))
    assert first == second == others != []
