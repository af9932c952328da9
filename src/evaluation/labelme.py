"""Labels in labelme's format: one file a picture, rooms as polygons, rectangles or circles."""

from __future__ import annotations

import math
from typing import Any, Final

import shapely

from evaluation.drafts import NOT_ROOMS, Draft, drawn_room, positive_or_none, room_label, text_or_none
from evaluation.geometry import LabelsError, Repaired, polygon_of, ring_of

_CIRCLE_QUARTER_STEPS: Final = 16


def is_labelme(content: dict[str, Any]) -> bool:
    """Whether this looks like a file of labelme."""
    return isinstance(content.get("shapes"), list) and "imagePath" in content


def read_labelme(content: dict[str, Any], stem: str) -> Draft:
    """The labels of the picture that the file is for; of the one that has the file's stem if it names none."""
    draft = Draft(text_or_none(content["imagePath"]) or stem)
    try:
        draft.width = positive_or_none(content.get("imageWidth"), "imageWidth")
        draft.height = positive_or_none(content.get("imageHeight"), "imageHeight")
        for place, shape in enumerate(content["shapes"], start=1):
            if not isinstance(shape, dict):
                raise LabelsError(f"shape {place} is no object")
            _add(draft, shape, place)
    except LabelsError as error:
        draft.problem = str(error)
    return draft


def _add(draft: Draft, shape: dict[str, Any], place: int) -> None:
    label, form = text_or_none(shape.get("label")), shape.get("shape_type") or "polygon"
    if label is not None and label.casefold() in NOT_ROOMS:
        draft.left_out[f"shapes labelled {label!r}"] += 1
        return
    name = f"shape {place}" + (f" ({label})" if label else "")
    if form not in ("polygon", "rectangle", "circle"):
        draft.left_out[f"shapes of type {str(form)[:20]!r}"] += 1
        return
    try:
        repaired = _shape(shape.get("points"), form)
    except LabelsError as error:
        raise LabelsError(f"{name}: {error}") from None
    draft.add(name, repaired, label=room_label(label))


def _shape(points: object, form: str) -> Repaired:
    if form == "polygon":
        return drawn_room(points)
    ring = ring_of(points)
    if form == "rectangle" and len(ring) == 4:  # newer releases write the four corners
        return polygon_of(ring)
    if len(ring) != 2:
        raise LabelsError(f"a {form} has two points, not {len(ring)}")
    (x0, y0), (x1, y1) = ring
    if form == "rectangle":
        return polygon_of([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
    radius = math.hypot(x1 - x0, y1 - y0)
    if radius <= 0:
        return Repaired(None, "has no area; left out")
    return Repaired(shapely.Point(x0, y0).buffer(radius, quad_segs=_CIRCLE_QUARTER_STEPS))
