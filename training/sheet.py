"""What stands around plans on a sheet: dimension chains, grids, titles, title blocks, legends, bars and arrows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from training.hand import Hand
from training.layout import Floats, Layout, Rng
from training.marks import Colour, Drawing, Hatch, Mark, Shape, Text, ellipse, polyline
from training.words import FIRMS, TITLES, note


def shifted(marks: Iterable[Mark], dx: float, dy: float) -> list[Mark]:
    """The marks moved by metres."""
    move = np.array([dx, dy])
    return [
        replace(m, at=(m.at[0] + dx, m.at[1] + dy))
        if isinstance(m, Text)
        else replace(m, rings=tuple(r + move for r in m.rings))
        for m in marks
    ]


def rectangle(
    x0: float,
    y0: float,
    x1: float,
    y1: float,
    fill: Colour | None = None,
    line: Colour | None = (0, 0, 0),
    pen: float = 1.0,
) -> Shape:
    """An upright rectangle."""
    return Shape((np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]),), fill, line, pen)


def dimension_chains(layout: Layout, hand: Hand, rng: Rng) -> list[Mark]:
    """Chains of dimensions along two or more sides: every wall of the side, then the whole."""
    if not hand.dims:
        return []
    x0, y0, x1, y1 = layout.bounds
    text = hand.text_m * 0.75
    marks: list[Mark] = []
    points = np.array([p for e in layout.edges if e.kind != "rail" for p in (e.a, e.b)])
    for side in range(4):
        if rng.random() < 0.35 and side not in (0, 3):
            continue
        axis = side % 2
        low, high = (x0, x1) if axis == 0 else (y0, y1)
        edge = (y0, x0, y1, x1)[side]
        near = np.abs(points[:, 1 - axis] - edge) < (y1 - y0 if axis == 0 else x1 - x0) * 0.3
        stops = np.unique(np.round(points[near, axis], 1))
        stops = np.concatenate([[low], stops[(stops > low + 0.7) & (stops < high - 0.7)], [high]])
        stops = stops[np.concatenate([[True], np.diff(stops) > 0.6])]
        out = -1 if side in (0, 1) else 1
        for level, chain in enumerate((stops, np.array([low, high]))):
            if level == 0 and rng.random() < 0.25:
                continue
            at = edge + out * (0.9 + 0.75 * level)
            marks += _chain(chain, at, edge, axis, hand, text)
    return marks


def _chain(stops: Floats, at: float, edge: float, axis: int, hand: Hand, text_m: float) -> list[Mark]:
    def place(along: float, across: float) -> tuple[float, float]:
        return (along, across) if axis == 0 else (across, along)

    ink, thin = hand.ink, hand.thin_pen * 0.8
    marks: list[Mark] = [polyline([place(float(stops[0]) - 0.2, at), place(float(stops[-1]) + 0.2, at)], ink, thin)]
    for stop in stops.tolist():
        marks.append(
            polyline(
                [place(stop, edge + (at - edge) * 0.35), place(stop, at + math.copysign(0.15, at - edge))], ink, thin
            )
        )
        if hand.dims == "ticks":
            marks.append(polyline([place(stop - 0.12, at + 0.12), place(stop + 0.12, at - 0.12)], ink, thin * 1.6))
        elif hand.dims == "dots":
            x, y = place(stop, at)
            marks.append(Shape((ellipse(x, y, 0.06, 0.06, 10),), ink, ink, thin))
        else:
            marks += [
                polyline(
                    [place(stop + s * 0.2, at + 0.06), place(stop, at), place(stop + s * 0.2, at - 0.06)], ink, thin
                )
                for s in (-1, 1)
            ]
    for a, b in zip(stops[:-1].tolist(), stops[1:].tolist(), strict=True):
        length = b - a
        words = f"{round(length * 1000, -1):.0f}" if hand.sizes != 2 else f"{length:.2f}"
        if length > text_m * 0.6 * len(words):
            x, y = place((a + b) / 2, at - text_m * 0.7)
            marks.append(Text((x, y), words, text_m, hand.font, ink, 0.0 if axis == 0 else 90.0))
    return marks


def grid_bubbles(layout: Layout, hand: Hand, rng: Rng) -> list[Mark]:
    """Dash-dotted axes over the building, each with its sign in a ring."""
    x0, y0, x1, y1 = layout.bounds
    marks: list[Mark] = []
    r = max(0.3, hand.text_m)
    count_x, count_y = max(2, round((x1 - x0) / 6)), max(2, round((y1 - y0) / 6))
    off = 3.0 if hand.dims else 1.5
    for k in range(count_x + 1):
        x = x0 + (x1 - x0) * k / count_x
        marks.append(polyline([(x, y0 - off), (x, y1 + 0.6)], (120, 120, 120), 0.6, 0.5))
        marks += [
            Shape((ellipse(x, y0 - off - r, r, r),), hand.paper, hand.ink, 0.8),
            Text((x, y0 - off - r), str(k + 1), r, hand.font, hand.ink),
        ]
    for k in range(count_y + 1):
        y = y0 + (y1 - y0) * k / count_y
        marks.append(polyline([(x0 - off, y), (x1 + 0.6, y)], (120, 120, 120), 0.6, 0.5))
        marks += [
            Shape((ellipse(x0 - off - r, y, r, r),), hand.paper, hand.ink, 0.8),
            Text((x0 - off - r, y), "ABCDEFGHJK"[k % 10], r, hand.font, hand.ink),
        ]
    return marks


def north_arrow(x: float, y: float, r: float, hand: Hand, rng: Rng) -> list[Mark]:
    """A compass in one of three forms."""
    turn = float(rng.uniform(0, 6.28))
    spin = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])

    def at(points: Any) -> Floats:
        return np.asarray(np.asarray(points, float) @ spin * r + [x, y], float)

    form = int(rng.integers(3))
    tip = at([[0, -1.45]])[0]
    marks: list[Mark] = [Text((float(tip[0]), float(tip[1])), "N", r * 0.6, hand.font, hand.ink)]
    if form == 0:
        marks += [
            Shape((ellipse(x, y, r, r),), None, hand.ink, 1.0),
            Shape((at([[0, -1], [0.35, 0.7], [0, 0.4]]),), hand.ink, hand.ink),
            Shape((at([[0, -1], [-0.35, 0.7], [0, 0.4]]),), None, hand.ink),
        ]
    elif form == 1:
        star = [[0, -1], [0.15, -0.15], [1, 0], [0.15, 0.15], [0, 1], [-0.15, 0.15], [-1, 0], [-0.15, -0.15]]
        marks += [
            Shape((at(star),), hand.ink, hand.ink),
            Shape((ellipse(x, y, r * 0.6, r * 0.6),), None, hand.ink, 0.8),
        ]
    else:
        marks += [
            polyline(at([[0, 1], [0, -1]]), hand.ink, 1.2),
            Shape((at([[0, -1], [0.22, -0.5], [-0.22, -0.5]]),), hand.ink, hand.ink),
        ]
    return marks


def scale_bar(x: float, y: float, hand: Hand) -> list[Mark]:
    """Five metres in alternating black and white."""
    h = hand.text_m * 0.4
    marks: list[Mark] = []
    for k in range(5):
        marks.append(rectangle(x + k, y, x + k + 1, y + h, hand.ink if k % 2 == 0 else hand.paper, hand.ink, 0.8))
    marks += [
        Text((x + k, y - hand.text_m * 0.6), str(k) if k < 5 else "5 m", hand.text_m * 0.7, hand.font, hand.ink)
        for k in (0, 1, 5)
    ]
    return marks


def title_block(x0: float, y0: float, x1: float, y1: float, hand: Hand, rng: Rng, title: str) -> list[Mark]:
    """The box of a drawing office: firm, project, title, table of revisions."""
    ink, w, h = hand.ink, x1 - x0, y1 - y0
    big = min(h * 0.12, w * 0.07)
    marks: list[Mark] = [rectangle(x0, y0, x1, y1, hand.paper, ink, 2.0)]
    rows = [0.0, 0.28, 0.5, 0.66, 0.83, 1.0]
    marks += [polyline([(x0, y0 + h * r), (x1, y0 + h * r)], ink) for r in rows[1:-1]]
    marks += [
        polyline([(x0 + w / 3, y0 + h * 0.66), (x0 + w / 3, y1)], ink),
        polyline([(x0 + w * 2 / 3, y0 + h * 0.66), (x0 + w * 2 / 3, y1)], ink),
    ]
    firm = str(rng.choice(FIRMS))
    number = f"A-{int(rng.integers(100, 999))}"
    project = f"{int(rng.integers(2, 180))} {rng.choice(['Mill Lane', 'Harbour Street', 'Lindenallee', 'Park Row', 'Station Road'])}"
    centre = (x0 + x1) / 2
    marks.append(Text((centre, y0 + h * 0.14), firm, big * 1.2, "bold", ink))
    marks.append(Text((centre, y0 + h * 0.39), project, big, hand.font, ink))
    marks.append(Text((centre, y0 + h * 0.58), title, big, hand.font, ink))
    cells = (
        ("Scale", "1:100"),
        ("Date", f"{int(rng.integers(1, 29)):02d}.{int(rng.integers(1, 13)):02d}.20{int(rng.integers(10, 26))}"),
        ("Drawn", "".join(rng.choice(list("ABDEHKMS"), 2).tolist())),
        ("Sheet", number),
        ("Rev.", str(rng.choice(list("ABCD")))),
        ("Phase", "Design"),
    )
    for k, (head, value) in enumerate(cells):
        cx, cy = x0 + w * (k % 3 + 0.5) / 3, y0 + h * (0.75 if k < 3 else 0.92)
        marks += [
            Text((cx, cy - h * 0.045), head, big * 0.45, hand.font, ink),
            Text((cx, cy + h * 0.025), value, big * 0.65, hand.font, ink),
        ]
    return marks


def legend(x: float, y: float, hand: Hand, rng: Rng) -> list[Mark]:
    """A table of signs: small boxes and words, a trap for who takes every box for a room."""
    words = ("New wall", "Existing", "Demolished", "Fire door EI30", "Smoke detector", "Glazing", "Insulation")
    size = hand.text_m * 1.1
    marks: list[Mark] = [Text((x, y), "LEGEND", size, hand.font, hand.ink, anchor="left")]
    for k in range(int(rng.integers(3, 7))):
        top = y + size * (1.4 + k * 1.7)
        fill = (hand.ink, hand.paper, hand.tone, (235, 235, 235))[k % 4]
        marks += [
            rectangle(x, top - size * 0.5, x + size * 2.2, top + size * 0.5, fill, hand.ink, 0.8),
            Text((x + size * 2.8, top), words[k], size * 0.8, hand.font, hand.ink, anchor="left"),
        ]
    return marks


def heading(x: float, y: float, hand: Hand, rng: Rng, area_m2: float, title: str | None = None) -> list[Mark]:
    """A floor's name and its area above or below it."""
    size = hand.text_m * 1.4
    marks: list[Mark] = [
        Text((x, y), title or str(rng.choice(TITLES)), size, "bold" if hand.font != "hershey" else "hershey", hand.ink)
    ]
    if rng.random() < 0.6:
        marks.append(
            Text(
                (x, y + size * 1.3),
                f"Approx. gross internal area {area_m2:.1f} sq.m / {area_m2 * 10.764:.0f} sq.ft",
                size * 0.6,
                hand.font,
                hand.ink,
            )
        )
    return marks


def lay_out(
    plans: Sequence[tuple[Layout, list[Mark]]],
    hand: Hand,
    rng: Rng,
    frame: bool | None = None,
    titles: Sequence[str] = (),
) -> tuple[Drawing, list[tuple[float, float]]]:
    """Plans side by side on a sheet with what belongs around them, and by how much each plan was moved."""
    drawing = Drawing((0, 0, 1, 1), hand.paper)
    with_frame = bool(rng.random() < 0.3) if frame is None else frame
    around_m = (2.4 if hand.dims else 0) + (2.4 if hand.grid else 0)
    margin = float(rng.uniform(0.4, 1.6)) + around_m
    top = margin + (hand.text_m * 4.6 if hand.header else 0)
    x, height = margin, 0.0
    moves = []
    for index, (layout, marks) in enumerate(plans):
        x0, y0, x1, y1 = layout.bounds
        dx, dy = x - x0, top - y0
        around = dimension_chains(layout, hand, rng) + (grid_bubbles(layout, hand, rng) if hand.grid else [])
        drawing.marks += shifted([*marks, *around], dx, dy)
        if hand.header:
            drawing.marks += heading(
                x + (x1 - x0) / 2,
                top - around_m - hand.text_m * 3.2,
                hand,
                rng,
                sum(r.polygon.area for r in layout.rooms),
                titles[index] if titles else None,
            )
        moves.append((dx, dy))
        x += x1 - x0 + margin + float(rng.uniform(0.3, 1.5))
        height = max(height, y1 - y0)
    width, bottom = x, top + height + margin
    extra = hand.text_m
    if rng.random() < 0.5:
        drawing.marks += north_arrow(width - extra * 3, bottom + extra * 2.2, extra * 1.5, hand, rng)
        bottom += extra * 4.5
    if rng.random() < 0.35:
        drawing.marks += scale_bar(margin, bottom - extra, hand)
        bottom += extra
    if rng.random() < 0.5:
        drawing.marks.append(Text((width / 2, bottom), note(hand.language, rng), extra * 0.7, hand.font, hand.ink))
        bottom += extra * 1.5
    if with_frame or (frame is None and rng.random() < 0.15):
        w, h = max(width * 0.3, extra * 14), max(extra * 13, 2.5)
        if rng.random() < 0.5:
            drawing.marks += legend(margin, bottom + extra, hand, rng)
        drawing.marks += title_block(
            width - w, bottom, width, bottom + h, hand, rng, titles[0] if titles else str(rng.choice(TITLES))
        )
        bottom += h
    if with_frame:
        edge = 0.4
        drawing.marks.append(rectangle(-edge, -edge, width + edge, bottom + edge, None, hand.ink, 2.0))
        drawing.bounds = (-edge * 2, -edge * 2, width + edge * 2, bottom + edge * 2)
    else:
        drawing.bounds = (0, 0, width, bottom)
    return drawing, moves


def site(bounds: tuple[float, float, float, float], hand: Hand, rng: Rng) -> list[Mark]:
    """What lies about a house: trees, paving, the plot's line, a drive; none of it a room."""
    x0, y0, x1, y1 = bounds
    marks: list[Mark] = []
    grey: Colour = (130, 130, 130)
    for _ in range(int(rng.integers(0, 7))):
        x, y, r = float(rng.uniform(x0 - 5, x1 + 5)), float(rng.uniform(y0 - 5, y1 + 5)), float(rng.uniform(0.6, 1.8))
        if x0 - r < x < x1 + r and y0 - r < y < y1 + r:
            continue
        turns = np.linspace(0, 2 * math.pi, 40, endpoint=False)
        wave = r * (1 + 0.12 * np.sin(turns * int(rng.integers(5, 12))))
        fill: Colour | None = (214, 232, 205) if rng.random() < 0.4 else None
        crown = np.stack([x + wave * np.cos(turns), y + wave * np.sin(turns)], 1)
        marks += [Shape((crown,), fill, grey, 0.8), Shape((ellipse(x, y, 0.1, 0.1, 8),), grey, grey)]
    gap = float(rng.uniform(1.5, 5))
    plot = np.array(
        [[x0 - gap, y0 - gap], [x1 + gap * 1.4, y0 - gap * 0.8], [x1 + gap, y1 + gap], [x0 - gap * 1.2, y1 + gap * 1.3]]
    )
    marks.append(Shape((plot,), None, hand.ink, 1.0, True, None, 0.4))
    if rng.random() < 0.5:
        left, width = float(rng.uniform(x0, x1)), float(rng.uniform(1.5, 4))
        drive = np.array(
            [[left, y1], [left + width, y1], [left + width * 1.1, y1 + gap * 1.1], [left - 0.2, y1 + gap * 1.2]]
        )
        marks.append(Shape((drive,), None, grey, 0.8, True, Hatch(0.4, (0.0, 90.0), (170, 170, 170), 0.6)))
    return marks
