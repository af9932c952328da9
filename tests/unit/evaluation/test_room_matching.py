"""Rooms are matched one to one, whatever order they come in, wherever they lie and however large they are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely import affinity
from tests.unit.evaluation.labelled import partition, unhurried

from evaluation.figures import LEVELS
from evaluation.geometry import comparable
from evaluation.matching import Matching, match_rooms

seeds = st.integers(0, 2**32 - 1)
counts = st.integers(1, 12)


def two_sides(seed: int, found: int, true: int) -> tuple[list[Any], list[Any]]:
    """Rooms of both sides; half of the pages have found rooms that are the true ones, a little moved."""
    random = np.random.default_rng(seed)
    truth = partition(random, true)
    if seed % 2:
        moved = [affinity.translate(room, *random.uniform(-4, 4, 2)) for room in truth if random.random() < 0.8]
        return moved, truth
    return partition(random, found), truth


def hits(matching: Matching) -> list[int]:
    return [len(matching.at_least(level)) for level in LEVELS]


@unhurried
@given(seeds, counts, counts)
def test_no_room_is_matched_twice_and_the_best_come_first(seed: int, found: int, true: int) -> None:
    ours, theirs = two_sides(seed, found, true)
    matches = match_rooms(ours, theirs).matches
    assert len({m.found for m in matches}) == len({m.true for m in matches}) == len(matches)
    assert [m.iou for m in matches] == sorted((m.iou for m in matches), reverse=True)
    for match in matches:
        a, b = ours[match.found], theirs[match.true]
        assert math.isclose(match.iou, a.intersection(b).area / a.union(b).area, abs_tol=1e-9)
    free_found = set(range(len(ours))) - {m.found for m in matches}
    free_true = set(range(len(theirs))) - {m.true for m in matches}
    assert all(ours[i].intersection(theirs[j]).area == 0 for i in free_found for j in free_true)


@unhurried
@given(seeds, counts)
def test_the_truth_against_itself_is_perfect(seed: int, rooms: int) -> None:
    truth = partition(np.random.default_rng(seed), rooms)
    matching = match_rooms(truth, truth)
    assert hits(matching) == [rooms] * len(LEVELS)
    assert all(match.found == match.true and match.iou == pytest.approx(1) for match in matching.matches)
    assert matching.split == matching.merged == ()


@unhurried
@given(seeds, counts, counts)
def test_the_order_of_the_rooms_does_not_matter(seed: int, found: int, true: int) -> None:
    ours, theirs = two_sides(seed, found, true)
    random = np.random.default_rng(seed)
    p, q = random.permutation(len(ours)).tolist(), random.permutation(len(theirs)).tolist()
    plain, mixed = match_rooms(ours, theirs), match_rooms([ours[i] for i in p], [theirs[j] for j in q])
    assert {(p[m.found], q[m.true]) for m in mixed.matches} == {(m.found, m.true) for m in plain.matches}
    assert {p[i] for i in mixed.merged} == set(plain.merged)
    assert {q[j] for j in mixed.split} == set(plain.split)


@unhurried
@given(seeds, counts, counts)
def test_both_sides_see_the_same_pairs(seed: int, found: int, true: int) -> None:
    ours, theirs = two_sides(seed, found, true)
    forth, back = match_rooms(ours, theirs), match_rooms(theirs, ours)
    assert {(m.found, m.true) for m in forth.matches} == {(m.true, m.found) for m in back.matches}


@unhurried
@given(seeds, counts, counts, st.sampled_from([0.25, 3.0, 40.0]), st.integers(-500, 500), st.integers(-500, 500))
def test_place_and_size_do_not_matter(seed: int, found: int, true: int, scale: float, dx: int, dy: int) -> None:
    ours, theirs = two_sides(seed, found, true)
    change = [scale, 0, 0, scale, dx, dy]
    plain = match_rooms(ours, theirs)
    moved = match_rooms(*([affinity.affine_transform(room, change) for room in side] for side in (ours, theirs)))
    assert (hits(moved), moved.split, moved.merged) == (hits(plain), plain.split, plain.merged)
    assert sum(m.iou for m in moved.matches) == pytest.approx(sum(m.iou for m in plain.matches), abs=1e-6)


def test_split_and_merged_are_told_apart() -> None:
    whole, left, right = shapely.box(0, 0, 10, 10), shapely.box(0, 0, 5.5, 10), shapely.box(5.5, 0, 10, 10)
    other = shapely.box(20, 0, 30, 10)
    split = match_rooms([left, right, other], [whole, other])
    assert (split.split, split.merged) == ((0,), ())
    merged = match_rooms([other, whole], [left, right, other])
    assert (merged.split, merged.merged) == ((), (1,))


def test_a_crumb_splits_nothing() -> None:
    crumb, rest = shapely.box(0, 0, 0.9, 10), shapely.box(0.9, 0, 10, 10)
    assert match_rooms([crumb, rest], [shapely.box(0, 0, 10, 10)]).split == ()


def test_of_equal_pairs_the_latest_goes_first() -> None:
    whole, halves = shapely.box(0, 0, 10, 10), [shapely.box(0, 0, 10, 5), shapely.box(0, 5, 10, 10)]
    assert [(m.found, m.true, m.iou) for m in match_rooms([whole], halves).matches] == [(0, 1, 0.5)]
    assert [(m.found, m.true, m.iou) for m in match_rooms(halves, [whole]).matches] == [(1, 0, 0.5)]
    twice = match_rooms([whole, whole], [whole, whole]).matches
    assert [(m.found, m.true) for m in twice] == [(1, 1), (0, 0)]


def test_no_rooms_match_no_rooms() -> None:
    assert match_rooms([], [shapely.box(0, 0, 1, 1)]) == match_rooms([shapely.box(0, 0, 1, 1)], []) == Matching()
    apart = match_rooms([shapely.box(0, 0, 1, 1)], [shapely.box(1, 0, 2, 1)])
    assert apart == Matching()


def test_boxes_and_turned_boxes_are_compared_where_the_truth_has_no_more() -> None:
    corner = shapely.Polygon([(0, 0), (10, 0), (10, 5), (5, 5), (5, 10), (0, 10)])
    assert comparable(corner, "polygon") is corner
    assert comparable(corner, "bbox").equals(shapely.box(0, 0, 10, 10))
    turned = affinity.rotate(shapely.box(0, 0, 8, 3), 30)
    assert comparable(turned, "obb").area == pytest.approx(24)
    assert comparable(turned, "bbox").area > 40
