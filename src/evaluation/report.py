"""An evaluation as one HTML page that needs nothing beside it: no script, no network, every name escaped."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from markupsafe import Markup

from evaluation.collect import Collection
from evaluation.drawing import (
    FOUND_MERGED,
    FOUND_RIGHT,
    FOUND_WRONG,
    TRUE_FOUND,
    TRUE_MISSED,
    TRUE_SPLIT,
    Colour,
)
from evaluation.figures import PageScore, Share
from evaluation.measure import PageResult
from evaluation.picture import PLOT_PX, TEMPLATES, dots, templates
from evaluation.run import Evaluation

_COMPARED: Final = {"polygon": None, "bbox": "compared by boxes", "obb": "compared by turned boxes, not all labelled"}


def to_html(evaluation: Evaluation, collection: Collection, *, title: str, made: datetime) -> bytes:
    """The page, in UTF-8.

    Args:
        evaluation: what was measured.
        collection: what the folder held.
        title: what the folder is called.
        made: when the page was made.
    """
    style = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    environment = templates()
    environment.filters.update(percent=percent, share=share, shown=shown)
    page = environment.get_template("report.html.j2").render(
        title=title,
        made=made.isoformat(timespec="seconds"),
        style=Markup(style),  # noqa: S704 - a file of ours, of which the policy holds the hash
        policy=policy(style),
        evaluation=evaluation,
        rows=[(run, evaluation.figures.get(run.name)) for run in evaluation.runs],
        costs={run.name: run.cost() for run in evaluation.runs},
        dots=dots(evaluation.claims),
        plot_px=PLOT_PX,
        failed=[*collection.problems, *evaluation.problems],
        notes=[*collection.notes, *evaluation.notes],
        cards=cards(evaluation),
        legend=LEGEND,
    )
    # File names may hold bytes that are no text; they are shown as such.
    return page.encode("utf-8", "backslashreplace")


def policy(style: str) -> str:
    """The content security policy under which the page works: its own style, pictures within it, nothing else."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"


@dataclass(frozen=True, slots=True)
class Card:
    """One plan as the page shows it."""

    set_name: str
    file: str
    page: int
    score: PageScore
    seconds_s: float | None
    reason: str | None
    compared: str | None
    source: str | None

    @property
    def words(self) -> str:
        """What the picture shows, for those who cannot see it."""
        score = self.score
        return (
            f"{self.file} page {self.page}: {score.hits[0]} of {score.true} rooms found, {score.found} given, "
            f"{score.split} split, {score.merged} merged"
        )


def cards(evaluation: Evaluation) -> list[Card]:
    """The plans with a score, worst first; of equal ones the one with more rooms, then by name."""
    made = [_card(run.name, result) for run in evaluation.runs for result in run.results if result.score is not None]
    return sorted(made, key=lambda card: (card.score.f1(), -card.score.true, card.set_name, card.file, card.page))


def _card(set_name: str, result: PageResult) -> Card:
    assert result.score is not None  # noqa: S101 - narrows the type
    picture = result.picture and "data:image/webp;base64," + base64.b64encode(result.picture).decode()
    return Card(
        set_name,
        result.page.document.name,
        result.page.page,
        result.score,
        result.seconds_s,
        result.problem.reason if result.problem is not None else None,
        _COMPARED[result.page.kind],
        picture if isinstance(picture, str) else None,
    )


def _hex(colour: Colour) -> str:
    blue, green, red = colour
    return f"#{red:02x}{green:02x}{blue:02x}"


#: Colour, whether it is a fill (found) or a line (true), and what it means.
LEGEND: Final = (
    (_hex(FOUND_RIGHT), True, "found and right"),
    (_hex(FOUND_WRONG), True, "found, but no such room"),
    (_hex(FOUND_MERGED), True, "M: found as one, is several"),
    (_hex(TRUE_FOUND), False, "true, found"),
    (_hex(TRUE_MISSED), False, "true, missed"),
    (_hex(TRUE_SPLIT), False, "S: true, found in parts"),
)


def percent(value: float | None) -> str:
    """The ratio in percent, a dash for none."""
    return "–" if value is None else f"{100 * value:.0f} %"


def share(value: Share) -> str:
    """So many of so many, with the share in percent; a dash for nothing of nothing."""
    return "–" if value.value is None else f"{percent(value.value)} ({value.hits} of {value.of})"


def shown(text: str) -> str:
    """The text with everything that cannot be printed replaced: names come from anywhere."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
