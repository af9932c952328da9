"""What tests of several packages share: a world in a temporary folder, an app on it, and what was exercised of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.gateway import Answered
from api.rest_api import create_app
from services.job_service import JobService
from storage import open_storage
from storage.base import Storage
from utils.config import Settings, load_settings

Exercised = set[tuple[str, str, int]]
MakeApp = Callable[..., FastAPI]

# Quick tests run first; this one runs after everything else, because it asks what everything else has exercised.
LAST = "test_route_coverage.py"


class NoSkips:
    """Fails a session in which anything was skipped; `-ra` has said what, and why."""

    def __init__(self) -> None:
        self._skipped = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._skipped += report.skipped and not hasattr(report, "wasxfail")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._skipped += report.skipped

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._skipped and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._skipped:
            terminalreporter.line(f"FAILED: {self._skipped} skipped, and --no-skips allows none", red=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="fail if anything is skipped")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--no-skips"):
        config.pluginmanager.register(NoSkips())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def late(item: pytest.Item) -> bool:
        return any(item.get_closest_marker(name) for name in ("slow", "browser"))

    items.sort(key=lambda item: (item.path.name == LAST, late(item)))


class Broken:
    """A part of the world that fails whatever it is asked."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        def fail(*_: Any, **__: Any) -> Any:
            raise self._error

        return fail


@pytest.fixture(scope="session")
def exercised() -> Exercised:
    """The (method, route, status) that the session's apps have answered so far."""
    return set()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data_dir=tmp_path / "data")


@pytest.fixture
def storage(settings: Settings) -> Storage:
    return open_storage(settings)


@pytest.fixture
def audit_lines() -> list[Answered]:
    """What the app of `make_app` wrote into the audit log."""
    return []


@pytest.fixture
def make_app(settings: Settings, storage: Storage, exercised: Exercised, audit_lines: list[Answered]) -> MakeApp:
    """Builds an app on the temporary world, or on the storage given; its service never really sleeps."""

    def make(*, storage: Storage = storage, settings: Settings = settings, **more: Any) -> FastAPI:
        def audit(answered: Answered) -> None:
            audit_lines.append(answered)
            exercised.add((answered.method, answered.route, answered.status))

        jobs = JobService(storage, settings, sleep=lambda _: None)
        return create_app(storage, settings, **{"tokens": None, "audit": audit, "jobs": jobs, **more})

    return make


@pytest.fixture
def client(make_app: MakeApp) -> Iterator[TestClient]:
    with TestClient(make_app(), raise_server_exceptions=False) as client:
        yield client
