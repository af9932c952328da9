"""What every reader of labels hands over, and the checks that all of them share."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from evaluation.geometry import Kind, LabelsError, Repaired, check_inside, polygon_of, ring_of
from evaluation.truth import TrueRoom

#: Labels that name no room; a shape that has one is left out, with a note.
NOT_ROOMS: Final = frozenset({"wall", "walls", "door", "doors", "window", "windows", "opening", "openings", "outside"})
_LARGEST: Final = 1e9
#: Labels that say no more than that it is a room.
_ANY_ROOM: Final = frozenset({"room", "rooms", "space", "area", "polygon", "object"})


@dataclass(slots=True)
class Draft:
    """The labels of one page as they are read; `problem` says why they cannot be used."""

    source: str
    page: int = 1
    width: float | None = None
    height: float | None = None
    kind: Kind = "polygon"
    rooms: list[TrueRoom] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problem: str | None = None
    left_out: Counter[str] = field(default_factory=Counter)

    def add(self, name: str, repaired: Repaired, **facts: Any) -> None:
        """Take the room in, or note why not.

        Raises:
            LabelsError: it lies outside the page.
        """
        if repaired.note is not None:
            self.notes.append(f"{name} {repaired.note}")
        if repaired.shape is None:
            return
        if self.width is not None and self.height is not None:
            try:
                check_inside(repaired.shape, self.width, self.height)
            except LabelsError as error:
                raise LabelsError(f"{name}: {error}") from None
        self.rooms.append(TrueRoom(repaired.shape, **facts))

    def all_notes(self) -> tuple[str, ...]:
        """Everything that was repaired or left out."""
        left_out = [f"{count} {what} left out" for what, count in sorted(self.left_out.items())]
        return (*self.notes, *left_out)


def drawn_room(points: object, holes: object = None) -> Repaired:
    """The shape of an outline given as points.

    Raises:
        LabelsError: it is not given as points.
    """
    if holes is not None and not isinstance(holes, list):
        raise LabelsError(f"holes must be a list of outlines, not {type(holes).__name__}")
    return polygon_of(ring_of(points), [ring_of(hole) for hole in holes or []])


def text_or_none(value: object) -> str | None:
    """The text without blanks around it, None where there is none."""
    text = str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    return text or None


def room_label(value: object) -> str | None:
    """The label as a room's name, None where it says no more than that this is a room."""
    text = text_or_none(value)
    return None if text is None or text.casefold() in _ANY_ROOM else text


def positive_or_none(value: object, what: str) -> float | None:
    """The number, None where there is none.

    Raises:
        LabelsError: it is something else, or not above zero.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < _LARGEST:
        raise LabelsError(f"{what} must be a number above zero, not {str(value)[:40]!r}")
    return float(value)
