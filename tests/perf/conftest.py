"""A real server, as `location-detection serve` runs it, for the tests that assert time limits."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.servers import served


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a server with one worker."""
    with served(tmp_path_factory.mktemp("perf") / "data") as url:
        yield url
