"""What a client of the API does in several tests: create a job, wait for it, bring a large file."""

from __future__ import annotations

import base64
import json
import struct
import time
import zlib
from typing import Any, Final

import httpx
from tests.aws.servers import ROOT

JOBS: Final = "/api/v1/jobs"
UPLOADS: Final = "/api/v1/uploads"
UNKNOWN: Final = f"{JOBS}/job_20260101_abcdefghijklmnop"
EXAMPLES: Final = ROOT / "examples"
FLAT: Final = (EXAMPLES / "flat.png").read_bytes()
JOB_LIMIT_S: Final = 150.0  # the first one loads the engine, on a busy machine
Record = dict[str, Any]


def labelled_rooms(name: str) -> int:
    """How many rooms an example has, by its labels."""
    return len(json.loads((EXAMPLES / f"{name}.rooms.json").read_text())["rooms"])


def inline(data: bytes, form: str = "png") -> Record:
    """The JSON of a create that brings the file with it."""
    return {"blueprint": {"file": base64.b64encode(data).decode(), "format": form}}


def create(http: httpx.Client, body: Record, **headers: str) -> Record:
    """The job that was created, which is pending."""
    answer = http.post(JOBS, json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    job: Record = answer.json()["data"]
    assert job["status"] == "pending"
    return job


def look(http: httpx.Client, job_id: str, wait_s: int = 0) -> Record:
    """The job as it stands, or when it changes within the time."""
    answer = http.get(f"{JOBS}/{job_id}", params={"wait": wait_s})
    assert answer.status_code == 200, answer.text
    job: Record = answer.json()["data"]
    return job


def completed(http: httpx.Client, job_id: str) -> Record:
    """The job when it has ended, which is completed."""
    ends_s = time.monotonic() + JOB_LIMIT_S
    while (job := look(http, job_id, wait_s=20))["status"] in ("pending", "processing"):
        assert time.monotonic() < ends_s, job
    assert job["status"] == "completed", job
    return job


def refused(answer: httpx.Response) -> tuple[int, str]:
    """The status and the code of an answer that is an error in the envelope of all errors."""
    told = answer.json()
    assert sorted(told) == ["error", "meta", "status"]
    assert told["status"] == "error"
    assert sorted(told["error"]) == ["code", "details", "message"]
    assert told["meta"] == {"request_id": answer.headers["x-request-id"]}
    assert answer.headers["content-type"] == "application/json"
    return answer.status_code, told["error"]["code"]


def grown(picture: bytes, size_bytes: int) -> bytes:
    """The PNG as one of that size: with a chunk before its last that programs pass over."""
    end = picture.rindex(b"IEND") - 4
    data = bytes(size_bytes - len(picture) - 12)
    chunk = b"juNk" + data
    return picture[:end] + struct.pack(">I", len(data)) + chunk + struct.pack(">I", zlib.crc32(chunk)) + picture[end:]


def upload(ticket: Record, data: bytes) -> int:
    """The store's answer to the form that a ticket is for."""
    with httpx.Client(timeout=120) as http:
        return http.request(
            ticket["method"], ticket["url"], data=ticket["fields"], files={"file": ("plan.png", data)}
        ).status_code
