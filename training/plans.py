"""From a seed to a floor that is furnished, named and numbered, and its drawing."""

from __future__ import annotations

from dataclasses import replace

from training.compose import compose
from training.cupboards import with_cupboards
from training.furnish import furnish
from training.grammar import draw_layout
from training.hand import Hand
from training.layout import Layout, Rng, WallSizes
from training.marks import Mark
from training.words import name_rooms, number_rooms

NUMBERED = frozenset({"office", "school"})


def furnished(layout: Layout, rng: Rng, floor: int = 0, cupboards: bool = False) -> Layout:
    """The floor with furniture, cupboards if wanted, and numbers where such buildings have them."""
    layout = with_cupboards(layout, rng) if cupboards else layout
    layout = replace(layout, fixtures=furnish(layout, rng))
    return number_rooms(layout, floor or int(rng.integers(1, 5)), rng) if layout.kind in NUMBERED else layout


def draw_plan(
    kind: str,
    rng: Rng,
    plain: bool = False,
    turn: bool = True,
    sizes: WallSizes | None = None,
    floor: int = 0,
    cupboards: bool = False,
) -> Layout:
    """A furnished floor of this kind from our own grammar."""
    return furnished(draw_layout(kind, rng, plain, turn, sizes), rng, floor, cupboards)


def in_hand(layout: Layout, hand: Hand, rng: Rng) -> tuple[Layout, list[Mark]]:
    """The floor with the names this hand writes, and its marks."""
    named = name_rooms(layout, hand.language, rng, hand.names, hand.upper)
    return named, compose(named, hand, rng)
