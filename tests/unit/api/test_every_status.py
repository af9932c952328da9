"""Each route under every failure of the world: the code, the envelope and the headers are the same everywhere."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.conftest import Broken, MakeApp
from tests.unit.services.plans import png

from storage.base import Storage
from utils.errors import ServiceUnavailableError

JOB = "/api/v1/jobs/job_20260101_abcdefghijklmnop"
ROUTES: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/api/v1/jobs", {"files": {"file": png()}}),
    ("GET", "/api/v1/jobs", {}),
    ("GET", JOB, {}),
    ("DELETE", JOB, {}),
    ("DELETE", f"{JOB}?purge=true", {}),
    ("GET", f"{JOB}/result", {}),
    ("GET", f"{JOB}/pages/1.png", {}),
    ("POST", "/api/v1/uploads", {}),
    ("POST", "/api/v1/uploads/x", {"data": {"key": "a"}, "files": {"file": png()}}),
]


def broken(storage: Storage, error: Exception) -> Storage:
    part: Any = Broken(error)
    return replace(
        storage, jobs=part, blueprints=part, cache=part, queue=part, previews=part, claims=part, uploads=part
    )


@pytest.mark.parametrize(("method", "path", "more"), ROUTES)
@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(ServiceUnavailableError(), 503, "SERVICE_UNAVAILABLE"), (RuntimeError("inside"), 500, "INTERNAL_ERROR")],
)
def test_a_broken_world(
    make_app: MakeApp,
    storage: Storage,
    method: str,
    path: str,
    more: dict[str, Any],
    error: Exception,
    status: int,
    code: str,
) -> None:
    client = TestClient(make_app(storage=broken(storage, error)))
    answer = client.request(method, path, **more)
    assert answer.status_code == status
    body = answer.json()
    assert set(body) == {"status", "error", "meta"}
    assert (body["status"], body["error"]["code"]) == ("error", code)
    assert body["meta"] == {"request_id": answer.headers["X-Request-Id"]}
    assert "inside" not in answer.text
    assert ("Retry-After" in answer.headers) == (status == 503)


@pytest.mark.parametrize(
    ("method", "path"),
    [(method, path) for method, path, _ in ROUTES if path != "/api/v1/uploads/x"],
)
def test_a_malformed_parameter(client: TestClient, method: str, path: str) -> None:
    answer = client.request(method, f"{path}{'&' if '?' in path else '?'}surprise=1")
    assert answer.status_code == (400 if (method, path) == ("POST", "/api/v1/jobs") else 422)
    assert answer.json()["error"]["details"]["fields"] == {"surprise": "is not a parameter of this request"}


def test_the_floorplan_schema_and_health_need_no_world(make_app: MakeApp, storage: Storage) -> None:
    client = TestClient(make_app(storage=broken(storage, RuntimeError())))
    assert client.get("/api/v1/schema/floorplan.json").status_code == 200
    assert client.get("/openapi.json").status_code == 200
