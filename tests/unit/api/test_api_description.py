from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import jsonschema
import pytest
from fastapi.testclient import TestClient
from tests.conftest import MakeApp
from tests.unit.services.plans import plan

from api.pages import STATIC
from models.blueprint import PageSelection
from models.floorplan import Floorplan, floorplan_schema

JOBS = "/api/v1/jobs"


@pytest.fixture
def document(client: TestClient) -> dict[str, Any]:
    answer = client.get("/openapi.json")
    assert answer.status_code == 200
    assert client.get("/openapi.json").content == answer.content
    found: dict[str, Any] = answer.json()
    return found


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    operations = {(method, path) for path, methods in document["paths"].items() for method in methods}
    assert operations == {
        ("get", "/health"),
        ("get", "/api/v1/schema/floorplan.json"),
        ("post", JOBS),
        ("get", JOBS),
        ("get", f"{JOBS}/{{job_id}}"),
        ("delete", f"{JOBS}/{{job_id}}"),
        ("get", f"{JOBS}/{{job_id}}/result"),
        ("get", f"{JOBS}/{{job_id}}/pages/{{page}}.png"),
        ("post", "/api/v1/uploads"),
    }
    create = document["paths"][JOBS]["post"]
    assert set(create["responses"]) == {"201", "400", "401", "409", "413", "415", "500", "503"}
    assert set(create["requestBody"]["content"]) == {"application/json", "multipart/form-data"}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["description"], (method, path)
            for status, response in operation["responses"].items():
                assert "X-Request-Id" in response["headers"]
                assert response.get("content") or "Location" in response["headers"], (method, path, status)


def test_tokens_are_described_where_they_are_needed(make_app: MakeApp, document: dict[str, Any]) -> None:
    assert "securitySchemes" not in document["components"]
    guarded = TestClient(make_app(tokens={})).get("/openapi.json").json()
    assert guarded["components"]["securitySchemes"]["bearer"] == {"type": "http", "scheme": "bearer"}
    for path, methods in guarded["paths"].items():
        for operation in methods.values():
            assert ("security" in operation) == path.startswith((JOBS, "/api/v1/uploads"))


def test_the_schema_of_floorplans_is_served_and_fits_them(client: TestClient) -> None:
    from tests.unit.services.plans import Engine

    class Watching:
        def stage(self, *_: Any) -> None: ...
        def picture(self, *_: Any) -> None: ...

    answer = client.get("/api/v1/schema/floorplan.json")
    assert answer.headers["Content-Type"] == "application/schema+json"
    assert answer.json() == floorplan_schema()
    found: Floorplan = Engine()(plan(), pages=PageSelection(), observer=Watching())
    import json

    jsonschema.Draft202012Validator(answer.json()).validate(json.loads(found.to_json()))


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag != "style"
        for name, value in attrs:
            assert not name.startswith("on")
            assert name != "style"
            if name in ("src", "href"):
                self.found.append(value or "")


@pytest.mark.parametrize("page", ["/", "/docs"])
def test_pages_need_nothing_but_this_server(client: TestClient, page: str) -> None:
    answer = client.get(page)
    if page == "/" and not (STATIC / "index.html").exists():
        assert answer.status_code == 404
        return
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "img-src 'self' blob: data:" in policy
    assert "unsafe" not in policy
    links = Links()
    links.feed(answer.text)
    assert links.found
    for link in links.found:
        assert not re.match(r"[a-z]+:|//", link), link
        if link.startswith("/static"):
            served = client.get(link)
            assert served.status_code == 200
            assert served.headers["Cache-Control"] == "no-cache"
            assert "ETag" in served.headers
            assert served.headers["Content-Type"].split(";")[0] in ("text/css", "text/javascript", "image/svg+xml")


def test_what_the_docs_page_loads_writes_no_html() -> None:
    script = (STATIC / "docs.js").read_text()
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|https?://", script)
