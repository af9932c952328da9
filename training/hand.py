"""The hands that draw: every habit of a draughtsman, an office or a brochure, drawn once a sheet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from training.layout import Rng
from training.marks import BLACK, WHITE, Colour
from training.words import LANGUAGES

_INKS: Final[tuple[Colour, ...]] = ((0, 0, 0), (25, 25, 30), (60, 60, 66), (30, 45, 95), (90, 60, 50), (20, 80, 60))
_WALL_TONES: Final[tuple[Colour, ...]] = (
    (90, 90, 90),
    (150, 150, 150),
    (190, 190, 190),
    (60, 70, 90),
    (120, 95, 80),
    (215, 205, 190),
    (200, 60, 50),
    (70, 110, 160),
)


@dataclass(frozen=True)
class Hand:
    """How one sheet is drawn."""

    wall: str = "filled"  # filled | tone | hollow | hatched | crossed | dotted
    inner_wall: str = ""  # another way for the inner walls; empty: the same
    ink: Colour = BLACK
    tone: Colour = (150, 150, 150)
    paper: Colour = WHITE
    wall_pen: float = 1.6
    thin_pen: float = 1.0
    hatch_m: float = 0.12
    window: str = "3"  # 1 | 2 | 3 | 4 | box | solid
    window_sill: bool = False
    door: str = "arc"  # arc | leaf | slab | open | sector | none
    door_ink: Colour = BLACK
    door_pen: float = 1.0
    threshold: str = ""  # "" | lines | dashed
    furniture: float = 0.9
    furniture_ink: Colour = (60, 60, 60)
    furniture_pen: float = 0.8
    furniture_fill: Colour | None = None
    floors: str = "none"  # none | tint | tiles | colour | use
    language: str = "en"
    font: str = "sans"
    text_m: float = 0.26
    text_ink: Colour = BLACK
    names: float = 0.95
    upper: bool = False
    areas: int = -1
    sizes: int = -1
    numbers: str = ""  # "" | plain | boxed | round
    boxed: bool = False
    upright_text: bool = True
    dims: str = ""  # "" | ticks | arrows | dots
    inner_dims: float = 0.0
    grid: bool = False
    header: bool = False
    columns: bool = False
    rail: str = "body"  # body | line | dashed


def draw_hand(rng: Rng, kind: str = "flat") -> Hand:
    """A hand for a sheet of such a building."""
    colour = rng.random() < 0.3
    walls = ["filled"] * 9 + ["tone"] * 4 + ["hollow"] * 5 + ["hatched"] * 3 + ["crossed", "dotted"]
    wall = str(rng.choice(walls))
    ink = BLACK if rng.random() < 0.7 else _INKS[int(rng.integers(len(_INKS)))]
    grey = int(rng.integers(0, 150))
    pale: Colour = (grey, grey, grey)
    tint: Colour = (int(rng.integers(0, 140)), int(rng.integers(40, 150)), int(rng.integers(0, 150)))
    large = kind in ("office", "school", "units")
    areas = int(rng.integers(6)) if rng.random() < 0.4 else -1
    return Hand(
        wall=wall,
        inner_wall=str(rng.choice(["hollow", "filled", "tone"])) if rng.random() < 0.18 else "",
        ink=ink,
        tone=_WALL_TONES[int(rng.integers(len(_WALL_TONES) if colour else 3))],
        paper=WHITE
        if rng.random() < 0.75
        else (int(rng.integers(235, 256)), int(rng.integers(230, 252)), int(rng.integers(215, 248))),
        wall_pen=float(rng.choice([1.0, 1.4, 2.0, 2.6])),
        thin_pen=float(rng.choice([0.7, 1.0, 1.0, 1.3])),
        hatch_m=float(rng.uniform(0.06, 0.2)),
        window=str(rng.choice(["1", "2", "3", "3", "4", "box", "box", "solid"])),
        window_sill=bool(rng.random() < 0.25),
        door=str(
            rng.choice(
                ["arc", "arc", "arc", "leaf", "slab", "open", "sector", "none"],
                p=[0.2, 0.2, 0.16, 0.08, 0.16, 0.08, 0.04, 0.08],
            )
        ),
        door_ink=ink if rng.random() < 0.65 else (pale if rng.random() < 0.7 else tint),
        door_pen=float(rng.choice([0.7, 1.0, 1.0, 1.5])),
        threshold=str(rng.choice(["", "", "lines", "dashed"])),
        furniture=float(rng.choice([0.0, 0.5, 0.9, 1.0], p=[0.14, 0.2, 0.36, 0.3])),
        furniture_ink=ink if rng.random() < 0.5 else pale,
        furniture_pen=float(rng.choice([0.6, 0.8, 1.0])),
        furniture_fill=WHITE if rng.random() < 0.45 else ((235, 230, 222) if colour and rng.random() < 0.5 else None),
        floors=str(rng.choice(["none", "none", "tint", "tiles", "colour", "use"]))
        if colour
        else str(rng.choice(["none", "none", "none", "tiles", "tint"])),
        language=str(rng.choice(LANGUAGES)),
        font=str(rng.choice(["sans", "vera", "bold", "italic", "hershey", "mono", "narrow"])),
        text_m=float(rng.uniform(0.16, 0.34)) * (1.5 if large else 1.0),
        text_ink=ink if rng.random() < 0.8 else pale,
        names=float(rng.choice([0.0, 0.6, 0.95, 1.0], p=[0.1, 0.1, 0.4, 0.4])),
        upper=bool(rng.random() < 0.35),
        areas=areas,
        sizes=int(rng.integers(4)) if areas < 0 and rng.random() < 0.35 else -1,
        numbers=str(rng.choice(["plain", "boxed", "round"])) if rng.random() < (0.75 if large else 0.1) else "",
        boxed=bool(rng.random() < 0.12),
        upright_text=bool(rng.random() < 0.75),
        dims=str(rng.choice(["", "", "ticks", "arrows", "dots"])),
        inner_dims=float(rng.choice([0.0, 0.0, 0.0, 0.25, 0.6])),
        grid=bool(rng.random() < (0.4 if large else 0.08)),
        header=bool(rng.random() < 0.6),
        rail=str(rng.choice(["body", "body", "line", "dashed"])),
        columns=bool(large and rng.random() < 0.5),
    )
