"""What other trades and later hands draw over a plan: axes, sections, dimensions, pipes, cables, notes, roof lines.

None of it bounds a room, and much of it is longer and blacker than a partition.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from training.hand import Hand
from training.layout import Floats, Layout, Rng
from training.marks import Colour, Mark, Shape, Text, arc, ellipse, polyline
from training.words import note

_CHANCE: Final = 0.4
_DASHES_M: Final = (0.12, 0.3, 0.5)


def overlay(layout: Layout, hand: Hand, rng: Rng) -> list[Mark]:
    """The marks over one plan, in metres; often none."""
    if rng.random() > _CHANCE:
        return []
    kinds = (_axes, _section, _measure, _pipes, _cables, _roof, _notes, _beams, _flags)
    chosen = rng.choice(len(kinds), int(rng.integers(1, 4)), replace=False)
    return [mark for k in chosen for mark in kinds[int(k)](layout, hand, rng)]


def _ink(hand: Hand, rng: Rng) -> Colour:
    grey = int(rng.integers(0, 170))
    return hand.ink if rng.random() < 0.5 else (grey, grey, grey)


def _axes(layout: Layout, hand: Hand, rng: Rng) -> list[Mark]:
    """Chain lines right across, level or upright, some of them along no wall at all."""
    ink, pen = _ink(hand, rng), float(rng.uniform(0.5, 1.1))
    marks: list[Mark] = []
    for _ in range(int(rng.integers(1, 7))):
        a, b = _across(layout, rng)
        marks.append(polyline([a, b], ink, pen))
        if rng.random() < 0.7:  # the gaps of a chain line, painted in paper
            marks[-1] = polyline([a, b], ink, pen, float(rng.choice(_DASHES_M)))
    return marks


def _across(layout: Layout, rng: Rng, over_m: float = 2.0) -> tuple[Floats, Floats]:
    """The ends of a level or upright line from one side of the plan to the other, and beyond."""
    low, high = np.array(layout.bounds[:2]), np.array(layout.bounds[2:])
    axis = int(rng.integers(2))
    a, b = low.copy(), high.copy()
    a[axis] -= float(rng.uniform(-0.3, over_m))
    b[axis] += float(rng.uniform(-0.3, over_m))
    a[1 - axis] = b[1 - axis] = float(rng.uniform(low[1 - axis], high[1 - axis]))
    return a, b


def _section(layout: Layout, hand: Hand, rng: Rng) -> list[Mark]:
    """A section's line with its letter and arrow at both ends."""
    a, b = _across(layout, rng, 3.0)
    letter = str(rng.choice(list("ABCDE")))
    marks: list[Mark] = [polyline([a, b], hand.ink, float(rng.uniform(0.6, 1.6)), float(rng.choice([0.0, 0.5])))]
    way = (b - a) / max(float(np.hypot(*(b - a))), 1e-6)
    side = np.array([-way[1], way[0]])
    for end in (a, b):
        tip = end + side * 0.45
        marks += [
            Shape((np.array([tip, end + way * 0.16, end - way * 0.16]),), hand.ink, hand.ink),
            Text((float(tip[0] + side[0] * 0.3), float(tip[1] + side[1] * 0.3)), letter, hand.text_m, hand.font),
        ]
    return marks


def _measure(layout: Layout, hand: Hand, rng: Rng) -> list[Mark]:
    """Dimension lines through rooms, from face to face, with ticks and figures."""
    marks: list[Mark] = []
    ink, pen = _ink(hand, rng), float(rng.uniform(0.5, 1.0))
    for room in layout.rooms:
        if rng.random() < 0.5:
            continue
        x0, y0, x1, y1 = room.polygon.bounds
        for axis in (0, 1):
            at = float(rng.uniform(0.25, 0.75))
            a, b = (
                (np.array([x0, y0 + (y1 - y0) * at]), np.array([x1, y0 + (y1 - y0) * at]))
                if axis == 0
                else (np.array([x0 + (x1 - x0) * at, y0]), np.array([x0 + (x1 - x0) * at, y1]))
            )
            marks.append(polyline([a, b], ink, pen))
            marks += [polyline([end - 0.1, end + 0.1], ink, pen * 1.5) for end in (a, b)]
            middle = (a + b) / 2 + np.array([0, -0.14] if axis == 0 else [-0.14, 0])
            words = f"{float(np.hypot(*(b - a))) * 1000:.0f}"
            angle = 0.0 if axis == 0 else 90.0
            marks.append(Text((float(middle[0]), float(middle[1])), words, hand.text_m * 0.7, hand.font, ink, angle))
    return marks


def _pipes(layout: Layout, hand: Hand, rng: Rng) -> list[Mark]:
    """Thick lines with knees and dots that go from room to room, as plumbers draw them."""
    marks: list[Mark] = []
    ink = _ink(hand, rng)
    pen = float(rng.uniform(1.0, 3.5))
    x0, y0, x1, y1 = layout.bounds
    for _ in range(int(rng.integers(1, 4))):
        point = np.array([rng.uniform(x0, x1), rng.uniform(y0, y1)])
        points = [point]
        turn = float(rng.choice([0.0, math.pi / 4])) if rng.random() < 0.4 else 0.0
        for k in range(int(rng.integers(2, 6))):
            angle = turn + (k % 2) * math.pi / 2 + math.pi * int(rng.integers(2))
            point = points[-1] + np.array([math.cos(angle), math.sin(angle)]) * float(rng.uniform(0.4, 3.0))
            points.append(np.clip(point, [x0, y0], [x1, y1]))
        marks.append(polyline(points, ink, pen, float(rng.choice([0.0, 0.0, 0.2]))))
        for end in (points[0], points[-1]):
            r = float(rng.uniform(0.05, 0.16))
            fill = ink if rng.random() < 0.6 else None
            marks.append(Shape((ellipse(float(end[0]), float(end[1]), r, r, 14),), fill, ink, 1.0))
    return marks


def _cables(layout: Layout, hand: Hand, rng: Rng) -> list[Mark]:
    """Thin arcs from lamp to switch, and crossed rings for lamps."""
    marks: list[Mark] = []
    ink = _ink(hand, rng)
    lamps = [room.polygon.representative_point() for room in layout.rooms]
    for k, lamp in enumerate(lamps):
        r = 0.14
        marks.append(Shape((ellipse(lamp.x, lamp.y, r, r, 16),), None, ink, 0.8))
        marks.append(polyline([(lamp.x - r * 0.7, lamp.y - r * 0.7), (lamp.x + r * 0.7, lamp.y + r * 0.7)], ink, 0.8))
        marks.append(polyline([(lamp.x - r * 0.7, lamp.y + r * 0.7), (lamp.x + r * 0.7, lamp.y - r * 0.7)], ink, 0.8))
        other = lamps[int(rng.integers(len(lamps)))] if k and rng.random() < 0.6 else None
        if other is None:
            continue
        a, b = np.array([lamp.x, lamp.y]), np.array([other.x, other.y])
        reach = float(np.hypot(*(b - a)))
        if 0.5 < reach < 9:
            centre = (a + b) / 2 + np.array([a[1] - b[1], b[0] - a[0]]) * 0.6
            start, end = (math.atan2(*(p - centre)[::-1]) for p in (a, b))
            end += 2 * math.pi * round((start - end) / (2 * math.pi))
            marks.append(polyline(arc(centre, float(np.hypot(*(a - centre))), start, end), ink, 0.7, 0.12))
    return marks


def _roof(layout: Layout, hand: Hand, rng: Rng) -> list[Mark]:
    """The eaves above as a dashed ring, or a ridge and its hips across the rooms."""
    x0, y0, x1, y1 = layout.bounds
    off = float(rng.uniform(0.3, 1.0))
    ring = np.array([[x0 - off, y0 - off], [x1 + off, y0 - off], [x1 + off, y1 + off], [x0 - off, y1 + off]])
    ink, dash = _ink(hand, rng), float(rng.choice([0.0, 0.3]))
    marks: list[Mark] = [Shape((ring,), None, ink, 0.7, True, None, dash)]
    if rng.random() < 0.5:
        half = min(x1 - x0, y1 - y0) / 2
        a, b = np.array([x0 + half, (y0 + y1) / 2]), np.array([x1 - half, (y0 + y1) / 2])
        marks.append(polyline([a, b], ink, 0.7, dash))
        marks += [polyline([corner, a if corner[0] < (x0 + x1) / 2 else b], ink, 0.7, dash) for corner in ring.tolist()]
    return marks


def _notes(layout: Layout, hand: Hand, rng: Rng) -> list[Mark]:
    """Lines of small writing wherever there was room, or none; some with a leader."""
    marks: list[Mark] = []
    x0, y0, x1, y1 = layout.bounds
    angle = float(rng.choice([0.0, 0.0, 90.0]))
    size = hand.text_m * float(rng.uniform(0.5, 1.0))
    for _ in range(int(rng.integers(1, 5))):
        x, y = float(rng.uniform(x0, x1)), float(rng.uniform(y0, y1))
        for k in range(int(rng.integers(1, 6))):
            step = size * 1.5 * k
            at = (x, y + step) if angle == 0 else (x + step, y)
            marks.append(Text(at, note(hand.language, rng)[:30], size, hand.font, hand.text_ink, angle))
        if rng.random() < 0.5:
            knee = (x + float(rng.uniform(-1.5, 1.5)), y + float(rng.uniform(-2, 2)))
            marks.append(polyline([(x, y), knee, (knee[0] + 0.5, knee[1])], hand.ink, 0.7))
    return marks


def _beams(layout: Layout, hand: Hand, rng: Rng) -> list[Mark]:
    """Beams and soffits overhead: pairs of dashed or thin lines between opposite walls of a room."""
    marks: list[Mark] = []
    ink, dash = _ink(hand, rng), float(rng.choice([0.12, 0.2, 0.3, 0.0], p=[0.3, 0.3, 0.2, 0.2]))
    for room in layout.rooms:
        if rng.random() < 0.6:
            continue
        x0, y0, x1, y1 = room.polygon.bounds
        axis, wide = int(rng.integers(2)), float(rng.choice([0.0, 0.2, 0.35]))
        at = float(rng.uniform(0.2, 0.8))
        for off in {0.0, wide}:
            line = (
                [(x0, y0 + (y1 - y0) * at + off), (x1, y0 + (y1 - y0) * at + off)]
                if axis == 0
                else [(x0 + (x1 - x0) * at + off, y0), (x0 + (x1 - x0) * at + off, y1)]
            )
            marks.append(polyline(line, ink, 0.7, dash))
    return marks


def _flags(layout: Layout, hand: Hand, rng: Rng) -> list[Mark]:
    """Level marks, ringed numbers and revision clouds."""
    marks: list[Mark] = []
    x0, y0, x1, y1 = layout.bounds
    for k in range(int(rng.integers(1, 6))):
        x, y = float(rng.uniform(x0 - 1, x1 + 1)), float(rng.uniform(y0 - 1, y1 + 1))
        r = float(rng.uniform(0.2, 0.7))
        if rng.random() < 0.5:
            marks.append(Shape((ellipse(x, y, r, r, 24),), hand.paper if rng.random() < 0.4 else None, hand.ink, 1.0))
            words = str(rng.choice([f"+{98 + k},30", f"{k + 1}", "K.1", "RV", "IV"]))
            marks.append(Text((x, y), words, min(r * 0.6, hand.text_m), hand.font, hand.ink))
        else:
            turns = np.linspace(0, 2 * math.pi, 60, endpoint=False)
            wave = r * (1.6 + 0.25 * np.abs(np.sin(turns * 6)))
            ring = np.stack([x + wave * np.cos(turns) * 1.4, y + wave * np.sin(turns)], 1)
            marks.append(Shape((ring,), None, _ink(hand, rng), 1.0))
    return marks
