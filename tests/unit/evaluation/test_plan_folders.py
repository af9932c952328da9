"""A folder of plans: which labels go with which pictures, which sets they make, and what is missing."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.evaluation.labelled import box, coco, labelme, own, unhurried, write

from evaluation.collect import Collection, Pictures, collect, selected
from evaluation.geometry import LabelsError
from models.blueprint import PageSelection

ROOM = box(10, 10, 50, 40)


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def listed(collection: Collection, root: Path) -> list[tuple[str, str, str]]:
    return [
        (page.set_name, page.labels.relative_to(root).as_posix(), page.document.relative_to(root).as_posix())
        for page in collection.pages
    ]


def test_formats_are_mixed_and_folders_are_sets(tmp_path: Path) -> None:
    root = tmp_path / "plans"
    for name in (
        "z.png",
        "one/a.png",
        "one/b.JPG",
        "two/images/c.png",
        "two/images/d.png",
        "deep/er/e.pdf",
        ".git/x.png",
    ):
        touch(root / name)
    write(root / "z.json", own("z.png", [ROOM]))
    write(root / "one/a.json", labelme("a.png", [ROOM]))
    write(root / "one/b.rooms.json", own("b.JPG", [ROOM]))
    write(root / "two/annotations/all.json", coco({"c.png": [ROOM], "d.png": [ROOM]}))
    write(root / "deep/er/e.json", own("e.pdf", [ROOM], page=2))
    write(root / ".git/x.json", own("x.png", [ROOM]))
    found = collect(root)
    assert found.problems == found.notes == ()
    assert listed(found, root) == [
        ("deep/er", "deep/er/e.json", "deep/er/e.pdf"),
        ("one", "one/a.json", "one/a.png"),
        ("one", "one/b.rooms.json", "one/b.JPG"),
        ("plans", "z.json", "z.png"),
        ("two", "two/annotations/all.json", "two/images/c.png"),
        ("two", "two/annotations/all.json", "two/images/d.png"),
    ]


def test_bad_labels_are_problems_and_other_json_is_a_note(tmp_path: Path) -> None:
    touch(tmp_path / "a.png")
    write(tmp_path / "a.json", own("a.png", [ROOM]))
    write(tmp_path / "broken.json", "{")
    write(tmp_path / "gone.json", own("gone.png", [ROOM]))
    write(tmp_path / "far.json", own("a.png", [ROOM], width=20, height=20))
    write(tmp_path / "many.json", coco({"a.png": [ROOM], "b.png": [ROOM]}))
    write(tmp_path / "none.json", coco({"a.png": []}))
    write(tmp_path / "settings.json", {"theme": "dark"})
    found = collect(tmp_path)
    assert [page.labels.name for page in found.pages] == ["a.json"]
    assert {problem.where: problem.reason.split(" (")[0][:40] for problem in found.problems} == {
        "broken.json": "it is broken JSON: Expecting property na",
        "far.json": "room 1: it reaches from",
        "gone.json": "its picture 'gone.png' is missing; put i",
        "many.json: b.png": "its picture 'b.png' is missing; put it b",
    }
    assert found.notes == (
        "none.json: lists no picture with rooms; left out",
        "settings.json: no labels in a format known here (our own, COCO, labelme); left out",
        "many.json: a.png page 1 is labelled by a.json too; left out",
    )


def test_pages_of_one_document_are_plans_of_their_own(tmp_path: Path) -> None:
    touch(tmp_path / "a.pdf")
    for page in (1, 2):
        write(tmp_path / f"a.p{page}.json", own("a.pdf", [ROOM], page=page))
    pages = collect(tmp_path).pages
    assert [page.page for page in pages] == [1, 2]
    assert [page.page for page in selected(pages, PageSelection.parse("2-4"), None)] == [2]
    assert selected(pages, PageSelection.parse("3"), None) == []


@unhurried
@given(st.integers(1, 30), st.integers(1, 40))
def test_a_limit_is_spread_over_each_set(tmp_path_factory: pytest.TempPathFactory, count: int, limit: int) -> None:
    root = tmp_path_factory.mktemp("limit")
    touch(root / "a.pdf")
    for page in range(1, count + 1):
        write(root / f"p{page:02d}.json", own("a.pdf", [ROOM], page=page))
    kept = [page.page for page in selected(collect(root).pages, PageSelection(), limit)]
    assert len(kept) == min(limit, count)
    assert kept == sorted(set(kept))
    gaps = {b - a for a, b in pairwise(kept)}
    assert not gaps or max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.png", "labels/a.png"),  # beside the labels, though there is another of the name
        ("../other/a.png", "other/a.png"),
        ("..\\other\\a.png", "other/a.png"),  # written on Windows
        ("b.png", "labels/images/b.png"),
        ("c.png", "images/c.png"),
        ("train2017/d.png", "far/away/d.png"),
        ("/home/someone/plans/d.png", "far/away/d.png"),
        ("d", "far/away/d.png"),  # labels that name no file but a stem
    ],
)
def test_a_picture_is_found_where_people_put_it(name: str, expected: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    names = ("labels/a.png", "other/a.png", "labels/images/b.png", "images/c.png", "far/away/d.png")
    pictures = Pictures(root, [touch(root / each) for each in names])
    assert pictures.find(name, root / "labels") == root / expected


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("e.png", "is missing; put it beside the labels"),
        ("a.tif", "is no PNG, JPG or PDF; convert it"),
        ("a.png", "2 files could be its picture 'a.png': x/a.png, y/a.png; give its path instead"),
        ("../../secret.png", "is missing"),
        ("", "is missing"),
    ],
)
def test_a_picture_that_cannot_be_told_is_said(name: str, said: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    touch(tmp_path / "secret.png")  # outside of the folder, whatever the labels say
    pictures = Pictures(root, [touch(root / each) for each in ("x/a.png", "y/a.png")])
    with pytest.raises(LabelsError) as caught:
        pictures.find(name, root / "labels")
    assert said in str(caught.value)
