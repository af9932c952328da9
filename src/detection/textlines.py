"""Words joined into printed lines, and what a line says: a name, a number, an area, a measure or a scale."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

from detection.pdf import Word

_SQUARE_FEET_M2: Final = 0.09290304
_METRE_UNITS: Final = r"m\s?2|m²|㎡|m\^2|qm|sqm|sq\.?\s?m|kvm|mq|кв\.?\s?м"
_FEET_UNITS: Final = r"sf|s\.f\.|sq\.?\s?ft|sqft|ft\s?2|ft²|square\s+feet"
_NUMBER: Final = r"(?<![\w.,])\d{1,3}(?:[,'’ ]\d{3})+(?:\.\d+)?|(?<![\w.,])\d+(?:[.,]\d+)?"
_AREA: Final = re.compile(rf"({_NUMBER})\s*(?:({_METRE_UNITS})|({_FEET_UNITS}))(?![\w²])", re.IGNORECASE)
_MEASURE: Final = re.compile(
    r"\d\s*[x×]\s*\d|\d\s*['’′]\s*-?\s*\d*|\d\s*[\"”″]|\d\s*(?:mm|cm|m|ft|in)\b|[=±Øø⌀]|^[+-]?\d+[.,]\d+$",
    re.IGNORECASE,
)
_SCALE_NOTE: Final = re.compile(r"(?<![\d:.])1\s?:\s?(\d{1,3}(?:[.,' ]?\d{3})?)(?![\d:])")
_IMPERIAL_NOTE: Final = re.compile(r"(\d+)(?:\s*[/⁄]\s*(\d+))?\s*[\"”″]\s*=\s*(\d+)\s*['’′](?:\s*-?\s*(\d+)\s*[\"”″])?")
_STRONG_NUMBER: Final = re.compile(
    r"[A-Za-z]{0,3}[-.]?\d{3,4}[A-Za-z]{0,2}(?:[-.]\d{1,3})?|[A-Za-z]{0,2}\d{1,2}[.-]\d{1,3}[A-Za-z]?"
)
_WEAK_NUMBER: Final = re.compile(r"\d{1,2}[A-Za-z]?")  # D3 and W1 are tags of doors and windows
_ROMAN_OR_SHORT: Final = re.compile(r"[ivx]{1,4}|\d{1,2}[a-z]?|[a-z]")
#: Tags of fittings and stairs: English abbreviations that stand in rooms and name none.
_TAGS: Final = frozenset(
    ("up", "dn", "down", "ref", "dw", "wd", "w/d", "w&d", "wh", "fd", "ac", "ahu", "oh", "typ", "eq", "nic", "clg")
)
_UNIT_WORDS: Final = frozenset(
    ("m", "m2", "m²", "qm", "sqm", "sf", "ft", "mm", "cm", "sq", "area", "fläche", "pinta-ala")
)


@dataclass(frozen=True, slots=True)
class Line:
    """Words printed in one row.

    Attributes:
        words: in reading order.
        box: x0, y0, x1, y1 on the page.
    """

    words: tuple[Word, ...]

    @property
    def text(self) -> str:
        """The words with a space between them."""
        return " ".join(word.text for word in self.words)

    @property
    def size_pt(self) -> float:
        """The largest word's font size."""
        return max(word.size_pt for word in self.words)

    @property
    def angle_deg(self) -> float:
        """The direction of writing."""
        return self.words[0].angle_deg

    @property
    def box(self) -> tuple[float, float, float, float]:
        """The box around the words."""
        boxes = [word.box for word in self.words]
        return min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes)

    @property
    def centre(self) -> tuple[float, float]:
        """The middle of the box."""
        x0, y0, x1, y1 = self.box
        return (x0 + x1) / 2, (y0 + y1) / 2


@dataclass(frozen=True, slots=True)
class Said:
    """What a line says; everything is None or empty where it says no such thing."""

    name: str = ""
    number: str | None = None
    strong: bool = False
    area_m2: float | None = None


def join_lines(words: list[Word]) -> list[Line]:
    """The words as printed lines, in the order of their first words.

    Words belong together that are written in the same direction on the same base line, less than a wide space apart.
    """
    placed = [(word, *_frame(word)) for word in words]
    order = sorted(range(len(words)), key=lambda k: (round(words[k].angle_deg) % 360, placed[k][1], k))
    rows: list[list[int]] = []
    open_rows: list[list[int]] = []
    for k in order:
        word, start, _, low, high = placed[k]
        best = None
        for row in open_rows:
            last, _, end, last_low, last_high = placed[row[-1]]
            if abs((last.angle_deg - word.angle_deg + 180) % 360 - 180) > 3:
                continue
            size = min(last.size_pt, word.size_pt)
            shared = min(high, last_high) - max(low, last_low)
            larger = max(last.size_pt, word.size_pt)
            close = -0.3 * size <= start - end <= 0.75 * size
            if close and shared >= 0.4 * min(high - low, last_high - last_low) and size >= 0.45 * larger:
                best = row
        if best is None:
            best = []
            rows.append(best)
            open_rows.append(best)
        best.append(k)
        open_rows = [row for row in open_rows if placed[row[-1]][2] >= start - 4 * word.size_pt or row is best]
    lines = sorted(rows, key=min)
    return [Line(tuple(words[k] for k in row)) for row in lines]


def _frame(word: Word) -> tuple[float, float, float, float]:
    """Where a word starts and ends along its own direction, and its extent across."""
    x0, y0, x1, y1 = word.box
    cos, sin = math.cos(math.radians(word.angle_deg)), math.sin(math.radians(word.angle_deg))
    x, y = word.centre
    along, across = x * cos + y * sin, -x * sin + y * cos
    # The box is upright, so a slanted word's own length is not it; quarter turns are exact.
    length = (x1 - x0) * abs(cos) + (y1 - y0) * abs(sin)
    depth = (x1 - x0) * abs(sin) + (y1 - y0) * abs(cos)
    depth = max(depth, 0.5 * word.size_pt)
    return along - length / 2, along + length / 2, across - depth / 2, across + depth / 2


def understand(text: str) -> Said:
    """What a printed line says about a room."""
    area = None
    match = _AREA.search(text)
    if match is not None:
        area = _amount(match[1]) * (1.0 if match[2] else _SQUARE_FEET_M2)
        text = (text[: match.start()] + " " + text[match.end() :]).strip()
    if _SCALE_NOTE.search(text) or _MEASURE.search(text):
        return Said(area_m2=area)
    parts = text.split()
    number, strong, parts = _take_number(parts)
    name = " ".join(parts).lstrip(" -–:,.;|/)").rstrip(" -–:,;|/(")
    return Said(name if _is_name(name) else "", number, strong, area)


def _take_number(parts: list[str]) -> tuple[str | None, bool, list[str]]:
    """The room's number, whether it cannot be anything else, and the words without it."""
    if not parts:
        return None, False, parts
    for place in (0, -1):
        word = parts[place].strip("()#:,")
        rest = parts[1:] if place == 0 else parts[:-1]
        if _STRONG_NUMBER.fullmatch(word):
            return word, True, rest
    alone = parts[0].strip("()#:,")
    if len(parts) == 1 and _WEAK_NUMBER.fullmatch(alone):
        return alone, False, []
    return None, False, parts


def _is_name(text: str) -> bool:
    letters = sum(letter.isalpha() for letter in text)
    if letters < 2 or letters < 0.6 * sum(not letter.isspace() for letter in text):
        return False
    return any(
        word not in _TAGS and word not in _UNIT_WORDS and not _ROMAN_OR_SHORT.fullmatch(word)
        for word in (part.strip(".,:") for part in text.casefold().split())
    )


def _amount(text: str) -> float:
    """A printed number; a lone comma or point before one or two digits, or many, is the decimal one."""
    text = text.replace("'", "").replace("’", "").replace(" ", "")
    if re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d+)?", text):
        return float(text.replace(",", ""))
    return float(text.replace(",", "."))


def scale_notes(text: str) -> list[float]:
    """The ratios that a line names as drawing scales: 100 for 1:100, 96 for 1/8" = 1'-0"."""
    notes = [float(re.sub(r"[.,' ]", "", match[1])) for match in _SCALE_NOTE.finditer(text)]
    for match in _IMPERIAL_NOTE.finditer(text):
        paper_in = int(match[1]) / int(match[2] or 1) if int(match[2] or 1) else 0.0
        real_in = 12 * int(match[3]) + int(match[4] or 0)
        if paper_in > 0 and real_in > 0:
            notes.append(real_in / paper_in)
    return [note for note in notes if 5 <= note <= 2000]
