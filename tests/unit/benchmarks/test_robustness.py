"""What the robustness table rests on: pictures and true rooms are changed alike, and losses are counted in points."""

import cv2
import numpy as np
import pytest
from benchmarks.robustness import CHANGES, changed_bytes, moved, summary
from benchmarks.scoring import change, f50

WIDTH, HEIGHT = 301, 200
#: x0, y0, x1, y1 of a dark room on light paper, far from the middle, so that no turn leaves it in its place.
ROOM = (40, 20, 140, 90)


def plan() -> bytes:
    picture = np.full((HEIGHT, WIDTH, 3), 240, np.uint8)
    x0, y0, x1, y1 = ROOM
    picture[y0:y1, x0:x1] = 20
    return cv2.imencode(".png", picture)[1].tobytes()


def true_room() -> dict[str, object]:
    x0, y0, x1, y1 = ROOM
    return {"polygon": [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]}


@pytest.mark.parametrize("name", CHANGES)
def test_true_rooms_go_where_the_picture_goes(name: str) -> None:
    data, matrix = changed_bytes(plan(), CHANGES[name], seed=3)
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    dark = picture < 128
    ring = np.array(moved(true_room(), matrix)["polygon"])
    # Pixels whose middle lies in the ring, by sixteenths of a pixel.
    inside = np.zeros(picture.shape, np.uint8)
    cv2.fillPoly(inside, [np.rint((ring - 0.5) * 16).astype(np.int32)], 1, shift=4)
    assert (dark & (inside > 0)).sum() / (dark | (inside > 0)).sum() > 0.95
    rows, columns = np.flatnonzero(dark.any(1)), np.flatnonzero(dark.any(0))
    box = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    assert [*ring.min(0), *ring.max(0)] == pytest.approx(box, abs=1.5)


@pytest.mark.parametrize(("name", "size"), [("90", (200, 301)), ("x2", (602, 400)), ("x0.5", (150, 100))])
def test_changes_change_the_size(name: str, size: tuple[int, int]) -> None:
    data, _ = changed_bytes(plan(), CHANGES[name], seed=3)
    height, width = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape[:2]
    assert (width, height) == size


def test_the_plain_plan_is_the_file_itself_and_a_jpeg_is_one() -> None:
    assert changed_bytes(plan(), CHANGES["plain"], seed=3)[0] == plan()
    assert changed_bytes(plan(), CHANGES["jpeg70"], seed=3)[0].startswith(b"\xff\xd8\xff")


def test_noise_is_the_same_for_the_same_plan() -> None:
    one, other, third = (changed_bytes(plan(), CHANGES["noise"], seed)[0] for seed in (3, 3, 4))
    assert one == other != third


def test_holes_move_too() -> None:
    _, matrix = changed_bytes(plan(), CHANGES["180"], seed=3)
    room = {"polygon": [[0, 0], [30, 0], [30, 30], [0, 30]], "holes": [[[10, 5], [20, 5], [20, 15]]]}
    assert moved(room, matrix)["holes"] == [
        [[WIDTH - 10, HEIGHT - 5], [WIDTH - 20, HEIGHT - 5], [WIDTH - 20, HEIGHT - 15]]
    ]


def row(hits: int, found: int, true: int) -> dict[str, object]:
    return {"hits": [hits, hits, 0], "found": found, "true": true, "split": 0, "merged": 0}


def test_losses_are_points_of_f50() -> None:
    plans = [{"plain": row(8, 10, 10), "90": row(7, 10, 10)}, {"plain": row(2, 5, 5), "90": row(2, 5, 5)}]
    table = summary(plans, ["plain", "90"])
    assert (table["plain"]["loss"], table["plain"]["F50"]) == (0, pytest.approx(10 / 15, abs=1e-4))
    assert table["90"]["loss"] == pytest.approx(100 * (10 - 9) / 15, abs=0.01)
    assert table["90"]["loss_low"] <= table["90"]["loss"] <= table["90"]["loss_high"]
    assert table["90"]["bar"] == 3


def test_a_change_that_is_the_same_on_every_plan_is_certain() -> None:
    before, after = [row(5, 10, 10)] * 8, [row(4, 10, 10)] * 8
    assert change(before, after) == pytest.approx((-0.1, -0.1, -0.1))
    assert f50([]) == 0
