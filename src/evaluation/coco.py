"""Labels in COCO's format: one file for many pictures, rooms as polygons, masks or boxes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, TypeGuard

from evaluation.drafts import NOT_ROOMS, Draft, positive_or_none, room_label, text_or_none
from evaluation.geometry import LabelsError, Repaired, polygon_of, ring_of, runs_shape, union_of


def is_coco(content: dict[str, Any]) -> bool:
    """Whether this looks like COCO's instances."""
    return isinstance(content.get("images"), list) and isinstance(content.get("annotations"), list)


def read_coco(content: dict[str, Any]) -> Iterator[Draft]:
    """The labels of every picture that has some, in the order of the pictures.

    Raises:
        LabelsError: the file as a whole cannot be used.
    """
    listed = content.get("categories")
    categories = {
        item["id"]: text_or_none(item.get("name"))
        for item in (listed if isinstance(listed, list) else [])
        if isinstance(item, dict) and _is_id(item.get("id"))
    }
    annotations: dict[Any, list[Any]] = defaultdict(list)
    for place, annotation in enumerate(content["annotations"], start=1):
        if not isinstance(annotation, dict) or not _is_id(annotation.get("image_id")):
            raise LabelsError(f"annotation {place} has no image_id")
        annotations[annotation["image_id"]].append(annotation)
    known = set()
    for place, image in enumerate(content["images"], start=1):
        if not isinstance(image, dict) or not _is_id(image.get("id")) or not isinstance(image.get("file_name"), str):
            raise LabelsError(f"image {place} needs an id and a file_name")
        if image["id"] in known:
            raise LabelsError(f"two images have the id {image['id']}")
        known.add(image["id"])
        if annotations[image["id"]]:
            yield _draft(image, annotations[image["id"]], categories)
    strays = sorted(str(image_id) for image_id in annotations.keys() - known)
    if strays:
        raise LabelsError(f"annotations name images that are not listed: {', '.join(strays[:5])}")


def _draft(image: dict[str, Any], annotations: list[dict[str, Any]], categories: dict[Any, str | None]) -> Draft:
    draft = Draft(image["file_name"])
    try:
        draft.width = positive_or_none(image.get("width"), "the image's width")
        draft.height = positive_or_none(image.get("height"), "the image's height")
        boxes = [annotation for annotation in annotations if not annotation.get("segmentation")]
        if boxes:  # the truth of the page has no more than boxes where a part of it has no more
            draft.kind = "bbox"
        for annotation in annotations:
            category_id = annotation.get("category_id")
            category = categories.get(category_id) if _is_id(category_id) else None
            if category is not None and category.casefold() in NOT_ROOMS:
                draft.left_out[f"shapes labelled {category!r}"] += 1
                continue
            name = f"annotation {annotation.get('id', '?')}"
            try:
                repaired = _shape(annotation)
            except LabelsError as error:
                raise LabelsError(f"{name}: {error}") from None
            draft.add(name, repaired, label=room_label(category))
    except LabelsError as error:
        draft.problem = str(error)
    return draft


def _shape(annotation: dict[str, Any]) -> Repaired:
    segmentation = annotation.get("segmentation")
    if not segmentation:
        return _box(annotation.get("bbox"))
    if isinstance(segmentation, dict):
        return _mask(segmentation)
    if not isinstance(segmentation, list) or not all(isinstance(part, list) for part in segmentation):
        raise LabelsError("its segmentation must be a list of lists x1, y1, x2, y2, ...")
    parts, notes = [], []
    for part in segmentation:
        if len(part) % 2:
            raise LabelsError(f"its segmentation has {len(part)} numbers; x and y come in pairs")
        repaired = polygon_of(ring_of(list(zip(part[::2], part[1::2], strict=True))))
        if repaired.note is not None:
            notes.append(repaired.note)
        if repaired.shape is not None:
            parts.append(repaired.shape)
    return Repaired(union_of(parts) if parts else None, "; ".join(notes) or None)


def _box(bbox: object) -> Repaired:
    if not isinstance(bbox, list) or len(bbox) != 4:
        raise LabelsError("it has neither a segmentation nor a bbox of x, y, width, height")
    (x, y), (width, height) = ring_of([bbox[:2], bbox[2:]])
    return polygon_of([(x, y), (x + width, y), (x + width, y + height), (x, y + height)])


def _mask(segmentation: dict[str, Any]) -> Repaired:
    counts, size = segmentation.get("counts"), segmentation.get("size")
    if isinstance(counts, str):
        raise LabelsError(
            "its segmentation is a compressed mask (RLE); export the labels as polygons, or as masks with a plain "
            "list of counts"
        )
    if not _integers(counts) or not _integers(size) or len(size) != 2:
        raise LabelsError("its mask needs counts (a list of run lengths) and size (height, width)")
    if not all(0 < side <= 30_000 for side in size):
        raise LabelsError(f"its mask's size of {size[0]} x {size[1]} pixels is out of reason")
    shape = runs_shape(counts, height=size[0], width=size[1])
    return Repaired(shape, None if shape is not None else "is an empty mask; left out")


def _is_id(value: object) -> bool:
    return isinstance(value, int | str)


def _integers(value: object) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(isinstance(item, int) and not isinstance(item, bool) for item in value)
