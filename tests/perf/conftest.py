"""A real server, as `location-detection serve` runs it, for the tests that assert time limits."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a server with one worker."""
    data = tmp_path_factory.mktemp("perf") / "data"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOCATION_DETECTION_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "serve", "--port", "0", "--data", str(data), "--workers", "1"],
        stderr=subprocess.PIPE,
        text=True,
        env={**kept, "PYTHONPATH": str(ROOT / "src"), "POWERTOOLS_LOG_LEVEL": "ERROR"},
    )
    assert process.stderr is not None
    try:
        said = re.search(r"serving on (\S+)", process.stderr.readline())
        assert said, "the server did not start"
        yield said[1]
    finally:
        process.terminate()
        process.wait(20)
        process.stderr.close()
