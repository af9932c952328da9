from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from models.floorplan import Floorplan, floorplan_schema

DOCUMENT: dict[str, Any] = {
    "schema": 1,
    "model_version": "2024.1",
    "source": {"format": "pdf", "sha256": "ab" * 32},
    "pages": [
        {
            "page": 1,
            "width": 842.0,
            "height": 595.25,
            "unit": "pt",
            "message": None,
            "scale": {"metres_per_unit": 0.0352, "from": "printed areas", "agreement": 0.9},
            "rooms": [
                {
                    "id": "room_001",
                    "polygon": [[10.0, 10.0], [60.0, 10.0], [60.0, 40.0], [10.0, 40.0]],
                    "holes": [[[20.0, 20.0], [22.0, 20.0], [22.0, 22.0]]],
                    "bounding_box": [12, 17, 71, 67],
                    "name_hint": "Küche",
                    "number": "1.01",
                    "area_m2": 1.85,
                    "confidence": 0.87,
                    "flags": ["leaky"],
                }
            ],
            "openings": [
                {"kind": "door", "line": [[60.0, 20.0], [60.0, 30.0]], "rooms": ["room_001"], "confidence": 1.0}
            ],
        },
        {
            "page": 2,
            "width": 10.0,
            "height": 10.0,
            "unit": "px",
            "message": "No walls.",
            "scale": None,
            "rooms": [],
            "openings": [],
        },
    ],
}


def changed(path: str, value: object) -> dict[str, Any]:
    """The document with one value replaced, or added."""
    document = json.loads(json.dumps(DOCUMENT))
    *way, last = path.split(".")
    place = document
    for step in way:
        place = place[int(step)] if step.isdigit() else place[step]
    place[int(last) if last.isdigit() else last] = value
    return dict(document)


def test_a_document_reads_and_writes_the_same() -> None:
    plan = Floorplan.from_json(json.dumps(DOCUMENT))
    assert json.loads(plan.to_json()) == DOCUMENT
    assert Floorplan.from_json(plan.to_json().encode()) == plan
    assert Floorplan.from_json(plan.to_json()).to_json() == plan.to_json()
    assert plan.room_count == 1


def test_the_schema_is_valid_and_accepts_what_is_written() -> None:
    schema = floorplan_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(Floorplan.from_json(json.dumps(DOCUMENT)).to_json()), schema)
    assert {"schema", "model_version", "source", "pages"} == set(schema["properties"])


NOT_A_FLOORPLAN = [
    ("schema", 2),
    ("source.sha256", "ab"),
    ("source.format", "gif"),
    ("owner", "me"),
    ("pages.0.unit", "mm"),
    ("pages.0.page", 0),
    ("pages.0.width", 0),
    ("pages.0.scale.metres_per_unit", -1),
    ("pages.0.rooms.0.id", "1"),
    ("pages.0.rooms.0.polygon", [[0, 0], [1, 1]]),
    ("pages.0.rooms.0.holes", [[[0, 0]]]),
    ("pages.0.rooms.0.bounding_box", [1, 2, 3]),
    ("pages.0.rooms.0.confidence", 1.01),
    ("pages.0.rooms.0.area_m2", -0.1),
    ("pages.0.rooms.0.flags", ["odd"]),
    ("pages.0.rooms.0.colour", "red"),
    ("pages.0.openings.0.kind", "hatch"),
    ("pages.0.openings.0.line", [[0, 0]]),
    ("pages.0.openings.0.rooms", ["a", "b", "c"]),
]


@pytest.mark.parametrize(("path", "value"), NOT_A_FLOORPLAN)
def test_model_and_schema_refuse_the_same(path: str, value: object) -> None:
    document = changed(path, value)
    with pytest.raises(ValidationError):
        Floorplan.from_json(json.dumps(document))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, floorplan_schema())


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
@pytest.mark.parametrize("path", ["pages.0.rooms.0.polygon.0.1", "pages.0.width", "pages.0.rooms.0.area_m2"])
def test_what_json_cannot_say_is_refused(path: str, number: float) -> None:
    with pytest.raises(ValidationError):
        Floorplan.model_validate(changed(path, number))


def test_a_floorplan_does_not_change() -> None:
    plan = Floorplan.model_validate(DOCUMENT)
    with pytest.raises(ValidationError):
        plan.model_version = "other"  # type: ignore[misc]
