"""What the AWS world makes of a throttled, absent, forbidden or forgetful AWS."""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from botocore.exceptions import ClientError
from tests.contract.worlds import START, make_job
from tests.unit.storage.aws.conftest import Faults, every_third, first

from models.job import Status
from storage.aws.blobs import PART_BYTES
from storage.aws.calls import DELAYS_S
from storage.aws.world import open_aws
from storage.base import JobMessage, Preview, Storage
from utils import aws
from utils.config import Settings
from utils.errors import InternalError, JobNotFoundError, ServiceUnavailableError

JOB = make_job(1, START)
KEY = "cache/final/job_1/floorplan.json"
HICCUPS = [
    "400 ProvisionedThroughputExceededException",
    "400 ThrottlingException",
    "400 RequestLimitExceeded",
    "500 InternalServerError",
    "503 ServiceUnavailable",
    "unreached",
    "lost",
]
USES: dict[str, tuple[str, Callable[[Storage], object]]] = {
    "add": ("dynamodb", lambda s: s.jobs.add(JOB)),
    "get": ("dynamodb", lambda s: s.jobs.get(JOB.job_id)),
    "save": ("dynamodb", lambda s: s.jobs.save(JOB.moved(Status.PROCESSING, START))),
    "list": ("dynamodb", lambda s: s.jobs.list("me", 10)),
    "delete": ("dynamodb", lambda s: s.jobs.delete(JOB.job_id)),
    "unsent": ("dynamodb", lambda s: s.jobs.unsent(START)),
    "claim": ("dynamodb", lambda s: s.claims.claim("n", {}, 60)),
    "claims get": ("dynamodb", lambda s: s.claims.get("n")),
    "claims delete": ("dynamodb", lambda s: s.claims.delete("n")),
    "preview get": ("dynamodb", lambda s: s.previews.get("ab" * 32)),
    "preview put": ("dynamodb", lambda s: s.previews.put(Preview("ab" * 32, "1", []))),
    "preview delete": ("dynamodb", lambda s: s.previews.delete("ab" * 32)),
    "blob put": ("s3", lambda s: s.cache.put(KEY, b"x", "text/plain")),
    "blob get": ("s3", lambda s: s.cache.get(KEY)),
    "blob size": ("s3", lambda s: s.cache.size_bytes(KEY)),
    "blob chunks": ("s3", lambda s: s.cache.chunks(KEY)),
    "blob move": ("s3", lambda s: s.cache.move(KEY, "cache/other")),
    "blob delete": ("s3", lambda s: s.cache.delete_prefix("cache/")),
    "send": ("sqs", lambda s: s.queue.send(JobMessage("1", "", ""))),
    "receive": ("sqs", lambda s: s.queue.receive(30)),
}


@pytest.mark.parametrize("fault", HICCUPS)
def test_a_hiccup_is_got_over(storage: Storage, faults: Faults, naps: list[float], fault: str) -> None:
    faults.happens = first(2, fault)
    assert storage.jobs.add(JOB) is None
    assert faults.calls == ["PutItem"] * 3
    assert len(naps) == 2
    assert all(0 < nap <= longest for nap, longest in zip(naps, DELAYS_S, strict=False))
    assert storage.jobs.get(JOB.job_id) == JOB


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("fault", ["503 SlowDown", "unreached"])
def test_what_stays_away_is_an_outage_and_nothing_was_written(
    storage: Storage, faults: Faults, naps: list[float], use: str, fault: str
) -> None:
    service, call = USES[use]
    faults.happens = lambda number, name: fault
    with pytest.raises(ServiceUnavailableError) as caught:
        call(storage)
    assert caught.value.details == {"service": service}
    assert caught.value.__cause__ is not None
    assert len(faults.calls) == 1 + len(DELAYS_S)
    assert sum(naps) < 1
    faults.happens = first(0, "")
    assert storage.jobs.get(JOB.job_id) is None
    assert storage.claims.get("n") is None
    assert storage.cache.get(KEY) is None
    assert storage.queue.receive(30) is None


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("fault", ["400 AccessDeniedException", "403 AccessDenied"])
def test_a_refusal_is_never_taken_for_absence(
    storage: Storage, faults: Faults, naps: list[float], capsys: pytest.CaptureFixture[str], use: str, fault: str
) -> None:
    faults.happens = lambda number, name: fault
    with pytest.raises(ServiceUnavailableError):
        USES[use][1](storage)
    assert naps == []  # asking again at once would not help
    status, _, code = fault.partition(" ")
    if faults.calls[0] == "HeadObject":  # whose answer has no body
        code = status
    assert f'"code":"{code}"' in capsys.readouterr().err


@pytest.mark.parametrize("use", USES)
def test_a_store_that_is_not_there_is_no_empty_one(account: Settings, naps: list[float], use: str) -> None:
    nowhere = account.model_copy(
        update={
            "jobs_table": "none",
            "preview_cache_table": "none",
            "blueprints_bucket": "nowhere-b",
            "cache_bucket": "nowhere-c",
            "queue_url": account.queue_url + "-none",
        }
    )
    with pytest.raises(ServiceUnavailableError):
        USES[use][1](open_aws(nowhere, lambda: START, poll_s=0, sleep=naps.append))


def test_a_size_of_nothing_is_asked_of_the_bucket_too(storage: Storage, faults: Faults) -> None:
    """The answer to a HEAD has no body: S3 says 404 of a key and of a bucket alike."""
    faults.happens = lambda number, call: "404 NotFound" if call == "HeadObject" else None
    assert storage.cache.size_bytes(KEY) is None
    faults.happens = lambda number, call: "404 NotFound"
    with pytest.raises(ServiceUnavailableError):
        storage.cache.size_bytes(KEY)


def test_a_wrong_call_is_our_mistake_and_no_outage(storage: Storage, naps: list[float]) -> None:
    with pytest.raises(InternalError) as caught:
        storage.jobs.add(replace(JOB, message="x" * 500_000))  # an item ends at 400 KB
    assert isinstance(caught.value.__cause__, ClientError)
    assert naps == []


class TestLostAnswers:
    """A call that was done, and whose answer never came, is not done twice, nor in its own way."""

    def test_an_add(self, storage: Storage, faults: Faults) -> None:
        faults.happens = first(1, "lost")
        assert storage.jobs.add(JOB) is None
        assert storage.jobs.add(replace(JOB, owner="other")) == JOB

    @pytest.mark.parametrize("status", [Status.PROCESSING, Status.CANCELLED, Status.FAILED])
    def test_a_save(self, storage: Storage, faults: Faults, status: Status) -> None:
        storage.jobs.add(JOB)
        faults.calls.clear()
        faults.happens = first(1, "lost")
        wanted = JOB.moved(status, START, error={"code": "X", "details": {"value": 900.5, "n": [1, None, True]}})
        assert storage.jobs.save(wanted) is None
        assert storage.jobs.get(JOB.job_id) == wanted

    def test_a_save_that_is_called_again(self, storage: Storage, faults: Faults) -> None:
        storage.jobs.add(JOB)
        wanted = JOB.moved(Status.CANCELLED, START)
        faults.happens = lambda number, name: "lost"
        with pytest.raises(ServiceUnavailableError):
            storage.jobs.save(wanted)
        faults.happens = first(0, "")
        assert storage.jobs.save(wanted) is None
        assert storage.jobs.save(replace(wanted, message="another's")) == wanted

    def test_a_save_that_another_came_before(self, storage: Storage, faults: Faults) -> None:
        storage.jobs.add(JOB)
        cancelled = JOB.moved(Status.CANCELLED, START)
        storage.jobs.save(cancelled)
        faults.calls.clear()
        faults.happens = first(1, "lost")
        assert storage.jobs.save(JOB.moved(Status.PROCESSING, START)) == cancelled

    def test_a_save_of_nothing(self, storage: Storage, faults: Faults) -> None:
        faults.happens = first(1, "lost")
        with pytest.raises(JobNotFoundError):
            storage.jobs.save(JOB.moved(Status.PROCESSING, START))

    def test_a_claim(self, storage: Storage, faults: Faults) -> None:
        faults.happens = first(1, "lost")
        assert storage.claims.claim("n", {"a": "1"}, 60) == {"a": "1"}
        assert storage.claims.claim("n", {"a": "2"}, 60) == {"a": "1"}

    def test_a_large_file(self, storage: Storage, faults: Faults) -> None:
        data = bytes(range(256)) * (PART_BYTES // 128)
        faults.happens = lambda number, name: "lost" if faults.calls.count(name) == 1 else None
        storage.blueprints.put(KEY, data, "text/plain")
        assert storage.blueprints.get(KEY) == data
        assert storage.blueprints.move(KEY, "cache/moved") is True
        assert storage.blueprints.get(KEY) is None
        assert storage.blueprints.get("cache/moved") == data

    def test_a_message_may_come_twice(self, storage: Storage, faults: Faults) -> None:
        faults.happens = first(1, "lost")
        storage.queue.send(JobMessage("1", "", ""))
        found = [storage.queue.receive(30) for _ in range(3)]
        assert [delivery and delivery.message.job_id for delivery in found] == ["1", "1", None]
        faults.happens = lambda number, name: "lost" if faults.calls.count(name) == 1 else None
        for delivery in found[:2]:
            assert delivery is not None
            storage.queue.acknowledge(delivery)
            assert storage.queue.extend(delivery, 30) is False


@pytest.mark.parametrize("fault", ["503 SlowDown", "500 InternalError", "unreached", "lost"])
def test_every_third_call_of_s3_may_fail(storage: Storage, faults: Faults, fault: str) -> None:
    faults.happens = every_third(fault)
    large = b"0123456789abcdef" * (3 * PART_BYTES // 16) + b"end"
    for number in range(3):
        storage.blueprints.put(f"blueprints/job_{number}/blueprint.pdf", io.BytesIO(large), "application/pdf")
        storage.blueprints.put(f"blueprints/job_{number}/small", b"small", "text/plain")
        assert storage.blueprints.size_bytes(f"blueprints/job_{number}/blueprint.pdf") == len(large)
        assert storage.blueprints.get(f"blueprints/job_{number}/blueprint.pdf") == large
        assert storage.blueprints.move(f"blueprints/job_{number}/small", f"blueprints/job_{number}/moved") is True
        assert storage.blueprints.get(f"blueprints/job_{number}/moved") == b"small"
    storage.blueprints.delete_prefix("blueprints/")
    faults.happens = first(0, "")
    assert storage.blueprints.delete_prefix("blueprints/") == 0
    assert faults.calls.count("UploadPart") > 12


@pytest.mark.parametrize("call", ["CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"])
def test_a_large_file_that_fails_leaves_nothing(account: Settings, storage: Storage, faults: Faults, call: str) -> None:
    storage.cache.put(KEY, b"before", "text/plain")
    faults.happens = lambda number, name: "503 SlowDown" if name == call and faults.calls.count(call) > 1 else None
    if call != "UploadPart":
        faults.happens = lambda number, name: "503 SlowDown" if name == call else None
    with pytest.raises(ServiceUnavailableError):
        storage.cache.put(KEY, b"x" * (2 * PART_BYTES), "text/plain")
    assert storage.cache.get(KEY) == b"before"
    assert "Uploads" not in aws.client("s3").list_multipart_uploads(Bucket=account.cache_bucket)


def test_a_message_counts_as_sent_though_the_mark_stays(storage: Storage, faults: Faults) -> None:
    storage.jobs.add(JOB)
    faults.happens = lambda number, name: "503 ServiceUnavailable" if name == "UpdateItem" else None
    storage.queue.send(JobMessage(JOB.job_id, "", ""))
    assert [job.job_id for job in storage.jobs.unsent(START.replace(hour=11))] == [JOB.job_id]
    assert storage.queue.receive(30) is not None


def test_a_file_that_breaks_off_while_it_is_read_is_an_outage(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    from botocore.exceptions import ResponseStreamingError
    from botocore.response import StreamingBody

    storage.cache.put(KEY, b"x" * 100, "text/plain")

    def broken(self: StreamingBody, amt: int | None = None) -> bytes:
        raise ResponseStreamingError(error="reset")

    pieces = storage.cache.chunks(KEY)
    assert pieces is not None
    monkeypatch.setattr(StreamingBody, "read", broken)
    with pytest.raises(ServiceUnavailableError):
        list(pieces)
    with pytest.raises(ServiceUnavailableError):
        storage.cache.get(KEY)


def test_a_store_that_never_answers_holds_nobody_up_for_long(account: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        storage = open_aws(account, lambda: START, endpoints={"dynamodb": url})
        began = time.monotonic()
        with pytest.raises(ServiceUnavailableError):
            storage.jobs.get(JOB.job_id)
        assert time.monotonic() - began < 3


class TestHealth:
    def test_every_part_is_asked_once_and_cheaply(self, storage: Storage, faults: Faults) -> None:
        for check in storage.checks:
            check.check()
        assert [check.name for check in storage.checks] == ["dynamodb", "s3", "sqs"]
        assert faults.calls == ["GetItem", "HeadBucket", "HeadBucket", "GetQueueAttributes"]

    @pytest.mark.parametrize("fault", ["503 SlowDown", "400 AccessDeniedException", "unreached"])
    def test_a_part_that_fails_is_said_at_once(self, storage: Storage, faults: Faults, fault: str) -> None:
        faults.happens = lambda number, name: fault
        for number, check in enumerate(storage.checks, 1):
            with pytest.raises(ServiceUnavailableError) as caught:
                check.check()
            assert caught.value.details == {"service": check.name}
            assert len(faults.calls) == number
