"""Bad days on real stores: faults in AWS's own words between the service and an emulator; `make test-aws` runs this.

Through all of them no job is lost, none is completed twice and no cancelled one comes back, and a client that cannot be
served is told when to ask again.
"""

from __future__ import annotations

import base64
import json
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx import Response
from tests.aws import accounts
from tests.aws.accounts import AUTH, JOBS, OWNER, Account, Record
from tests.aws.faults import Fault, Faults, faulty
from tests.aws.runtime import FunctionError, Invoke, function
from tests.aws.servers import DYNAMODB_ENDPOINT, EMULATOR_ENDPOINT, ROOT
from tests.unit.api.events import Context
from tests.unit.services.plans import png

import api.rest_api
import utils.config
import utils.secrets
import worker.consumer
from services.detection_service import MAX_DELIVERIES
from storage import open_storage

THROTTLED = (400, "ThrottlingException")
SLOW_DOWN = (503, "SlowDown")
MOVED = '"status": {{"S": "{}"}}'
"""A part of the call that moves a job to that status."""
WORKERS = multiprocessing.get_context("forkserver")
WORKERS.set_forkserver_preload(["tests.aws.accounts", "detection.engine"])
"""Processes that are killed: they begin with everything loaded, and nothing done."""

pytestmark = [
    pytest.mark.skipif(EMULATOR_ENDPOINT not in os.environ, reason="there is no emulator: `make test-aws` runs this"),
    pytest.mark.timeout(180),
]


@dataclass
class World:
    """A service on the faulty ways: the API as it is on Lambda, the worker's handler, and the queue's poller."""

    account: Account
    faults: Faults
    client: TestClient

    def ask(self, method: str, path: str, **more: Any) -> Response:
        headers = {**AUTH, **more.pop("headers", {})}
        answer: Response = self.client.request(method, path, headers=headers, **more)
        return answer

    def post(self, shade: int = 255, data: bytes | None = None, key: str | None = None) -> Response:
        """The answer to a plan; another shade is another plan."""
        file = base64.b64encode(data or png(64, 48, shade)).decode()
        headers = {} if key is None else {"idempotency-key": key}
        return self.ask("POST", JOBS, json={"blueprint": {"file": file, "format": "png"}}, headers=headers)

    def create(self, shade: int = 255, data: bytes | None = None) -> str:
        """The id of a new job."""
        answer = self.post(shade, data)
        assert answer.status_code == 201, answer.text
        job_id: str = answer.json()["data"]["job_id"]
        return job_id

    def job(self, job_id: str) -> dict[str, Any]:
        answer = self.ask("GET", f"{JOBS}/{job_id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()["data"]
        return found

    def handle(self, record: Record) -> bool:
        """Whether the function was done with the message, which is then deleted."""
        answer = worker.consumer.handler({"Records": [record]}, Context(left_s=600))
        failed = [one["itemIdentifier"] for one in answer["batchItemFailures"]]
        assert failed in ([], [record["messageId"]])
        if not failed:
            with suppress(self.queue.exceptions.ReceiptHandleIsInvalid):  # the emulator's word on what is deleted
                self.queue.delete_message(
                    QueueUrl=self.account.settings.queue_url, ReceiptHandle=record["receiptHandle"]
                )
        return not failed

    @property
    def queue(self) -> Any:
        return self.account.client("sqs")

    def repeat(self, record: Record) -> None:
        """Send the message again."""
        self.queue.send_message(QueueUrl=self.account.settings.queue_url, MessageBody=record["body"])

    def work(self) -> list[bool]:
        """Whether each of the messages that are there was done with."""
        done = []
        while (record := self.account.receive(wait_s=0)) is not None:
            done.append(self.handle(record))
        return done


@pytest.fixture
def world() -> Iterator[World]:
    emulator = os.environ[EMULATOR_ENDPOINT]
    dynamodb = os.environ.get(DYNAMODB_ENDPOINT, emulator)
    with (
        faulty(emulator, dynamodb=dynamodb) as faults,
        accounts.account(
            emulator, dynamodb, AWS_ENDPOINT_URL=faults.url, AWS_ENDPOINT_URL_DYNAMODB=faults.url
        ) as account,
    ):
        _forget()
        yield World(account, faults, TestClient(api.rest_api.cloud_app(), raise_server_exceptions=False))
    _forget()


def _forget() -> None:
    for kept in (worker.consumer._storage, worker.consumer._batches, utils.secrets._secrets, utils.config._parameters):
        kept.cache_clear()


def moves(captured: str) -> Counter[tuple[str, str]]:
    """How often each job was moved to each status, from the audit lines."""
    lines = [json.loads(line) for line in captured.splitlines() if line.startswith("{")]
    return Counter((line["job_id"], line["to_status"]) for line in lines if line.get("action") == "job_moved")


def assert_unavailable(answer: Response) -> None:
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["error"]["code"] == "SERVICE_UNAVAILABLE"


def test_five_seconds_of_throttling_are_said_to_clients_and_waited_out_by_workers(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    waiting, cancelled = world.create(1), world.create(2)
    assert world.ask("DELETE", f"{JOBS}/{cancelled}").status_code == 200
    records = [world.account.take(), world.account.take()]
    world.faults.happen(Fault("dynamodb", answer=THROTTLED, for_s=5))
    began_s = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        handled = [pool.submit(world.handle, record) for record in records]
        refused = [
            pool.submit(world.ask, "GET", f"{JOBS}/{waiting}"),
            pool.submit(world.ask, "GET", JOBS),
            pool.submit(world.ask, "DELETE", f"{JOBS}/{waiting}"),
            pool.submit(world.post, 3, key="once"),
        ]
        health = world.client.get("/health")
        for answer in refused:
            assert_unavailable(answer.result())
        assert time.monotonic() - began_s < 6, "clients were to be told within 3 s, and this machine may be busy"
        assert (health.status_code, health.json()["services"]["dynamodb"]) == (503, "unhealthy")
        assert int(health.headers["retry-after"]) > 0
        assert [one.result() for one in handled] == [True, True]
    assert world.faults.happened > 10
    assert world.job(waiting)["status"] == "completed"
    assert world.job(cancelled)["status"] == "cancelled"
    answers = [world.post(3, key="once") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    later = {answer.json()["data"]["job_id"] for answer in answers}
    assert len(later) == 1
    world.work()
    assert {job["job_id"] for job in world.ask("GET", JOBS).json()["data"]["jobs"]} == {waiting, cancelled, *later}
    assert moves(capsys.readouterr().err) >= Counter({(job_id, "completed"): 1 for job_id in {waiting, *later}})


def test_every_third_call_of_s3_may_fail(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.faults.happen(Fault("s3", every=3, answer=SLOW_DOWN))
    jobs = [world.create(shade) for shade in range(4)] + [world.create(data=(ROOT / "examples/flat.png").read_bytes())]
    ticket = world.ask("POST", "/api/v1/uploads").json()["data"]
    large = (ROOT / "examples/flat.png").read_bytes() + bytes(9 * 1024**2)
    open_storage(utils.config.load_settings()).blueprints.put(ticket["key"], large, "image/png")
    asked = {"blueprint": {"key": ticket["key"], "format": "png"}}
    uploaded = [world.ask("POST", JOBS, json=asked) for _ in range(3)]
    assert [answer.status_code for answer in uploaded] == [201] * 3, uploaded[0].text
    (upload_job,) = {answer.json()["data"]["job_id"] for answer in uploaded}
    assert world.ask("DELETE", f"{JOBS}/{jobs[0]}").status_code == 200
    assert all(world.work())
    completed = [*jobs[1:], upload_job]
    assert world.job(jobs[0])["status"] == "cancelled"
    for job_id in completed:
        assert world.job(job_id)["status"] == "completed"
        assert world.ask("GET", f"{JOBS}/{job_id}/pages/1.png").content.startswith(b"\x89PNG")
    for job_id in completed[-2:]:
        assert len(world.ask("GET", f"{JOBS}/{job_id}/result").json()["pages"][0]["rooms"]) > 3
    for job_id in (*jobs, upload_job):
        assert world.ask("DELETE", f"{JOBS}/{job_id}?purge=true").status_code == 200
    assert world.account.objects() == []
    assert world.faults.happened > 20
    told = moves(capsys.readouterr().err)
    assert [told[job_id, "completed"] for job_id in (*jobs, upload_job)] == [0, 1, 1, 1, 1, 1]


def test_a_store_of_files_that_is_gone_is_said_and_leaves_nothing(world: World) -> None:
    world.faults.happen(Fault("s3", cut=True))
    assert_unavailable(world.post())
    assert world.client.get("/health").json()["services"] == {
        "dynamodb": "healthy",
        "s3": "unhealthy",
        "sqs": "healthy",
    }
    world.faults.end()
    assert world.account.objects() == []
    assert world.ask("GET", JOBS).json()["data"]["jobs"] == []
    assert world.account.receive(wait_s=0) is None


class TestQueue:
    def test_a_queue_that_refuses_fails_the_job_and_frees_its_key(self, world: World) -> None:
        world.faults.happen(Fault("sqs", "SendMessage", answer=(400, "RequestThrottled")))
        assert_unavailable(world.post(key="once"))
        (refused,) = world.ask("GET", JOBS).json()["data"]["jobs"]
        assert refused["status"] == "failed"
        world.faults.end()
        again = world.post(key="once").json()["data"]
        assert again["job_id"] != refused["job_id"]
        assert world.work() == [True]
        assert world.job(again["job_id"])["status"] == "completed"
        assert world.job(refused["job_id"])["status"] == "failed"

    def test_a_message_whose_answer_is_lost_is_sent_twice_and_done_once(
        self, world: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        world.faults.happen(Fault("sqs", "SendMessage", times=1, lost=True))
        job_id = world.create()
        records = [world.account.take(), world.account.take()]
        assert [json.loads(record["body"])["job_id"] for record in records] == [job_id] * 2
        assert [world.handle(record) for record in records] == [True, True]
        assert world.job(job_id)["status"] == "completed"
        assert moves(capsys.readouterr().err)[job_id, "completed"] == 1

    def test_repeated_and_reordered_messages_of_several_jobs_are_harmless(
        self, world: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        jobs = [world.create(shade) for shade in range(4)]
        world.ask("DELETE", f"{JOBS}/{jobs[0]}")
        world.ask("DELETE", f"{JOBS}/{jobs[1]}?purge=true")
        first = {json.loads(record["body"])["job_id"]: record for record in (world.account.take() for _ in jobs)}
        for record in first.values():
            world.repeat(record)
        assert [world.handle(first[job_id]) for job_id in reversed(jobs)] == [True] * 4
        assert world.work() == [True] * 4
        # SQS may hand out even what was deleted.
        assert [world.handle(first[job_id]) for job_id in jobs] == [True] * 4
        assert [world.job(job_id)["status"] for job_id in (jobs[0], *jobs[2:])] == [
            "cancelled",
            "completed",
            "completed",
        ]
        assert world.ask("GET", f"{JOBS}/{jobs[1]}").status_code == 404
        told = moves(capsys.readouterr().err)
        assert [told[job_id, "completed"] for job_id in jobs] == [0, 0, 1, 1]

    def test_a_message_that_comes_while_its_job_is_at_work_waits(
        self, world: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        job_id = world.create()
        record = world.account.take()
        world.repeat(record)
        repeated = world.account.take()
        world.faults.happen(Fault("s3", "PUT", times=1, late_s=2))
        with ThreadPoolExecutor(1) as pool:
            working = pool.submit(world.handle, record)
            world.faults.await_one()
            assert world.handle(repeated) is False
            assert working.result() is True
        assert world.job(job_id)["status"] == "completed"
        assert world.account.receive(wait_s=0) is None  # it comes when whoever works would surely be dead
        repeated["attributes"]["ApproximateReceiveCount"] = "2"
        assert world.handle(repeated) is True
        assert moves(capsys.readouterr().err)[job_id, "completed"] == 1


@pytest.mark.parametrize("operation", ["GET", "PUT"])
def test_a_job_that_is_cancelled_while_it_is_at_work_stays_cancelled(
    world: World, capsys: pytest.CaptureFixture[str], operation: str
) -> None:
    job_id = world.create()
    world.faults.happen(Fault("s3", operation, times=1, late_s=1.5))
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(world.handle, world.account.take())
        world.faults.await_one()
        assert world.ask("DELETE", f"{JOBS}/{job_id}").json()["data"]["status"] == "cancelled"
        assert working.result() is True
    assert world.job(job_id)["status"] == "cancelled"
    assert world.account.objects() == [f"blueprints/{job_id}/blueprint.png"]
    assert moves(capsys.readouterr().err)[job_id, "completed"] == 0


@pytest.mark.parametrize("status", ["processing", "completed"])
def test_a_move_whose_answer_is_lost_is_made_once(
    world: World, capsys: pytest.CaptureFixture[str], status: str
) -> None:
    job_id = world.create()
    moved = MOVED.format(status)
    world.faults.happen(Fault("dynamodb", "PutItem", moved, times=1, lost=True))
    assert world.work() == [True]
    assert world.faults.happened == 1
    assert world.job(job_id)["status"] == "completed"
    told = moves(capsys.readouterr().err)
    assert (told[job_id, "processing"], told[job_id, "completed"]) == (1, 1)


GONE: dict[str, dict[str, Any]] = {
    "unreached": {"cut": True},
    "silent": {"held": True},
    "failing": {"answer": (500, "InternalServiceError")},
    "throttled": {"answer": THROTTLED},
}


class TestSecretsAndParameters:
    @pytest.mark.parametrize("how", sorted(GONE))
    def test_gone_before_the_first_read_nobody_is_let_in_or_turned_away(self, world: World, how: str) -> None:
        world.faults.happen(Fault("secretsmanager", **GONE[how]))
        for answer in (world.ask("GET", JOBS), world.post()):
            assert_unavailable(answer)
        assert world.client.get("/health").status_code == 200
        world.faults.end()
        assert world.ask("GET", JOBS).json()["data"]["jobs"] == []
        assert world.client.get(JOBS, headers={"authorization": "Bearer other"}).status_code == 401

    def test_gone_after_a_first_read_the_last_tokens_serve_and_the_log_says_so(
        self, world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now_s = [0.0]
        secrets = utils.secrets.Secrets(utils.secrets.fetch_secret, os.environ, clock=lambda: now_s[0])
        monkeypatch.setattr(utils.secrets, "_secrets", lambda from_aws: secrets)
        assert world.ask("GET", JOBS).status_code == 200
        world.faults.happen(Fault("secretsmanager", cut=True))
        world.account.set_tokens({OWNER: ["another-token-of-anna"]})
        assert world.ask("GET", JOBS).status_code == 200
        assert world.faults.happened == 0
        now_s[0] = 301.0
        capsys.readouterr()
        assert world.ask("GET", JOBS).status_code == 200
        assert world.faults.happened > 0
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        assert [line["part"] for line in lines if line["action"] == "lookup_stale"] == ["secrets"]
        world.faults.end()
        now_s[0] += 31.0  # an outage is asked about again after half a minute
        assert world.ask("GET", JOBS).status_code == 401

    def test_without_parameters_a_url_is_not_refused_and_a_job_takes_its_default(self, world: World) -> None:
        world.faults.happen(Fault("ssm", cut=True))
        asked = {"blueprint": {"file": "https://plans.example/a.png", "format": "png"}}
        assert_unavailable(world.ask("POST", JOBS, json=asked))
        job_id = world.create()
        assert world.work() == [True]
        assert world.job(job_id)["status"] == "completed"
        world.faults.end()
        refused = world.ask("POST", JOBS, json=asked)
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "URL_NOT_ALLOWED")

    def test_gone_after_a_first_read_the_last_hosts_serve(
        self, world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        now_s = [0.0]
        found = utils.config.Parameters(utils.config.fetch_parameter, os.environ, clock=lambda: now_s[0])
        monkeypatch.setattr(utils.config, "_parameters", lambda from_aws: found)
        world.account.client("ssm").put_parameter(
            Name=f"/location-detection/{world.account.env}/url-hosts", Value="plans.example", Type="String"
        )
        asked = {"blueprint": {"file": "https://elsewhere.example/a.png", "format": "png"}}
        assert world.ask("POST", JOBS, json=asked).status_code == 400
        world.faults.happen(Fault("ssm", cut=True))
        now_s[0] = 301.0
        capsys.readouterr()
        refused = world.ask("POST", JOBS, json=asked)
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "URL_NOT_ALLOWED")
        assert '"lookup_stale"' in capsys.readouterr().err


HOLDS = {
    "reading the plan": Fault("s3", "GET", held=True),
    "writing the result": Fault("s3", "PUT", "floorplan.json", held=True),
    "saying that it is done": Fault("dynamodb", "PutItem", MOVED.format("completed"), held=True),
}
"""Where a worker is killed: what it waits for at that moment."""


class TestKilled:
    def kill(self, world: World, record: Record, where: str) -> None:
        """Have a worker's process handle the message, and kill it there."""
        world.faults.happen(HOLDS[where])
        process = WORKERS.Process(target=accounts.handle, args=(world.account.environment, record))
        process.start()
        try:
            world.faults.await_one()
        finally:
            process.kill()
            process.join(20)
        world.faults.end()

    @pytest.mark.parametrize("where", sorted(HOLDS))
    def test_a_job_whose_worker_was_killed_is_done_by_the_next_delivery(
        self, world: World, capsys: pytest.CaptureFixture[str], where: str
    ) -> None:
        job_id = world.create()
        self.kill(world, world.account.take(visibility_s=1), where)
        assert world.job(job_id)["status"] == "processing"
        record = world.account.take()
        assert record["attributes"]["ApproximateReceiveCount"] == "2"
        assert world.handle(record) is True
        assert world.job(job_id)["status"] == "completed"
        assert moves(capsys.readouterr().err)[job_id, "completed"] == 1
        assert world.account.receive(wait_s=0) is None

    def test_a_job_that_had_three_workers_killed_is_failed_by_the_next_delivery(self, world: World) -> None:
        job_id = world.create()
        for _ in range(MAX_DELIVERIES):
            self.kill(world, world.account.take(visibility_s=1), "reading the plan")
        assert world.handle(world.account.take()) is True
        failed = world.job(job_id)
        assert (failed["status"], failed["error"]["code"]) == ("failed", "PROCESSING_FAILED")
        assert world.account.receive(wait_s=0) is None

    def test_a_job_that_was_cancelled_meanwhile_is_not_revived(self, world: World) -> None:
        job_id = world.create()
        self.kill(world, world.account.take(visibility_s=1), "reading the plan")
        assert world.ask("DELETE", f"{JOBS}/{job_id}").status_code == 200
        assert world.handle(world.account.take()) is True
        assert world.job(job_id)["status"] == "cancelled"

    @pytest.mark.skipif("LOCATION_DETECTION_TEST_BUILT" not in os.environ, reason="nothing was built")
    def test_lambda_kills_a_worker_whose_time_is_up_and_the_next_delivery_ends_the_job(self, world: World) -> None:
        """The function that was built, under Lambda's own runtime: nothing that hangs can write why it ended."""
        job_id = world.create(data=(ROOT / "examples/flat.png").read_bytes())
        tree = Path(os.environ["LOCATION_DETECTION_TEST_BUILT"]).resolve() / "WorkerFunction"
        handler, environment = "worker.consumer.handler", world.account.environment
        with function(tree, handler, environment, timeout_s=20, memory_mb=3008) as invoke:
            self.outlast(world, invoke)
            assert world.job(job_id)["status"] == "processing"
            record = world.account.take()
            assert record["attributes"]["ApproximateReceiveCount"] == "2"
            assert invoke({"Records": [record]}) == {"batchItemFailures": []}
        assert world.job(job_id)["status"] == "completed"
        assert len(world.ask("GET", f"{JOBS}/{job_id}/result").json()["pages"][0]["rooms"]) > 3

    def outlast(self, world: World, invoke: Invoke) -> None:
        """Have the function take a message and no way to end: neither its plan arrives nor its last word gets out."""
        world.faults.happen(
            Fault("dynamodb", "PutItem", MOVED.format("failed"), held=True), Fault("s3", "GET", held=True)
        )
        with pytest.raises(FunctionError, match=r"Task timed out after 20\.00 seconds"):
            invoke({"Records": [world.account.take(visibility_s=1)]})
        world.faults.end()
