"""Every part that the ablation leaves out is still there, leaving it out does something, and it comes back."""

from pathlib import Path

import numpy as np
import pytest
from benchmarks import ablation
from benchmarks.ablation import PARTS, WHOLE, concerned, holder_of, summary, without
from tests.unit.detection.drawn import png_of, two_rooms

from detection.engine import detect
from detection.settings import Settings
from models.blueprint import Blueprint

TARGETS = [(name, target) for name, part in PARTS.items() for target in part.patches]


@pytest.mark.parametrize(("name", "target"), TARGETS)
def test_what_a_part_replaces_is_there_and_comes_back(name: str, target: str) -> None:
    holder, attribute = holder_of(target)
    before = getattr(holder, attribute)
    with without(name):
        assert getattr(holder, attribute) is not before
    assert getattr(holder, attribute) is before


@pytest.mark.parametrize("name", [name for name, part in PARTS.items() if part.settings])
def test_settings_of_a_part_are_the_engines(name: str) -> None:
    with without(name) as settings:
        assert Settings(**settings) != Settings()


def test_a_name_that_is_gone_is_told() -> None:
    with pytest.raises(AttributeError, match="say anew"):
        holder_of("detection.engine:no_such_thing")


@pytest.mark.parametrize("name", [name for name, part in PARTS.items() if part.reads != "drawn"])
def test_the_engine_reads_a_picture_without_the_part(name: str) -> None:
    with without(name) as settings:
        plan = detect(Blueprint.parse(png_of(two_rooms())), Settings(threads=1, **settings))
    assert plan.pages[0].width == 640


def test_without_what_tells_them_apart_two_rooms_are_one() -> None:
    with without("openings seen"), without("cuts by depth"):
        merged = detect(Blueprint.parse(png_of(two_rooms())), Settings(threads=1)).room_count
    assert merged < 2
    assert detect(Blueprint.parse(png_of(two_rooms())), Settings(threads=1)).room_count == 2


def test_parts_concern_their_plans() -> None:
    assert concerned("network", Path("a.png"))
    assert not concerned("network", Path("a.pdf"))
    assert concerned("own lines", Path("a.pdf"))
    assert not concerned("own lines", Path("a.jpg"))
    assert concerned("straight walls", Path("a.jpg"))
    assert concerned(WHOLE, Path("a.pdf"))


def test_what_a_part_brings_is_what_is_lost_without_it() -> None:
    def row(hits: int, ms: float) -> dict[str, object]:
        levels = [hits, hits, 0]
        return {"hits": levels, "found": 10, "true": 10, "split": 0, "merged": 0, "ms": ms, "failed": False}

    table = summary([{WHOLE: row(8, 300), "network": row(5, 100)}] * 3)
    assert table["network"]["brings_points"] == pytest.approx(30)
    assert table["network"]["takes_ms"] == 200
    assert table[WHOLE]["brings_points"] == 0
    assert "own lines" not in table


def test_uncut_pieces_are_what_is_connected() -> None:
    mask = np.array([[1, 1, 0, 1], [0, 0, 0, 1]], np.uint8)
    assert ablation.uncut(mask, None).tolist() == [[1, 1, 0, 2], [0, 0, 0, 2]]
