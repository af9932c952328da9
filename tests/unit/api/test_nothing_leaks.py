"""A whole walk, with every way to fail on it, after which no line of any log holds a name, a byte, a URL or a token."""

from __future__ import annotations

import base64
import json
import logging
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws
from moto.sqs import models
from tests.conftest import Broken
from tests.contract.worlds import AWS_ENVIRONMENT, CLOCKED_WORLDS, World
from tests.unit.api.events import Context, body_of, event
from tests.unit.services.plans import MODEL_VERSION, Engine, png
from tests.unit.services.webserver import server

from api.auth import hash_token
from api.cloud import make_function
from api.limits import LAMBDA
from api.rest_api import create_app
from services.detection_service import DetectionService
from services.job_service import JobService
from storage.aws.queue import encode
from storage.base import Delivery, JobMessage, Storage
from utils import aws, metrics
from utils.config import Settings, load_settings
from utils.logging import SERVICE
from worker.polled import Batches

WORD = "Q7telltale"  # stands in everything that nobody but its owner is to know
TOKEN = f"{WORD}-token-0123"
NAME = f"{WORD}-home.png"
JOBS, UPLOADS = "/api/v1/jobs", "/api/v1/uploads"


def marked_png() -> bytes:
    """A PNG with the word in a text chunk."""
    plain, text = png(), b"Comment\x00" + f"{WORD} ".encode() * 9
    chunk = len(text).to_bytes(4, "big") + b"tEXt" + text + zlib.crc32(b"tEXt" + text).to_bytes(4, "big")
    return plain[:33] + chunk + plain[33:]


PLAN = marked_png()
TEXT = base64.b64encode(PLAN).decode()
# Base64 of the word depends on where it begins in the bytes.
FORBIDDEN = [WORD, WORD.lower(), *(base64.b64encode(bytes(shift) + WORD.encode()).decode()[4:-4] for shift in range(3))]
FORBIDDEN += [TEXT[:24], hash_token(TOKEN), PLAN[37:60].hex()]


@pytest.fixture(params=sorted(CLOCKED_WORLDS))
def world(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name, value in AWS_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    for name in ("unix_time", "unix_time_millis"):  # moto's world sets them
        monkeypatch.setattr(models, name, getattr(models, name))
    monkeypatch.setenv(metrics.SWITCH, "on")
    aws.forget_clients()
    with mock_aws():
        yield CLOCKED_WORLDS[request.param](tmp_path)
    aws.forget_clients()


class Walk:
    """The function of the API and that of the worker, on one world."""

    def __init__(self, world: World, settings: Settings) -> None:
        self.world, self.settings, self.seen_statuses = world, settings, set[int]()
        self.use(world.storage)

    def use(self, storage: Storage) -> None:
        jobs = JobService(storage, self.settings, clock=self.world.now, sleep=lambda _: None)
        app = create_app(storage, self.settings, tokens={hash_token(TOKEN): "anna"}, jobs=jobs, limits=LAMBDA)
        self.function = make_function(app)

    def ask(self, method: str, path: str, body: bytes = b"", token: str = TOKEN, **headers: str) -> Any:
        asked = event(method, path, body, **{"authorization": f"Bearer {token}", **headers})
        answer = self.function(asked, Context())
        self.seen_statuses.add(answer["statusCode"])
        text = body_of(answer)
        return json.loads(text) if text.startswith(b"{") else text

    def create(self, body: bytes | None = None, **headers: str) -> Any:
        default = json.dumps({"blueprint": {"file": TEXT, "format": "png"}}).encode()
        return self.ask(
            "POST", JOBS, default if body is None else body, **{"content_type": "application/json", **headers}
        )

    def work(self, engine: Engine, body: str | None = None) -> None:
        delivery = self.world.storage.queue.receive(3600)
        assert delivery is not None

        def make_service(storage: Storage) -> DetectionService:
            return DetectionService(
                storage, engine, model_version=MODEL_VERSION, clock=self.world.now, sleep=self.world.pass_time
            )

        batches = Batches(self.world.storage, make_service, lambda: 900.0)
        batches.handle([record_of(delivery, body)], Context())
        self.world.storage.queue.acknowledge(delivery)
        metrics.flush()


def record_of(delivery: Delivery, body: str | None) -> dict[str, Any]:
    return {
        "messageId": "19dd0b57-b21e-4ac1-bd88-01bbb068cb78",
        "receiptHandle": delivery.receipt,
        "body": encode(delivery.message) if body is None else body,
        "attributes": {"ApproximateReceiveCount": str(delivery.count)},
    }


def form(file: bytes) -> bytes:
    head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{NAME}"\r\n\r\n'.encode()
    return head + file + b"\r\n--b--\r\n"


def walk_well(walk: Walk, url: str) -> None:
    """Create in every way, look, cancel, purge."""
    made = [
        walk.create(idempotency_key=f"{WORD}-key"),
        walk.create(form(PLAN), content_type="multipart/form-data; boundary=b"),
        walk.create(json.dumps({"blueprint": {"file": url, "format": "png"}}).encode()),
    ]
    ticket = walk.ask("POST", UPLOADS)["data"]
    walk.world.storage.blueprints.put(ticket["key"], PLAN, "image/png")
    made.append(walk.create(json.dumps({"blueprint": {"key": ticket["key"], "format": "png"}}).encode()))
    for _ in made:
        walk.work(Engine())
    for answer in made:
        job = f"{JOBS}/{answer['data']['job_id']}"
        assert walk.ask("GET", f"{job}?wait=1")["data"]["status"] == "completed"
        walk.ask("GET", f"{job}/result")
        walk.ask("GET", f"{job}/pages/1.png")
        walk.ask("DELETE", job)
        walk.ask("DELETE", f"{job}?purge=true")
    cancelled = walk.create()["data"]["job_id"]
    walk.ask("DELETE", f"{JOBS}/{cancelled}")
    walk.work(Engine())


def walk_badly(walk: Walk) -> None:
    """Everything that is refused, and everything that breaks, with the word in it."""
    for path in (f"/{NAME}", f"{JOBS}/{NAME}", f"/static/{NAME}", f"{JOBS}?{WORD}={WORD}", f"{JOBS}?cursor={WORD}"):
        walk.ask("GET", path, origin=f"https://{WORD}.example", user_agent=WORD, referer=f"https://x/{WORD}")
    walk.ask("GET", JOBS, token=f"{WORD}-wrong")
    walk.ask("PATCH", f"{JOBS}/{NAME}")
    misdeclared = json.dumps({"blueprint": {"file": TEXT[:-9], "format": WORD}}).encode()
    for body in (WORD.encode(), b'{"%s": 1}' % WORD.encode(), TEXT.encode(), misdeclared):
        walk.create(body)
    walk.create(
        json.dumps({"blueprint": {"file": f"https://{WORD}.invalid/{NAME}?s={WORD}", "format": "png"}}).encode()
    )
    walk.create(form(WORD.encode()), content_type="multipart/form-data; boundary=b")
    walk.create(form(PLAN)[:-9], content_type="multipart/form-data; boundary=b")
    walk.create(form(PLAN), content_type=f"multipart/{WORD}")
    walk.create(form(PLAN + bytes(5 * 1024**2)), content_type="multipart/form-data; boundary=b")
    failed = walk.create()["data"]["job_id"]
    quoting = ValueError(f"cannot read {NAME}: {PLAN!r}")

    def then(name: str, page: int) -> None:
        raise quoting

    walk.work(Engine(then=then))
    walk.world.storage.queue.send(JobMessage(failed, "", ""))
    walk.work(Engine(), body=f"not ours {WORD}")
    for error in (quoting, RuntimeError(TOKEN)):
        broken: Any = Broken(error)
        walk.use(replace(walk.world.storage, jobs=broken))
        assert walk.ask("GET", f"{JOBS}/{failed}")["error"]["code"] == "INTERNAL_ERROR"
        walk.create()


def test_no_line_of_any_log_tells_what_is_its_owners_alone(
    world: World, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)  # of every logger there is
    with server(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(PLAN) + PLAN) as port:
        walk = Walk(world, load_settings(world="local", url_test_exempt=f"127.0.0.1:{port}"))
        walk_well(walk, f"http://127.0.0.1:{port}/{NAME}?X-Signature={WORD}")
        walk_badly(walk)
    assert walk.seen_statuses >= {200, 201, 400, 401, 404, 405, 409, 413, 415, 422, 500}
    written = capfd.readouterr()
    others = [caplog.handler.format(line) for line in caplog.records if line.name != SERVICE]  # ours are written
    everything = "\n".join([written.out, written.err, *others])
    assert len(everything.splitlines()) > 100
    for word in FORBIDDEN:
        assert word not in everything, everything[max(0, everything.index(word) - 500) :][:1000]
    actions = {json.loads(line).get("action") for line in written.err.splitlines() if line.startswith("{")}
    assert actions >= {
        "request",
        "job_moved",
        "delivery_handled",
        "detection_failed",
        "message_unknown",
        "request_failed",
    }
    numbers = [json.loads(line) for line in written.out.splitlines() if line.startswith("{")]
    assert {name for line in numbers for name in line if name[0].isupper()} >= {
        "Requests",
        "JobMoves",
        "Deliveries",
        "StageSeconds",
        "DetectionSeconds",
        "RoomsPerPage",
        "PreviewHits",
        "PreviewMisses",
    }


def test_every_request_and_every_move_has_its_audit_line(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    walk = Walk(world, load_settings(world="local"))
    job_id = walk.create(x_correlation_id="order-7")["data"]["job_id"]
    walk.work(Engine())
    walk.ask("GET", f"{JOBS}/{job_id}")
    walk.ask("DELETE", f"{JOBS}/{job_id}?purge=true")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    moves = [line for line in lines if line["action"] == "job_moved"]
    assert [(line["owner"], line["job_id"], line["from_status"], line["to_status"]) for line in moves] == [
        ("anna", job_id, *move)
        for move in [
            ("none", "pending"),
            ("pending", "processing"),
            ("processing", "completed"),
            ("completed", "purged"),
        ]
    ]
    requests = [line for line in lines if line["action"] == "request"]
    assert [(line["owner"], line["method"], line["status"], line.get("job_id")) for line in requests] == [
        ("anna", "POST", 201, None),
        ("anna", "GET", 200, job_id),
        ("anna", "DELETE", 200, job_id),
    ]
    created = requests[0]["request_id"]
    assert {line["request_id"] for line in moves[:3]} == {created}
    assert {line["correlation_id"] for line in moves[:3]} == {"order-7"}
