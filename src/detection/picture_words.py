"""The words printed in the rooms of a picture, as a text layer would give them if the picture had one.

A wrong word is worse than none: a line counts only where the model is sure of every letter and nothing else touches it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import cv2
import numpy as np
from shapely.affinity import scale
from shapely.geometry import Polygon

from detection import document, reading
from detection.lettering import Row, find_rows
from detection.pdf import Word
from detection.reading import Letter
from detection.regions import ByteImage
from detection.settings import Settings
from detection.textlines import understand

_MOST_SIDE_PX: Final = 4000
_PX_PER_PT: Final = 200 / 72
_ROWS_A_ROOM: Final = 5
_TURNED_A_ROOM: Final = 2
_ROWS_A_PAGE: Final = 80
_SURE: Final = 0.98  # the mean of a line's letters
_LEAST_SURE: Final = 0.9  # each of them
_LIKELY: Final = 0.7
_LARGER: Final = 1.15
_PAD: Final = 0.3  # of a letter's height, the paper around a line
_UNREAD: Final = 2.0  # of a letter's height, from the end of what is read to the middle of its outermost letter
_SERIES: Final = 3
_APART: Final = 3  # numbers of a series are at most so far from the next
_SIZE_OF_CAPITAL: Final = 1.4  # a font's size, in heights of its capitals
_SAME_MIRRORED: Final = frozenset("AHIMOTUVWXYilovwx018 -.:|")


@dataclass(frozen=True, slots=True)
class _Line:
    """A line that was read.

    Attributes:
        row: where it stands.
        letters: in reading order.
        box: x0, y0, x1, y1 of what was read, in whole pixels of the picture.
        angle_deg: the direction of writing; of a mirrored line, that of its mirror image.
    """

    row: Row
    letters: list[Letter]
    box: tuple[int, int, int, int]
    angle_deg: int

    @property
    def text(self) -> str:
        """The letters as one text."""
        return "".join(letter.sign for letter in self.letters)


def are_read(settings: Settings) -> bool:
    """Whether words on pictures are read: they are wanted, and what reads them is installed."""
    return settings.read_pictures and reading.available()


def read_words(page: document.Page, rooms: Sequence[Polygon], threads: int) -> list[Word]:
    """The words that stand in the rooms, in page units, as far as they can be read with certainty.

    Args:
        page: a picture, or a PDF's page without a text layer.
        rooms: in page units.
        threads: how many threads may be used; the words do not depend on it.
    """
    wanted = 1.0 if page.unit == "px" else _PX_PER_PT
    image = page.raster(min(wanted, _MOST_SIDE_PX / max(page.width, page.height)))
    grey: ByteImage = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)  # type: ignore[assignment]
    units_per_px = page.width / grey.shape[1]
    drawn = [scale(room, 1 / units_per_px, 1 / units_per_px, origin=(0, 0)) for room in rooms]
    rows = _capped(find_rows(grey, drawn))
    lines = _read(grey, rows, threads)
    if _may_be_mirrored(lines):
        mirrored = _read(grey, rows, threads, mirrored=True)
        if _one_sided(mirrored) > _one_sided(lines):
            lines = mirrored
    series = _series([line.text for line in lines])
    return [word for line in lines if _worth_telling(line.text) for word in _words(line, series, units_per_px)]


def _capped(rows: Sequence[Row]) -> list[Row]:
    """The rows that are read: few a room, few a page; the likeliest of each room first, and turned ones last."""
    count: Counter[tuple[int, bool]] = Counter()
    ranked = []
    for row in rows:
        rank = count[row.room, row.turned]
        count[row.room, row.turned] += 1
        if rank < (_TURNED_A_ROOM if row.turned else _ROWS_A_ROOM):
            ranked.append((row.turned, rank, row))
    ranked.sort(key=lambda item: item[:2])
    return [row for _, _, row in ranked[:_ROWS_A_PAGE]]


def _read(grey: ByteImage, rows: Sequence[Row], threads: int, *, mirrored: bool = False) -> list[_Line]:
    """The lines that can be read; turned ones only in rooms where nothing else is."""
    lines: list[_Line] = []
    doubtful: list[Row] = []
    for row in rows:
        if row.turned and any(line.row.room == row.room and not line.row.turned for line in lines):
            continue
        line, sure = _read_row(grey, row, threads, mirrored)
        if line is not None and sure:
            lines.append(line)
        elif line is not None:
            doubtful.append(row)
    return [line for line in lines if not any(_outdoes(row, line.row) for row in doubtful)]


def _outdoes(doubtful: Row, row: Row) -> bool:
    """Whether larger print stands in the room that is not read: a room's name is larger than its cupboards'."""
    return doubtful.room == row.room and doubtful.letter_px > _LARGER * row.letter_px


def _may_be_mirrored(lines: Sequence[_Line]) -> bool:
    """Whether most lines have only letters that look the same in a mirror.

    Mirrored flats are sold too, with their names mirrored: of OH, MH and ET on one, HO and HM are read, and no more.
    """
    return bool(lines) and _one_sided(lines) <= len(lines) / 3


def _one_sided(lines: Sequence[_Line]) -> int:
    """How many lines have a letter that looks another way in a mirror."""
    return sum(not _SAME_MIRRORED.issuperset(line.text) for line in lines)


def _read_row(grey: ByteImage, row: Row, threads: int, mirrored: bool) -> tuple[_Line | None, bool]:
    """What the row says and whether that is certain and all of it; None where it hardly says anything."""
    best: _Line | None = None
    box = _padded(row, grey.shape)
    crop = grey[box[1] : box[3], box[0] : box[2]]
    for angle_deg in (270, 90) if row.turned else (0,):
        line = _upright(crop, angle_deg)
        if mirrored:
            line = np.ascontiguousarray(line[:, ::-1])
        letters = reading.read_line(line, threads)
        said = _Line(row, letters, box, angle_deg)
        if _is_sure(letters) and _is_whole(letters, line.shape[1], row.letter_px):
            return said, True
        if _is_likely(letters):
            best = said
    return best, False


def _padded(row: Row, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """The row's box with some paper around, in whole pixels of the picture."""
    x0, y0, x1, y1 = row.box
    pad = max(2.0, _PAD * row.letter_px)
    low = max(0, round(x0 - pad)), max(0, round(y0 - pad))
    return *low, min(shape[1], round(x1 + pad)), min(shape[0], round(y1 + pad))


def _upright(crop: ByteImage, angle_deg: int) -> ByteImage:
    """The crop turned so that it reads from left to right."""
    turns = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 270: cv2.ROTATE_90_CLOCKWISE}
    return cv2.rotate(crop, turns[angle_deg]) if angle_deg else crop  # type: ignore[return-value]


def _is_sure(letters: Sequence[Letter]) -> bool:
    """Whether every letter is more than likely, and the line as a whole all but certain."""
    chances = [letter.chance for letter in letters if letter.sign != " "]
    return bool(chances) and min(chances) >= _LEAST_SURE and float(np.mean(chances)) >= _SURE


def _is_likely(letters: Sequence[Letter]) -> bool:
    """Whether it may well be print: three letters or more, of which most are likely."""
    chances = [letter.chance for letter in letters if letter.sign.isalpha()]
    return len(chances) >= 3 and float(np.mean(chances)) >= _LIKELY


def _is_whole(letters: Sequence[Letter], width_px: int, letter_px: float) -> bool:
    """Whether the letters fill the line, but for the paper around it and a letter."""
    unread_px = width_px * letters[0].place, width_px * (1 - letters[-1].place)
    return max(unread_px) <= (_UNREAD + _PAD) * letter_px


def _worth_telling(text: str) -> bool:
    """Whether a text has a word or a number in it, or is an area; a lone letter or digit may be a hob."""
    return re.search(r"[^\W\d_]{2}|\d{2}", text) is not None or understand(text).area_m2 is not None


def _series(texts: Sequence[str]) -> frozenset[str]:
    """The rooms' numbers that are some of a series.

    A measure, and an area without its unit or whose point is too faint, read like a number. But rooms are numbered one
    after the other: three or more numbers begin alike, are as long, and lie close to each other.
    """
    kinds: dict[tuple[str, int, str], set[str]] = {}
    for text in texts:
        number = understand(text).number
        match = re.fullmatch(r"([^\d]*)(\d[\d.-]*\d)[A-Za-z]*", number or "")
        if match is not None and number is not None:
            kinds.setdefault((match[1].casefold(), len(match[2]), match[2][0]), set()).add(number)
    found: set[str] = set()
    for numbers in kinds.values():
        values = sorted((int(re.sub(r"\D", "", number)), number) for number in numbers)
        near = {end for low, high in pairwise(values) if high[0] - low[0] <= _APART for end in (low, high)}
        if len(near) >= _SERIES:
            found |= {number for _, number in near}
    return frozenset(found)


def _words(line: _Line, series: frozenset[str], units_per_px: float) -> Iterator[Word]:
    """The line's words but for a number that is none of a series, each with its part of the line's box."""
    x0, y0, x1, y1 = (side * units_per_px for side in line.box)
    size = _SIZE_OF_CAPITAL * line.row.letter_px * units_per_px
    number = understand(line.text).number
    cuts = [0.0, *(letter.place for letter in line.letters if letter.sign == " "), 1.0]
    for (a, b), text in zip(pairwise(cuts), line.text.split(" "), strict=True):
        if not text or (number is not None and number not in series and number in text):
            continue
        if line.angle_deg == 0:
            part = (x0 + a * (x1 - x0), y0, x0 + b * (x1 - x0), y1)
        elif line.angle_deg == 90:
            part = (x0, y0 + a * (y1 - y0), x1, y0 + b * (y1 - y0))
        else:
            part = (x0, y1 - b * (y1 - y0), x1, y1 - a * (y1 - y0))
        yield Word(text, part, size, float(line.angle_deg))
