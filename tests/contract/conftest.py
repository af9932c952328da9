from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.contract.worlds import WORLDS, World

from storage.base import Storage


@pytest.fixture(params=sorted(WORLDS))
def make_world(request: pytest.FixtureRequest) -> Callable[[Path], World]:
    """Makes a fresh world in a folder."""
    return WORLDS[request.param]


@pytest.fixture
def world(make_world: Callable[[Path], World], tmp_path: Path) -> World:
    return make_world(tmp_path)


@pytest.fixture
def storage(world: World) -> Storage:
    return world.storage
