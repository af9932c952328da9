"""Real servers on a free port of loopback: an app in a thread of the test process, or `serve` as a process."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """The base URL under which the app answers until the block ends."""
    listener = socket.socket()
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else each answer waits 40 ms for an ACK
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", timeout_graceful_shutdown=2))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    ends = time.monotonic() + 20
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        assert time.monotonic() < ends, "the server did not start in time"
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


@contextmanager
def served(data: Path) -> Iterator[str]:
    """The base URL of `location-detection serve` with one worker and the real engine, until the block ends."""
    source = Path(__file__).resolve().parents[1] / "src"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOCATION_DETECTION_")}
    server = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "serve", "--port", "0", "--data", str(data), "--workers", "1"],
        stderr=subprocess.PIPE,
        text=True,
        env={**kept, "PYTHONPATH": str(source), "POWERTOOLS_LOG_LEVEL": "CRITICAL"},
    )
    assert server.stderr is not None
    try:
        said = re.search(r"http://127\.0\.0\.1:\d+", server.stderr.readline())
        assert said, "the server did not start"
        yield said[0]
    finally:
        server.terminate()
        server.wait(20)
        server.stderr.close()
