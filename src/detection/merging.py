"""A page's rooms as its readings found them, and two readings made into one.

A page that draws its walls is read by its own lines. Where those leave doubts, its picture is read too, and each part
of the page keeps the reading that promises more right rooms there: whoever draws with hatches, dashes or single lines
may leave little that lines alone can tell, and what is too fine to be seen is told by its lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detection import document
from detection.confidence import Features, confidence_of, features_of
from detection.labels import Label, read_labels
from detection.polygons import Outline, find_outlines, overlapping, without
from detection.regions import Regions

_LEAST_CHANCE: Final = 0.4  # an item less likely than half the F1 that is reached lowers it
_DOUBTFUL: Final = 0.9  # of a drawn page's mean chance, below which its picture is read, too
_SAME_PLACE: Final = 0.2  # of the smaller room's area, for rooms of two readings to be about one part of the page


@dataclass(frozen=True, slots=True)
class Found:
    """A room's outline, the words within, what speaks for it, and the chance that it is right."""

    outline: Outline
    label: Label
    features: Features
    chance: float


@dataclass(frozen=True, slots=True)
class Reading:
    """What one search found on a page."""

    regions: Regions
    rooms: list[Found]

    @classmethod
    def of(cls, page: document.Page, regions: Regions) -> Reading:
        """The regions as rooms, with the words of the page."""
        outlines = find_outlines(regions, page.width, page.height)
        labels = read_labels([outline.polygon for outline in outlines], page.words)
        lettered = any(not label.empty for label in labels)
        bare = [lettered and label.empty for label in labels]
        features = features_of([(outline.region, outline.polygon) for outline in outlines], bare)
        return cls(
            regions,
            [
                Found(outline, label, each, confidence_of(each, outline.region, regions.kind))
                for outline, label, each in zip(outlines, labels, features, strict=True)
            ],
        )

    @property
    def doubtful(self) -> bool:
        """Whether another look at the page is worth its time."""
        return not self.rooms or float(np.mean([room.chance for room in self.rooms])) < _DOUBTFUL


def together(readings: Sequence[Reading]) -> list[Found]:
    """The rooms of all readings but for those that are hardly any; where two disagree, those that promise more.

    A title block as a room costs more trust than a missing one. The chances stay those among all rooms of a reading:
    that is what they were fitted to.
    """
    likely = [[room for room in reading.rooms if room.chance >= _LEAST_CHANCE] for reading in readings]
    return likely[0] if len(likely) == 1 else _apart([room for part in _parts(likely) for room in part])


def _parts(readings: Sequence[Sequence[Found]]) -> Iterable[Sequence[Found]]:
    """For each part of the page the rooms of the reading whose chances add up to more; of equals, the earlier one's."""
    rooms = [room for reading in readings for room in reading]
    owner = np.repeat(np.arange(len(readings)), [len(reading) for reading in readings])
    part = _connected(len(rooms), overlapping([room.outline.polygon for room in rooms], _SAME_PLACE))
    promised = np.zeros((len(rooms), len(readings)))
    np.add.at(promised, (part, owner), [room.chance for room in rooms])
    taken = promised.argmax(axis=1)
    for number in np.unique(part):
        yield [rooms[k] for k in np.flatnonzero((part == number) & (owner == taken[number]))]


def _connected(count: int, pairs: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    """int64 (count,): for each of so many things the first one of those that it hangs together with by pairs."""
    first = np.arange(count)
    one, other = np.array(pairs, np.int64).reshape(-1, 2).T
    while (first[one] != first[other]).any():
        least = np.minimum(first[one], first[other])
        np.minimum.at(first, one, least)
        np.minimum.at(first, other, least)
    return first


def _apart(rooms: list[Found]) -> list[Found]:
    """The rooms, those cut that share more than is allowed with one that is likelier."""
    rooms = sorted(rooms, key=lambda room: -room.chance)
    while pairs := overlapping([room.outline.polygon for room in rooms]):
        for kept, cut in pairs:
            outline = rooms[cut].outline
            rest = without(outline.polygon, rooms[kept].outline.polygon)
            rooms[cut] = replace(rooms[cut], outline=replace(outline, polygon=rest))
        rooms = [room for room in rooms if not room.outline.polygon.is_empty]
    return rooms
