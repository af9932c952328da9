import math

import cv2
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import affinity
from shapely.geometry import Polygon

from detection.faces import Faces
from detection.polygons import Outline, find_outlines, ring_of
from detection.regions import LabelImage, Region, Regions
from detection.rings import label_boxes, pixel_rings, signed_area
from detection.straight import find_axes

WIDTH, HEIGHT = 320, 240


def outlines_of(
    labels: LabelImage, wall_px: float = 8, faces: np.ndarray | None = None, scale: float = 1
) -> list[Outline]:
    rooms = [Region(int(k), 0.9) for k in np.unique(labels) if k]
    regions = Regions(labels, scale, rooms, wall_px=wall_px, faces=np.zeros((0, 4)) if faces is None else faces)
    return find_outlines(regions, labels.shape[1] * scale, labels.shape[0] * scale)


def only(outlines: list[Outline]) -> Polygon:
    assert len(outlines) == 1
    return outlines[0].polygon


def painted(
    shape: Polygon, into: LabelImage | None = None, label: int = 1, size: tuple[int, int] = (HEIGHT, WIDTH)
) -> LabelImage:
    """The pixels whose centres lie in a shape; only the largest 4-connected part of them."""
    labels = np.zeros(size, np.int32) if into is None else into
    x, y = np.meshgrid(np.arange(size[1]) + 0.5, np.arange(size[0]) + 0.5)
    inside = shapely.contains_xy(shape, x, y) & (labels == 0)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(inside.astype(np.uint8), connectivity=4)
    if count > 1:
        labels[parts == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))] = label
    return labels


def iou(one: Polygon, other: Polygon) -> float:
    return one.intersection(other).area / one.union(other).area


def box_room(x0: int, y0: int, x1: int, y1: int) -> LabelImage:
    labels = np.zeros((HEIGHT, WIDTH), np.int32)
    labels[y0:y1, x0:x1] = 1
    return labels


class TestRings:
    @given(st.integers(0, 2**32 - 1), st.floats(0.2, 0.8))
    @settings(max_examples=60, deadline=None)
    def test_rings_enclose_exactly_the_pixels(self, seed: int, density: float) -> None:
        noise = (np.random.default_rng(seed).random((14, 17)) < density).astype(np.uint8)
        count, labels = cv2.connectedComponents(noise, connectivity=4)
        boxes = label_boxes(labels.astype(np.int32))
        assert sorted(boxes) == list(range(1, count))
        for label, box in boxes.items():
            mask = labels == label
            ys, xs = np.nonzero(mask)
            assert box == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
            outer, *holes = pixel_rings(mask)
            assert abs(signed_area(outer)) - sum(abs(signed_area(hole)) for hole in holes) == mask.sum()

    def test_a_mask_spans_its_pixels_edges(self) -> None:
        (ring,) = pixel_rings(box_room(10, 30, 20, 45) == 1)
        assert sorted(map(tuple, ring.tolist())) == [(10, 30), (10, 45), (20, 30), (20, 45)]


class TestExactShapes:
    def test_a_rectangle_is_its_four_corners(self) -> None:
        assert only(outlines_of(box_room(10, 20, 110, 80))).equals(shapely.box(10, 20, 110, 80))

    def test_page_units(self) -> None:
        assert only(outlines_of(box_room(10, 20, 110, 80), scale=0.5)).equals(shapely.box(5, 10, 55, 40))

    def test_an_l_shape_and_a_hole(self) -> None:
        labels = box_room(10, 10, 210, 190)
        labels[10:90, 130:210] = 0
        labels[120:150, 50:80] = 0
        expected = shapely.box(10, 10, 210, 190) - shapely.box(130, 10, 210, 90) - shapely.box(50, 120, 80, 150)
        found = only(outlines_of(labels))
        assert found.equals(expected)
        assert len(found.interiors) == 1
        assert len(found.exterior.coords) == 7

    def test_dents_and_bumps_smaller_than_the_wall_go(self) -> None:
        labels = box_room(10, 10, 210, 190)
        labels[100:104, 10:12] = 0
        labels[10:11, 50:90] = 0
        labels[189:191, 100:130] = 1
        assert only(outlines_of(labels)).equals(shapely.box(10, 10, 210, 190))

    def test_a_real_step_stays(self) -> None:
        labels = box_room(10, 10, 210, 190)
        labels[10:22, 10:80] = 0
        assert only(outlines_of(labels)).equals(shapely.box(10, 10, 210, 190) - shapely.box(10, 10, 80, 22))

    def test_slivers_are_left_out(self) -> None:
        labels = box_room(10, 10, 60, 60)
        labels[100:101, 10:200] = 2
        labels[120:122, 10:12] = 3
        assert [outline.region.label for outline in outlines_of(labels)] == [1]

    def test_no_labels_no_polygons(self) -> None:
        assert outlines_of(np.zeros((20, 20), np.int32)) == []


class TestDirections:
    @pytest.mark.parametrize("angle", [3, 17, 30, 45, 71])
    def test_turned_rooms_have_straight_right_angled_walls(self, angle: float) -> None:
        true = affinity.rotate(shapely.box(90, 60, 240, 180) - shapely.box(90, 60, 160, 110), angle, origin=(160, 120))
        found = only(outlines_of(painted(true)))
        assert len(found.exterior.coords) == 7
        assert iou(found, true) > 0.985
        assert true.exterior.hausdorff_distance(found.exterior) < 1.5
        points = np.array(found.exterior.coords)
        heading = np.degrees(np.arctan2(*np.diff(points, axis=0).T[::-1])) % 90
        assert np.abs((heading - angle + 45) % 90 - 45).max() < 0.5

    def test_two_axes_in_one_plan(self) -> None:
        labels = painted(shapely.box(20, 20, 120, 120))
        turned = affinity.rotate(shapely.box(190, 80, 290, 170), 30)
        painted(turned, labels, 2)
        axes = find_axes([pixel_rings(labels == k)[0] for k in (1, 2)])
        assert sorted(round(axis) for axis in axes) == [0, 30]
        upright, slanted = (outline.polygon for outline in outlines_of(labels))
        assert upright.equals(shapely.box(20, 20, 120, 120))
        assert len(slanted.exterior.coords) == 5
        assert iou(slanted, turned) > 0.98

    def test_one_slanted_wall_is_not_bent_to_an_axis(self) -> None:
        true = Polygon([(20, 20), (280, 20), (280, 180), (20, 140)])
        found = only(outlines_of(painted(true)))
        assert len(found.exterior.coords) == 5
        assert true.exterior.hausdorff_distance(found.exterior) < 1.5

    @pytest.mark.parametrize("radius", [25, 60, 110])
    def test_circles_stay_within_a_pixel(self, radius: float) -> None:
        found = only(outlines_of(painted(shapely.Point(160, 120).buffer(radius, 64))))
        ring = shapely.segmentize(found.exterior, 1.0)
        away = np.hypot(*(shapely.get_coordinates(ring) - (160, 120)).T) - radius
        assert np.abs(away).max() <= 1.25  # a pixel, and the quarter by which pixels miss the circle themselves

    def test_a_bay_window_keeps_its_curve_and_its_walls(self) -> None:
        true = shapely.box(40, 120, 280, 220) | shapely.Point(160, 120).buffer(70, 64)
        found = only(outlines_of(painted(true)))
        assert iou(found, true) > 0.985
        bounds = np.array(found.bounds)
        assert np.abs(bounds - np.array(true.bounds)).max() <= 1
        assert {(40, 220), (280, 220), (40, 120), (280, 120)} <= {
            (round(x), round(y)) for x, y in found.exterior.coords
        }


class TestFaces:
    def test_sides_are_set_on_faces_within_half_a_wall(self) -> None:
        faces = np.array([[0.0, 12.3, 300, 12.3], [8.4, 200, 8.4, 0], [211.7, 0, 211.7, 200], [0, 170, 300, 170]])
        found = only(outlines_of(box_room(10, 10, 210, 190), faces=faces))
        assert found.bounds == pytest.approx((8.4, 12.3, 211.7, 190))
        assert len(found.exterior.coords) == 5

    def test_a_face_beside_little_of_the_side_does_not_count(self) -> None:
        faces = np.array([[0.0, 12.0, 40.0, 12.0]])
        assert only(outlines_of(box_room(10, 10, 210, 190), faces=faces)).bounds[1] == 10

    def test_turned_faces(self) -> None:
        true = affinity.rotate(shapely.box(90.3, 60.4, 239.6, 180.2), 25, origin=(160, 120))
        corners = np.array(true.exterior.coords)
        faces = np.hstack([corners[:-1], corners[1:]])
        found = only(outlines_of(painted(true), faces=faces))
        assert true.exterior.hausdorff_distance(found.exterior) < 0.35

    def test_faces_of_another_direction_are_not_looked_at(self) -> None:
        faces = Faces.along(np.array([[0.0, 0, 10, 10]]), (0.0,))
        assert faces.nearest(0.0, 1.0, np.array([0.0, 1.0]), np.array([10.0, 1.0]), 5.0) is None


class TestRingOrder:
    def test_clockwise_from_the_smallest_x_plus_y(self) -> None:
        ring = ring_of(Polygon([(50, 90), (90, 90), (90, 10), (50, 10)]).exterior, clockwise=True)
        assert ring == [(50, 10), (90, 10), (90, 90), (50, 90)]
        assert ring_of(Polygon(ring).exterior, clockwise=False) == [(50, 10), (50, 90), (90, 90), (90, 10)]

    def test_vertices_that_rounding_makes_equal_appear_once(self) -> None:
        ring = ring_of(np.array([(0, 0), (10, 0), (10.001, 0.001), (10, 10)]), clockwise=True)
        assert ring == [(0, 0), (10, 0), (10, 10)]


part = st.tuples(st.integers(5, 200), st.integers(5, 150), st.integers(12, 110), st.integers(12, 80))


@st.composite
def plans(draw: st.DrawFn) -> tuple[LabelImage, list[Polygon]]:
    """One to four rooms, unions of rectangles with some cut out, turned together, walls between them."""
    angle = draw(st.sampled_from([0.0, 0.0, 7.0, 30.0, 45.0]))
    labels = np.zeros((HEIGHT, WIDTH), np.int32)
    true: list[Polygon] = []
    for label in range(1, 1 + draw(st.integers(1, 4))):
        adds = draw(st.lists(part, min_size=1, max_size=4))
        cuts = draw(st.lists(part, max_size=2))
        shape = shapely.union_all([shapely.box(x, y, x + w, y + h) for x, y, w, h in adds])
        shape = shape - shapely.union_all([shapely.box(x, y, x + w / 2, y + h / 2) for x, y, w, h in cuts])
        shape = affinity.rotate(shape, angle, origin=(160, 120)) - shapely.union_all(true).buffer(8, join_style="mitre")
        shape = max(shapely.get_parts(shape), key=lambda item: item.area, default=Polygon())
        if shape.area > 200:
            painted(shape, labels, label)
            true.append(shape)
    return labels, true


@given(plans(), st.sampled_from([0.0, 4.0, 8.0, 16.0]))
@settings(max_examples=150, deadline=None)
def test_whatever_the_rooms_polygons_are_valid_apart_on_the_page_and_true(
    plan: tuple[LabelImage, list[Polygon]], wall_px: float
) -> None:
    labels, _ = plan
    outlines = outlines_of(labels, wall_px)
    page = shapely.box(0, 0, WIDTH, HEIGHT)
    for outline in outlines:
        shape = outline.polygon
        assert shape.is_valid
        assert shape.geom_type == "Polygon"
        assert page.buffer(1e-6).covers(shape)
        ring = ring_of(shape.exterior, clockwise=True)
        assert len(ring) >= 3
        assert signed_area(np.array(ring)) > 0
        assert min(sum(point) for point in ring) == pytest.approx(sum(ring[0]), abs=1e-3)
        assert Polygon(ring, [ring_of(hole, clockwise=False) for hole in shape.interiors]).buffer(0).area > 0
        pixels = int((labels == outline.region.label).sum())
        assert abs(shape.area - pixels) <= max(0.1 * pixels, 4) + 0.02 * pixels + 30
    for k, one in enumerate(outlines):
        for other in outlines[k + 1 :]:
            smaller = min(one.polygon.area, other.polygon.area)
            assert one.polygon.intersection(other.polygon).area <= 0.02 * smaller


@given(plans())
@settings(max_examples=20, deadline=None)
def test_equal_labels_give_equal_polygons(plan: tuple[LabelImage, list[Polygon]]) -> None:
    first, second = (outlines_of(plan[0].copy()) for _ in range(2))
    assert [o.polygon.wkb for o in first] == [o.polygon.wkb for o in second]


def test_straight_walls_of_turned_rooms_meet_the_true_area() -> None:
    for degrees in range(0, 90, 5):
        true = affinity.rotate(shapely.box(80, 60, 240, 180), degrees)
        assert math.isclose(only(outlines_of(painted(true))).area, true.area, rel_tol=0.015)
