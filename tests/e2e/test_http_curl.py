"""What people type: curl's own multipart and JSON against a real server, with a worker behind it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import MakeApp
from tests.servers import serving
from tests.unit.services.plans import png

from api.auth import parse_tokens

Curl = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def plan_file(tmp_path: Path) -> Path:
    path = tmp_path / "plan.png"
    path.write_bytes(png())
    return path


def await_end(curl: Curl, url: str) -> dict[str, Any]:
    for _ in range(30):
        status, answer = curl(f"{url}?wait=5")
        assert status == 200, answer
        if answer["data"]["status"] not in ("pending", "processing"):
            return dict(answer["data"])
    pytest.fail("the job did not end")


def test_a_form_goes_in_and_rooms_come_out(
    server: str, curl: Curl, worker: None, plan_file: Path, tmp_path: Path
) -> None:
    status, answer = curl("-F", f"file=@{plan_file}", f"{server}/api/v1/jobs")
    assert (status, answer["data"]["status"]) == (201, "pending")
    job = f"{server}/api/v1/jobs/{answer['data']['job_id']}"
    assert await_end(curl, job)["status"] == "completed"
    status, result = curl(f"{job}/result")
    assert (status, len(result["pages"])) == (200, 2)
    picture = tmp_path / "page.png"
    assert curl("-o", str(picture), f"{job}/pages/2.png")[0] == 200
    assert picture.read_bytes() == png(shade=2)
    status, answer = curl("-X", "DELETE", job)
    assert (status, answer["error"]["code"]) == (409, "JOB_ALREADY_COMPLETED")
    assert curl("-X", "DELETE", f"{job}?purge=true")[0] == 200
    assert curl(job)[0] == 404


def test_json_goes_in_and_is_cancelled(server: str, curl: Curl, tmp_path: Path) -> None:
    body = tmp_path / "body.json"
    body.write_text(
        json.dumps(
            {
                "blueprint": {"file": base64.b64encode(png()).decode(), "format": "png"},
                "options": {"pages": "1"},
            }
        )
    )
    kind = ("-H", "Content-Type: application/json")
    status, answer = curl(*kind, "-d", f"@{body}", f"{server}/api/v1/jobs")
    assert status == 201
    status, answer = curl("-X", "DELETE", f"{server}/api/v1/jobs/{answer['data']['job_id']}")
    assert (status, answer["data"]["status"]) == (200, "cancelled")
    status, answer = curl("-d", f"@{body}", f"{server}/api/v1/jobs")  # curl's own type for -d is that of web forms
    assert (status, answer["error"]["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


def test_a_declared_format_and_pages_in_the_form(server: str, curl: Curl, plan_file: Path) -> None:
    jobs = f"{server}/api/v1/jobs"
    good = ("-F", f"file=@{plan_file};type=image/png", "-F", "format=png", "-F", "pages=1-2")
    assert curl(*good, jobs)[0] == 201
    status, answer = curl("-F", f"file=@{plan_file}", "-F", "format=jpg", jobs)
    assert (status, answer["error"]["code"]) == (400, "INVALID_FILE_FORMAT")
    assert answer["error"]["details"]["seen"] == "png"


def test_an_upload_by_its_ticket(server: str, curl: Curl, worker: None, plan_file: Path) -> None:
    status, answer = curl("-X", "POST", f"{server}/api/v1/uploads")
    assert status == 201
    ticket = answer["data"]
    assert ticket["url"].startswith(f"{server}/")
    fields = [part for name, text in ticket["fields"].items() for part in ("-F", f"{name}={text}")]
    assert curl(*fields, "-F", f"file=@{plan_file}", ticket["url"])[0] == 204
    order = json.dumps({"blueprint": {"key": ticket["key"], "format": "png"}})
    status, answer = curl("-H", "Content-Type: application/json", "-d", order, f"{server}/api/v1/jobs")
    assert status == 201
    assert await_end(curl, f"{server}/api/v1/jobs/{answer['data']['job_id']}")["status"] == "completed"


def test_a_token(make_app: MakeApp, curl: Curl) -> None:
    with serving(make_app(tokens=parse_tokens("anna:token-of-anna-0123"))) as url:
        assert curl(f"{url}/api/v1/jobs")[0] == 401
        assert curl("-H", "Authorization: Bearer token-of-anna-0123", f"{url}/api/v1/jobs")[0] == 200
        assert curl(f"{url}/health")[0] == 200


def test_head_and_unknown_methods_over_the_wire(server: str, curl: Curl) -> None:
    assert curl("-o", "/dev/null", "--head", f"{server}/health")[0] == 200
    status, answer = curl("-X", "BREW", f"{server}/health")
    assert (status, answer["error"]["code"]) == (405, "METHOD_NOT_ALLOWED")
