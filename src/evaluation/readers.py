"""Labels in the formats that people have, told apart by what is in them: our own, COCO and labelme."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from evaluation.coco import is_coco, read_coco
from evaluation.drafts import Draft, drawn_room, positive_or_none, room_label, text_or_none
from evaluation.geometry import KINDS, LabelsError
from evaluation.labelme import is_labelme, read_labelme

MAX_LABELS_BYTES: Final = 256 * 1024 * 1024


def read_labels(path: Path) -> list[Draft] | None:
    """The labels in a file, page by page; None where it is JSON but holds no labels.

    Raises:
        LabelsError: the file as a whole cannot be used; what is wrong with one page only stands in its draft.
    """
    content = _load(path)
    if not isinstance(content, dict):
        return None
    if is_own(content):
        return [read_own(content)]
    if is_coco(content):
        return list(read_coco(content))
    if is_labelme(content):
        return [read_labelme(content, path.stem)]
    return None


def _load(path: Path) -> Any:
    try:
        size_bytes = path.stat().st_size
        if size_bytes > MAX_LABELS_BYTES:
            raise LabelsError(f"it has {size_bytes >> 20} MB; at most {MAX_LABELS_BYTES >> 20} are read")
        return json.loads(path.read_bytes())
    except OSError as error:
        raise LabelsError(f"it cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise LabelsError(f"it is not text in UTF-8 (byte {error.start})") from None
    except json.JSONDecodeError as error:
        raise LabelsError(f"it is broken JSON: {error.msg} in line {error.lineno}, column {error.colno}") from None
    except (RecursionError, ValueError) as error:
        raise LabelsError(f"it is no JSON that can be read: {str(error)[:80]}") from None


def is_own(content: dict[str, Any]) -> bool:
    """Whether this looks like the project's own truth of one page."""
    return isinstance(content.get("rooms"), list) and "source" in content


def read_own(content: dict[str, Any]) -> Draft:
    """The labels in the project's own format."""
    source, page = text_or_none(content["source"]), content.get("page", 1)
    draft = Draft(source or "")
    try:
        if source is None:
            raise LabelsError("source must name the picture or PDF that the rooms are of")
        if not isinstance(page, int) or isinstance(page, bool) or page < 1:
            raise LabelsError(f"page must be a number from 1 up, not {str(page)[:20]!r}")
        draft.page = page
        kind = content.get("kind", "polygon")
        if kind not in KINDS:
            raise LabelsError(f"kind must be one of {', '.join(KINDS)}, not {str(kind)[:20]!r}")
        draft.kind = kind
        draft.width = positive_or_none(content.get("width"), "width")
        draft.height = positive_or_none(content.get("height"), "height")
        for place, room in enumerate(content["rooms"], start=1):
            _add(draft, room, place)
    except LabelsError as error:
        draft.problem = str(error)
    return draft


def _add(draft: Draft, room: object, place: int) -> None:
    if not isinstance(room, dict):
        raise LabelsError(f"room {place} is no object with a polygon")
    label = room_label(room.get("label"))
    name = f"room {place}" + (f" ({label})" if label else "")
    try:
        repaired = drawn_room(room.get("polygon"), room.get("holes"))
    except LabelsError as error:
        raise LabelsError(f"{name}: {error}") from None
    try:
        area_m2 = positive_or_none(room.get("area_m2"), "area_m2")
    except LabelsError as error:  # the outline is good without it
        area_m2 = None
        draft.notes.append(f"{name}: {error}; left out")
    draft.add(name, repaired, label=label, number=text_or_none(room.get("number")), area_m2=area_m2)
