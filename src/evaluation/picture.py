"""The reliability diagram: how sure the engine was of its rooms, and how often it was right, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from evaluation.figures import calibration_error, reliability

TEMPLATES: Final = Path(__file__).parent
PLOT_PX: Final = 240.0
_LARGEST_DOT_PX: Final = 14.0
#: A file of its own stands on paper of its own, whatever page shows it.
_STYLE: Final = (
    "text{font:11px system-ui,sans-serif;fill:#5a6675}.paper{fill:#fff}.axis{stroke:#d5dbe3;fill:none}"
    ".ideal{stroke:#5a6675;stroke-dasharray:4 4}.real{stroke:#1f6feb;fill:none;stroke-width:1.5}"
    ".dot{fill:#1f6feb;fill-opacity:.55;stroke:#1f6feb}"
)


@dataclass(frozen=True, slots=True)
class Dot:
    """A bin of confidences on the diagram, in its pixels, y downwards."""

    x: float
    y: float
    radius: float
    words: str


def to_svg(claims: Sequence[tuple[float, bool]]) -> bytes:
    """The diagram of all claims, pooled, as an SVG file with the expected calibration error.

    Args:
        claims: confidence in 0..1, and whether the room is right.
    """
    page = templates().get_template("report.reliability.svg.j2")
    drawn = page.render(
        dots=dots(claims),
        plot_px=PLOT_PX,
        error=calibration_error(claims),
        rooms=len(claims),
        style=Markup(_STYLE),  # noqa: S704 - ours
    )
    return drawn.encode()


def templates() -> Environment:
    """The templates of this package, which escape whatever they are given."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["ratio"] = ratio
    return environment


def dots(claims: Sequence[tuple[float, bool]]) -> list[Dot]:
    """One dot a bin: how sure the engine was, how often it was right, and by its size of how many rooms."""
    bins = reliability(claims) if claims else []
    most = max((b.rooms for b in bins), default=1)
    return [
        Dot(
            round(PLOT_PX * b.confidence, 1),
            round(PLOT_PX * (1 - b.right), 1),
            round(max(2.0, _LARGEST_DOT_PX * (b.rooms / most) ** 0.5), 1),
            f"{b.rooms} rooms at {b.confidence:.2f}, {b.right:.2f} of them right",
        )
        for b in bins
    ]


def ratio(value: float | None) -> str:
    """The ratio with three digits, a dash for none."""
    return "–" if value is None else f"{value:.3f}"
