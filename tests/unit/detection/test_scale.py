import pytest
from hypothesis import given
from hypothesis import strategies as st

from detection.pdf import Word
from detection.scale import find_scale

PT_OF_1_TO_100 = 100 * 0.0254 / 72


def note(text: str) -> list[Word]:
    return [Word(text, (0, 0, 5.0 * len(text), 10), 10, 0)]


def rooms(metres_per_unit: float, *sizes_m2: float) -> list[tuple[float, float | None]]:
    return [(size / metres_per_unit**2, round(size, 1)) for size in sizes_m2]


def test_printed_areas_give_the_scale() -> None:
    found = find_scale([*rooms(0.046, 12.3, 20.1, 8.8), (500.0, None)], [], "pt")
    assert found.scale is not None
    assert found.scale.metres_per_unit == pytest.approx(0.046, rel=0.01)
    assert (found.scale.from_, found.scale.agreement, found.message) == ("printed areas", 1.0, None)


def test_rooms_drawn_wrong_are_outvoted() -> None:
    found = find_scale([*rooms(0.046, 12.3, 20.1, 8.8, 30.4), (9e5, 12.0)], [], "px")
    assert found.scale is not None
    assert found.scale.metres_per_unit == pytest.approx(0.046, rel=0.01)
    assert found.scale.agreement == 0.8


def test_a_single_printed_area_is_not_enough() -> None:
    assert find_scale(rooms(0.046, 12.3), [], "pt").scale is None


def test_areas_that_do_not_agree_give_none_and_say_so() -> None:
    found = find_scale([(100.0, 1.0), (100.0, 10.0), (100.0, 100.0)], [], "pt")
    assert found.scale is None
    assert found.message == "The printed areas do not agree on a scale."


def test_a_note_alone_counts_for_points_only() -> None:
    areas: list[tuple[float, float | None]] = [(16 / PT_OF_1_TO_100**2, None)] * 3
    found = find_scale(areas, note("1:100"), "pt")
    assert found.scale is not None
    assert found.scale.metres_per_unit == pytest.approx(PT_OF_1_TO_100, rel=1e-4)
    assert found.scale.from_ == "scale note 1:100"
    assert find_scale(areas, note("1:100"), "px").scale is None


def test_a_note_that_makes_rooms_impossible_is_not_believed() -> None:
    found = find_scale([(16 / PT_OF_1_TO_100**2, None)] * 3, note("1:10"), "pt")
    assert found.scale is None
    assert "1:10" in (found.message or "")


def test_two_different_notes_alone_give_none() -> None:
    assert find_scale([(16 / PT_OF_1_TO_100**2, None)] * 3, note("1:100") + note("1:20"), "pt").scale is None


def test_of_two_notes_the_areas_choose() -> None:
    found = find_scale(rooms(PT_OF_1_TO_100, 12.3, 20.1), note("1:100") + note("1:20"), "pt")
    assert found.scale is not None
    assert found.scale.from_ == "scale note 1:100 and printed areas"
    assert found.scale.agreement == 1.0


def test_disagreement_is_reported_and_many_areas_win() -> None:
    found = find_scale(rooms(0.046, 12.3, 20.1, 8.8), note("1:50"), "pt")
    assert found.scale is not None
    assert found.scale.metres_per_unit == pytest.approx(0.046, rel=0.01)
    assert found.scale.agreement == 0.75
    assert found.message == "The scale note 1:50 disagrees with the printed areas, which were used."


def test_disagreement_with_few_areas_gives_none() -> None:
    found = find_scale(rooms(0.046, 12.3, 20.1), note("1:50"), "pt")
    assert found.scale is None
    assert found.message == "The scale note 1:50 disagrees with the printed areas; no scale is given."


def test_nothing_known() -> None:
    assert find_scale([(100.0, None)], [], "pt").scale is None
    assert find_scale([], [], "pt").message is None


@given(st.floats(0.001, 0.2), st.lists(st.floats(2.0, 300.0), min_size=3, max_size=12), st.data())
def test_a_minority_of_wrong_rooms_never_moves_the_scale(
    metres: float, sizes: list[float], data: st.DataObject
) -> None:
    good = [(size / metres**2, size) for size in sizes]
    factors = data.draw(st.lists(st.floats(1.5, 50), max_size=(len(sizes) - 1) // 2, unique=True))
    bad = [(10 / metres**2 * factor, 10.0) for factor in factors]
    found = find_scale([*good, *bad], [], "pt")
    assert found.scale is not None
    assert found.scale.metres_per_unit == pytest.approx(metres, rel=0.02)
