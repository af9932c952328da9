"""The services on the AWS world: the walk of a job, and what a bad day makes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from tests.unit.services.plans import MODEL_VERSION, Engine, Ticking, make_service, plan, png
from tests.unit.storage.aws.conftest import Faults, every_third, first

from models.job import Job, Status, blueprint_key, is_job_id
from services.detection_service import DetectionService, Outcome
from services.job_service import Idempotency, JobService
from storage.aws.world import open_aws
from storage.base import Storage
from utils import aws
from utils.config import Settings
from utils.errors import JobAlreadyCompletedError, JobNotFoundError, ServiceUnavailableError

ME = "me"


@dataclass
class Service:
    """The services on one world, and the time that passes there."""

    storage: Storage
    jobs: JobService
    detection: DetectionService
    ticking: Ticking

    def work(self) -> list[Outcome]:
        """What became of the deliveries that are there now, and of those that an answer was lost of."""
        outcomes = []
        for _ in range(2):
            while (delivery := self.storage.queue.receive(30)) is not None:
                outcomes.append(self.detection.run(delivery))
            self.ticking.sleep(31)
        return outcomes


@pytest.fixture
def ticking() -> Ticking:
    return Ticking()


@pytest.fixture
def storage(account: Settings, ticking: Ticking, monkeypatch: pytest.MonkeyPatch) -> Storage:
    for name, unit in (("unix_time", 1), ("unix_time_millis", 1000)):  # the queue goes by the same clock
        monkeypatch.setattr(f"moto.sqs.models.{name}", lambda unit=unit: ticking.now().timestamp() * unit)
    return open_aws(account, ticking.now, poll_s=0, sleep=ticking.sleep, monotonic=ticking.seconds)


@pytest.fixture
def service(account: Settings, storage: Storage, ticking: Ticking) -> Service:
    detection = DetectionService(
        storage,
        Engine(),
        model_version=MODEL_VERSION,
        clock=ticking.now,
        sleep=ticking.sleep,
        monotonic=ticking.seconds,
    )
    return Service(storage, make_service(storage, account, ticking), detection, ticking)


def objects(account: Settings) -> list[str]:
    """All keys in both buckets."""
    s3 = aws.client("s3")
    pages = [s3.list_objects_v2(Bucket=name) for name in (account.blueprints_bucket, account.cache_bucket)]
    return sorted(found["Key"] for page in pages for found in page.get("Contents", []))


def test_a_job_walks_from_its_file_to_its_rooms_and_leaves_nothing(account: Settings, service: Service) -> None:
    job = service.jobs.create(plan(), owner=ME)
    assert is_job_id(job.job_id)
    assert objects(account) == [f"blueprints/{job.job_id}/blueprint.png"]
    assert service.work() == [Outcome.COMPLETED]
    done = service.jobs.get(job.job_id, owner=ME)
    assert (done.status, done.result_s3_key) == (Status.COMPLETED, f"cache/final/{job.job_id}/floorplan.json")
    assert b'"room_001"' in service.jobs.result(job.job_id, owner=ME)
    assert service.jobs.page_picture(job.job_id, 1, owner=ME).startswith(b"\x89PNG")
    again = service.jobs.create(plan(), owner=ME)
    assert service.work() == [Outcome.COMPLETED]  # from the preview
    assert {found.job_id for found in service.jobs.list(ME).jobs} == {job.job_id, again.job_id}
    for one in (job, again):
        service.jobs.purge(one.job_id, owner=ME)
    assert objects(account) == []
    for table in (account.jobs_table, account.preview_cache_table):
        assert aws.client("dynamodb").scan(TableName=table)["Items"] == []


def test_an_upload_becomes_one_job(account: Settings, service: Service) -> None:
    ticket = service.jobs.open_upload(owner=ME)
    service.storage.blueprints.put(ticket.key, png(), "image/png")
    jobs = {service.jobs.create_from_upload(ticket.key, None, owner=ME).job_id for _ in range(3)}
    assert len(jobs) == 1
    assert objects(account) == [f"blueprints/{jobs.pop()}/blueprint.png"]
    assert sorted(service.work()) == sorted([Outcome.COMPLETED, Outcome.SUPERSEDED, Outcome.SUPERSEDED])


def test_a_cancelled_job_never_comes_back(service: Service) -> None:
    job = service.jobs.create(plan(), owner=ME)
    service.jobs.cancel(job.job_id, owner=ME)
    assert service.work() == [Outcome.SUPERSEDED]
    assert service.jobs.get(job.job_id, owner=ME).status is Status.CANCELLED
    finished = service.jobs.create(plan(shade=7), owner=ME)
    service.work()
    with pytest.raises(JobAlreadyCompletedError):
        service.jobs.cancel(finished.job_id, owner=ME)


@pytest.mark.parametrize("happens", [every_third("503 SlowDown"), every_third("lost"), every_third("unreached")])
def test_a_bad_day_loses_no_job_and_completes_none_twice(
    service: Service, faults: Faults, happens: Callable[[int, str], str | None]
) -> None:
    faults.happens = happens
    jobs = [service.jobs.create(plan(shade=shade), owner=ME) for shade in range(6)]
    service.jobs.cancel(jobs[0].job_id, owner=ME)
    outcomes = service.work()
    assert outcomes.count(Outcome.COMPLETED) == 5
    states = [service.jobs.get(job.job_id, owner=ME).status for job in jobs]
    assert states == [Status.CANCELLED, *[Status.COMPLETED] * 5]
    for job in jobs[1:]:
        assert b'"room_001"' in service.jobs.result(job.job_id, owner=ME)
    assert len(service.jobs.list(ME).jobs) == 6


def test_five_seconds_without_dynamodb_are_said_to_clients_and_waited_out_by_workers(
    service: Service, faults: Faults
) -> None:
    job = service.jobs.create(plan(), owner=ME)
    delivery = service.storage.queue.receive(600)
    assert delivery is not None
    ends_s = service.ticking.passed_s + 5

    def throttled(number: int, call: str) -> str | None:
        busy = service.ticking.passed_s < ends_s and call in ("GetItem", "PutItem", "Query", "UpdateItem")
        return "400 ThrottlingException" if busy else None

    faults.happens = throttled
    began_s = service.ticking.passed_s
    with pytest.raises(ServiceUnavailableError):
        service.jobs.get(job.job_id, owner=ME)
    assert service.ticking.passed_s - began_s < 4
    service.ticking.passed_s = began_s
    with pytest.raises(ServiceUnavailableError):
        service.jobs.create(plan(shade=1), owner=ME)
    service.ticking.passed_s = began_s
    assert service.detection.run(delivery) is Outcome.COMPLETED
    assert service.ticking.passed_s > ends_s
    assert service.jobs.get(job.job_id, owner=ME).status is Status.COMPLETED


class TestARecordPointsAtItsFile:
    """Whatever gets lost on the way, a record has its file, and a job that nobody sent is sent."""

    def create(self, service: Service, faults: Faults, calls: dict[str, str], key: Idempotency | None = None) -> None:
        """A create whose file is kept, while those calls that come after it fail."""
        faults.happens = lambda number, call: calls.get(call) if "PutObject" in faults.calls else None
        with pytest.raises(ServiceUnavailableError):
            service.jobs.create(plan(), owner=ME, idempotency=key)
        faults.happens = first(0, "")

    @pytest.mark.parametrize("fault", ["503 ServiceUnavailable", "lost"])
    def test_if_the_store_does_not_say_that_it_has_the_record_neither_stays(
        self, account: Settings, service: Service, faults: Faults, fault: str
    ) -> None:
        self.create(service, faults, {"PutItem": fault})
        assert objects(account) == []
        assert aws.client("dynamodb").scan(TableName=account.jobs_table)["Items"] == []
        assert service.work() == []

    def test_if_the_record_cannot_be_taken_back_both_stay_and_the_job_is_sent_later(
        self, account: Settings, service: Service, faults: Faults
    ) -> None:
        self.create(service, faults, {"PutItem": "lost", "DeleteItem": "503 SlowDown"})
        (job,) = service.jobs.list(ME).jobs
        assert objects(account) == [blueprint_key(job.job_id, job.blueprint_format)]
        assert service.work() == []
        service.ticking.sleep(60)
        assert service.jobs.requeue_lost() == 1
        assert service.jobs.requeue_lost() == 0
        assert service.work() == [Outcome.COMPLETED]

    def test_or_the_client_asks_again(self, account: Settings, service: Service, faults: Faults) -> None:
        key = Idempotency("key", "fingerprint")
        self.create(service, faults, {"PutItem": "lost"}, key)
        job = service.jobs.create(plan(), owner=ME, idempotency=key)
        assert service.work() == [Outcome.COMPLETED]
        assert [found.job_id for found in service.jobs.list(ME).jobs] == [job.job_id]


def test_a_purge_that_fails_midway_can_be_asked_for_again(account: Settings, service: Service, faults: Faults) -> None:
    job: Job = service.jobs.create(plan(), owner=ME)
    service.work()
    faults.happens = lambda number, call: "503 SlowDown" if call == "DeleteItem" else None
    with pytest.raises(ServiceUnavailableError):
        service.jobs.purge(job.job_id, owner=ME)
    faults.happens = first(0, "")
    service.jobs.purge(job.job_id, owner=ME)
    assert objects(account) == []
    with pytest.raises(JobNotFoundError):
        service.jobs.get(job.job_id, owner=ME)
