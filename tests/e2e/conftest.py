from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator

import pytest
from tests.conftest import MakeApp
from tests.servers import serving
from tests.unit.services.plans import MODEL_VERSION, Engine

from services.detection_service import DetectionService
from storage.base import Storage
from worker.consumer import consume


@pytest.fixture
def server(make_app: MakeApp) -> Iterator[str]:
    """The base URL of a real server on the temporary world."""
    with serving(make_app()) as url:
        yield url


@pytest.fixture
def curl() -> Callable[..., tuple[int, dict[str, object]]]:
    """Runs curl with the arguments; gives the status and the JSON that it read (empty if none)."""
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


@pytest.fixture
def worker(storage: Storage) -> Iterator[None]:
    """A worker on the temporary world, that finds one room on each of two pages."""
    stop = threading.Event()
    service = DetectionService(storage, Engine(pages=2), model_version=MODEL_VERSION)
    thread = threading.Thread(target=consume, args=(storage, service, stop), daemon=True)
    thread.start()
    yield
    stop.set()
    thread.join(20)
