"""The search for rooms on pictures, on drawings made here: what is closed is found, what is not a room is not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detection.morphology import run_lengths
from detection.raster import find_regions
from detection.settings import Settings

WALL = 12
STROKES = Settings(network=False)


def flat(*, door: str = "gap", window: bool = True, ink: int = 0, paper: int = 255, angle_deg: float = 0) -> np.ndarray:
    """Two rooms of 400 x 500 px side by side with a door between them, a window and a front door."""
    image = np.full((700, 1000, 3), paper, np.uint8)
    black = (ink,) * 3

    def wall(x0: int, y0: int, x1: int, y1: int) -> None:
        cv2.rectangle(image, (x0, y0), (x1 - 1, y1 - 1), black, -1)

    wall(80, 80, 80 + 2 * 400 + 3 * WALL, 80 + WALL)
    wall(80, 580 + WALL, 80 + 2 * 400 + 3 * WALL, 580 + 2 * WALL)
    for x in (80, 480 + WALL, 880 + 2 * WALL):
        wall(x, 80, x + WALL, 580 + 2 * WALL)
    if door != "none":
        image[300:370, 480 + WALL : 480 + 2 * WALL] = paper
    if door == "arc":
        cv2.line(image, (480 + WALL, 300), (410, 300), black, 1)
        cv2.ellipse(image, (480 + WALL, 300), (70, 70), 0, 90, 180, black, 1)
    if window:
        image[80 : 80 + WALL, 200:360] = paper
        for y in (80, 80 + WALL // 2, 80 + WALL - 1):
            cv2.line(image, (200, y), (360, y), black, 1)
    if angle_deg:
        turn = cv2.getRotationMatrix2D((500, 350), angle_deg, 0.8)
        image = cv2.warpAffine(image, turn, (1000, 700), borderValue=(paper,) * 3)
    return image


def areas_of(image: np.ndarray) -> list[float]:
    found = find_regions(image, STROKES)
    unit = found.units_per_px**2
    return sorted(float((found.labels == region.label).sum()) * unit for region in found.regions)


@pytest.mark.parametrize("door", ["none", "gap", "arc"])
@pytest.mark.parametrize("window", [True, False])
def test_two_rooms_are_found_whatever_closes_them(door: str, window: bool) -> None:
    areas = areas_of(flat(door=door, window=window))
    assert len(areas) == 2
    assert areas == pytest.approx([400 * 500] * 2, rel=0.04)


@pytest.mark.parametrize(("ink", "paper"), [(0, 200), (70, 255), (90, 230)])
def test_grey_ink_on_tinted_paper_changes_nothing(ink: int, paper: int) -> None:
    assert areas_of(flat(ink=ink, paper=paper)) == pytest.approx([400 * 500] * 2, rel=0.04)


@pytest.mark.parametrize("angle_deg", [90, 180, 7, -30])
def test_a_turned_drawing_has_the_same_rooms(angle_deg: float) -> None:
    assert areas_of(flat(angle_deg=angle_deg, window=False)) == pytest.approx([400 * 500 * 0.64] * 2, rel=0.08)


def test_hollow_walls_are_walls() -> None:
    image = np.full((800, 1000, 3), 255, np.uint8)
    for x0, y0, x1, y1 in ((100, 100, 900, 700), (120, 120, 490, 680), (510, 120, 880, 680)):
        cv2.rectangle(image, (x0, y0), (x1, y1), (0, 0, 0), 2)
    assert areas_of(image) == pytest.approx([370 * 560] * 2, rel=0.05)


def test_furniture_and_text_divide_nothing() -> None:
    image = flat()
    cv2.rectangle(image, (120, 400), (260, 560), (0, 0, 0), 1)
    cv2.circle(image, (300, 250), 60, (0, 0, 0), 1)
    cv2.putText(image, "BEDROOM 12.5", (120, 220), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (0, 0, 0), 2)
    cv2.line(image, (520, 300), (880, 300), (0, 0, 0), 1)
    assert areas_of(image) == pytest.approx([400 * 500] * 2, rel=0.04)


def test_the_sheets_border_is_not_a_room() -> None:
    image = flat()
    cv2.rectangle(image, (10, 10), (989, 689), (0, 0, 0), 10)
    assert areas_of(image) == pytest.approx([400 * 500] * 2, rel=0.04)


def test_labels_are_numbered_without_gaps_and_end_at_the_walls() -> None:
    found = find_regions(flat(), STROKES)
    assert {region.label for region in found.regions} == set(np.unique(found.labels)) - {0}
    scale = 1 / found.units_per_px
    wall = found.labels[int(300 * scale), int(81 * scale) : int((80 + WALL - 1) * scale)]
    assert not wall.any()


def test_a_door_and_a_window_are_reported_as_closures() -> None:
    found = find_regions(flat(window=False), STROKES)
    lengths = [float(np.hypot(*np.subtract(*c.line_px))) * found.units_per_px for c in found.closures]
    assert any(length == pytest.approx(70, abs=4) for length in lengths)


def test_every_step_can_be_drawn() -> None:
    pictures: dict[str, np.ndarray] = {}
    find_regions(flat(), STROKES, lambda name, picture: pictures.update({name: picture}))
    assert list(pictures) == ["ink", "walls", "openings", "rooms"]
    assert all(p.dtype == np.uint8 and p.any() for p in pictures.values())


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 400, 3), (400, 3, 3), (50, 50, 3)])
@pytest.mark.parametrize("value", [0, 128, 255])
def test_blank_pictures_say_why_there_are_no_rooms(shape: tuple[int, ...], value: int) -> None:
    found = find_regions(np.full(shape, value, np.uint8), STROKES)
    assert found.regions == []
    assert found.message


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_noise_never_breaks_the_search(seed: int) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    found = find_regions(noise, STROKES)
    assert found.labels.max(initial=0) == len(found.regions)


@given(st.lists(st.lists(st.booleans(), min_size=7, max_size=7), min_size=1, max_size=5))
def test_run_lengths_count_each_run(rows: list[list[bool]]) -> None:
    lengths = run_lengths(np.array(rows))
    for row, counted in zip(rows, lengths, strict=True):
        text = "".join("x" if cell else " " for cell in row)
        expected = [len(run) for run in text.split() for _ in run]
        assert [int(v) for v in counted if v] == expected
