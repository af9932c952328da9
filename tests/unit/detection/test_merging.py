import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import Polygon, box
from tests.unit.detection.drawn import pdf_of
from tests.unit.detection.test_engine import office
from training import whole
from training.truth import polygons

from detection import engine, raster
from detection.assembly import build_page
from detection.document import PicturePage
from detection.engine import detect
from detection.labels import Label
from detection.merging import Found, Reading, together
from detection.polygons import Outline
from detection.regions import Closure, Kind, Region, Regions
from detection.settings import Settings
from evaluation.matching import match_rooms
from models.blueprint import Blueprint

MOST_OVERLAP = 0.02


def found(shape: Polygon, chance: float) -> Found:
    return Found(Outline(Region(1, chance), shape), Label(), {"solidity": 1.0, "unlabelled": 0.0}, chance)


def reading(*rooms: tuple[Polygon, float], kind: Kind = "seen", closures: tuple[Closure, ...] = ()) -> Reading:
    items = [found(shape, chance) for shape, chance in rooms]
    regions = [item.outline.region for item in items]
    return Reading(Regions(np.zeros((1, 1), np.int32), 1, regions, list(closures), wall_px=8, kind=kind), items)


def shapes(*readings: Reading) -> list[Polygon]:
    return [item.outline.polygon.normalize() for item in together(readings)]


def area(*bounds: float) -> Polygon:
    return box(*bounds).normalize()


LEFT, RIGHT, BOTH = area(0, 0, 100, 100), area(110, 0, 200, 100), area(0, 0, 200, 100)


class TestOneReading:
    def test_its_likely_rooms_are_left_as_they_are(self) -> None:
        assert shapes(reading((RIGHT, 0.9), (LEFT, 0.41), (area(300, 0, 400, 50), 0.39))) == [RIGHT, LEFT]

    def test_it_is_doubtful_by_its_mean_and_where_it_is_empty(self) -> None:
        assert reading().doubtful
        assert reading((LEFT, 0.95), (RIGHT, 0.8)).doubtful
        assert not reading((LEFT, 0.95), (RIGHT, 0.9)).doubtful


class TestTwoReadings:
    def test_each_part_of_the_page_keeps_the_one_that_promises_more(self) -> None:
        below, halves = area(0, 200, 200, 300), (area(0, 200, 95, 300), area(105, 200, 200, 300))
        drawn = reading((BOTH, 0.8), (halves[0], 0.9), (halves[1], 0.9), kind="drawn")
        seen = reading((LEFT, 0.6), (RIGHT, 0.7), (below, 0.95))
        assert set(shapes(drawn, seen)) == {LEFT, RIGHT, *halves}

    def test_of_equals_the_drawn_one_stays(self) -> None:
        drawn, seen = area(0, 0, 100, 100), area(1, 1, 99, 99)
        assert shapes(reading((drawn, 0.9), kind="drawn"), reading((seen, 0.9))) == [drawn]

    def test_what_only_one_of_them_found_stays(self) -> None:
        assert set(shapes(reading((LEFT, 0.9), kind="drawn"), reading((RIGHT, 0.5)))) == {LEFT, RIGHT}
        assert shapes(reading(kind="drawn"), reading((RIGHT, 0.5))) == [RIGHT]
        assert shapes(reading(kind="drawn"), reading()) == []

    def test_an_unlikely_room_takes_no_place(self) -> None:
        assert shapes(reading((BOTH, 0.39), kind="drawn"), reading((LEFT, 0.5))) == [LEFT]

    def test_neighbours_of_two_readings_are_cut_where_they_share_ground(self) -> None:
        sure, other = area(0, 0, 104, 100), area(98, 0, 200, 100)
        assert set(shapes(reading((other, 0.6), kind="drawn"), reading((sure, 0.9)))) == {sure, area(104, 0, 200, 100)}

    @given(
        st.lists(
            st.tuples(st.booleans(), *[st.integers(0, 40)] * 2, *[st.integers(3, 25)] * 2, st.floats(0.3, 0.99)),
            max_size=14,
        )
    )
    @settings(max_examples=150, deadline=None)
    def test_rooms_stay_valid_and_apart(self, given_rooms: list[tuple[bool, int, int, int, int, float]]) -> None:
        sides: dict[bool, list[tuple[Polygon, float]]] = {False: [], True: []}
        for seen, x, y, width, height, chance in given_rooms:
            shape = area(10 * x, 10 * y, 10 * (x + width), 10 * (y + height))
            if not any(shape.intersection(other).area for other, _ in sides[seen]):  # a reading's rooms are apart
                sides[seen].append((shape, chance))
        kept = shapes(reading(*sides[False], kind="drawn"), reading(*sides[True]))
        assert all(shape.is_valid and shape.area > 0 for shape in kept)
        for k, one in enumerate(kept):
            for other in kept[k + 1 :]:
                assert one.intersection(other).area <= MOST_OVERLAP * min(one.area, other.area) + 1e-6
        assert bool(kept) == any(chance >= 0.4 for rooms in sides.values() for _, chance in rooms)


class TestOpenings:
    def test_an_opening_that_both_found_is_there_once_and_others_follow_their_rooms(self) -> None:
        here = Closure("door", ((105, 40), (105, 60)), 0.9)
        almost = Closure("gap", ((107, 42), (107, 62)), 0.6)
        window = Closure("window", ((160, -4), (180, -4)), 0.7)
        drawn = reading((LEFT, 0.95), kind="drawn", closures=(here,))
        seen = reading((RIGHT, 0.9), closures=(almost, window))
        page = build_page(PicturePage(np.full((120, 220, 3), 255, np.uint8)), [drawn, seen], 1)
        assert [(o.kind, o.rooms) for o in page.openings] == [
            ("window", ["room_002"]),
            ("door", ["room_001", "room_002"]),
        ]
        alone = build_page(PicturePage(np.full((120, 220, 3), 255, np.uint8)), [drawn, reading(closures=(window,))], 1)
        assert [(o.kind, o.rooms) for o in alone.openings] == [("door", ["room_001"])]


def looks_of(data: bytes, monkeypatch: pytest.MonkeyPatch, **given: bool) -> int:
    """How often pictures are looked at."""
    honest, looks = raster.find_regions, []
    monkeypatch.setattr(raster, "find_regions", lambda *a: (looks.append(1), honest(*a))[1])
    detect(Blueprint.parse(data), Settings(**given))
    return len(looks)


class TestTheSecondLook:
    DOUBTFUL = (5018, 5020)  # whether or not there are traced flats to draw

    def test_it_finds_what_the_lines_do_not_tell(self) -> None:
        right = {False: 0, True: 0}
        for seed in self.DOUBTFUL:
            data, truth = whole.draw(seed, "pdf")
            for network in right:
                rooms = detect(Blueprint.parse(data), Settings(network=network)).pages[0].rooms
                matches = match_rooms([Polygon(room.polygon) for room in rooms], polygons(truth))
                right[network] += len(matches.at_least(0.5))
        assert right[True] >= right[False] + 5

    def test_only_doubtful_pages_are_looked_at_and_only_by_the_network(self, monkeypatch: pytest.MonkeyPatch) -> None:
        data, _ = whole.draw(self.DOUBTFUL[0], "pdf")
        assert looks_of(data, monkeypatch) == 1
        assert looks_of(data, monkeypatch, network=False) == 0
        monkeypatch.setattr("detection.merging._DOUBTFUL", 0.0)
        assert looks_of(pdf_of(office), monkeypatch) == 0

    def test_walls_too_thin_to_be_seen_are_left_to_the_lines(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("detection.merging._DOUBTFUL", 1.1)
        assert looks_of(pdf_of(office), monkeypatch) == 1
        monkeypatch.setattr(engine.raster, "_LEAST_WALL_PX", 50)
        assert looks_of(pdf_of(office), monkeypatch) == 0
