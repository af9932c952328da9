"""The figures of a page and of a set, on rooms whose figures can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.evaluation.labelled import box, found_room, labelled_page, unhurried

from evaluation.figures import (
    PageScore,
    Share,
    calibration_error,
    compare,
    f1,
    mean_figures,
    plain,
    reliability,
    score_page,
    set_figures,
)
from evaluation.truth import TrueRoom

A, B = box(0, 0, 10, 10), box(20, 0, 30, 10)
scores = st.builds(
    lambda found, true, share: PageScore(found, true, (round(share * min(found, true)),) * 3),
    st.integers(0, 30),
    st.integers(0, 30),
    st.floats(0, 1),
)


def true_room(ring: list[tuple[float, float]], **facts: object) -> TrueRoom:
    return TrueRoom(shapely.Polygon(ring), **facts)  # type: ignore[arg-type]


def scored(found: list[object], true: list[TrueRoom], **page: object) -> PageScore:
    labelled = labelled_page(true, **page)
    return score_page(compare(found, labelled), whole=labelled.kind != "obb")  # type: ignore[arg-type]


def test_levels_are_counted_apart() -> None:
    cut = [found_room(box(0, 0, 10, width)) for width in (9.0, 7.5, 5.5, 4.0)]
    counted = [scored([room], [true_room(A)]).hits for room in cut]
    assert counted == [(1, 1, 1), (1, 1, 0), (1, 0, 0), (0, 0, 0)]
    exact = scored([found_room(box(0, 0, 10, 5))], [true_room(A)])
    assert (exact.hits, exact.iou_sum) == ((1, 0, 0), 0.5)


def test_precision_and_recall_are_told_apart() -> None:
    figures = set_figures([scored([found_room(A)], [true_room(A), true_room(B)])], np.random.default_rng(0))
    assert (figures.precision, figures.recall, figures.f1[0]) == (1.0, 0.5, pytest.approx(2 / 3))
    assert (figures.plans, figures.true, figures.found, figures.mean_iou) == (1, 2, 1, 1.0)
    assert figures.low == figures.high == figures.f1[0]


def test_names_numbers_and_areas_are_asked_of_matched_rooms_alone() -> None:
    true = [
        true_room(A, label="Living Room", number="1.04", area_m2=20.0),
        true_room(B, label="Bath", number="2", area_m2=10.0),
        true_room(box(40, 0, 50, 10), label="Attic", area_m2=5.0),
    ]
    found = [
        found_room(A, name_hint="LIVING-ROOM", number="104", area_m2=20.9),
        found_room(B, name_hint="Hall", area_m2=10.6),
    ]
    score = scored(found, true)
    assert (score.labels, score.numbers, score.areas) == (Share(1, 2), Share(1, 2), Share(1, 2))
    nothing = scored([found_room(A)], [true_room(A, label="Hall", number="7", area_m2=3.0)])
    assert (nothing.labels, nothing.numbers, nothing.areas) == (Share(0, 1),) * 3


def test_a_number_may_stand_in_the_label() -> None:
    assert scored([found_room(A, number="1201 A")], [true_room(A, label="1201A")]).labels == Share(1, 1)
    assert scored([found_room(A, name_hint="Lab", number="7")], [true_room(A, label="Lab 7")]).labels == Share(1, 1)
    assert plain("Büro  1.04") == plain("büro 104")


def test_a_label_without_letters_or_digits_is_no_name_to_find() -> None:
    assert scored([found_room(A)], [true_room(A, label="\ue001 *")]).labels == Share(0, 0)


def test_where_rooms_are_not_labelled_only_recall_counts() -> None:
    found = [found_room(A, confidence=0.9), found_room(B, confidence=0.9)]
    assert scored(found, [true_room(A)]).claims == ((0.9, True), (0.9, False))
    part = scored(found, [true_room(A)], kind="obb")
    assert (part.whole, part.claims) == (False, ())
    whole = scored([found_room(A)], [true_room(A)])
    assert mean_figures([[part], [whole]], np.random.default_rng(0)).sets == 1
    assert mean_figures([[part]], np.random.default_rng(0)).f1[0] == pytest.approx(2 / 3)


def test_a_confidence_claims_an_iou_of_070() -> None:
    cut = [scored([found_room(box(0, 0, 10, width), confidence=0.8)], [true_room(A)]) for width in (7.0, 6.9, 5.5)]
    assert [score.claims for score in cut] == [((0.8, True),), ((0.8, False),), ((0.8, False),)]


def test_the_mean_counts_every_set_the_same() -> None:
    perfect, missed = PageScore(1, 1, (1, 1, 0)), PageScore(9, 9, (0, 0, 0))
    mean = mean_figures([[perfect], [missed] * 5], np.random.default_rng(0))
    assert (mean.f1, mean.recall, mean.sets) == ((0.5, 0.5, 0.0), 0.5, 2)
    assert mean.low == mean.high == 0.5


@unhurried
@given(st.lists(scores, min_size=1, max_size=12), st.integers(0, 100))
def test_the_interval_is_around_the_figure_and_repeats(pages: list[PageScore], seed: int) -> None:
    figures = set_figures(pages, np.random.default_rng(seed))
    assert 0 <= figures.low <= figures.high <= 1
    assert figures == set_figures(pages, np.random.default_rng(seed))
    assert min(page.f1() for page in pages) - 1e-12 <= figures.low
    assert figures.high <= max(page.f1() for page in pages) + 1e-12
    precision, recall = figures.precision, figures.recall
    assert f1(pages) == pytest.approx(2 * precision * recall / (precision + recall) if precision + recall else 0)


@unhurried
@given(st.floats(0.02, 0.98), st.integers(1, 200))
def test_a_confidence_that_is_true_has_no_error(share: float, rooms: int) -> None:
    right = round(share * rooms)
    claims = [(right / rooms, place < right) for place in range(rooms)]
    assert calibration_error(claims) == pytest.approx(0, abs=1e-9)
    assert calibration_error([(1.0, truth) for _, truth in claims]) == pytest.approx(1 - right / rooms)


@unhurried
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_bins_hold_every_room_once(claims: list[tuple[float, bool]]) -> None:
    bins = reliability(claims)
    assert sum(b.rooms for b in bins) == len(claims)
    assert all(b.low - 1e-9 <= b.confidence <= b.high + 1e-9 and 0 <= b.right <= 1 for b in bins)
    assert [b.low for b in bins] == sorted({b.low for b in bins})


def test_the_calibration_error_is_weighed_by_rooms() -> None:
    claims = [(0.95, True)] * 3 + [(0.25, True)]
    assert calibration_error(claims) == pytest.approx((3 * 0.05 + 0.75) / 4)
    assert calibration_error([]) is None
    assert Share().value is None
