"""Labelled plans: what a person says the rooms of a page are, whatever format it was written in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from evaluation.geometry import Kind, Shape


@dataclass(frozen=True, slots=True)
class TrueRoom:
    """One room as labelled; what the labels do not say is None."""

    shape: Shape
    label: str | None = None
    number: str | None = None
    area_m2: float | None = None


@dataclass(frozen=True, slots=True)
class LabelledPage:
    """The true rooms of one page of a document.

    Attributes:
        set_name: the folder that the labels lie in, which figures are given for.
        labels: the file that the rooms were read from.
        document: the picture or PDF that they are of.
        page: the page's number in it, from 1.
        width: the page's width in its unit, None where the labels do not tell.
        height: the page's height likewise.
        kind: what of a room's shape is compared.
        rooms: the rooms with area.
        notes: what was repaired or left out.
    """

    set_name: str
    labels: Path
    document: Path
    page: int
    width: float | None
    height: float | None
    kind: Kind
    rooms: tuple[TrueRoom, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """A file or plan that something is wrong with, and what; `counted` plans are in the figures as nothing found."""

    where: str
    reason: str
    counted: bool = False
