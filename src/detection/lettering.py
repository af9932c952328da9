"""Where letters stand in a picture: the rows of small dark spots inside rooms that may be printed lines.

Nothing is read here. A *spot* is a connected piece of ink of the size of a letter; spots close to each other along one
direction are a word, and words with a space between them a row. Rows are level, or turned by a quarter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from shapely.geometry import Polygon

from detection.morphology import resized
from detection.regions import ByteImage, LabelImage

_LEAST_HEIGHT_PX: Final = 5  # letters below that cannot be read
_MOST_HEIGHT: Final = 0.06  # of the picture's longer side
_SMALL_PX: Final = 1400  # letters of smaller pictures touch each other: they are looked at twice as large
_AROUND: Final = 31  # ink is darker than the mean of a square of so many pixels
_DARKER: Final = 14
_FAINTLY: Final = 8  # and at the ends of a row, where a fainter letter may follow
_SOLID: Final = 0.45  # of the rooms' paper
_MAX_SPOTS: Final = 500  # a room with more is textured all over
_LETTER_GAP: Final = 0.45  # of a letter's height, at most, within a word
_SPACE: Final = 1.2  # between words of a row
_WORD_GAP: Final = 0.7  # what stands closer than that to a row may belong to it
_COLUMN: Final = 0.25  # of a row's height, the ink of a column that may be a letter's
_BEYOND: Final = 0.6  # what goes on so far above and below is no letter
_CLEAR: Final = 0.4  # from a letter to a line that is none, at least
_LONGER: Final = 8.0  # in heights, how far a row is followed into ink that is no spot of it
_SAME_HEIGHT: Final = 0.45
_SHARED: Final = 0.5

Boxes = NDArray[np.float64]
Ink = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Row:
    """A possible line of print.

    Attributes:
        box: x0, y0, x1, y1 in pixels of the picture, with ink that stands close to its ends.
        turned: whether it runs up or down the picture instead of along it.
        spots: of how many spots it consists.
        room: the place of its room in the list of rooms.
        letter_px: the height of its tall letters.
    """

    box: tuple[float, float, float, float]
    turned: bool
    spots: int
    room: int
    letter_px: float


def find_rows(grey: ByteImage, rooms: Sequence[Polygon]) -> list[Row]:
    """The rows in each room, room by room, those of most and tallest spots first.

    Args:
        grey: the picture, uint8 (h, w), ink dark.
        rooms: their outlines in pixels of the picture.
    """
    if not rooms:
        return []
    left, top, right, bottom = _frame(rooms, grey.shape)
    if right - left < 8 or bottom - top < 8:
        return []
    zoom = 2 if max(grey.shape) < _SMALL_PX else 1
    part = grey[top:bottom, left:right]
    if zoom > 1:
        part = resized(part, part.shape[1] * zoom, part.shape[0] * zoom, cv2.INTER_CUBIC)
    owner = _owners(rooms, part.shape, (left, top), zoom)
    if not owner.any():
        return []
    around = cv2.boxFilter(part, -1, (_AROUND, _AROUND), borderType=cv2.BORDER_REPLICATE | cv2.BORDER_ISOLATED)
    darker = around.astype(np.int16) - part
    boxes, rooms_of = _spots((darker >= _DARKER) & (owner > 0), owner, _MOST_HEIGHT * zoom * max(grey.shape))
    # The middle of a wall is no darker than what is around it.
    ink = (darker >= _FAINTLY) | (part < _SOLID * np.median(part[owner > 0]))
    rows = []
    for room in range(len(rooms)):
        mine = boxes[rooms_of == room]
        if 0 < len(mine) <= _MAX_SPOTS:
            found = [_row(spots, down, ink, room, (left, top), zoom) for spots, down in _rows_of(mine)]
            rows += [row for row in found if row is not None]
    return rows


def _frame(rooms: Sequence[Polygon], shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """The box around all rooms, within the picture."""
    bounds = np.array([room.bounds for room in rooms])
    low = np.maximum(np.floor(bounds[:, :2].min(axis=0)), 0).astype(int)
    high = np.minimum(np.ceil(bounds[:, 2:].max(axis=0)), (shape[1], shape[0])).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _owners(rooms: Sequence[Polygon], shape: tuple[int, ...], origin: tuple[int, int], zoom: int) -> LabelImage:
    """Which room each pixel is in: int32 (h, w), the room's place plus one, 0 for none."""
    owner = np.zeros(shape[:2], np.int32)
    for place, room in enumerate(rooms):
        rings = [np.array(ring.coords) for ring in (room.exterior, *room.interiors)]
        cv2.fillPoly(owner, [np.rint((ring - origin) * zoom).astype(np.int32) for ring in rings], place + 1)
    return owner


def _spots(ink: Ink, owner: LabelImage, most_px: float) -> tuple[Boxes, NDArray[np.int64]]:
    """The boxes of what may be letters, float64 (n, 4), and the room of each."""
    count, _, stats, centres = cv2.connectedComponentsWithStats(ink.astype(np.uint8), connectivity=8)
    if count < 2:
        return np.empty((0, 4)), np.empty(0, np.int64)
    x, y, w, h, area = stats[1:].T.astype(np.float64)
    short, long = np.minimum(w, h), np.maximum(w, h)
    fit = (
        (long >= _LEAST_HEIGHT_PX) & (short <= most_px) & (long <= 12 * most_px) & (area >= 6) & (area >= 0.08 * w * h)
    )
    middle = np.rint(centres[1:][fit]).astype(int)
    room = owner[np.clip(middle[:, 1], 0, owner.shape[0] - 1), np.clip(middle[:, 0], 0, owner.shape[1] - 1)]
    boxes = np.column_stack([x, y, x + w, y + h])[fit]
    return boxes[room > 0], room[room > 0].astype(np.int64) - 1


def _rows_of(boxes: Boxes) -> list[tuple[Boxes, bool]]:
    """The spots of each row of one room, and whether it is turned; the likeliest first."""
    level = _linked(boxes, _LETTER_GAP)
    turned = _linked(_swapped(boxes), _LETTER_GAP)
    sizes = [np.bincount(groups)[groups] for groups in (level, turned)]
    # Letters of small print touch each other, so that a spot may be a word; words above each other run no column.
    slim = np.log((boxes[:, 2] - boxes[:, 0]) / (boxes[:, 3] - boxes[:, 1]))
    wide = np.bincount(turned, slim > np.log(1.6))[turned] > 0.5 * sizes[1]
    tall = np.bincount(level, slim < -np.log(3.0))[level] > 0.5 * sizes[0]
    runs_down = ((sizes[1] > sizes[0]) & ~wide) | (tall & ~wide)
    rows: list[tuple[Boxes, bool]] = []
    for down in (False, True):
        mine = boxes[runs_down == down]
        if not len(mine):
            continue
        groups = _linked(_swapped(mine) if down else mine, _SPACE)
        rows += [(mine[groups == group], down) for group in range(int(groups.max()) + 1)]
    kept = [(spots, down) for spots, down in rows if _looks_printed(_swapped(spots) if down else spots)]
    return sorted(kept, key=lambda row: (-_weight(*row), row[1], *row[0].min(axis=0).tolist()))


def _weight(spots: Boxes, down: bool) -> float:
    """How likely a row is print, against others of its room: its tall spots' heights together; specks have little."""
    high = spots[:, 2] - spots[:, 0] if down else spots[:, 3] - spots[:, 1]
    return float(high[high >= 0.6 * np.percentile(high, 75)].sum())


def _swapped(boxes: Boxes) -> Boxes:
    """The boxes with x and y exchanged: what runs down runs along then."""
    return boxes[:, [1, 0, 3, 2]]


def _linked(boxes: Boxes, gap: float) -> NDArray[np.int64]:
    """The group of each box, from 0: those of about one height beside each other, at most `gap` heights apart."""
    x0, y0, x1, y1 = boxes.T
    high = y1 - y0
    small, large = np.minimum.outer(high, high), np.maximum.outer(high, high)
    shared = np.minimum.outer(y1, y1) - np.maximum.outer(y0, y0)
    apart = np.maximum.outer(x0, x0) - np.minimum.outer(x1, x1)
    near = (small >= _SAME_HEIGHT * large) & (shared >= _SHARED * small) & (apart <= gap * large)
    group = np.arange(len(boxes))
    while True:  # every box takes the lowest number among its neighbours until none changes
        lower = np.where(near, group[None, :], len(boxes)).min(axis=1)
        lower = np.minimum(lower, lower[lower])
        if np.array_equal(lower, group):
            break
        group = lower
    numbered: NDArray[np.int64] = np.unique(group, return_inverse=True)[1]
    return numbered


def _looks_printed(spots: Boxes) -> bool:
    """Whether spots that run along may be print: longer than high, and more than one letter."""
    high = float(np.median(spots[:, 3] - spots[:, 1]))
    long = float(spots[:, 2].max() - spots[:, 0].min())
    if high < _LEAST_HEIGHT_PX:
        return False
    return 1.2 * high <= long <= 40 * high and (len(spots) > 1 or long >= 1.5 * high)


def _row(spots: Boxes, turned: bool, ink: Ink, room: int, origin: tuple[int, int], zoom: int) -> Row | None:
    """The row in pixels of the picture; None where something that is no letter covers an end of it."""
    along = _swapped(spots) if turned else spots
    letter = float(np.percentile(along[:, 3] - along[:, 1], 75))
    box = np.array([*along[:, :2].min(axis=0), *along[:, 2:].max(axis=0)])
    ends = _ends(box, ink.T if turned else ink, letter)
    if ends is None:
        return None
    box[[0, 2]] = ends
    side = (_swapped(box[None])[0] if turned else box) / zoom + np.array([*origin, *origin])
    x0, y0, x1, y1 = side.tolist()
    return Row((x0, y0, x1, y1), turned, len(spots), room, letter / zoom)


def _ends(box: Boxes, ink: Ink, letter: float) -> tuple[float, float] | None:
    """Where the row begins and ends once what stands close to its ends belongs to it; None where a line covers an end.

    Letters that touch furniture or each other's lines are no spots; without them the row would be a part of a word.
    """
    x0, y0, x1, y1 = (round(float(side)) for side in box)
    most, beyond = round(_LONGER * letter), max(2, round(_BEYOND * letter))
    left = max(0, x0 - most)
    band = ink[max(0, y0 - beyond) : y1 + beyond, left : x1 + most]
    top = y0 - max(0, y0 - beyond)
    within = band[top : top + y1 - y0]
    inked = np.count_nonzero(within, axis=0) >= max(2.0, _COLUMN * (y1 - y0))
    through = within.mean(axis=0) >= 0.7
    through &= (band[: max(1, top // 2)].any(axis=0)) & (band[-max(1, beyond // 2) :].any(axis=0))
    after = _reach(inked[x1 - left :], through[x1 - left :], letter, most)
    before = _reach(inked[: x0 - left][::-1], through[: x0 - left][::-1], letter, min(most, x0))
    return None if after is None or before is None else (x0 - before, x1 + after)


def _reach(inked: Ink, through: Ink, letter: float, most: int) -> int | None:
    """How far letters may go on from the start; None where a line that goes through covers the end of them."""
    end = 0
    for place in np.flatnonzero(inked | through).tolist():
        if through[place]:
            return None if place - end < _CLEAR * letter else end
        if place - end >= _WORD_GAP * letter:
            break
        end = place + 1
    return None if end >= most else end
