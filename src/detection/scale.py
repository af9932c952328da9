"""How long one unit of the page is in the building: from printed areas and scale notes, each checked by the other."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

import numpy as np

from detection.pdf import Word
from detection.textlines import join_lines, scale_notes
from models.floorplan import Scale

_METRES_PER_PT: Final = 0.0254 / 72
_NEAR: Final = 1.04  # printed areas are rounded and drawn rooms a little off, so lengths may differ this much
_NOTE_NEAR: Final = 1.06
_LEAST_AGREEMENT: Final = 0.5
_OUTVOTING: Final = 3  # printed areas it takes to overrule a scale note
_PLAUSIBLE_ROOM_M2: Final = (1.0, 1500.0)


@dataclass(frozen=True, slots=True)
class ScaleFound:
    """The page's scale, None where unknown, and a sentence where the evidence disagrees."""

    scale: Scale | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class _Estimate:
    metres_per_unit: float
    agreeing: int
    count: int


def find_scale(areas: list[tuple[float, float | None]], words: list[Word], unit: str) -> ScaleFound:
    """The scale that the page's own words give.

    Args:
        areas: for each room its area in square units, and its printed area in m², None where none is printed.
        words: the words of the page.
        unit: `pt` or `px`; a scale note says something only about points, which have a size on paper.
    """
    by_area = _from_areas(areas)
    notes = _notes(words) if unit == "pt" else []
    note = _best_note(notes, by_area)
    if by_area is None and note is None:
        return ScaleFound()
    if by_area is None:
        return _from_note(areas, note, notes)
    if note is None:
        return _from_areas_alone(by_area)
    by_note = note * _METRES_PER_PT
    agrees = max(by_note / by_area.metres_per_unit, by_area.metres_per_unit / by_note) <= _NOTE_NEAR
    if agrees:
        share = (by_area.agreeing + 1) / (by_area.count + 1)
        return ScaleFound(_scale(by_note, f"scale note 1:{note:g} and printed areas", share))
    sentence = f"The scale note 1:{note:g} disagrees with the printed areas"
    if by_area.agreeing >= _OUTVOTING and by_area.agreeing > by_area.count * _LEAST_AGREEMENT:
        share = by_area.agreeing / (by_area.count + 1)
        return ScaleFound(_scale(by_area.metres_per_unit, "printed areas", share), sentence + ", which were used.")
    return ScaleFound(None, sentence + "; no scale is given.")


def _scale(metres_per_unit: float, source: str, agreement: float) -> Scale:
    rounded = float(f"{metres_per_unit:.6g}")
    return Scale.model_validate({"metres_per_unit": rounded, "from": source, "agreement": round(agreement, 3)})


def _from_areas(areas: list[tuple[float, float | None]]) -> _Estimate | None:
    """The value that most rooms' printed areas agree on, as the median of those that do."""
    pairs = [(size, printed) for size, printed in areas if printed and size > 0]
    if not pairs:
        return None
    values = np.sqrt(np.array([printed / size for size, printed in pairs]))
    ratio = np.abs(np.log(values[:, None] / values[None, :])) <= np.log(_NEAR)
    best = int(np.argmax(ratio.sum(axis=1)))
    agreeing = values[ratio[best]]
    return _Estimate(float(np.median(agreeing)), len(agreeing), len(values))


def _from_areas_alone(by_area: _Estimate) -> ScaleFound:
    share = by_area.agreeing / by_area.count
    if by_area.agreeing < 2 or share < _LEAST_AGREEMENT:
        several = by_area.count > 1
        return ScaleFound(None, "The printed areas do not agree on a scale." if several else None)
    return ScaleFound(_scale(by_area.metres_per_unit, "printed areas", share))


def _from_note(areas: list[tuple[float, float | None]], note: float | None, notes: list[float]) -> ScaleFound:
    """The note's scale, if no other note contradicts it and rooms come out as large as rooms are."""
    if note is None or len(set(notes)) > 1:
        return ScaleFound()
    metres = note * _METRES_PER_PT
    if areas:
        typical_m2 = float(np.median([size for size, _ in areas])) * metres**2
        if not _PLAUSIBLE_ROOM_M2[0] <= typical_m2 <= _PLAUSIBLE_ROOM_M2[1]:
            return ScaleFound(None, f"The scale note 1:{note:g} does not fit the rooms' sizes; no scale is given.")
    return ScaleFound(_scale(metres, f"scale note 1:{note:g}", 1.0))


def _notes(words: list[Word]) -> list[float]:
    return [note for line in join_lines(words) for note in scale_notes(line.text)]


def _best_note(notes: list[float], by_area: _Estimate | None) -> float | None:
    """Of several notes the one that the printed areas confirm, else the one that is printed most often."""
    if not notes:
        return None
    if by_area is not None:
        wanted = by_area.metres_per_unit / _METRES_PER_PT
        closest = min(notes, key=lambda note: abs(np.log(note / wanted)))
        if max(closest / wanted, wanted / closest) <= _NOTE_NEAR:
            return closest
    return sorted(Counter(notes).items(), key=lambda item: (-item[1], item[0]))[0][0]
