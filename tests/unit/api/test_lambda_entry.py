from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.unit.services.plans import png

import api.rest_api

ROOT = Path(__file__).parents[3]


def event(method: str, path: str, body: bytes = b"", **headers: str) -> dict[str, Any]:
    """An API Gateway HTTP API event, payload version 2.0."""
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"host": "api.example", "x-forwarded-proto": "https", "x-forwarded-port": "443", **headers},
        "requestContext": {
            "accountId": "1",
            "apiId": "a",
            "domainName": "api.example",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "test",
            },
            "requestId": "r",
            "routeKey": "$default",
            "stage": "$default",
            "time": "01/Jan/2026:00:00:00 +0000",
            "timeEpoch": 1,
        },
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
    }


@pytest.fixture
def on_lambda(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LOCATION_DETECTION_DATA_DIR", str(tmp_path / "data"))
    api.rest_api._function.cache_clear()


def test_events_are_answered(on_lambda: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCATION_DETECTION_TOKENS", "anna:token-of-anna-0123")
    health = api.rest_api.handler(event("GET", "/health"), None)
    assert health["statusCode"] == 200
    assert json.loads(health["body"])["status"] == "healthy"
    body = json.dumps({"blueprint": {"file": base64.b64encode(png()).decode(), "format": "png"}}).encode()
    headers = {"content-type": "application/json", "authorization": "Bearer token-of-anna-0123"}
    created = api.rest_api.handler(event("POST", "/api/v1/jobs", body, **headers), None)
    assert created["statusCode"] == 201
    path = created["headers"]["location"]
    assert json.loads(api.rest_api.handler(event("GET", path, **headers), None)["body"])["data"]["status"] == "pending"
    page = api.rest_api.handler(event("GET", "/docs"), None)
    assert page["headers"]["content-type"].startswith("text/html")


def test_behind_a_gateway_nobody_is_local(on_lambda: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCATION_DETECTION_TOKENS", raising=False)
    assert api.rest_api.handler(event("GET", "/api/v1/jobs"), None)["statusCode"] == 401


def test_importing_the_api_opens_nothing_and_reaches_no_engine(tmp_path: Path) -> None:
    check = (
        "import sys, json, api.rest_api, api.health, api.auth;"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", check],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "LOCATION_DETECTION_DATA_DIR": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    loaded = set(json.loads(done.stdout))
    assert "fastapi" in loaded
    assert not loaded & {"numpy", "cv2", "PIL", "pypdfium2", "shapely", "detection", "boto3", "sqlite3", "mangum"}
    assert list(tmp_path.iterdir()) == []
