"""What is printed inside each room: its name, its number and its area."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import shapely
from shapely.geometry import Polygon

from detection.pdf import Word
from detection.textlines import Line, Said, join_lines, understand

_SAME_SIZE: Final = 1.3
_MAX_NAME_LETTERS: Final = 80


@dataclass(frozen=True, slots=True)
class Label:
    """What is printed in one room; None where nothing of the kind is."""

    name: str | None = None
    number: str | None = None
    area_m2: float | None = None

    @property
    def empty(self) -> bool:
        """Whether nothing is known."""
        return self.name is None and self.number is None and self.area_m2 is None


@dataclass(frozen=True, slots=True)
class _Printed:
    line: Line
    said: Said


def read_labels(rooms: list[Polygon], words: list[Word]) -> list[Label]:
    """The label of each room, in the rooms' order; a line of words counts for the room that holds its middle."""
    lines = join_lines(words)
    inside = _lines_inside(rooms, lines)
    return [_label(room, [_Printed(line, understand(line.text)) for line in inside[k]]) for k, room in enumerate(rooms)]


def _lines_inside(rooms: list[Polygon], lines: list[Line]) -> list[list[Line]]:
    """The lines in each room; a line whose words stand in several rooms is cut between them."""
    found: list[list[Line]] = [[] for _ in rooms]
    if not rooms or not lines:
        return found
    tree = shapely.STRtree(rooms)
    middles = [word.centre for line in lines for word in line.words]
    owner: dict[int, int] = {}
    for point, room in zip(*tree.query(shapely.points(middles), predicate="within").tolist(), strict=True):
        owner.setdefault(point, room)
    whole: dict[int, int] = {}
    centres = shapely.points([line.centre for line in lines])
    for place, room in zip(*tree.query(centres, predicate="within").tolist(), strict=True):
        whole.setdefault(place, room)
    first = 0
    for place, line in enumerate(lines):
        owners = [owner.get(first + k) for k in range(len(line.words))]
        first += len(line.words)
        if len({room for room in owners if room is not None}) > 1:
            for room in sorted({room for room in owners if room is not None}):
                part = tuple(word for word, at in zip(line.words, owners, strict=True) if at == room)
                found[room].append(Line(part))
        elif place in whole:
            found[whole[place]].append(line)
    return found


def _label(room: Polygon, printed: list[_Printed]) -> Label:
    areas = [p for p in printed if p.said.area_m2]
    names = _name_blocks([p for p in printed if p.said.name])
    numbers = [p for p in printed if p.said.number]
    middle = room.representative_point()
    near = (middle.x, middle.y)
    name = min(names, key=lambda block: _rank(block, areas + numbers, near), default=None)
    at = name[0].line if name else None
    number = min(numbers, key=lambda p: (not p.said.strong, _apart(p.line, at, near)), default=None)
    # Several areas in one room are several rooms' areas: none of them is this one's.
    area = areas[0] if len(areas) == 1 else None
    text = " ".join(p.said.name for p in name)[:_MAX_NAME_LETTERS] if name else None
    return Label(text, number.said.number if number else None, area.said.area_m2 if area else None)


def _name_blocks(named: list[_Printed]) -> list[list[_Printed]]:
    """Lines of one name below each other, joined: equal size and direction, stacked, less than a line apart."""
    blocks: list[list[_Printed]] = []
    for item in sorted(named, key=lambda p: (_down(p.line), p.line.box[0])):
        for block in blocks:
            if _continues(block[-1].line, item.line):
                block.append(item)
                break
        else:
            blocks.append([item])
    return blocks


def _down(line: Line) -> float:
    """How far down the page the line stands for one who reads it upright."""
    turn = math.radians(line.angle_deg)
    x, y = line.centre
    return -x * math.sin(turn) + y * math.cos(turn)


def _continues(above: Line, below: Line) -> bool:
    if abs((above.angle_deg - below.angle_deg + 180) % 360 - 180) > 3:
        return False
    small, large = sorted((above.size_pt, below.size_pt))
    if large > _SAME_SIZE * small:
        return False
    step = _down(below) - _down(above)
    turn = math.radians(above.angle_deg)
    (ax, ay), (bx, by) = above.centre, below.centre
    aside = abs((bx - ax) * math.cos(turn) + (by - ay) * math.sin(turn))
    widest = max(_length(above), _length(below))
    return 0.5 * large <= step <= 1.8 * large and aside <= 0.5 * widest


def _length(line: Line) -> float:
    x0, y0, x1, y1 = line.box
    turn = math.radians(line.angle_deg)
    return (x1 - x0) * abs(math.cos(turn)) + (y1 - y0) * abs(math.sin(turn))


def _rank(block: list[_Printed], facts: list[_Printed], near: tuple[float, float]) -> tuple[bool, float, float]:
    """Sorts names: first those that stand with a number or an area, then large ones, then central ones."""
    size = max(p.line.size_pt for p in block)
    with_facts = any(
        p in facts or math.dist(p.line.centre, fact.line.centre) <= 3 * max(size, fact.line.size_pt)
        for p in block
        for fact in facts
    )
    return not with_facts, -round(size, 1), min(_apart(p.line, None, near) for p in block)


def _apart(line: Line, other: Line | None, near: tuple[float, float]) -> float:
    """How far a line is from another, or from a point where there is no other."""
    return math.dist(line.centre, other.centre if other is not None else near)
