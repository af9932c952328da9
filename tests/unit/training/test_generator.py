"""The generator's promises: valid and exact truth, equal seeds equal drawings, crops that agree with what is drawn."""

from __future__ import annotations

import json
import time
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pypdfium2
import pytest
from training import cis, r2v, whole
from training.contact_sheet import draw_sheet
from training.draw_pdf import write_pdf
from training.draw_raster import render
from training.grammar import KINDS
from training.hand import Hand
from training.make_examples import FOLDER, MAKERS
from training.plans import draw_plan, in_hand
from training.sample import OPENING, OUTSIDE, ROOM, WALL, WINDOW, sample
from training.sheet import lay_out
from training.truth import page_rooms, polygons

from evaluation.collect import collect

needs_r2v = pytest.mark.skipif(not r2v.traces(), reason="the traced flats of ../shared/train/r2v are not there")
needs_cis = pytest.mark.skipif(not cis.plans(), reason="the labelled plans of ../shared/train/cis are not there")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
class TestLayouts:
    def test_rooms_are_valid_apart_and_off_the_walls(self, kind: str, seed: int) -> None:
        layout = draw_plan(kind, np.random.default_rng(seed))
        assert len(layout.rooms) >= 4
        for room in layout.rooms:
            assert room.polygon.is_valid
            assert room.polygon.area > 0.25
            assert room.polygon.intersection(layout.walls).area < 0.01
        for one, other in combinations(layout.rooms, 2):
            assert one.polygon.intersection(other.polygon).area < 1e-6

    def test_cupboards_are_rooms_apart_from_the_one_they_are_built_into(self, kind: str, seed: int) -> None:
        layouts = [draw_plan(kind, np.random.default_rng(seed * 10 + k), cupboards=True) for k in range(3)]
        for layout in layouts:
            for room in layout.rooms:
                assert room.polygon.is_valid
                assert room.polygon.intersection(layout.walls).area < 0.01
            for one, other in combinations(layout.rooms, 2):
                assert one.polygon.intersection(other.polygon).area < 1e-6
            for opening in layout.openings:
                assert layout.walls.buffer(0.01).contains(_point(opening.quad().mean(0)))

    def test_openings_lie_in_walls_and_doorways_belong_to_no_room(self, kind: str, seed: int) -> None:
        layout = draw_plan(kind, np.random.default_rng(seed))
        assert any(o.kind == "window" for o in layout.openings)
        assert any(o.kind != "window" for o in layout.openings)
        for opening in layout.openings:
            middle = opening.quad().mean(0)
            assert opening.width_m > 0.3
            assert not any(r.polygon.contains_properly(_point(middle)) for r in layout.rooms)
            assert layout.walls.buffer(0.01).contains(_point(middle))

    def test_furniture_stands_in_rooms(self, kind: str, seed: int) -> None:
        layout = draw_plan(kind, np.random.default_rng(seed))
        assert layout.fixtures
        for fixture in layout.fixtures:
            assert any(r.polygon.buffer(0.05).contains(_point(fixture.quad().mean(0))) for r in layout.rooms)


def _point(xy: np.ndarray) -> object:
    from shapely.geometry import Point

    return Point(float(xy[0]), float(xy[1]))


def test_some_floors_have_cupboards() -> None:
    drawn = [draw_plan("house", np.random.default_rng(seed), cupboards=True) for seed in range(8)]
    assert sum(o.kind == "cupboard" for layout in drawn for o in layout.openings) >= 5


class TestExamples:
    @pytest.mark.parametrize("maker", MAKERS, ids=lambda m: m.__name__)
    def test_drawing_them_again_gives_the_truth_that_lies_beside_them(self, maker) -> None:
        for name, truth in maker(None).items():
            assert json.loads((FOLDER / name).read_text()) == json.loads(json.dumps(truth))

    def test_truth_is_within_its_page_valid_and_apart(self) -> None:
        files = sorted(FOLDER.glob("*.rooms.json"))
        assert len(files) >= 5
        for file in files:
            truth = json.loads(file.read_text())
            assert (FOLDER / truth["source"]).stat().st_size < 400_000
            shapes = polygons(truth)
            assert len(shapes) >= 8
            for shape in shapes:
                assert shape.is_valid
                x0, y0, x1, y1 = shape.bounds
                assert min(x0, y0) >= 0
                assert x1 <= truth["width"]
                assert y1 <= truth["height"]
            for one, other in combinations(shapes, 2):
                assert one.intersection(other).area <= 0.002 * min(one.area, other.area)

    def test_pictures_are_as_large_as_their_truth_says(self) -> None:
        for name in ("flat.png", "house.jpg", "scan.png"):
            height, width = cv2.imread(str(FOLDER / name)).shape[:2]
            truth = json.loads((FOLDER / f"{name.split('.')[0]}.rooms.json").read_text())
            assert (width, height) == (truth["width"], truth["height"])

    def test_the_pdf_has_two_pages_of_lines_with_the_rooms_names_as_text(self) -> None:
        document = pypdfium2.PdfDocument(FOLDER / "office.pdf")
        assert len(document) == 2
        for number in (1, 2):
            truth = json.loads((FOLDER / f"office.p{number}.rooms.json").read_text())
            page = document[number - 1]
            assert page.get_size() == pytest.approx((truth["width"], truth["height"]), abs=0.02)
            text = page.get_textpage().get_text_bounded()
            assert all(room["number"] in text for room in truth["rooms"])
            assert all(room["label"] in text for room in truth["rooms"])

    def test_walls_are_dark_and_rooms_are_not_on_the_flats_picture(self) -> None:
        grey = cv2.imread(str(FOLDER / "flat.png"), cv2.IMREAD_GRAYSCALE)
        truth = json.loads((FOLDER / "flat.rooms.json").read_text())
        inside = np.zeros(grey.shape, np.uint8)
        for room in truth["rooms"]:
            cv2.fillPoly(inside, [np.rint(room["polygon"]).astype(np.int32)], 1)
        around = cv2.dilate(inside, np.ones((9, 9), np.uint8)) - cv2.dilate(inside, np.ones((5, 5), np.uint8))
        assert grey[inside > 0].mean() > 225
        assert np.median(grey[around > 0]) < 30


class TestOneDescriptionTwoMedia:
    def test_pdf_and_picture_show_the_same_walls(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(3)
        layout, marks = in_hand(draw_plan("flat", rng), Hand(names=0.0, furniture=0.0), rng)
        drawing, moves = lay_out(
            [(layout, marks)], Hand(header=False, font="vera"), np.random.default_rng(1), frame=False
        )
        image, matrix = render(drawing, 40.0, 1.0)
        matrices = write_pdf(tmp_path / "plan.pdf", [drawing], 40.0, 1.0)
        assert np.allclose(matrix, matrices[0])
        page = pypdfium2.PdfDocument(tmp_path / "plan.pdf")[0]
        other = np.squeeze(page.render(scale=1.0, grayscale=True).to_numpy())
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        height, width = (min(a, b) for a, b in zip(grey.shape, other.shape[:2], strict=True))
        both = [p[:height, :width] for p in (grey, other)]
        for one, two in (both, both[::-1]):
            ink = one < 110
            near = cv2.erode(two, np.ones((3, 3), np.uint8)) < 170
            assert (ink & near).sum() > 0.98 * ink.sum() > 1000
        assert len(page_rooms([(layout, moves[0])], drawing.marks, matrix)) == len(layout.rooms)

    def test_pdf_bytes_are_equal_for_equal_drawings(self, tmp_path: Path) -> None:
        pages = []
        for name in ("a.pdf", "b.pdf"):
            rng = np.random.default_rng(8)
            drawing, _ = lay_out([in_hand(draw_plan("house", rng), Hand(wall="crossed"), rng)], Hand(), rng)
            write_pdf(tmp_path / name, [drawing], 30.0, 0.4)
            pages.append((tmp_path / name).read_bytes())
        assert pages[0] == pages[1]

    @pytest.mark.parametrize("seed", range(12))
    def test_whole_sheets_have_valid_truth(self, seed: int) -> None:
        image, truth = draw_sheet(seed, 500)
        assert image.shape[:2] == (truth["height"], truth["width"])
        shapes = polygons(truth)
        assert shapes
        assert all(s.buffer(0.1).area > 0 for s in shapes)
        for one, other in combinations(shapes, 2):
            assert one.intersection(other).area <= 0.03 * min(one.area, other.area) + 1


class TestSamples:
    def test_equal_seeds_give_equal_crops_in_any_order(self) -> None:
        first = [sample(s, 192) for s in (5, 6)]
        again = [sample(s, 192) for s in (6, 5)][::-1]
        for one, other in zip(first, again, strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
        assert not np.array_equal(first[0][0], first[1][0])

    def test_classes_rooms_and_sizes_agree(self) -> None:
        seen: set[int] = set()
        for seed in range(40, 70):
            image, classes, rooms = sample(seed, 160)
            assert image.shape == classes.shape == rooms.shape == (160, 160)
            assert (image.dtype, classes.dtype, rooms.dtype) == (np.uint8, np.uint8, np.int16)
            assert np.array_equal(rooms > 0, classes == ROOM)
            seen |= set(np.unique(classes).tolist())
        assert seen == {OUTSIDE, ROOM, WALL, OPENING, WINDOW}

    def test_room_numbers_never_touch_without_a_wall_between(self) -> None:
        for seed in range(40, 60):
            _, _, rooms = sample(seed, 256)
            for a, b in ((rooms[:, 1:], rooms[:, :-1]), (rooms[1:], rooms[:-1])):
                touching = (a != b) & (a > 0) & (b > 0)
                assert touching.mean() < 1e-3

    def test_the_drawing_changes_where_the_truth_says_wall_meets_room(self) -> None:
        contrast = []
        for seed in range(200, 230):
            image, classes, _ = sample(seed, 256)
            if (classes == WALL).sum() > 300 and (classes == ROOM).sum() > 300:
                edges = cv2.morphologyEx(image, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
                wall, room = (classes == WALL).astype(np.uint8), (classes == ROOM).astype(np.uint8)
                border = (cv2.dilate(wall, np.ones((3, 3))) & cv2.dilate(room, np.ones((3, 3)))) > 0
                contrast.append(edges[border].mean() / max(edges[cv2.erode(room, np.ones((9, 9))) > 0].mean(), 1.0))
        assert np.median(contrast) > 3
        assert np.mean(np.array(contrast) > 1.0) > 0.85

    @pytest.mark.perf
    def test_a_crop_takes_at_most_sixty_milliseconds(self) -> None:
        start = time.perf_counter()
        for seed in range(4000, 4100):
            sample(seed, 416)
        assert (time.perf_counter() - start) / 100 < 0.06


@needs_r2v
class TestTracedFlats:
    def test_most_traces_come_clean(self) -> None:
        files = r2v.traces()[::20]
        flats = [r2v.load(f) for f in files]
        assert sum(f is not None for f in flats) > 0.7 * len(files)

    def test_a_clean_flat_has_rooms_doors_and_windows(self) -> None:
        flats = [f for f in (r2v.load(p) for p in r2v.traces()[:20]) if f is not None]
        for seed, flat in enumerate(flats):
            layout = r2v.flat_layout(flat, np.random.default_rng(seed))
            assert len(layout.rooms) >= 2
            assert {o.kind for o in layout.openings}
            assert all(r.polygon.is_valid for r in layout.rooms)


@needs_cis
class TestLabelledPlans:
    def test_crops_know_walls_and_openings_and_what_they_enclose(self) -> None:
        seen: set[int] = set()
        for seed in range(12):
            image, classes = cis.sample(seed, 256)
            assert image.shape == classes.shape == (256, 256)
            seen |= set(np.unique(classes).tolist())
        assert {WALL, OPENING, WINDOW, 255} <= seen <= {0, 1, WALL, OPENING, WINDOW, 255}


def test_whole_drawings_are_written_as_plans_that_evaluate_reads(tmp_path: Path) -> None:
    whole.main([str(tmp_path), "--kind", "pdf", "--first", "7", "--count", "2"])
    assert sorted(file.name for file in tmp_path.iterdir()) == ["7.pdf", "7.rooms.json", "8.pdf", "8.rooms.json"]
    plans = collect(tmp_path)
    assert [len(page.rooms) for page in plans.pages] == [len(whole.draw(seed, "pdf")[1]["rooms"]) for seed in (7, 8)]
