"""What clients ask, as one story: each step's request, and what of its answer later steps need.

`{name}` in a path, a header or a body stands for what an earlier step kept under that name. Between requests something
may have to happen behind the API: that is a step too.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.aws.servers import ROOT
from tests.unit.services.plans import png

JOBS: Final = "/api/v1/jobs"
UPLOADS: Final = "/api/v1/uploads"
AUTH: Final = {"authorization": "Bearer {token}"}
JSON: Final = {**AUTH, "content-type": "application/json"}
FORM: Final = {**AUTH, "content-type": "multipart/form-data; boundary=b"}
UNKNOWN: Final = f"{JOBS}/job_20260101_abcdefghijklmnop"
FLAT: Final = (ROOT / "examples" / "flat.png").read_bytes()
TOO_LARGE_BYTES: Final = 4_300_000  # for the app; with base64 around it, Lambda still takes it


@dataclass(frozen=True)
class Ask:
    """A request, and which parts of its answer to keep: by name, the way to it in the JSON."""

    name: str
    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    keep: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Work:
    """Whatever messages are there are worked on."""

    name: str = "work"


@dataclass(frozen=True)
class Put:
    """A file is put into one of the buckets, as a client does with a ticket and the worker with a picture."""

    name: str
    bucket: str
    key: str
    data: bytes


def create(data: bytes = FLAT, form: str = "png", **more: Any) -> bytes:
    """The JSON body that brings the file with it."""
    return json.dumps({"blueprint": {"file": base64.b64encode(data).decode(), "format": form}, **more}).encode()


def blueprint(**source: Any) -> bytes:
    """The JSON body with that blueprint."""
    return json.dumps({"blueprint": source}).encode()


def form(data: bytes, name: str = "a.png", kind: str = "image/png") -> bytes:
    """The multipart body with that file."""
    head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: {kind}\r\n\r\n'
    return head.encode() + data + b"\r\n--b--\r\n"


def key(name: str) -> dict[str, str]:
    """The headers of a create that may be repeated; `{way}` keeps the ways apart."""
    return {**JSON, "idempotency-key": f"{name}-{{way}}"}


_JOB = {"job": "data.job_id"}

OPEN: Final = [
    Ask("health", "GET", "/health"),
    Ask("health, headers alone", "HEAD", "/health"),
    Ask("health, only if changed", "GET", "/health", headers={"if-none-match": '"x"'}),
    Ask("page", "GET", "/"),
    Ask("page, headers alone", "HEAD", "/"),
    Ask("documentation", "GET", "/docs"),
    Ask("description", "GET", "/openapi.json"),
    Ask("description, a part of it", "GET", "/openapi.json", headers={"range": "bytes=0-9"}),
    Ask("script", "GET", "/static/app.js"),
    Ask(
        "script, only if changed",
        "GET",
        "/static/app.js",
        headers={"if-modified-since": "Tue, 24 Nov 2026 00:00:00 GMT"},
    ),
    Ask("picture", "GET", "/static/icon.svg"),
    Ask("no script", "GET", "/static/none.js"),
    Ask("schema", "GET", "/api/v1/schema/floorplan.json"),
    Ask("schema, headers alone", "HEAD", "/api/v1/schema/floorplan.json"),
    Ask("correlated", "GET", "/health", headers={"x-correlation-id": "order-7"}),
    Ask("correlated in vain", "GET", "/health", headers={"x-correlation-id": "order 7"}),
]
ASTRAY: Final = [
    Ask("nowhere", "GET", "/nowhere"),
    Ask("nowhere in the API", "GET", "/api/v1/nowhere", headers=AUTH),
    Ask("nowhere, headers alone", "HEAD", "/nowhere"),
    Ask("a slash too many", "GET", f"{JOBS}/", headers=AUTH),
    Ask("below a job", "GET", f"{UNKNOWN}/rooms", headers=AUTH),
    Ask("a version to come", "GET", "/api/v2/jobs", headers=AUTH),
    Ask("put", "PUT", JOBS, headers=AUTH),
    Ask("patch", "PATCH", UNKNOWN, b'{"status": "completed"}', JSON),
    Ask("post to health", "POST", "/health", b"{}", {"content-type": "application/json"}),
    Ask("delete all", "DELETE", JOBS, headers=AUTH),
]
STRANGERS: Final = [
    Ask("no token", "GET", JOBS),
    Ask("no token, headers alone", "HEAD", JOBS),
    Ask("no token, a file", "POST", JOBS, create(), {"content-type": "application/json"}),
    Ask("no token, no such job", "GET", UNKNOWN),
    Ask("wrong token", "GET", JOBS, headers={"authorization": "Bearer wrong"}),
    Ask("another scheme", "GET", JOBS, headers={"authorization": "Basic YTpi"}),
    Ask("an empty token", "GET", JOBS, headers={"authorization": "Bearer"}),
    Ask("the scheme in capitals", "GET", f"{JOBS}?limit=0", headers={"authorization": "BEARER {token}"}),
    Ask("no token, an upload", "POST", UPLOADS),
]
PARAMETERS: Final = [
    Ask("no limit", "GET", f"{JOBS}?limit=0", headers=AUTH),
    Ask("a limit too high", "GET", f"{JOBS}?limit=101", headers=AUTH),
    Ask("a limit in words", "GET", f"{JOBS}?limit=ten", headers=AUTH),
    Ask("two limits", "GET", f"{JOBS}?limit=0&limit=500", headers=AUTH),
    Ask("an encoded limit", "GET", f"{JOBS}?limit=%30", headers=AUTH),
    Ask("a cursor of nobody's", "GET", f"{JOBS}?cursor=eyJhIjoxfQ", headers=AUTH),
    Ask("a cursor with signs", "GET", f"{JOBS}?cursor=a%2Fb%3D%26", headers=AUTH),
    Ask("an unknown parameter", "GET", f"{JOBS}?surprise=1", headers=AUTH),
    Ask("a misspelt purge", "DELETE", f"{UNKNOWN}?purg=true", headers=AUTH),
    Ask("a purge perhaps", "DELETE", f"{UNKNOWN}?purge=maybe", headers=AUTH),
    Ask("a wait back", "GET", f"{UNKNOWN}?wait=-1", headers=AUTH),
    Ask("a wait too long", "GET", f"{UNKNOWN}?wait=21", headers=AUTH),
    Ask("no job", "GET", UNKNOWN, headers=AUTH),
    Ask("no job, headers alone", "HEAD", UNKNOWN, headers=AUTH),
    Ask("no job to cancel", "DELETE", UNKNOWN, headers=AUTH),
    Ask("no job to purge", "DELETE", f"{UNKNOWN}?purge=true", headers=AUTH),
    Ask("no id", "GET", f"{JOBS}/x", headers=AUTH),
    Ask("an id of other letters", "GET", f"{JOBS}/%E2%82%AC", headers=AUTH),
    Ask("no result", "GET", f"{UNKNOWN}/result", headers=AUTH),
    Ask("page 0", "GET", f"{UNKNOWN}/pages/0.png", headers=AUTH),
    Ask("page x", "GET", f"{UNKNOWN}/pages/x.png", headers=AUTH),
    Ask("page 1 of no job", "GET", f"{UNKNOWN}/pages/1.png", headers=AUTH),
]
BODIES: Final = [
    Ask("no body", "POST", JOBS, b"", JSON),
    Ask("no JSON", "POST", JOBS, b"{", JSON),
    Ask("a list", "POST", JOBS, b"[]", JSON),
    Ask("half a letter", "POST", JOBS, b'{"blueprint": {"file": "\\ud800", "format": "png"}}', JSON),
    Ask("letters beyond ASCII", "POST", JOBS, '{"blueprint": "é€"}'.encode(), JSON),
    Ask("JSON with its charset", "POST", JOBS, b"{}", {**AUTH, "content-type": "application/json; charset=utf-8"}),
    Ask("JSON of no type", "POST", JOBS, create(b"GIF89a"), AUTH),
    Ask("an unknown field", "POST", JOBS, create(colour="red"), JSON),
    Ask("an unknown format", "POST", JOBS, create(form="tiff"), JSON),
    Ask("another format than said", "POST", JOBS, create(form="pdf"), JSON),
    Ask("no picture", "POST", JOBS, create(b"GIF89a"), JSON),
    Ask("no base64", "POST", JOBS, blueprint(file="*", format="png"), JSON),
    Ask("neither file nor key", "POST", JOBS, blueprint(format="png"), JSON),
    Ask("both file and key", "POST", JOBS, blueprint(file="AAAA", key="uploads/x", format="png"), JSON),
    Ask("no such upload", "POST", JOBS, blueprint(key="uploads/job_20260101_abcdefghijklmnop/x", format="png"), JSON),
    Ask("pages backwards", "POST", JOBS, create(options={"pages": "3-1"}), JSON),
    Ask("a table", "POST", JOBS, b"a,b", {**AUTH, "content-type": "text/csv"}),
    Ask("a bare file", "POST", JOBS, FLAT, {**AUTH, "content-type": "image/png"}),
    Ask("packed", "POST", JOBS, b"{}", {**JSON, "content-encoding": "gzip"}),
    Ask("a URL of elsewhere", "POST", JOBS, blueprint(file="https://plans.example/a.png", format="png"), JSON),
    Ask("a URL that is open", "POST", JOBS, blueprint(file="http://plans.example/a.png", format="png"), JSON),
    Ask("too large", "POST", JOBS, create(png() + bytes(TOO_LARGE_BYTES)), JSON),
    Ask("too large a form", "POST", JOBS, form(png() + bytes(TOO_LARGE_BYTES)), FORM),
    Ask("half a form", "POST", JOBS, form(FLAT)[:-9], FORM),
    Ask("a form without boundary", "POST", JOBS, form(FLAT), {**AUTH, "content-type": "multipart/form-data"}),
    Ask("an empty form", "POST", JOBS, b"--b--\r\n", FORM),
    Ask("a key with a space", "POST", JOBS, create(), {**JSON, "idempotency-key": "a b"}),
    Ask("a parameter on a create", "POST", f"{JOBS}?x=1", create(), JSON),
    Ask("an upload with a body", "POST", UPLOADS, b'{"a": 1}', JSON),
    Ask("a file on no ticket", "POST", f"{UPLOADS}/x", form(FLAT), {"content-type": "multipart/form-data; boundary=b"}),
]
LIVES: Final = [
    Ask("create", "POST", JOBS, create(), key("first"), keep=_JOB),
    Ask("create again", "POST", JOBS, create(), key("first")),
    Ask("create another with the same key", "POST", JOBS, create(png()), key("first")),
    Ask("pending", "GET", f"{JOBS}/{{job}}", headers=AUTH),
    Ask("pending, headers alone", "HEAD", f"{JOBS}/{{job}}", headers=AUTH),
    Ask("pending after a second", "GET", f"{JOBS}/{{job}}?wait=1", headers=AUTH),
    Ask("no result yet", "GET", f"{JOBS}/{{job}}/result", headers=AUTH),
    Ask("no picture yet", "GET", f"{JOBS}/{{job}}/pages/1.png", headers=AUTH),
    Ask("create by a form", "POST", JOBS, form(FLAT), FORM, keep={"formed": "data.job_id"}),
    Ask("the newest", "GET", f"{JOBS}?limit=1", headers=AUTH, keep={"cursor": "data.next_cursor"}),
    Ask("the one before", "GET", f"{JOBS}?limit=1&cursor={{cursor}}", headers=AUTH),
    Ask("a cursor cut short", "GET", f"{JOBS}?cursor={{cursor}}x", headers=AUTH),
    Ask("cancel", "DELETE", f"{JOBS}/{{formed}}", headers=AUTH),
    Ask("cancel again", "DELETE", f"{JOBS}/{{formed}}", headers=AUTH),
    Ask("cancelled", "GET", f"{JOBS}/{{formed}}", headers=AUTH),
    Ask("cancelled, at once", "GET", f"{JOBS}/{{formed}}?wait=20", headers=AUTH),
    Ask("no result of what is cancelled", "GET", f"{JOBS}/{{formed}}/result", headers=AUTH),
    Ask("ticket", "POST", UPLOADS, headers=AUTH, keep={"upload": "data.key"}),
    Ask("nothing uploaded yet", "POST", JOBS, blueprint(key="{upload}", format="png"), JSON),
    Put("upload", "blueprints", "{upload}", FLAT),
    Ask(
        "create from the upload",
        "POST",
        JOBS,
        blueprint(key="{upload}", format="png"),
        JSON,
        keep={"large": "data.job_id"},
    ),
    Ask("create from it again", "POST", JOBS, blueprint(key="{upload}", format="png"), JSON),
    Ask("pages of a picture", "POST", JOBS, create(options={"pages": "1"}), JSON, keep={"paged": "data.job_id"}),
    Work(),
    Ask("completed", "GET", f"{JOBS}/{{job}}", headers=AUTH),
    Ask("still cancelled", "GET", f"{JOBS}/{{formed}}", headers=AUTH),
    Ask("completed from the upload", "GET", f"{JOBS}/{{large}}", headers=AUTH),
    Ask("result", "GET", f"{JOBS}/{{job}}/result", headers=AUTH),
    Ask("result, headers alone", "HEAD", f"{JOBS}/{{job}}/result", headers=AUTH),
    Ask("result, only if changed", "GET", f"{JOBS}/{{job}}/result", headers={**AUTH, "if-none-match": "*"}),
    Ask("result, a part of it", "GET", f"{JOBS}/{{job}}/result", headers={**AUTH, "range": "bytes=0-99"}),
    Ask("picture of page 1", "GET", f"{JOBS}/{{job}}/pages/1.png", headers=AUTH),
    Ask("picture of page 2", "GET", f"{JOBS}/{{job}}/pages/2.png", headers=AUTH),
    Ask("a stranger's look", "GET", f"{JOBS}/{{job}}/result", headers={"authorization": "Bearer wrong"}),
    Put("a picture of over 4 MB", "cache", "cache/pages/{job}/1.png", png() + bytes(4 * 1024**2)),
    Ask("a link to it", "GET", f"{JOBS}/{{job}}/pages/1.png", headers=AUTH),
    Ask("cancel too late", "DELETE", f"{JOBS}/{{job}}", headers=AUTH),
    Ask("purge", "DELETE", f"{JOBS}/{{job}}?purge=true", headers=AUTH),
    Ask("purge again", "DELETE", f"{JOBS}/{{job}}?purge=true", headers=AUTH),
    Ask("purged", "GET", f"{JOBS}/{{job}}", headers=AUTH),
    Ask("purge what is cancelled", "DELETE", f"{JOBS}/{{formed}}?purge=true", headers=AUTH),
    Ask("purge what was uploaded", "DELETE", f"{JOBS}/{{large}}?purge=true", headers=AUTH),
    Ask("purge the last", "DELETE", f"{JOBS}/{{paged}}?purge=true", headers=AUTH),
]
STORY: Final = [*OPEN, *ASTRAY, *STRANGERS, *PARAMETERS, *BODIES, *LIVES]
