"""Labelled plans through the real engine: what is scored, what fails, and what costs are told."""

from __future__ import annotations

import os
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import cv2
import numpy as np
import pytest
from reportlab.pdfgen.canvas import Canvas
from tests.unit.evaluation.labelled import box, draw_plan, found_room, own, write

from detection.settings import Settings
from evaluation.collect import collect
from evaluation.drawing import FOUND_MERGED, FOUND_RIGHT, FOUND_WRONG, TRUE_MISSED, draw_rooms
from evaluation.figures import compare
from evaluation.geometry import polygon_of
from evaluation.measure import DocumentResult, Task, measure
from evaluation.run import cost_of, evaluate, settle, tasks_of
from evaluation.truth import LabelledPage, TrueRoom

SETTINGS = Settings(threads=1)


def only_task(root: Path, *, draw: bool = False) -> Task:
    collection = collect(root)
    assert collection.problems == ()
    ((task,),) = tasks_of(collection.pages, SETTINGS, draw=draw).values()
    return task


def test_a_plan_that_is_right_is_perfect(tmp_path: Path) -> None:
    write(tmp_path / "a.json", own("a.png", draw_plan(tmp_path / "a.png", 3), width=680, height=320))
    (result,) = (done := measure(only_task(tmp_path, draw=True))).results
    assert result.problem is None
    assert result.score is not None
    assert (result.score.true, result.score.found, result.score.hits) == (3, 3, (3, 3, 3))
    assert result.seconds_s is not None
    assert 0 < result.seconds_s < 60
    assert 20e6 < done.peak_bytes < 4e9
    picture = cv2.imdecode(np.frombuffer(result.picture or b"", np.uint8), cv2.IMREAD_COLOR)
    assert max(picture.shape) == 720


def test_a_missed_room_is_missed(tmp_path: Path) -> None:
    rings = draw_plan(tmp_path / "a.png", 2)
    write(tmp_path / "a.json", own("a.png", [*rings, box(2, 282, 470, 318)]))
    (result,) = measure(only_task(tmp_path)).results
    assert result.score is not None
    assert (result.score.true, result.score.hits) == (3, (2, 2, 2))
    assert result.picture is None


def test_what_the_engine_cannot_read_counts_as_nothing_found(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"GIF89a, not a PNG")
    write(tmp_path / "a.json", own("a.png", [box(0, 0, 9, 9)]))
    (result,) = measure(only_task(tmp_path, draw=True)).results
    assert result.score is not None
    assert (result.score.true, result.score.found) == (1, 0)
    assert result.problem is not None
    assert result.problem.counted
    assert "INVALID_FILE_FORMAT" in result.problem.reason
    assert result.problem.where == f"{tmp_path.name}/a.png page 1"


def test_an_engine_that_breaks_counts_as_nothing_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.json", own("a.png", draw_plan(tmp_path / "a.png")))

    def break_down(*_: object, **__: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("evaluation.measure.detect", break_down)
    (result,) = measure(only_task(tmp_path)).results
    assert result.problem is not None
    assert result.problem.reason == "unexpected ZeroDivisionError: division by zero"
    assert result.score is not None
    assert result.score.f1() == 0


@pytest.mark.parametrize(
    ("size", "said"), [((960, 640), "has 480 x 320 px; label this very file"), ((320, 480), "it looks turned")]
)
def test_labels_of_a_picture_of_another_size_are_in_no_figure(size: tuple[int, int], said: str, tmp_path: Path) -> None:
    draw_plan(tmp_path / "a.png")
    write(tmp_path / "a.json", own("a.png", [box(50, 50, 200, 200)], width=size[0], height=size[1]))
    (result,) = measure(only_task(tmp_path, draw=True)).results
    assert result.score is None
    assert result.problem is not None
    assert not result.problem.counted
    assert f"for a page of {size[0]} x {size[1]}" in result.problem.reason
    assert said in result.problem.reason


def two_pages(path: Path) -> Path:
    canvas = Canvas(str(path), pagesize=(300, 200))
    for _ in range(2):
        canvas.setLineWidth(4)
        canvas.rect(20, 20, 120, 160)
        canvas.rect(140, 20, 120, 160)
        canvas.showPage()
    canvas.save()
    return path


def test_pages_that_are_not_in_the_document_are_said(tmp_path: Path) -> None:
    two_pages(tmp_path / "a.pdf")
    for page in (2, 5):
        write(tmp_path / f"a.p{page}.json", own("a.pdf", [box(22, 22, 138, 178)], page=page))
    second, fifth = measure(only_task(tmp_path, draw=True)).results
    assert second.score is not None
    assert second.picture is not None
    assert (fifth.score, fifth.picture) == (None, None)
    assert fifth.problem is not None
    assert "no page 5" in fifth.problem.reason
    (tmp_path / "a.p2.json").unlink()
    (alone,) = measure(only_task(tmp_path)).results
    assert alone.score is None
    assert alone.problem is not None
    assert "5 is not among them" in alone.problem.reason


def test_a_document_is_read_once_and_its_pages_stay_in_order(tmp_path: Path) -> None:
    two_pages(tmp_path / "a.pdf")
    for name, page in (("x", 2), ("y", 1)):
        write(tmp_path / f"{name}.json", own("a.pdf", [box(22, 22, 138, 178)], page=page))
    told: list[DocumentResult] = []
    run = evaluate(collect(tmp_path).pages, SETTINGS, done=lambda _, result: told.append(result))
    assert len(told) == 1
    assert [result.page.page for result in run.runs[0].results] == [2, 1]
    first, second = (result.seconds_s for result in run.runs[0].results)
    assert first == second


class Deadly(Task):
    """A task that ends the process which unpacks it."""

    def __reduce__(self):
        return os._exit, (3,)


def broken() -> Future[DocumentResult]:
    future: Future[DocumentResult] = Future()
    future.set_exception(BrokenProcessPool())
    return future


@pytest.mark.slow
def test_a_process_that_dies_takes_no_other_plan_with_it(tmp_path: Path) -> None:
    write(tmp_path / "a.json", own("a.png", draw_plan(tmp_path / "a.png")))
    task = only_task(tmp_path)
    (beside,) = settle(task, broken()).results
    assert beside.problem is None
    (dead,) = settle(Deadly(task.document, task.pages, task.settings), broken()).results
    assert dead.problem is not None
    assert "process died" in dead.problem.reason
    assert dead.score is not None
    assert dead.score.true == 2


def test_costs_are_those_of_the_middle_and_of_the_slow() -> None:
    cost = cost_of([float(second) for second in range(100, 0, -1)], 7)
    assert (cost.seconds_p50_s, cost.seconds_p95_s, cost.peak_bytes) == (51, 96, 7)
    assert cost_of([3.0], 7).seconds_p95_s == 3
    assert cost_of([], 7).seconds_p50_s is None


def test_the_picture_shows_what_is_right_wrong_merged_and_missed() -> None:
    def shape(x0: float, x1: float) -> TrueRoom:
        return TrueRoom(polygon_of(box(x0, 10, x1, 90)).shape)

    truth = [shape(10, 60), shape(110, 140), shape(140, 170), shape(210, 260)]
    page = LabelledPage("a", Path("a.json"), Path("a.png"), 1, 400, 100, "polygon", tuple(truth))
    found = [found_room(box(x0, 10, x1, 90)) for x0, x1 in ((10, 60), (110, 170), (310, 360))]
    picture = np.full((200, 800, 3), 255, np.uint8)
    drawn = draw_rooms(picture, compare(found, page), np.array([2.0, 2.0])).astype(int)
    assert (picture == 255).all()

    def tinted(x: int, colour: tuple[int, int, int]) -> bool:
        return bool(np.abs(drawn[60, 2 * x] - (255 + (np.array(colour) - 255) * 0.38)).max() <= 2)

    assert tinted(20, FOUND_RIGHT)
    assert tinted(120, FOUND_MERGED)
    assert tinted(320, FOUND_WRONG)
    assert (drawn[60, 2 * 230] == 255).all()  # nothing was found there
    assert np.abs(drawn[18:22, 2 * 230] - TRUE_MISSED).max(axis=1).min() <= 60  # but its outline is drawn
