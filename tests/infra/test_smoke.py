"""The smoke test of a deployment, run against real servers: one that works, and ones that do not."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from tests.conftest import MakeApp
from tests.servers import served, serving
from tests.unit.services.plans import MODEL_VERSION, Engine

from api.auth import parse_tokens
from services.detection_service import DetectionService
from smoke import Client, SmokeError, main, run
from storage.base import Storage
from worker.consumer import consume

ROOT = Path(__file__).parents[2]


@contextmanager
def working(storage: Storage, engine: Callable[..., object]) -> Iterator[None]:
    """A worker with the engine, as long as the block runs."""
    stop = threading.Event()
    service = DetectionService(storage, engine, model_version=MODEL_VERSION)  # type: ignore[arg-type]
    thread = threading.Thread(target=consume, args=(storage, service, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(20)


@pytest.mark.slow
def test_all_works_on_a_real_server_with_the_real_engine(tmp_path: Path) -> None:
    with served(tmp_path / "data") as url:
        done = subprocess.run(
            [sys.executable, str(ROOT / "scripts" / "smoke.py"), "--url", url],
            capture_output=True, text=True, timeout=100,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found = re.search(r"(\d+) rooms after", done.stdout)
        assert found is not None
        assert int(found[1]) > 3
        assert done.stdout.endswith("purged\nall works\n")


def test_it_waits_until_a_new_token_is_known(make_app: MakeApp, storage: Storage) -> None:
    known: dict[str, str] = {}
    said: list[str] = []
    naps: list[float] = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        if naps.count(15.0) == 2:  # the functions read the secret anew
            known.update(parse_tokens("smoke:token-0123456789abc"))

    with serving(make_app(tokens=lambda: known)) as url, working(storage, Engine()):
        run(Client(url, "token-0123456789abc"), said.append, sleep=sleep)
    assert said.count("the token is not known yet") == 2
    assert said[-1] == "purged"


def test_a_token_that_stays_unknown_is_given_up(make_app: MakeApp) -> None:
    passed = iter(range(0, 10_000, 100))
    with serving(make_app(tokens={})) as url, pytest.raises(SmokeError, match="POST job: 401 instead of 201"):
        run(Client(url, "wrong"), lambda _: None, clock=lambda: next(passed), sleep=lambda _: None)


def test_a_job_that_fails_is_named_and_purged(make_app: MakeApp, storage: Storage) -> None:
    def broken(*_: object, **__: object) -> object:
        raise RuntimeError("the engine is broken")

    with (
        serving(make_app()) as url,
        working(storage, broken),
        pytest.raises(SmokeError, match="the job is failed"),
    ):
        run(Client(url, None), lambda _: None)
    assert storage.jobs.list("local", limit=10).jobs == []


def test_a_plan_without_rooms_is_a_failure(make_app: MakeApp, storage: Storage) -> None:
    def blind(*given: object, **more: object) -> object:
        floorplan = Engine()(*given, **more)  # type: ignore[arg-type]
        return floorplan.model_copy(
            update={"pages": [page.model_copy(update={"rooms": []}) for page in floorplan.pages]}
        )

    with serving(make_app()) as url, working(storage, blind), pytest.raises(SmokeError, match="no room was found"):
        run(Client(url, None), lambda _: None)


def test_a_service_that_is_not_there_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--url", "http://127.0.0.1:9"]) == 1
    assert "failed: GET /health" in capsys.readouterr().err


@contextmanager
def answering(answer: Callable[[BaseHTTPRequestHandler], None], requests: int) -> Iterator[str]:
    """A server of loopback for a number of requests."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.timeout = 10
    thread = threading.Thread(target=lambda: [server.handle_request() for _ in range(requests)], daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        thread.join(30)
        server.server_close()


def test_a_redirect_to_another_host_does_not_take_the_token_along() -> None:
    seen: list[str | None] = []

    def picture(request: BaseHTTPRequestHandler) -> None:
        seen.append(request.headers.get("Authorization"))
        request.send_response(200)
        request.send_header("Content-Length", "3")
        request.end_headers()
        request.wfile.write(b"png")

    with answering(picture, 1) as store:

        def redirect(request: BaseHTTPRequestHandler) -> None:
            seen.append(request.headers.get("Authorization"))
            request.send_response(307)
            request.send_header("Location", f"{store}/page.png")
            request.send_header("Content-Length", "0")
            request.end_headers()

        with answering(redirect, 1) as api:
            assert Client(api, "token").ask("GET", "/page").body == b"png"
    assert seen == ["Bearer token", None]
