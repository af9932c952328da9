import cv2
import numpy as np
import pytest
from reportlab.pdfgen.canvas import Canvas
from shapely.geometry import Polygon, box
from tests.unit.detection.drawn import pdf_of, png_of, two_rooms
from tests.unit.detection.test_document import broken_second_page

from detection import engine, raster, vector
from detection.assembly import NO_ROOMS, build_page, reading_order
from detection.document import PicturePage, open_document
from detection.engine import MODEL_VERSION, PAGE_FAILED, detect
from detection.merging import Reading
from detection.overlay import draw_rooms, overlay_png
from detection.regions import ByteImage, Closure, Region, Regions
from detection.settings import Settings
from models.blueprint import Blueprint, PageSelection
from models.floorplan import Floorplan, Page
from utils.errors import InvalidFileFormatError, ProcessingFailedError


class Watcher:
    def __init__(self) -> None:
        self.stages: list[tuple[str, int, int, float]] = []
        self.pictures: dict[int, ByteImage] = {}

    def stage(self, name: str, page: int, page_count: int, progress: float) -> None:
        self.stages.append((name, page, page_count, progress))

    def picture(self, page: int, png: bytes) -> None:
        self.pictures[page] = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)


def office(canvas: Canvas) -> None:
    """Two rooms in walls of 6 pt at 1:100, labelled, with a gap of 26 pt between them."""
    canvas.setFillGray(0.3)
    for x, y, w, h in ((50, 50, 300, 6), (50, 244, 300, 6), (50, 50, 6, 200), (344, 50, 6, 200)):
        canvas.rect(x, y, w, h, stroke=1, fill=1)
    canvas.rect(197, 50, 6, 87, stroke=1, fill=1)
    canvas.rect(197, 163, 6, 87, stroke=1, fill=1)
    canvas.setFillGray(0)
    canvas.setFont("Helvetica", 9)
    canvas.drawString(100, 180, "Main Office")
    canvas.drawString(110, 169, "2602")
    canvas.drawString(250, 180, "Store")
    canvas.drawString(10, 10, "1:100")


def picture_of(labels: np.ndarray) -> PicturePage:
    return PicturePage(np.full((*labels.shape, 3), 255, np.uint8))


def page_of(labels: np.ndarray, closures: tuple[Closure, ...] = (), scale: float = 1, confidence: float = 0.9) -> Page:
    rooms = [Region(int(k), confidence, ("leaky",) if k == 1 else ()) for k in np.unique(labels) if k]
    height, width = (round(side * scale) for side in labels.shape)
    page = PicturePage(np.full((height, width, 3), 255, np.uint8))
    return build_page(page, [Reading.of(page, Regions(labels, scale, rooms, list(closures), wall_px=8))], 1)


class TestAssembly:
    def test_rooms_have_boxes_polygons_and_ids_in_reading_order(self) -> None:
        labels = np.zeros((200, 400), np.int32)
        labels[110:190, 10:190] = 1
        labels[10:100, 210:390] = 2
        labels[12:100, 10:190] = 3
        rooms = page_of(labels).rooms
        assert [room.id for room in rooms] == ["room_001", "room_002", "room_003"]
        assert [room.bounding_box for room in rooms] == [[25, 60, 475, 500], [525, 50, 975, 500], [25, 550, 475, 950]]
        assert rooms[1].polygon == [(210, 10), (390, 10), (390, 100), (210, 100)]
        assert [room.flags for room in rooms] == [[], [], ["leaky"]]
        assert all(0 < room.confidence < 1 for room in rooms)

    def test_working_pixels_become_page_units(self) -> None:
        labels = np.zeros((100, 200), np.int32)
        labels[10:90, 20:180] = 1
        page = page_of(labels, (Closure("door", ((20, 30), (20, 50)), 0.7),), scale=2.5)
        assert page.rooms[0].polygon == [(50, 25), (450, 25), (450, 225), (50, 225)]
        assert page.openings[0].line == [(50, 75), (50, 125)]

    def test_openings_know_the_rooms_on_their_sides(self) -> None:
        labels = np.zeros((100, 200), np.int32)
        labels[10:90, 10:96] = 1
        labels[10:90, 104:190] = 2
        door = Closure("door", ((100, 40), (100, 60)), 0.8)
        window = Closure("window", ((30, 6), (60, 6)), 0.6)
        nowhere = Closure("gap", ((0, 99), (5, 99)), 0.6)
        page = page_of(labels, (door, window, nowhere))
        assert [(o.kind, o.rooms, o.confidence) for o in page.openings] == [
            ("window", ["room_001"], 0.6),
            ("door", ["room_001", "room_002"], 0.8),
        ]

    def test_odd_shapes_are_flagged(self) -> None:
        labels = np.zeros((300, 300), np.int32)
        labels[10:290, 10:20] = labels[280:290, 10:290] = labels[10:290, 280:290] = 2
        assert page_of(labels).rooms[0].flags == ["odd_shape"]

    def test_a_page_without_rooms_says_so(self) -> None:
        labels = np.zeros((50, 50), np.int32)
        assert page_of(labels).message == NO_ROOMS
        picture = picture_of(labels)
        regions = Regions(labels, 1, [], message="No walls were found on this page.")
        page = build_page(picture, [Reading.of(picture, regions)], 1)
        assert page.message == "No walls were found on this page."

    def test_reading_order(self) -> None:
        shapes: list[Polygon] = [box(100, 5, 150, 40), box(0, 60, 50, 100), box(0, 0, 60, 40), box(70, 55, 99, 110)]
        assert reading_order(shapes) == [2, 0, 1, 3]
        assert reading_order([]) == []


class TestPictures:
    def test_two_rooms_and_their_door(self) -> None:
        plan = detect(Blueprint.parse(png_of(two_rooms())))
        (page,) = plan.pages
        assert (page.width, page.height, page.unit, page.message) == (640, 420, "px", None)
        assert len(page.rooms) == 2
        for room, true in zip(page.rooms, (box(72, 72, 308, 348), box(320, 72, 568, 348)), strict=True):
            found = Polygon(room.polygon)
            assert found.intersection(true).area / found.union(true).area > 0.97
        assert any(opening.rooms == ["room_001", "room_002"] for opening in page.openings)
        assert plan.model_version == MODEL_VERSION
        assert Floorplan.from_json(plan.to_json()) == plan

    def test_the_bytes_are_the_same_with_any_number_of_threads(self) -> None:
        blueprint = Blueprint.parse(png_of(two_rooms()))
        texts = {detect(blueprint, Settings(threads=threads)).to_json() for threads in (1, 2, 4, 1)}
        assert len(texts) == 1

    def test_a_blank_picture_completes_without_rooms(self) -> None:
        page = detect(Blueprint.parse(png_of(np.full((300, 400, 3), 255, np.uint8)))).pages[0]
        assert page.rooms == []
        assert page.message

    def test_noise_is_no_plan(self) -> None:
        noise = np.random.default_rng(5).integers(0, 256, (200, 300, 3)).astype(np.uint8)
        page = detect(Blueprint.parse(png_of(noise))).pages[0]
        assert len(page.rooms) <= 2

    def test_the_observer_sees_stages_and_the_picture(self) -> None:
        watcher = Watcher()
        detect(Blueprint.parse(png_of(two_rooms())), Settings(picture_side_px=320), observer=watcher)
        assert [stage[0] for stage in watcher.stages] == ["open", "picture", "walls", "rooms"]
        progress = [stage[3] for stage in watcher.stages]
        assert progress == sorted(progress)
        assert 0 <= progress[0] <= progress[-1] < 1
        assert watcher.pictures[1].shape == (210, 320, 3)

    def test_an_observer_ends_the_detection_by_raising(self) -> None:
        class Impatient(Watcher):
            def stage(self, name: str, page: int, page_count: int, progress: float) -> None:
                if name == "walls":
                    raise TimeoutError

        with pytest.raises(TimeoutError):
            detect(Blueprint.parse(png_of(two_rooms())), observer=Impatient())

    def test_debug_is_given_pictures(self) -> None:
        names: list[str] = []
        detect(Blueprint.parse(png_of(two_rooms())), debug=lambda name, picture: names.append(name))
        assert names[-1] == "result"
        assert len(names) > 1


class TestPdfs:
    def test_an_office_is_found_named_and_measured(self) -> None:
        page = detect(Blueprint.parse(pdf_of(office))).pages[0]
        assert [(room.name_hint, room.number) for room in page.rooms] == [("Main Office", "2602"), ("Store", None)]
        assert page.unit == "pt"
        assert page.scale is not None
        assert page.scale.metres_per_unit == pytest.approx(100 * 0.0254 / 72, rel=1e-4)
        true = (box(56, 56, 197, 244), box(203, 56, 344, 244))
        for room, inside in zip(page.rooms, true, strict=True):
            found = Polygon(room.polygon)
            assert found.intersection(inside).area / found.union(inside).area > 0.97
            assert room.area_m2 == pytest.approx(141 * 188 * (100 * 0.0254 / 72) ** 2, rel=0.03)

    def test_ids_count_over_the_whole_document(self) -> None:
        plan = detect(Blueprint.parse(pdf_of(office, lambda c: None, office)))
        assert [room.id for page in plan.pages for room in page.rooms] == [f"room_{k:03d}" for k in (1, 2, 3, 4)]
        assert [page.page for page in plan.pages] == [1, 2, 3]
        assert plan.pages[1].message

    def test_only_selected_pages_are_there(self) -> None:
        plan = detect(Blueprint.parse(pdf_of(office, office, office)), pages=PageSelection.parse("2"))
        assert [page.page for page in plan.pages] == [2]

    def test_a_broken_page_is_reported_and_the_others_are_read(self) -> None:
        watcher = Watcher()
        plan = detect(Blueprint.parse(broken_second_page()), observer=watcher)
        assert plan.pages[1].message == "This page is damaged and cannot be read."
        assert sorted(watcher.pictures) == [1, 2, 3]

    def test_one_page_that_fails_keeps_the_others(self, monkeypatch: pytest.MonkeyPatch) -> None:
        honest = engine.read

        def failing(page: object, *rest: object) -> list[Reading]:
            if page.number == 2:
                raise ZeroDivisionError
            return honest(page, *rest)

        monkeypatch.setattr(engine, "read", failing)
        plan = detect(Blueprint.parse(pdf_of(office, office, office)))
        assert [len(page.rooms) for page in plan.pages] == [2, 0, 2]
        assert [page.message for page in plan.pages] == [None, PAGE_FAILED, None]
        with pytest.raises(ProcessingFailedError) as caught:
            detect(Blueprint.parse(pdf_of(office, office)), pages=PageSelection.parse("2"))
        assert caught.value.details == {"page": 2}
        assert isinstance(caught.value.__cause__.__cause__, ZeroDivisionError)

    def test_a_pdf_without_one_good_page_is_refused(self) -> None:
        with pytest.raises(InvalidFileFormatError):
            detect(Blueprint.parse(broken_second_page()), pages=PageSelection.parse("2"))

    def test_a_scan_in_a_pdf_is_looked_at_as_a_picture(self) -> None:
        from PIL import Image
        from reportlab.lib.utils import ImageReader

        scan = ImageReader(Image.fromarray(two_rooms()))
        page = detect(Blueprint.parse(pdf_of(lambda c: c.drawImage(scan, 0, 0, 320, 210), size=(320, 210)))).pages[0]
        assert len(page.rooms) == 2
        found, true = Polygon(page.rooms[0].polygon), box(36, 36, 154, 174)
        assert found.intersection(true).area / found.union(true).area > 0.95

    def test_what_the_drawing_does_not_tell_the_picture_may(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[str] = []
        honest = raster.find_regions
        monkeypatch.setattr(vector, "find_regions", lambda *_: asked.append("vector"))
        monkeypatch.setattr(raster, "find_regions", lambda *a: (asked.append("raster"), honest(*a))[1])
        page = detect(Blueprint.parse(pdf_of(office))).pages[0]
        assert asked == ["vector", "raster"]
        assert len(page.rooms) == 2


class TestOverlay:
    def test_rooms_are_tinted_and_the_rest_is_left(self) -> None:
        picture = two_rooms()
        page = detect(Blueprint.parse(png_of(picture))).pages[0]
        drawn = draw_rooms(picture, page)
        assert drawn.shape == picture.shape
        assert (drawn[:50] == picture[:50]).all()
        assert (drawn[320, 90] != 255).any()
        assert (picture[320, 90] == 255).all()

    def test_as_png(self) -> None:
        picture = two_rooms()
        with open_document(Blueprint.parse(png_of(picture))) as document:
            page = detect(Blueprint.parse(png_of(picture))).pages[0]
            assert len(document.numbers) == 1
        half = png_of(cv2.resize(picture, (320, 210), interpolation=cv2.INTER_AREA))
        decoded = cv2.imdecode(np.frombuffer(overlay_png(half, page), np.uint8), cv2.IMREAD_COLOR)
        assert decoded.shape == (210, 320, 3)
        with pytest.raises(ValueError, match="decoded"):
            overlay_png(b"no picture", page)
