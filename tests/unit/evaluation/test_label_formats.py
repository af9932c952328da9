"""Labels in three formats, told apart by what is in them, and what is said of those that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.evaluation.labelled import box, coco, labelme, own, unhurried, write

from evaluation.drafts import Draft
from evaluation.geometry import LabelsError, runs_shape
from evaluation.readers import read_labels

ROOM = box(10, 10, 50, 40)
EIGHT = [(0, 0), (20, 20), (20, 0), (0, 20)]


def read_one(tmp_path: Path, content: object) -> Draft:
    drafts = read_labels(write(tmp_path / "any-name.json", content))
    assert drafts is not None
    assert len(drafts) == 1
    return drafts[0]


def annotated(annotation: dict[str, Any], **image: Any) -> dict[str, Any]:
    return {
        "images": [{"id": 1, "file_name": "a.png", "width": 100, "height": 80, **image}],
        "annotations": [{"id": 5, "image_id": 1, **annotation}],
    }


@pytest.mark.parametrize("content", [own("a.png", [ROOM]), labelme("a.png", [ROOM]), coco({"a.png": [ROOM]})])
def test_the_format_is_told_by_the_content(content: dict[str, Any], tmp_path: Path) -> None:
    draft = read_one(tmp_path, content)
    assert (draft.source, draft.page, draft.kind, draft.problem) == ("a.png", 1, "polygon", None)
    assert [room.shape.equals(shapely.Polygon(ROOM)) for room in draft.rooms] == [True]
    assert draft.all_notes() == ()


def test_what_labels_say_besides_outlines_is_kept(tmp_path: Path) -> None:
    room = {"polygon": ROOM, "holes": [box(20, 20, 30, 30)], "label": " Hall ", "number": 12, "area_m2": 7}
    content = {"source": "b.pdf", "page": 3, "kind": "bbox", "width": 90, "height": 70, "rooms": [room]}
    draft = read_one(tmp_path, content)
    assert (draft.page, draft.kind, draft.width, draft.height) == (3, "bbox", 90, 70)
    (kept,) = draft.rooms
    assert (kept.label, kept.number, kept.area_m2, kept.shape.area) == ("Hall", "12", 7, 40 * 30 - 100)
    assert read_one(tmp_path, coco({"a.png": [ROOM]})).rooms[0].label == "Kitchen"
    assert read_one(tmp_path, labelme("a.png", [ROOM])).rooms[0].label == "Room 0"


def test_a_label_that_says_room_is_no_name_and_a_wall_is_no_room(tmp_path: Path) -> None:
    shapes = [{"label": label, "points": ROOM, "shape_type": "polygon"} for label in ("room", "Wall", "door", "Bath")]
    draft = read_one(tmp_path, {"shapes": shapes, "imagePath": "a.png"})
    assert [room.label for room in draft.rooms] == [None, "Bath"]
    assert draft.all_notes() == ("1 shapes labelled 'Wall' left out", "1 shapes labelled 'door' left out")
    walls = coco({"a.png": [ROOM]}) | {"categories": [{"id": 3, "name": "walls"}]}
    assert read_one(tmp_path, walls).rooms == []


def test_labelme_has_rectangles_and_circles(tmp_path: Path) -> None:
    shapes = [
        {"label": "a", "points": [[30, 40], [10, 10]], "shape_type": "rectangle"},
        {"label": "b", "points": box(0, 0, 4, 5), "shape_type": "rectangle"},
        {"label": "c", "points": [[50, 50], [60, 50]], "shape_type": "circle"},
        {"label": "d", "points": [[1, 1]], "shape_type": "point"},
        {"label": "e", "points": ROOM},
    ]
    draft = read_one(tmp_path, {"shapes": shapes, "imagePath": "a.png", "imageWidth": 100, "imageHeight": 100})
    areas = [room.shape.area for room in draft.rooms]
    assert areas == pytest.approx([600, 20, np.pi * 100, 1200], rel=0.01)
    assert draft.all_notes() == ("1 shapes of type 'point' left out",)


def test_a_file_without_a_picture_names_the_one_of_its_stem(tmp_path: Path) -> None:
    assert read_one(tmp_path, labelme("", [ROOM])).source == "any-name"


def test_coco_rooms_may_have_parts_and_boxes(tmp_path: Path) -> None:
    parts = [[0, 0, 10, 0, 10, 10, 0, 10], [10, 0, 20, 0, 20, 5, 10, 5]]
    assert read_one(tmp_path, annotated({"segmentation": parts})).rooms[0].shape.area == 150
    boxed = read_one(tmp_path, annotated({"bbox": [5, 6, 10, 20]}))
    assert boxed.kind == "bbox"
    assert boxed.rooms[0].shape.bounds == (5, 6, 15, 26)


def test_pictures_without_annotations_are_left_out(tmp_path: Path) -> None:
    drafts = read_labels(write(tmp_path / "c.json", coco({"a.png": [ROOM], "b.png": [], "c.png": [ROOM, ROOM]})))
    assert drafts is not None
    assert [(draft.source, len(draft.rooms)) for draft in drafts] == [("a.png", 1), ("c.png", 2)]


@unhurried
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_a_mask_of_run_lengths_is_its_pixels(height: int, width: int, seed: int) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < 0.5
    flat = mask.T.ravel()  # column by column
    changes = np.flatnonzero(np.diff(np.concatenate([[False], flat])))
    counts = np.diff(np.concatenate([[0], changes, [flat.size]])).tolist()
    shape = runs_shape(counts, height, width)
    if shape is None:
        assert not mask.any()
        return
    assert shape.area == mask.sum()
    middles = shapely.points(*(np.stack(np.meshgrid(np.arange(width), np.arange(height))) + 0.5))
    assert np.array_equal(shapely.contains(shape, middles), mask)


def test_a_mask_is_a_room(tmp_path: Path) -> None:
    draft = read_one(tmp_path, annotated({"segmentation": {"counts": [80, 160, 7760], "size": [80, 100]}}))
    assert draft.rooms[0].shape.bounds == (1, 0, 3, 80)
    empty = read_one(tmp_path, annotated({"segmentation": {"counts": [8000], "size": [80, 100]}}))
    assert empty.rooms == []
    assert empty.all_notes() == ("annotation 5 is an empty mask; left out",)


def test_an_outline_that_crosses_itself_is_repaired_and_that_is_said(tmp_path: Path) -> None:
    for content in (own("a.png", [EIGHT]), labelme("a.png", [EIGHT]), coco({"a.png": [EIGHT]})):
        draft = read_one(tmp_path, content)
        assert draft.problem is None
        assert draft.rooms[0].shape.is_valid
        assert draft.rooms[0].shape.area > 0
        assert "crosses itself; repaired (50 % of what it encloses was kept)" in draft.all_notes()[0]
    slip = [(0, 0), (100, 0), (100, 100), (60, 100), (61, 101), (61, 100), (0, 100)]  # a careless double click
    assert read_one(tmp_path, own("a.png", [slip])).all_notes() == ("room 1 crosses itself; repaired",)


def test_outlines_without_area_are_left_out_and_that_is_said(tmp_path: Path) -> None:
    draft = read_one(tmp_path, own("a.png", [[(0, 0), (5, 5)], [(0, 0), (5, 5), (9, 9)], ROOM]))
    assert len(draft.rooms) == 1
    assert draft.all_notes() == ("room 1 has 2 points and no area; left out", "room 2 has no area; left out")


def test_an_area_that_is_none_leaves_the_room(tmp_path: Path) -> None:
    draft = read_one(tmp_path, {"source": "a.png", "rooms": [{"polygon": ROOM, "area_m2": 0}]})
    assert draft.rooms[0].area_m2 is None
    assert "area_m2 must be a number above zero" in draft.all_notes()[0]


SIZED = {"width": 45, "height": 45}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (own("a.png", [ROOM], **SIZED), "room 1: it reaches from (10, 10) to (50, 40), out of the page of 45 x 45"),
        (labelme("a.png", [ROOM], imageWidth=45, imageHeight=45), "shape 1 (Room 0): it reaches from (10, 10)"),
        (coco({"a.png": [ROOM]}, (45, 45)), "annotation 0: it reaches from (10, 10) to (50, 40)"),
        ({"source": "", "rooms": []}, "source must name the picture"),
        ({"source": "a.png", "rooms": ["x"]}, "room 1 is no object"),
        ({"source": "a.png", "rooms": [{"label": "Hall"}]}, "room 1 (Hall): an outline must be a list of [x, y]"),
        ({"source": "a.png", "rooms": [{"polygon": [1, 2, 3]}]}, "one of them is '1'"),
        ({"source": "a.png", "rooms": [{"polygon": [[1, "2"], [3, 4]]}]}, "[1, 2] is not made of numbers"),
        ({"source": "a.png", "rooms": [{"polygon": [[1, True], [3, 4]]}]}, "[1, True] is not made of numbers"),
        ({"source": "a.png", "rooms": [{"polygon": [[float("nan"), 1]]}]}, "is not made of numbers"),
        ({"source": "a.png", "rooms": [{"polygon": ROOM, "holes": 3}]}, "holes must be a list of outlines, not int"),
        ({"source": "a.png", "kind": "circle", "rooms": []}, "kind must be one of polygon, bbox, obb, not 'circle'"),
        ({"source": "a.png", "page": 0, "rooms": []}, "page must be a number from 1 up, not '0'"),
        ({"source": "a.png", "width": -4, "rooms": []}, "width must be a number above zero, not '-4'"),
        (labelme("a.png", [ROOM], imageHeight="high"), "imageHeight must be a number above zero, not 'high'"),
        ({"shapes": [7], "imagePath": "a.png"}, "shape 1 is no object"),
        ({"shapes": [{"points": [[1, 2]], "shape_type": "circle"}], "imagePath": "a.png"}, "a circle has two points"),
        (annotated({"segmentation": {"counts": "PPYo0", "size": [80, 100]}}), "compressed mask (RLE); export"),
        (annotated({"segmentation": {"counts": [1, 2], "size": [80, 100]}}), "add up to 3, not to its 80 x 100"),
        (annotated({"segmentation": {"counts": [1, -1, 8000], "size": [80, 100]}}), "run lengths"),
        (annotated({"segmentation": {"counts": [1], "size": [10**6, 10**6]}}), "out of reason"),
        (annotated({"segmentation": {"counts": [1.5], "size": [80, 100]}}), "a list of run lengths"),
        (annotated({"segmentation": [[1, 2, 3]]}), "annotation 5: its segmentation has 3 numbers"),
        (annotated({"segmentation": [1, 2, 3, 4]}), "must be a list of lists"),
        (annotated({}), "neither a segmentation nor a bbox"),
        (annotated({"bbox": [1, 2, 3, 4]}, width="x"), "the image's width must be a number"),
    ],
)
def test_what_is_wrong_with_a_plan_is_said(content: dict[str, Any], said: str, tmp_path: Path) -> None:
    problem = read_one(tmp_path, content).problem
    assert problem is not None
    assert said in problem


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"rooms": [', "broken JSON: Expecting value in line 1, column 12"),
        ("[" * 100_000, "no JSON that can be read"),
        ("1" * 10_000, "no JSON that can be read"),
        ({"images": [{"id": 1}], "annotations": []}, "image 1 needs an id and a file_name"),
        ({"images": [], "annotations": [{"id": 3}]}, "annotation 1 has no image_id"),
        (coco({"a.png": [ROOM]}) | {"images": []}, "annotations name images that are not listed: 7"),
        ({"images": [{"id": 1, "file_name": "a.png"}] * 2, "annotations": []}, "two images have the id 1"),
        ({"images": [{"id": [1], "file_name": "a.png"}], "annotations": []}, "image 1 needs an id"),
        ({"images": [], "annotations": [{"image_id": {}}]}, "annotation 1 has no image_id"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(content: object, said: str, tmp_path: Path) -> None:
    with pytest.raises(LabelsError) as caught:
        read_labels(write(tmp_path / "a.json", content))
    assert said in str(caught.value)


def test_bytes_that_are_no_text_are_said(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'{"source": "\xff\xfe"}')
    with pytest.raises(LabelsError, match="UTF-8"):
        read_labels(tmp_path / "a.json")


def test_one_bad_picture_of_a_file_leaves_the_others(tmp_path: Path) -> None:
    content = coco({"a.png": [ROOM], "b.png": [ROOM]})
    content["annotations"][0]["segmentation"] = "none"
    drafts = read_labels(write(tmp_path / "a.json", content))
    assert drafts is not None
    assert [draft.problem is None for draft in drafts] == [False, True]


@pytest.mark.parametrize("content", [{"pages": [], "model_version": "1"}, [1, 2], "null", {"rooms": 3, "source": ""}])
def test_other_json_is_no_labels(content: object, tmp_path: Path) -> None:
    assert (
        read_labels(write(tmp_path / "a.json", json.dumps(content) if isinstance(content, list) else content)) is None
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
SHAPES = (
    lambda v: {"source": "a.png", "rooms": v},
    lambda v: {"source": "a.png", "rooms": [v]},
    lambda v: {"source": v, "rooms": [{"polygon": v, "holes": v, "label": v, "area_m2": v}], "width": v, "page": v},
    lambda v: {"images": [{"id": 1, "file_name": "a"}], "annotations": [{"image_id": 1, "segmentation": v, "bbox": v}]},
    lambda v: {"images": [v], "annotations": [v], "categories": v},
    lambda v: {"images": [], "annotations": [{"image_id": v}], "categories": [v]},
    lambda v: {
        "images": [{"id": v, "file_name": "a"}],
        "annotations": [{"image_id": v, "category_id": v, "id": v}],
        "categories": [{"id": v, "name": v}],
    },
    lambda v: {"shapes": [v], "imagePath": v},
    lambda v: {"shapes": [{"points": v, "label": v, "shape_type": v}], "imagePath": "a.png", "imageWidth": v},
)


@unhurried
@given(st.sampled_from(SHAPES), json_values)
def test_whatever_is_in_a_file_is_labels_or_said(tmp_path_factory: Any, shape: Any, value: Any) -> None:
    file = write(tmp_path_factory.getbasetemp() / "any.json", shape(value))
    try:
        drafts = read_labels(file)
    except LabelsError:
        return
    assert drafts is None or all(isinstance(draft, Draft) for draft in drafts)
