"""`location-detection serve` and `work`: a real server in a process of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli.serve import is_loopback

from .conftest import ROOT, Run


@contextmanager
def running(
    *arguments: object, says: str, kill: bool = False, **environment: str
) -> Iterator[tuple[subprocess.Popen[str], re.Match[str]]]:
    """The command, once it has said `says` on stderr; whatever happens it is gone at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.main", *map(str, arguments)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), **environment},
    )
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if match := re.search(says, line):
                yield process, match
                break
        else:
            pytest.fail("it ended without saying so")
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(20)
        process.stderr.close()


def ask(url: str, data: bytes | None = None, **headers: str) -> dict:
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=30) as answer:
        return json.load(answer)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_takes_a_job_all_the_way_and_stops_when_asked(number: int, plan: Path, tmp_path: Path) -> None:
    boundary = "b"
    form = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="p.png"\r\n\r\n'.encode()
        + plan.read_bytes()
        + f"\r\n--{boundary}--\r\n".encode()
    )
    arguments = ("serve", "--port", 0, "--data", tmp_path / "data", "--workers", 1)
    with running(*arguments, says=r"serving on (http://127\.0\.0\.1:\d+)") as (process, said):
        jobs = f"{said[1]}/api/v1/jobs"
        job = ask(jobs, form, **{"Content-Type": f"multipart/form-data; boundary={boundary}"})["data"]
        ends = time.monotonic() + 60
        while job["status"] in ("pending", "processing") and time.monotonic() < ends:
            job = ask(f"{jobs}/{job['job_id']}?wait=5")["data"]
        assert job["status"] == "completed"
        assert len(ask(f"{jobs}/{job['job_id']}/result")["pages"][0]["rooms"]) == 2
        process.send_signal(number)
        assert process.wait(20) == 0


@pytest.mark.slow
def test_work_takes_jobs_without_a_server(plan: Path, tmp_path: Path) -> None:
    from models.blueprint import Blueprint
    from services.job_service import JobService
    from storage import open_storage
    from utils.config import load_settings

    settings = load_settings(data_dir=tmp_path / "data")
    service = JobService(open_storage(settings), settings)
    job = service.create(Blueprint.parse(plan.read_bytes()), owner="local")
    with running("work", "--data", settings.data_dir, "--workers", 1, says="working on") as (process, _):
        ends = time.monotonic() + 60
        while not job.ended and time.monotonic() < ends:
            time.sleep(0.1)
            job = service.get(job.job_id, owner="local")
        assert job.status == "completed"
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


@pytest.mark.slow
def test_serve_asks_for_the_token_when_there_is_one(tmp_path: Path) -> None:
    tokens = {"LOCATION_DETECTION_TOKENS": "anna:a-long-secret-of-anna"}
    arguments = ("serve", "--host", "0.0.0.0", "--port", 0, "--data", tmp_path / "data", "--workers", 1)
    with running(*arguments, says=r"serving on http://0\.0\.0\.0:(\d+)", **tokens) as (_, said):
        jobs = f"http://127.0.0.1:{said[1]}/api/v1/jobs"
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask(jobs)
        assert refused.value.code == 401
        refused.value.close()
        assert ask(jobs, Authorization="Bearer a-long-secret-of-anna")["data"]["jobs"] == []


def test_serve_refuses_to_be_reached_without_a_token(run_cli: Run, tmp_path: Path) -> None:
    done = run_cli("serve", "--host", "0.0.0.0", "--port", 0)
    assert done.returncode == 2
    assert b"a token is needed" in done.stderr
    assert not (tmp_path / "data").exists()


def test_serve_refuses_tokens_it_cannot_read(run_cli: Run) -> None:
    done = run_cli("serve", "--port", 0, LOCATION_DETECTION_TOKENS="s3cret-without-a-name")
    assert done.returncode == 2
    assert b"name:token" in done.stderr
    assert b"s3cret" not in done.stderr


def test_serve_says_that_the_port_is_in_use(run_cli: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run_cli("serve", "--port", port)
    assert done.returncode == 2
    assert f"port {port} on 127.0.0.1 is in use".encode() in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.0.1", False),
        ("localhost.example", False),
    ],
)
def test_loopback_is_known(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
