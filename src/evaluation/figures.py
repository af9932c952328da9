"""The figures: what a page scored, what a set of pages scored, and how sure one may be of it."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from evaluation.geometry import Shape, comparable, polygon_of
from evaluation.matching import Matching, match_rooms
from evaluation.truth import LabelledPage, TrueRoom
from models.floorplan import Room

#: A room is found if its IoU with the true one is at least this; the first is the headline.
LEVELS: Final = (0.50, 0.70, 0.85)
#: What a confidence claims: the share of such rooms that are right at this IoU.
CONFIDENCE_IOU: Final = 0.70
BIN_COUNT: Final = 10
AREA_TOLERANCE: Final = 0.05
BOOTSTRAP_ROUNDS: Final = 300
BOOTSTRAP_SEED: Final = 0


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many."""

    hits: int = 0
    of: int = 0

    @property
    def value(self) -> float | None:
        """The share, None of nothing."""
        return self.hits / self.of if self.of else None

    def __add__(self, other: Share) -> Share:
        return Share(self.hits + other.hits, self.of + other.of)


@dataclass(frozen=True, slots=True)
class PageScore:
    """What one page scored.

    Attributes:
        found: rooms found, those with area.
        true: rooms there are, those with area.
        hits: rooms matched at each of LEVELS.
        iou_sum: the sum of the IoUs of the matches at the first of LEVELS.
        split: true rooms found in parts.
        merged: found rooms that are several true ones.
        whole: the truth names every room, so that a found room without a match is a wrong one.
        labels: of the matched rooms with a name, those found with that name, or with that number.
        numbers: of the matched rooms with a number, those found with that number.
        areas: of the matched rooms with an area, those found with an area within AREA_TOLERANCE of it.
        claims: of every found room its confidence, and whether it is right at CONFIDENCE_IOU.
    """

    found: int = 0
    true: int = 0
    hits: tuple[int, ...] = (0,) * len(LEVELS)
    iou_sum: float = 0.0
    split: int = 0
    merged: int = 0
    whole: bool = True
    labels: Share = Share()
    numbers: Share = Share()
    areas: Share = Share()
    claims: tuple[tuple[float, bool], ...] = ()

    def f1(self, level: int = 0) -> float:
        """The page's F1 at one of LEVELS."""
        return f1([self], level)


@dataclass(frozen=True, slots=True)
class Compared:
    """A page's found rooms beside its true ones, as they were compared."""

    found: tuple[Room, ...]
    found_shapes: tuple[Shape, ...]
    true: tuple[TrueRoom, ...]
    matching: Matching


def compare(rooms: Sequence[Room], page: LabelledPage) -> Compared:
    """The found rooms matched with the page's true ones; rooms without area are left out."""
    pairs = [(room, polygon_of(room.polygon, room.holes).shape) for room in rooms]
    found = [(room, shape) for room, shape in pairs if shape is not None]
    matching = match_rooms(
        [comparable(shape, page.kind) for _, shape in found], [comparable(room.shape, page.kind) for room in page.rooms]
    )
    return Compared(tuple(r for r, _ in found), tuple(s for _, s in found), page.rooms, matching)


def score_page(compared: Compared, *, whole: bool) -> PageScore:
    """What a page scored, once its rooms are matched."""
    ious = np.array([match.iou for match in compared.matching.matches])
    right = {match.found for match in compared.matching.at_least(CONFIDENCE_IOU)}
    pairs = [(compared.found[m.found], compared.true[m.true]) for m in compared.matching.at_least(LEVELS[0])]
    return PageScore(
        found=len(compared.found),
        true=len(compared.true),
        hits=tuple(int(np.count_nonzero(ious >= level)) for level in LEVELS),
        iou_sum=float(ious[ious >= LEVELS[0]].sum()),
        split=len(compared.matching.split),
        merged=len(compared.matching.merged),
        whole=whole,
        labels=_share(pairs, lambda true: plain(true.label or "") != "", _same_label),
        numbers=_share(pairs, lambda true: true.number is not None, _same_number),
        areas=_share(pairs, lambda true: true.area_m2 is not None, _same_area),
        claims=tuple((room.confidence, place in right) for place, room in enumerate(compared.found)) if whole else (),
    )


def _share(
    pairs: list[tuple[Room, TrueRoom]], asked: Callable[[TrueRoom], bool], same: Callable[[Room, TrueRoom], bool]
) -> Share:
    relevant = [(room, true) for room, true in pairs if asked(true)]
    return Share(sum(same(room, true) for room, true in relevant), len(relevant))


def _same_label(room: Room, true: TrueRoom) -> bool:
    name, number = room.name_hint or "", room.number or ""
    return plain(true.label or "") in {plain(text) for text in (name, number, number + name, name + number)}


def _same_number(room: Room, true: TrueRoom) -> bool:
    return room.number is not None and plain(room.number) == plain(true.number or "")


def _same_area(room: Room, true: TrueRoom) -> bool:
    if room.area_m2 is None or true.area_m2 is None:
        return False
    return abs(room.area_m2 - true.area_m2) <= AREA_TOLERANCE * true.area_m2


def plain(text: str) -> str:
    """The text's letters and digits alone, case folded: how names are compared."""
    return "".join(char for char in unicodedata.normalize("NFKC", text).casefold() if char.isalnum())


def f1(scores: Sequence[PageScore], level: int = 0) -> float:
    """The F1 over all rooms of the pages at one of LEVELS: the harmonic mean of precision and recall."""
    hits = sum(score.hits[level] for score in scores)
    return 2 * hits / max(1, sum(score.found + score.true for score in scores))


@dataclass(frozen=True, slots=True)
class SetFigures:
    """What a set of pages scored; `low` and `high` hold 95 % of the headline F1s of resampled sets."""

    plans: int
    true: int
    found: int
    precision: float
    recall: float
    f1: tuple[float, ...]
    low: float
    high: float
    mean_iou: float
    split: int
    merged: int
    whole: bool
    labels: Share
    numbers: Share
    areas: Share
    calibration_error: float | None


def set_figures(scores: Sequence[PageScore], random: np.random.Generator) -> SetFigures:
    """The figures over all rooms of the pages; `random` draws the pages of the resampled sets."""
    found, true = sum(score.found for score in scores), sum(score.true for score in scores)
    hits = sum(score.hits[0] for score in scores)
    low, high = interval(resampled_f1(scores, random))
    return SetFigures(
        plans=len(scores),
        true=true,
        found=found,
        precision=hits / max(1, found),
        recall=hits / max(1, true),
        f1=tuple(f1(scores, level) for level in range(len(LEVELS))),
        low=low,
        high=high,
        mean_iou=sum(score.iou_sum for score in scores) / max(1, hits),
        split=sum(score.split for score in scores),
        merged=sum(score.merged for score in scores),
        whole=all(score.whole for score in scores),
        labels=sum((score.labels for score in scores), Share()),
        numbers=sum((score.numbers for score in scores), Share()),
        areas=sum((score.areas for score in scores), Share()),
        calibration_error=calibration_error([claim for score in scores for claim in score.claims]),
    )


def resampled_f1(scores: Sequence[PageScore], random: np.random.Generator) -> list[float]:
    """The headline F1 of each of many sets of as many pages, drawn from the pages with replacement."""
    count = len(scores)
    if count <= 1:
        return [f1(scores)]
    rooms = np.array([score.found + score.true for score in scores])
    hits = np.array([score.hits[0] for score in scores])
    draws = [random.integers(0, count, count) for _ in range(BOOTSTRAP_ROUNDS)]
    return [float(2 * hits[draw].sum() / max(1, rooms[draw].sum())) for draw in draws]


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The bounds between which 95 % of the values lie."""
    return float(np.percentile(values, 2.5)), float(np.percentile(values, 97.5))


@dataclass(frozen=True, slots=True)
class MeanFigures:
    """The mean over sets, each counting the same whatever its size."""

    sets: int
    f1: tuple[float, ...]
    recall: float
    low: float
    high: float


def mean_figures(sets: Sequence[Sequence[PageScore]], random: np.random.Generator) -> MeanFigures:
    """The mean over the sets whose truth is whole, or over all if none is; pages are resampled set by set."""
    chosen = [scores for scores in sets if all(score.whole for score in scores)] or list(sets)
    rounds = [resampled_f1(scores, random) for scores in chosen]
    drawn = [[values[k % len(values)] for values in rounds] for k in range(BOOTSTRAP_ROUNDS)]
    low, high = interval([float(np.mean(values)) for values in drawn])
    recalls = [sum(s.hits[0] for s in scores) / max(1, sum(s.true for s in scores)) for scores in chosen]
    return MeanFigures(
        sets=len(chosen),
        f1=tuple(float(np.mean([f1(scores, level) for scores in chosen])) for level in range(len(LEVELS))),
        recall=float(np.mean(recalls)),
        low=low,
        high=high,
    )


@dataclass(frozen=True, slots=True)
class Bin:
    """The found rooms whose confidence lies between two bounds."""

    low: float
    high: float
    rooms: int
    confidence: float
    right: float


def reliability(claims: Sequence[tuple[float, bool]]) -> list[Bin]:
    """The claims in BIN_COUNT bins of equal width, those without a room left out.

    Args:
        claims: confidence in 0..1, and whether the room is right.
    """
    confidence = np.array([value for value, _ in claims])
    right = np.array([truth for _, truth in claims])
    places = np.minimum((confidence * BIN_COUNT).astype(int), BIN_COUNT - 1)
    return [
        Bin(
            place / BIN_COUNT,
            (place + 1) / BIN_COUNT,
            int(np.count_nonzero(places == place)),
            float(confidence[places == place].mean()),
            float(right[places == place].mean()),
        )
        for place in range(BIN_COUNT)
        if np.any(places == place)
    ]


def calibration_error(claims: Sequence[tuple[float, bool]]) -> float | None:
    """The expected calibration error: how far confidence and truth lie apart in a bin, weighed by its rooms.

    As in Guo et al., "On Calibration of Modern Neural Networks" (2017), equation 3; None without claims.
    """
    if not claims:
        return None
    return sum(bin_.rooms * abs(bin_.confidence - bin_.right) for bin_ in reliability(claims)) / len(claims)
