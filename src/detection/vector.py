"""The search for rooms on drawn PDF pages: walls from the page's own lines and fills."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from detection.morphology import Mask, components
from detection.pdf import Paths, Word
from detection.regions import Closure, Debug, FloatArray, Region, Regions
from detection.settings import Settings
from detection.vector_arcs import Doors, find_arcs, find_doors
from detection.vector_canvas import Canvas, paint_fills, solid_walls
from detection.vector_lines import Family, axes_of, find_families, hatch_lines, simplified, styles_of
from detection.vector_openings import Opening, OpeningSearch, door_openings, facing
from detection.vector_rooms import Areas, find_areas, measured, room_words, walled_share
from detection.vector_split import Dividers, divided, rays
from detection.vector_walls import Bands, find_bands, stack_depths, usual_depth

_WALL_PX: Final = 7.0


class DrawnPage(Protocol):
    """What the search needs of a page."""

    @property
    def width(self) -> float:
        """The width in points."""

    @property
    def height(self) -> float:
        """The height in points."""

    @property
    def words(self) -> list[Word]:
        """The words of the text layer."""

    @property
    def paths(self) -> Paths | None:
        """What the page draws."""


def find_regions(page: DrawnPage, settings: Settings, debug: Debug | None = None) -> Regions | None:
    """The rooms of a drawn page, in points; None where its lines enclose none, so that its picture has to do."""
    paths = page.paths
    if paths is None or len(paths.xy) < 8:
        return None
    side = max(page.width, page.height)
    same_line = 1e-4 * side
    path_style, pens = styles_of(paths)
    style = path_style[paths.path]
    xy, source = simplified(paths.xy, style, 1.2 * same_line)
    style = style[source]
    arcs, curved = find_arcs(xy)
    straight = ~curved & ~paths.dashed[paths.path[source]]
    doors = find_doors(arcs, xy[straight], 0.002 * side, 0.08 * side)
    kept = np.flatnonzero(straight)[~doors.leaves]
    families = find_families(xy[kept], style[kept], pens, same_line)
    door_guess = doors.width or 0.02 * side
    families = [f.only(~hatch_lines(f, 0.8 * door_guess)) for f in families]
    least, most = (0.05 * doors.width, 0.65 * doors.width) if doors.width else (4e-4 * side, 0.035 * side)
    rows = [find_bands(f, least, 1.2 * most, same_line) for f in families]
    stacks = [stack_depths(b) for b in rows]
    weight = _pen_weights(families, pens)
    hollow = usual_depth(
        np.concatenate([b.depth[s == 0] for b, s in zip(rows, stacks, strict=True)]),
        np.concatenate([b.length[s == 0] for b, s in zip(rows, stacks, strict=True)]),
        least,
        most,
        np.concatenate([weight[b.style].min(axis=1)[s == 0] for b, s in zip(rows, stacks, strict=True)]),
    )
    scale = min(settings.max_side_px / side, max(_WALL_PX / max(hollow, least), 1000 / side))
    canvas = Canvas.of(page.width, page.height, scale)
    fills = paint_fills(paths, canvas)
    solid, wall_paints, solid_px = solid_walls(fills, least * scale, min(most, 4 * hollow if hollow else most) * scale)
    filled = [_filled(b, canvas, solid) for b in rows]
    wall = hollow
    long = [b.length >= np.maximum(3 * b.depth, 1.5 * door_guess) for b in rows]
    solid_length = sum(float(b.length[f & far].sum()) for b, f, far in zip(rows, filled, long, strict=True))
    styles = _wall_styles(rows, stacks, filled, hollow, families, weight)
    like = [np.abs(np.log(b.depth / max(hollow, 1e-9))) < 0.7 for b in rows]
    hollow_length = sum(
        float(b.length[~f & (s == 0) & far & k & styles[b.style].all(axis=1)].sum())
        for b, f, s, far, k in zip(rows, filled, stacks, long, like, strict=True)
    )
    if solid_px and solid_length >= 0.5 * hollow_length:
        wall = (
            usual_depth(
                np.concatenate([b.depth[f] for b, f in zip(rows, filled, strict=True)]),
                np.concatenate([b.length[f] for b, f in zip(rows, filled, strict=True)]),
                least,
                most,
            )
            or solid_px / scale
        )
    filled_only = solid_length >= 2.5 * hollow_length

    if not wall:
        return None
    door = doors.width or 6 * wall
    drawing = _Drawing(
        page,
        paths,
        styles_of(paths)[0][paths.path],
        canvas,
        families,
        doors,
        door,
        wall,
        least,
        styles,
        same_line,
        debug,
    )
    bands = _wall_bands(drawing, rows, stacks, solid, wall_paints, filled_only, styles)
    return _rooms(drawing, bands, solid, bool(solid_px))


@dataclass(frozen=True, slots=True)
class _Drawing:
    page: DrawnPage
    paths: Paths
    style: NDArray[np.int64]
    canvas: Canvas
    families: list[Family]
    doors: Doors
    door: float
    wall: float
    least: float
    wall_styles: NDArray[np.bool_]
    same_line: float
    debug: Debug | None


def _pen_weights(families: list[Family], pens: FloatArray) -> FloatArray:
    """float64 (s,): how much each style's pen speaks for walls: what is cut is drawn heavier than what is seen."""
    length = np.zeros(len(pens))
    for family in families:
        np.add.at(length, family.style, family.end - family.start)
    order = np.argsort(pens, kind="stable")
    order = order[(pens[order] > 0) & (length[order] > 0)]
    if not len(order):
        return np.ones(len(pens))
    usual = float(pens[order][np.searchsorted(np.cumsum(length[order]), length[order].sum() / 2)])
    return np.where(pens > 0, np.clip((np.maximum(pens, 0) / usual) ** 1.5, 0.3, 5.0), 1.0)


def _wall_styles(
    rows: list[Bands],
    stacks: list[FloatArray],
    filled: list[NDArray[np.bool_]],
    wall: float,
    families: list[Family],
    weight: FloatArray,
) -> NDArray[np.bool_]:
    """bool (s,): the styles in which much of the length of hollow strips as thick as walls is drawn."""
    paired, drawn = np.zeros(len(weight)), np.zeros(len(weight))
    for bands, stack, solid, family in zip(rows, stacks, filled, families, strict=True):
        good = ~solid & (stack == 0) & (bands.length >= 4 * bands.depth)
        good &= (bands.depth > 0.6 * wall) & (bands.depth < 1.7 * wall)
        for side in (0, 1):
            np.add.at(paired, bands.style[good, side], bands.length[good])

        np.add.at(drawn, family.style, family.end - family.start)
    strong: NDArray[np.bool_] = paired * weight >= 0.04 * (paired * weight).max(initial=0.0)
    return strong & (paired >= 0.15 * drawn)


def _wall_bands(
    drawing: _Drawing,
    rows: list[Bands],
    stacks: list[FloatArray],
    solid: Mask,
    wall_paints: NDArray[np.bool_],
    filled_only: bool,
    styles: NDArray[np.bool_],
) -> list[Bands]:
    """The strips that are walls: filled ones, and hollow ones unless the plan fills its walls."""
    wall, canvas, paths = drawing.wall, drawing.canvas, drawing.paths
    out = []
    wall_style = np.zeros(int(drawing.style.max()) + 1, bool)
    if wall_paints.any():
        of_wall = paths.filled & _has_paint(paths, canvas, solid)
        wall_style[np.unique(drawing.style[np.isin(paths.path, np.flatnonzero(of_wall))])] = True
    words = np.array([w.centre for w in drawing.page.words]).reshape(-1, 2)
    for bands, stack in zip(rows, stacks, strict=True):
        filled = _filled(bands, canvas, solid)
        usual = (bands.depth >= 0.35 * wall) & (bands.depth <= 3 * wall)
        usual &= (stack == 0) | (stack <= 2.5 * wall)
        likely = np.abs(np.log(bands.depth / wall)) < 0.5
        usual &= (bands.length >= np.where(likely, 0.6, 1.5) * bands.depth) | filled
        usual &= filled | styles[bands.style].all(axis=1)
        if filled_only:
            usual &= filled | wall_style[bands.style].all(axis=1)
        usual &= ~_with_words(bands, words)
        out.append(bands.only(usual | (filled & (bands.depth >= drawing.least))))
    return out


def _filled(bands: Bands, canvas: Canvas, solid: Mask) -> NDArray[np.bool_]:
    """bool (n,): the strips whose middle is solid."""
    along, across = axes_of(bands.angle_deg)
    middle = ((bands.start + bands.end) / 2)[:, None] * along + ((bands.low + bands.high) / 2)[:, None] * across
    return canvas.at(solid, middle) > 0


def _has_paint(paths: Paths, canvas: Canvas, solid: Mask) -> NDArray[np.bool_]:
    """bool (p,): the filled paths that lie on solid walls, by the middles of their first segments' inner sides."""
    out = np.zeros(paths.path_count, bool)
    first = np.searchsorted(paths.path, np.arange(paths.path_count))
    first = np.minimum(first, len(paths.xy) - 1)
    xy = paths.xy[first]
    step = xy[:, 2:] - xy[:, :2]
    normal = np.column_stack([-step[:, 1], step[:, 0]]) / np.maximum(np.hypot(step[:, 0], step[:, 1]), 1e-9)[:, None]
    middle = (xy[:, :2] + xy[:, 2:]) / 2
    for sign in (-1.0, 1.0):
        out |= canvas.at(solid, middle + sign * 2.0 / canvas.scale * normal) > 0
    return out


def _with_words(bands: Bands, words: FloatArray) -> NDArray[np.bool_]:
    out = np.zeros(len(bands.low), bool)
    if not len(words) or not len(out):
        return out
    along, across = axes_of(bands.angle_deg)
    t, o = words @ along, words @ across
    for k in range(len(out)):
        inside = (o > bands.low[k]) & (o < bands.high[k]) & (t > bands.start[k]) & (t < bands.end[k])
        out[k] = bool(inside.any())
    return out


def _rooms(drawing: _Drawing, bands: list[Bands], solid: Mask, has_solid: bool) -> Regions | None:
    canvas, wall, door = drawing.canvas, drawing.wall, drawing.door
    walls = solid.copy()
    faces = []
    for family, some in zip(drawing.families, bands, strict=True):
        canvas.fill(walls, some.corners())
        used = np.unique(some.pair)
        segments = family.segments(used)
        faces.append(segments)
        canvas.draw_lines(walls, segments)
    search = OpeningSearch(canvas, walls, drawing.families, drawing.doors, door)
    pieces, stats = components(walls)
    large = stats[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max(axis=1) >= 2.5 * door * canvas.scale
    large[0] = False
    openings = []
    for some in bands:
        along, across = axes_of(some.angle_deg)
        middle = ((some.start + some.end) / 2)[:, None] * along + ((some.low + some.high) / 2)[:, None] * across
        sure = large[canvas.at(pieces, middle)] | (canvas.at(solid, middle) > 0)
        openings += search.run(some, sure)
    openings += door_openings(drawing.doors, canvas, walls, min(0.5 * wall, 0.12 * door))
    closed = walls.copy()
    used_openings = []
    for opening in openings:
        if opening.kind == "gap" and opening.length > 1.5 * door:
            continue
        canvas.fill(closed, opening.shape[None])
        if opening.kind != "joint":
            used_openings.append(opening)
    closed = _without_specks(closed, max(6 * wall, 1.2 * door) * canvas.scale)
    areas = find_areas(closed)
    inner = np.append(~areas.outside, False)
    inner[0] = False
    every = drawing.page.words
    words = room_words(every, inner[canvas.at(areas.labels, np.array([w.centre for w in every]).reshape(-1, 2))])
    names = np.array([w[:2] for w in words]).reshape(-1, 2)
    named = _named(areas, canvas, names)
    wide = (areas.reach_px > 0.5 * door * canvas.scale) & ~areas.outside
    labelled = bool(wide.any()) and float((named[wide] > 0).mean()) > 0.6
    several = (named > 1) | (areas.outside & (named > 0))
    several[0] = False
    if several.any():
        faces_now = np.vstack([np.zeros((0, 4)), *faces])
        broad = [o for o in openings if o.kind == "gap" and o.length > 1.5 * door]
        power = np.where(facing(broad), 0.55, 0.32) - 0.02 * np.array([o.length / door for o in broad])
        dividers = Dividers(np.array([o.line.ravel() for o in broad]).reshape(-1, 4), power)
        stops = closed.copy()
        lesser = []
        for family, some in zip(drawing.families, bands, strict=True):
            rest = family.end - family.start > 0.5 * door
            rest[some.pair.ravel()] = False
            like_wall = rest & drawing.wall_styles[family.style]
            dividers += Dividers(family.segments(rest), np.where(like_wall[rest], 0.7, 0.5))
            canvas.draw_lines(stops, family.segments(like_wall))
            lesser.append(family.segments(rest & (family.end - family.start > 2 * door)))
        where = several[areas.labels]
        dividers += rays(canvas, stops, np.vstack([faces_now, *lesser]), where, door)
        outer: NDArray[np.bool_] = several & areas.outside
        before = areas
        labels = divided(canvas, areas.labels, several, dividers, names)
        areas = measured(labels, areas, several)
        was = np.zeros(len(areas.area_px), np.int64)
        was[labels.ravel()] = before.labels.ravel()
        from_outside: NDArray[np.bool_] = outer[was]
        named = _named(areas, canvas, names)
    least = max(0.6 * wall, 0.2 * door) * canvas.scale
    roomy = (areas.reach_px >= least) & (areas.area_px >= 6 * least**2) & ~areas.outside
    roomy[0] = False
    if several.any():
        share = walled_share(areas.labels, closed)
        roomy &= ~from_outside | ((named > 0) & (share > 0.5))
    roomy &= (named > 0) | (areas.reach_px >= 0.35 * door * canvas.scale)
    if labelled:
        roomy &= (named > 0) | (areas.reach_px >= 0.6 * door * canvas.scale)
    numbers = np.cumsum(roomy) * roomy
    labels = numbers[areas.labels].astype(np.int32)
    regions = [Region(int(numbers[k]), 0.9 if named[k] == 1 else 0.6) for k in np.flatnonzero(roomy)]
    if drawing.debug is not None:
        drawing.debug("walls", (walls * 255).astype(np.uint8))
        drawing.debug("closed", (closed * 255).astype(np.uint8))
    if not regions:
        return None
    return Regions(
        labels=labels,
        units_per_px=1 / canvas.scale,
        regions=regions,
        closures=[_closure(o, canvas.scale) for o in used_openings],
        wall_px=wall * canvas.scale,
        faces=np.vstack([np.zeros((0, 4)), *faces]),
    )


def _named(areas: Areas, canvas: Canvas, names: FloatArray) -> NDArray[np.int64]:
    """int64 (k,): how many names each area holds."""
    named = np.zeros(len(areas.area_px), np.int64)
    np.add.at(named, canvas.at(areas.labels, names), 1)
    named[0] = 0
    return named


def _closure(opening: Opening, scale: float) -> Closure:
    (x0, y0), (x1, y1) = (opening.line * scale).tolist()
    kind = "gap" if opening.kind == "joint" else opening.kind
    return Closure(kind, ((x0, y0), (x1, y1)), opening.confidence)


def _without_specks(mask: Mask, least_px: float) -> Mask:
    """The mask without what is small on its own: furniture, symbols, letters."""
    labels, stats = components(mask)
    keep = stats[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max(axis=1) >= least_px
    keep[0] = False
    out: Mask = keep[labels].astype(np.uint8)
    return out
