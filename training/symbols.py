"""How furniture and fixtures are drawn: closed rings and open lines in the fixture's own metres.

Every symbol is a function of width and depth; the back edge lies on y = 0. It yields (points, closed, layer) where a
layer of 1 is drawn over one of 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from training.layout import Fixture, Floats, Rng
from training.marks import BLACK, Colour, Shape, arc, ellipse, rounded

Part = tuple[Floats, bool]
Symbol = Callable[[float, float, Rng], list[Part]]


def draw_fixture(
    fixture: Fixture, rng: Rng, colour: Colour = BLACK, pen: float = 0.8, fill: Colour | None = None
) -> list[Shape]:
    """The symbol of a fixture in its place."""
    parts = _SYMBOLS[fixture.kind](fixture.width_m, fixture.depth_m, rng)
    frame = np.array([fixture.along, fixture.into])
    shapes = []
    for points, closed in parts:
        placed = points @ frame + np.array(fixture.origin)
        shapes.append(Shape((placed,), fill if closed else None, colour, pen, closed, layer="furniture"))
    return shapes


def _rect(x0: float, y0: float, x1: float, y1: float) -> Part:
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]), True


def _round(x0: float, y0: float, x1: float, y1: float, r: float) -> Part:
    return rounded(x0, y0, x1, y1, r), True


def _line(*points: tuple[float, float]) -> Part:
    return np.array(points, float), False


def _bed(w: float, d: float, rng: Rng) -> list[Part]:
    parts = [_rect(0, 0, w, d)]
    pillows = 2 if w > 1.3 else 1
    each = w / pillows
    for k in range(pillows):
        parts.append(_round(k * each + each * 0.12, 0.08, (k + 1) * each - each * 0.12, 0.45, 0.06))
    style = rng.random()
    if style < 0.4:
        parts.append(_line((0, 0.6), (w, 0.6)))
        parts.append(_line((0, 0.6), (w * 0.35, 0.95), (0, 0.95)))
    elif style < 0.7:
        parts.append(_line((0, 0.55), (w, 0.55)))
    else:
        parts.append(_round(0.04, 0.55, w - 0.04, d - 0.03, 0.1))
    return parts


def _sofa(w: float, d: float, rng: Rng) -> list[Part]:
    arm, back = 0.16, 0.2
    parts = [_round(0, 0, w, d, 0.1), _round(arm, back, w - arm, d - 0.03, 0.05)]
    seats = max(1, round((w - 2 * arm) / 0.75))
    parts += [
        _line((arm + (w - 2 * arm) * k / seats, back), (arm + (w - 2 * arm) * k / seats, d)) for k in range(1, seats)
    ]
    return parts


def _chair(cx: float, cy: float, turn: float) -> list[Part]:
    c, s = math.cos(turn), math.sin(turn)
    spin = np.array([[c, s], [-s, c]])
    seat = rounded(-0.2, -0.2, 0.2, 0.2, 0.06) @ spin + [cx, cy]
    back = np.array([[-0.2, -0.24], [0.2, -0.24]]) @ spin + [cx, cy]
    return [(seat, True), (back, False)]


def _table(w: float, d: float, rng: Rng) -> list[Part]:
    edge = 0.24
    parts: list[Part] = []
    count = max(1, math.floor(w / 0.62))
    for k in range(count):
        x = w * (k + 0.5) / count
        parts += _chair(x, edge * 0.6, 0.0) + _chair(x, d - edge * 0.6, math.pi)
    if rng.random() < 0.4:
        parts += _chair(edge * 0.3, d / 2, -math.pi / 2) + _chair(w - edge * 0.3, d / 2, math.pi / 2)
    parts.append(_round(0.1, edge, w - 0.1, d - edge, 0.05 if rng.random() < 0.7 else d))
    return parts


def _roundtable(w: float, d: float, rng: Rng) -> list[Part]:
    parts: list[Part] = []
    r = min(w, d) / 2
    for k in range(int(rng.integers(2, 6))):
        t = k * 2 * math.pi / 4
        parts += _chair(w / 2 + (r - 0.2) * math.cos(t), d / 2 + (r - 0.2) * math.sin(t), t + math.pi / 2)
    parts.append((ellipse(w / 2, d / 2, r * 0.6, r * 0.6), True))
    return parts


def _counter(w: float, d: float, rng: Rng) -> list[Part]:
    parts = [_rect(0, 0, w, d)]
    units = max(1, round(w / 0.6))
    style = rng.random()
    if style < 0.5:
        parts += [_line((w * k / units, 0), (w * k / units, d)) for k in range(1, units)]
    if style < 0.2:  # each unit with the corner that its door swings from
        parts += [_line((w * k / units, d), (w * (k + 0.5) / units, 0), (w * (k + 1) / units, d)) for k in range(units)]
    elif 0.5 < style < 0.6:  # wall units above the worktop
        parts.append(_line((0, d * 0.58), (w, d * 0.58)))
    slots = rng.permutation(units)[:2]
    hob = slots[0] * w / units
    u = w / units
    if units > 1:
        parts.append(_rect(hob + 0.03, 0.06, hob + u - 0.03, d - 0.06))
        rings = 0.5
        for fx in (0.3, 0.7):
            for fy in (0.3, 0.7):
                rings = 0.075 + 0.03 * rng.random()
                parts.append((ellipse(hob + u * fx, d * fy, rings, rings, 16), True))
        sink = slots[1] * w / units
        parts.append(_round(sink + 0.06, 0.1, sink + u - 0.06, d - 0.08, 0.06))
        if rng.random() < 0.5 and units > 2 and sink + u * 1.8 < w:
            parts.append(_round(sink + u + 0.02, 0.1, sink + u * 1.7, d - 0.08, 0.04))
            parts += [_line((sink + u + 0.1 + k * 0.08, 0.14), (sink + u + 0.1 + k * 0.08, d - 0.14)) for k in range(4)]
        parts.append((ellipse(sink + u / 2, 0.14, 0.025, 0.025, 8), True))
    else:
        parts.append(_round(0.08, 0.1, w - 0.08, d - 0.08, 0.08))
    return parts


def _fridge(w: float, d: float, rng: Rng) -> list[Part]:
    style = rng.random()
    if style < 0.4:
        return [_rect(0, 0, w, d), _line((0, 0), (w, d)), _line((w, 0), (0, d))]
    if style < 0.7:
        return [_rect(0, 0, w, d), _line((0, 0), (w, d))]
    return [_rect(0, 0, w, d), _line((0, d - 0.06), (w, d - 0.06))]


def _bathtub(w: float, d: float, rng: Rng) -> list[Part]:
    parts = [_rect(0, 0, w, d)]
    m = 0.07
    if w > d:
        parts.append(_round(m, m, w - m, d - m, d * 0.4))
        parts.append((ellipse(m + 0.18, d / 2, 0.03, 0.03, 10), True))
    else:
        parts.append(_round(m, m, w - m, d - m, w * 0.4))
        parts.append((ellipse(w / 2, m + 0.18, 0.03, 0.03, 10), True))
    return parts


def _wc(w: float, d: float, rng: Rng) -> list[Part]:
    tank = 0.18
    parts = [_round(0, 0, w, tank, 0.04)]
    bowl = ellipse(w / 2, tank + (d - tank) * 0.48, w * 0.46, (d - tank) * 0.52)
    parts.append((bowl, True))
    if rng.random() < 0.6:
        parts.append((ellipse(w / 2, tank + (d - tank) * 0.5, w * 0.3, (d - tank) * 0.36), True))
    return parts


def _basin(w: float, d: float, rng: Rng) -> list[Part]:
    if rng.random() < 0.4:
        return [(ellipse(w / 2, d * 0.5, w / 2, d * 0.48), True), (ellipse(w / 2, d * 0.55, w * 0.35, d * 0.3), True)]
    return [
        _round(0, 0, w, d, 0.05),
        (ellipse(w / 2, d * 0.54, w * 0.36, d * 0.34), True),
        (ellipse(w / 2, d * 0.25, 0.02, 0.02, 8), True),
    ]


def _shower(w: float, d: float, rng: Rng) -> list[Part]:
    style = rng.random()
    if style < 0.35:
        return [
            _rect(0, 0, w, d),
            _line((0, 0), (w, d)),
            _line((w, 0), (0, d)),
            (ellipse(w / 2, d / 2, 0.06, 0.06, 12), True),
        ]
    if style < 0.65:
        quarter = np.concatenate([[[0, 0]], arc((0, 0), min(w, d), 0, math.pi / 2)])
        return [(quarter, True), (ellipse(0.2, 0.2, 0.05, 0.05, 10), True)]
    inner = [_round(0.06, 0.06, w - 0.06, d - 0.06, 0.08), (ellipse(w / 2, d / 2, 0.05, 0.05, 10), True)]
    return [_rect(0, 0, w, d), *inner]


def _washer(w: float, d: float, rng: Rng) -> list[Part]:
    if rng.random() < 0.5:
        return [_rect(0, 0, w, d), (ellipse(w / 2, d / 2, w * 0.36, d * 0.36), True)]
    return [_rect(0, 0, w, d), _line((0, 0.1), (w, 0.1)), (ellipse(w / 2, d * 0.56, w * 0.28, d * 0.28), True)]


def _wardrobe(w: float, d: float, rng: Rng) -> list[Part]:
    parts = [_rect(0, 0, w, d)]
    style = rng.random()
    if style < 0.35:
        parts += [_line((0, 0), (w, d)), _line((w, 0), (0, d))]
    elif style < 0.7:
        parts.append(_line((0.03, d / 2), (w - 0.03, d / 2)))
        count = round(w / 0.12)
        tilt = rng.uniform(-0.04, 0.04, count + 1)
        parts += [
            _line((w * (k + 0.5) / count - tilt[k], 0.1), (w * (k + 0.5) / count + tilt[k], d - 0.1))
            for k in range(count)
        ]
    else:
        parts += [_line((w / 2, 0), (w / 2, d)), _line((0, d * 0.85), (w, d * 0.85))]
    return parts


def _shelf(w: float, d: float, rng: Rng) -> list[Part]:
    if rng.random() < 0.5:
        return [_rect(0, 0, w, d), _line((0, 0), (w, d))]
    count = max(1, round(w / 0.8))
    return [_rect(0, 0, w, d), *[_line((w * k / count, 0), (w * k / count, d)) for k in range(1, count)]]


def _desk(w: float, d: float, rng: Rng) -> list[Part]:
    parts = [*_chair(w / 2, d - 0.05, math.pi), _rect(0, 0, w, d * 0.85)]
    if rng.random() < 0.5:
        parts.append(_round(w / 2 - 0.25, 0.08, w / 2 + 0.25, 0.16, 0.02))
    return parts


def _desks(w: float, d: float, rng: Rng) -> list[Part]:
    half = d / 2
    parts = [*_chair(w / 2, half - 0.95, 0.0), *_chair(w / 2, half + 0.95, math.pi)]
    return [*parts, _rect(0, half - 0.8, w, half), _rect(0, half, w, half + 0.8)]


def _pupildesk(w: float, d: float, rng: Rng) -> list[Part]:
    return [*_chair(w * 0.27, 0.64, math.pi), *_chair(w * 0.73, 0.64, math.pi), _rect(0, 0, w, 0.5)]


def _armchair(w: float, d: float, rng: Rng) -> list[Part]:
    return [_round(0, 0, w, d, 0.12), _round(0.15, 0.18, w - 0.15, d - 0.03, 0.05)]


def _tv(w: float, d: float, rng: Rng) -> list[Part]:
    return [_rect(0, 0, w, d), _rect(w * 0.15, d * 0.3, w * 0.85, d * 0.42)]


def _plant(w: float, d: float, rng: Rng) -> list[Part]:
    r = min(w, d) / 2
    leaves = [
        _line((w / 2, d / 2), (w / 2 + r * math.cos(t), d / 2 + r * math.sin(t))) for t in np.linspace(0, 6.28, 9)[:-1]
    ]
    turns = np.linspace(0, 2 * math.pi, 48, endpoint=False)
    wave = r * (0.85 + 0.15 * np.cos(turns * 8))
    return [(np.stack([w / 2 + wave * np.cos(turns), d / 2 + wave * np.sin(turns)], 1), True), *leaves]


def _piano(w: float, d: float, rng: Rng) -> list[Part]:
    body = np.concatenate(
        [
            [[0, 0]],
            [[w, 0]],
            [[w, d * 0.5]],
            arc((w * 0.7, d * 0.5), w * 0.3, 0, math.pi / 2),
            [[w * 0.45, d]],
            [[0, d]],
        ]
    )
    return [(body, True), _line((0.15, 0), (0.15, d))]


def _stalls(w: float, d: float, rng: Rng) -> list[Part]:
    count = max(1, round(w / 0.92))
    each = w / count
    parts: list[Part] = []
    for k in range(count):
        x = each * k
        parts += [
            _line((x, 0), (x, d)),
            _line((x, d), (x + each * 0.2, d)),
            _line((x + each * 0.2, d), (x + each * 0.75, d - 0.45)),
            _line((x + each * 0.8, d), (x + each, d)),
        ]
        parts += [(points + np.array([x + each / 2 - 0.19, 0.02]), closed) for points, closed in _wc(0.38, 0.66, rng)]
    return [*parts, _line((w, 0), (w, d))]


def _basins(w: float, d: float, rng: Rng) -> list[Part]:
    count = max(2, round(w / 0.75))
    bowls = [(ellipse(w * (k + 0.5) / count, d * 0.5, 0.21, d * 0.32), True) for k in range(count)]
    return [_rect(0, 0, w, d), *bowls]


def _plain(w: float, d: float, rng: Rng) -> list[Part]:
    return [_rect(0, 0, w, d)]


def _fireplace(w: float, d: float, rng: Rng) -> list[Part]:
    return [_rect(0, 0, w, d), (np.array([[w * 0.2, d], [w * 0.3, 0.08], [w * 0.7, 0.08], [w * 0.8, d]]), False)]


def _coffee(w: float, d: float, rng: Rng) -> list[Part]:
    return [_round(0, 0, w, d, 0.04) if rng.random() < 0.6 else (ellipse(w / 2, d / 2, w / 2, d / 2), True)]


def _car(w: float, d: float, rng: Rng) -> list[Part]:
    return [
        _round(0, 0, w, d, 0.45),
        _round(w * 0.25, 0.18, w * 0.8, d - 0.18, 0.3),
        _line((w * 0.38, 0.2), (w * 0.38, d - 0.2)),
        _line((w * 0.68, 0.2), (w * 0.68, d - 0.2)),
    ]


def _lift(w: float, d: float, rng: Rng) -> list[Part]:
    m = 0.12
    cross = [_line((m, m), (w - m, d - m)), _line((w - m, m), (m, d - m))]
    return [_rect(m, m, w - m, d - m), *cross] if rng.random() < 0.7 else cross


def _stair(w: float, d: float, rng: Rng) -> list[Part]:
    """Treads along x with an arrow up: one flight, or two about a well where there is room."""
    tread = float(rng.uniform(0.24, 0.31))
    parts: list[Part] = []
    if d > 1.9 and w > 2.2:
        landing, half = min(1.1, w * 0.3), d / 2
        count = max(2, math.floor((w - 2 * landing) / tread))
        parts += [
            _line((landing + k * tread, y0), (landing + k * tread, y1))
            for k in range(count + 1)
            for y0, y1 in ((0, half - 0.06), (half + 0.06, d))
        ]
        end = landing + count * tread
        parts += [_rect(landing, half - 0.06, end, half + 0.06)]
        route = _line(
            (landing * 0.6, half / 2),
            (end + landing * 0.4, half / 2),
            (end + landing * 0.4, half * 1.5),
            (landing + 0.1, half * 1.5),
        )
        tip = (landing + 0.1, half * 1.5)
        return [*parts, route, _line((tip[0] + 0.15, tip[1] - 0.1), tip, (tip[0] + 0.15, tip[1] + 0.1))]
    count = max(3, math.floor((w - 0.05) / tread))
    parts += [_line((k * tread, 0), (k * tread, d)) for k in range(1, count + 1)]
    tip = (count * tread * 0.95, d / 2)
    parts.append(_line((tread * 0.5, d / 2), tip))
    parts.append(_line((tip[0] - 0.15, tip[1] - 0.09), tip, (tip[0] - 0.15, tip[1] + 0.09)))
    if rng.random() < 0.5:
        at = w * 0.6
        parts.append(_line((at - 0.15, d), (at + 0.02, d * 0.55), (at - 0.08, d * 0.45), (at + 0.1, 0)))
    else:
        parts.append((ellipse(tread * 0.5, d / 2, 0.05, 0.05, 10), True))
    return parts


_SYMBOLS: Final[dict[str, Symbol]] = {
    "bed": _bed, "sofa": _sofa, "table": _table, "roundtable": _roundtable, "counter": _counter, "fridge": _fridge,
    "bathtub": _bathtub, "wc": _wc, "basin": _basin, "shower": _shower, "washer": _washer, "wardrobe": _wardrobe,
    "shelf": _shelf, "desk": _desk, "desks": _desks, "pupildesk": _pupildesk, "armchair": _armchair, "tv": _tv,
    "plant": _plant, "piano": _piano, "drawers": _plain, "sideboard": _plain, "copier": _washer, "coffee": _coffee,
    "stalls": _stalls, "basins": _basins, "fireplace": _fireplace, "car": _car, "openstair": _stair, "lift": _lift, "stair": _stair,
}  # fmt: skip
