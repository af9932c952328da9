"""Every route and every status that it documents has been answered by some test of this session. Runs last."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.routing import APIRoute
from tests.conftest import Exercised, MakeApp

API_TESTS = Path(__file__).parents[1] / "unit" / "api"


def test_every_documented_status_was_exercised(
    request: pytest.FixtureRequest, make_app: MakeApp, exercised: Exercised
) -> None:
    ran = {item.path for item in request.session.items}
    missing = sorted(path.name for path in API_TESTS.glob("test_*.py") if path not in ran)
    if missing or request.config.getoption("keyword") or request.config.getoption("numprocesses", None):
        pytest.skip("only a part of the API's tests ran here: " + (", ".join(missing) or "a selection of them"))
    documented = {
        (method, route.path, int(status))
        for route in make_app().routes
        if isinstance(route, APIRoute)
        for method in route.methods
        for status in route.responses or {200: None}
    }
    assert len(documented) > 50
    assert sorted(documented - exercised) == []
    # 405 answers no route's method; 499 is no answer at all: the client had left.
    undocumented = {
        (method, path, status)
        for method, path, status in exercised
        if any((method, path) == (known, route) for known, route, _ in documented) and status not in (405, 499)
    } - documented
    # Pages have no list of statuses; for the others the description says everything that happens.
    assert sorted(entry for entry in undocumented if entry[1].startswith(("/api/", "/health"))) == []
