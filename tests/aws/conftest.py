from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from tests.aws.deployment import Deployment, deployed, missing


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The one deployment of all tests here."""
    if "LOCATION_DETECTION_TEST_BUILT" not in os.environ:
        pytest.skip("nothing is to be deployed: `make test-aws` runs this")
    assert not missing(), f"{missing()} comes first"
    with deployed(tmp_path_factory.mktemp("sam")) as made:
        yield made


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What ends the deployment runs last."""
    items.sort(key=lambda item: item.path.name == "test_undeployed.py")
