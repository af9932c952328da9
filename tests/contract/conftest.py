from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from moto import mock_aws  # before clients are made: it has a hand in how they are
from moto.sqs import models
from tests.contract.worlds import CLOCKED_WORLDS, SHARED_WORLDS, WORLDS, World, away_from_aws

from storage.base import Storage
from utils import aws

MakeWorld = Callable[[Path], World]


@pytest.fixture(scope="module", autouse=True)
def _account() -> Iterator[None]:
    """Keys for stores that are not AWS, and no way to AWS itself."""
    with pytest.MonkeyPatch.context() as patch:
        away_from_aws(patch)
        yield
    aws.forget_clients()


@pytest.fixture
def moto(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty account in this process."""
    for name in ("unix_time", "unix_time_millis"):  # a world may set them
        monkeypatch.setattr(models, name, getattr(models, name))
    with mock_aws():
        yield


def _ready(request: pytest.FixtureRequest) -> MakeWorld:
    if request.param == "moto":
        request.getfixturevalue("moto")
    return WORLDS[request.param]


@pytest.fixture(params=sorted(WORLDS))
def make_world(request: pytest.FixtureRequest) -> MakeWorld:
    """Makes a fresh world in a folder."""
    return _ready(request)


@pytest.fixture(params=sorted(set(WORLDS) - {"dynamodb_local"}))
def make_world_of_files(request: pytest.FixtureRequest) -> MakeWorld:
    """Makes a fresh world for its files or its queue, which DynamoDB Local has none of."""
    return _ready(request)


@pytest.fixture(params=sorted(CLOCKED_WORLDS))
def make_clocked_world(request: pytest.FixtureRequest) -> MakeWorld:
    """Makes a fresh world, all of it on a clock that tests move."""
    return _ready(request)


@pytest.fixture(params=sorted(SHARED_WORLDS))
def make_shared_world(request: pytest.FixtureRequest) -> MakeWorld:
    """Makes a fresh world that other processes can reach."""
    return _ready(request)


@pytest.fixture
def world(make_world: MakeWorld, tmp_path: Path) -> World:
    return make_world(tmp_path)


@pytest.fixture
def shared_world(make_shared_world: MakeWorld, tmp_path: Path) -> World:
    return make_shared_world(tmp_path)


@pytest.fixture
def storage(world: World) -> Storage:
    return world.storage
