from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tests.conftest import MakeApp
from tests.servers import serving


@pytest.fixture
def server(make_app: MakeApp) -> Iterator[str]:
    """The base URL of a real server on the temporary world."""
    with serving(make_app()) as url:
        yield url


@pytest.fixture
def curl(tmp_path: object) -> Callable[..., tuple[int, dict[str, object]]]:
    """Runs curl with the arguments; gives the status and the JSON that it read (empty if none)."""
    import json
    import shutil
    import subprocess

    if shutil.which("curl") is None:
        pytest.skip("there is no curl on this machine")

    def run(*arguments: str) -> tuple[int, dict[str, object]]:
        done = subprocess.run(
            ["curl", "--silent", "--show-error", "--max-time", "60", "--write-out", "\n%{http_code}", *arguments],
            capture_output=True,
            timeout=90,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        text, _, status = done.stdout.rpartition(b"\n")
        return int(status), json.loads(text) if text else {}

    return run
