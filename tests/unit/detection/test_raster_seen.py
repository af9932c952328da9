"""The search by what the network sees: rooms of plain drawings, their doors, and the flood that parts them."""

from __future__ import annotations

import numpy as np
from tests.unit.detection.drawn import png_of, two_rooms

from detection import network
from detection.engine import detect
from detection.raster import find_regions
from detection.raster_seen import _pieces
from detection.settings import DEFAULTS
from models.blueprint import Blueprint


def test_the_weights_are_there_and_small() -> None:
    assert network.available()
    assert sum(file.stat().st_size for file in network.WEIGHTS.parent.iterdir()) < 10_000_000


def test_every_step_can_be_drawn() -> None:
    pictures: dict[str, np.ndarray] = {}
    find_regions(two_rooms(), DEFAULTS, lambda name, picture: pictures.update({name: picture}))
    assert list(pictures) == ["evidence", "depth", "openings", "rooms"]
    assert all(p.dtype == np.uint8 and p.any() for p in pictures.values())


def test_a_door_between_two_rooms_is_reported() -> None:
    (page,) = detect(Blueprint.parse(png_of(two_rooms()))).pages
    assert len(page.rooms) == 2
    assert any(opening.rooms == ["room_001", "room_002"] for opening in page.openings)


def test_a_deep_valley_parts_and_a_shallow_one_does_not() -> None:
    mask = np.ones((60, 130), np.uint8)
    for valley, count in ((0.1, 2), (0.8, 1)):
        depth = np.ones((60, 130), np.float32)
        depth[:, 60:70] = valley
        pieces = _pieces(mask, depth, 200.0)
        assert len(np.unique(pieces)) == count
        assert (pieces > 0).all()
