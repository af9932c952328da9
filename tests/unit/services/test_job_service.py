from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from tests.unit.services.plans import MODEL_VERSION, Ticking, failing, make_service, plan, png

from models.blueprint import BlueprintFormat, PageSelection
from models.job import Job, Status, is_job_id, page_picture_key, result_key
from services.job_service import Idempotency, JobService
from storage.base import Preview, Storage
from utils.config import Settings
from utils.errors import (
    IdempotencyKeyReusedError,
    InvalidFileFormatError,
    InvalidRequestError,
    JobAlreadyCompletedError,
    JobNotFoundError,
    NotFoundError,
    ResultNotReadyError,
    ServiceUnavailableError,
    ValidationFailedError,
)

ME, OTHER = "me", "other"
UNKNOWN = "job_20240115_abcdefghijklmnop"


def messages(storage: Storage) -> list[str]:
    """The job ids of all waiting messages, which are taken."""
    found = []
    while (delivery := storage.queue.receive(60)) is not None:
        found.append(delivery.message.job_id)
        storage.queue.acknowledge(delivery)
    return found


def finish(storage: Storage, job: Job, status: Status = Status.COMPLETED) -> Job:
    now = job.updated_at
    storage.jobs.save(job.moved(Status.PROCESSING, now))
    done = job.moved(Status.PROCESSING, now).moved(status, now, result_s3_key=result_key(job.job_id))
    assert storage.jobs.save(done) is None
    return done


class TestCreate:
    def test_keeps_file_record_and_message(self, service: JobService, storage: Storage, ticking: Ticking) -> None:
        job = service.create(plan(), owner=ME, pages=PageSelection.parse("2,4-5"))
        assert is_job_id(job.job_id)
        assert (job.status, job.owner, job.pages, job.created_at) == (Status.PENDING, ME, "2,4-5", ticking.now())
        assert job.blueprint_s3_key == f"blueprints/{job.job_id}/blueprint.png"
        assert job.blueprint_hash == plan().sha256
        assert storage.blueprints.get(job.blueprint_s3_key) == png()
        assert storage.jobs.get(job.job_id) == job
        assert messages(storage) == [job.job_id]
        assert service.create(plan(), owner=ME).pages is None

    @pytest.mark.parametrize(
        ("part", "methods"), [("jobs", "add"), ("jobs", "add get"), ("blueprints", "put"), ("claims", "claim")]
    )
    def test_a_store_that_stays_down_is_given_up_in_time_with_nothing_half_written(
        self, storage: Storage, settings: Settings, ticking: Ticking, part: str, methods: str
    ) -> None:
        with pytest.raises(ServiceUnavailableError):
            make_service(failing(storage, part, methods), settings, ticking).create(plan(), owner=ME)
        assert ticking.naps
        assert ticking.passed_s <= 3.0
        assert storage.blueprints.delete_prefix("blueprints/") == 0
        assert storage.jobs.list(ME, 10).jobs == []
        assert messages(storage) == []

    def test_a_short_outage_is_outlived(self, storage: Storage, settings: Settings, ticking: Ticking) -> None:
        job = make_service(failing(storage, "jobs", "add", times=1), settings, ticking).create(plan(), owner=ME)
        assert messages(storage) == [job.job_id]
        assert ticking.naps

    def test_a_queue_that_refuses_fails_the_job_and_frees_the_key(
        self, storage: Storage, settings: Settings, ticking: Ticking
    ) -> None:
        key = Idempotency("k", "f")
        with pytest.raises(ServiceUnavailableError):
            make_service(failing(storage, "queue", "send"), settings, ticking).create(plan(), owner=ME, idempotency=key)
        assert ticking.passed_s <= 3.0
        (failed,) = storage.jobs.list(ME, 10).jobs
        assert failed.status is Status.FAILED
        assert failed.error is not None
        assert failed.error["code"] == "SERVICE_UNAVAILABLE"
        again = make_service(storage, settings, ticking).create(plan(), owner=ME, idempotency=key)
        assert again.job_id != failed.job_id
        assert messages(storage) == [again.job_id]

    def test_a_refused_job_that_cannot_be_marked_is_sent_later(
        self, storage: Storage, settings: Settings, ticking: Ticking
    ) -> None:
        down = failing(failing(storage, "queue", "send"), "jobs", "save")
        with pytest.raises(ServiceUnavailableError):
            make_service(down, settings, ticking).create(plan(), owner=ME)
        ticking.sleep(60)
        assert make_service(storage, settings, ticking).requeue_lost() == 1
        assert len(messages(storage)) == 1


class TestIdempotency:
    def test_the_same_request_is_the_same_job(self, service: JobService, storage: Storage) -> None:
        first = service.create(plan(), owner=ME, idempotency=Idempotency("k", "f"))
        assert service.create(plan(), owner=ME, idempotency=Idempotency("k", "f")) == first
        assert set(messages(storage)) == {first.job_id}
        done = finish(storage, first)
        assert service.create(plan(), owner=ME, idempotency=Idempotency("k", "f")) == done
        assert messages(storage) == []

    def test_another_request_with_the_key_is_refused(self, service: JobService) -> None:
        service.create(plan(), owner=ME, idempotency=Idempotency("k", "f"))
        with pytest.raises(IdempotencyKeyReusedError):
            service.create(plan(), owner=ME, idempotency=Idempotency("k", "g"))

    def test_owners_do_not_share_keys(self, service: JobService) -> None:
        mine = service.create(plan(), owner=ME, idempotency=Idempotency("k", "f"))
        assert service.create(plan(), owner=OTHER, idempotency=Idempotency("k", "g")).job_id != mine.job_id

    def test_a_request_that_died_after_its_claim_is_finished_by_the_next(
        self, service: JobService, storage: Storage
    ) -> None:
        key = Idempotency("k", "f")
        storage.claims.claim(key.claim_name(ME), {"fingerprint": "f", "job_id": UNKNOWN}, 60)
        assert service.create(plan(), owner=ME, idempotency=key).job_id == UNKNOWN
        assert messages(storage) == [UNKNOWN]

    def test_many_at_once_make_one_job(self, storage: Storage, settings: Settings) -> None:
        service = JobService(storage, settings)
        with ThreadPoolExecutor(8) as threads:
            made = list(
                threads.map(lambda _: service.create(plan(), owner=ME, idempotency=Idempotency("k", "f")), range(8))
            )
        assert len({job.job_id for job in made}) == 1
        assert len(storage.jobs.list(ME, 10).jobs) == 1
        assert storage.blueprints.get(made[0].blueprint_s3_key) == png()

    def test_a_failed_twin_leaves_the_others_file(self, storage: Storage, settings: Settings, ticking: Ticking) -> None:
        key = Idempotency("k", "f")
        twin = make_service(storage, settings, ticking)
        down = failing(storage, "jobs", "add")
        plain_put = storage.blueprints.put

        class Racing:
            """The twin makes the whole job just after this request has stored its file."""

            def put(self, *arguments: object) -> None:
                plain_put(*arguments)  # type: ignore[arg-type]
                twin.create(plan(), owner=ME, idempotency=key)

            def __getattr__(self, name: str) -> object:
                return getattr(storage.blueprints, name)

        racing = replace(down, blueprints=Racing())  # type: ignore[arg-type]
        with pytest.raises(ServiceUnavailableError):
            make_service(racing, settings, ticking).create(plan(), owner=ME, idempotency=key)
        (job,) = storage.jobs.list(ME, 10).jobs
        assert storage.blueprints.get(job.blueprint_s3_key) == png()


class TestUpload:
    def upload(self, service: JobService, storage: Storage, data: bytes = png()) -> str:
        key = service.open_upload(owner=ME).key
        storage.blueprints.put(key, data, "application/octet-stream")
        return key

    def test_one_job_an_upload(self, service: JobService, storage: Storage) -> None:
        key = self.upload(service, storage)
        job = service.create_from_upload(key, "png", owner=ME)
        assert key == f"uploads/{job.job_id}/blueprint"
        assert storage.blueprints.get(job.blueprint_s3_key) == png()
        assert storage.blueprints.get(key) is None
        assert service.create_from_upload(key, "png", owner=ME) == job
        assert len(storage.jobs.list(ME, 10).jobs) == 1

    def test_an_upload_with_a_key_of_its_own_request(self, service: JobService, storage: Storage) -> None:
        key = self.upload(service, storage)
        job = service.create_from_upload(key, "png", owner=ME, idempotency=Idempotency("k", "f"))
        assert service.create_from_upload(key, "png", owner=ME, idempotency=Idempotency("k", "f")) == job
        with pytest.raises(IdempotencyKeyReusedError):
            service.create_from_upload(key, "png", owner=ME, idempotency=Idempotency("k", "g"))

    def test_another_owner_sees_no_upload(self, service: JobService, storage: Storage) -> None:
        key = self.upload(service, storage)
        with pytest.raises(InvalidRequestError) as refused:
            service.create_from_upload(key, "png", owner=OTHER)
        assert "blueprint.key" in refused.value.details["fields"]
        service.create_from_upload(key, "png", owner=ME)
        with pytest.raises(InvalidRequestError):
            service.create_from_upload(key, "png", owner=OTHER)

    @pytest.mark.parametrize(
        "key", ["", "uploads/", f"uploads/{UNKNOWN}/blueprint", "uploads/../blueprint", "blueprints/x/blueprint.png"]
    )
    def test_unknown_keys_are_refused(self, service: JobService, key: str) -> None:
        with pytest.raises(InvalidRequestError):
            service.create_from_upload(key, "png", owner=ME)

    def test_nothing_uploaded_yet(self, service: JobService) -> None:
        with pytest.raises(InvalidRequestError):
            service.create_from_upload(service.open_upload(owner=ME).key, "png", owner=ME)

    def test_a_wrong_file_makes_no_job(self, service: JobService, storage: Storage) -> None:
        key = self.upload(service, storage, b"GIF89a")
        with pytest.raises(InvalidFileFormatError, match="GIF"):
            service.create_from_upload(key, "png", owner=ME)
        assert storage.jobs.list(ME, 10).jobs == []

    def test_a_create_that_died_after_moving_the_file_is_finished_by_the_next(
        self, service: JobService, storage: Storage
    ) -> None:
        key = self.upload(service, storage)
        storage.blueprints.move(key, key.replace("uploads/", "blueprints/") + ".png")
        job = service.create_from_upload(key, None, owner=ME)
        assert storage.blueprints.get(job.blueprint_s3_key) == png()

    def test_a_record_that_cannot_be_written_leaves_the_upload(
        self, storage: Storage, settings: Settings, ticking: Ticking
    ) -> None:
        key = self.upload(make_service(storage, settings, ticking), storage)
        down = make_service(failing(storage, "jobs", "add"), settings, ticking)
        with pytest.raises(ServiceUnavailableError):
            down.create_from_upload(key, "png", owner=ME)
        assert storage.blueprints.get(key) == png()
        assert make_service(storage, settings, ticking).create_from_upload(key, "png", owner=ME).owner == ME


class TestLooking:
    @pytest.mark.parametrize("job_id", ["", UNKNOWN, "../../etc/passwd", "job_1", "x" * 5000])
    def test_unknown_and_malformed_ids_are_not_found(self, service: JobService, job_id: str) -> None:
        for method in (service.get, service.cancel, service.purge, service.result):
            with pytest.raises(JobNotFoundError):
                method(job_id, owner=ME)

    def test_another_owners_job_is_not_found(self, service: JobService, storage: Storage) -> None:
        job = service.create(plan(), owner=ME)
        for method in (service.get, service.cancel, service.purge, service.result):
            with pytest.raises(JobNotFoundError):
                method(job.job_id, owner=OTHER)
        with pytest.raises(JobNotFoundError):
            service.page_picture(job.job_id, 1, owner=OTHER)
        assert service.list(OTHER).jobs == []
        assert service.get(job.job_id, owner=ME) == job

    def test_lists_newest_first_in_pages(self, service: JobService, ticking: Ticking) -> None:
        made = []
        for _ in range(5):
            made.append(service.create(plan(), owner=ME).job_id)
            ticking.sleep(1)
        first = service.list(ME, limit=3)
        second = service.list(ME, limit=3, cursor=first.next_cursor)
        assert [job.job_id for job in first.jobs + second.jobs] == made[::-1]
        assert second.next_cursor is None

    @pytest.mark.parametrize(
        ("limit", "cursor", "field"), [(0, None, "limit"), (101, None, "limit"), (5, "?!", "cursor")]
    )
    def test_bad_lists_name_the_field(self, service: JobService, limit: int, cursor: str | None, field: str) -> None:
        with pytest.raises(ValidationFailedError) as refused:
            service.list(ME, limit, cursor)
        assert list(refused.value.details["fields"]) == [field]

    def test_a_result_comes_when_completed(self, service: JobService, storage: Storage) -> None:
        job = service.create(plan(), owner=ME)
        with pytest.raises(ResultNotReadyError) as early:
            service.result(job.job_id, owner=ME)
        assert early.value.details["status"] == "pending"
        finish(storage, job)
        with pytest.raises(NotFoundError):
            service.result(job.job_id, owner=ME)
        storage.cache.put(result_key(job.job_id), b"{}", "application/json")
        assert service.result(job.job_id, owner=ME) == b"{}"

    def test_pictures_are_found_by_page(self, service: JobService, storage: Storage) -> None:
        job = service.create(plan(), owner=ME)
        storage.cache.put(page_picture_key(job.job_id, 2), png(), "image/png")
        assert service.page_picture(job.job_id, 2, owner=ME) == png()
        with pytest.raises(NotFoundError):
            service.page_picture(job.job_id, 1, owner=ME)


class TestCancel:
    def test_cancelled_is_final(self, service: JobService, storage: Storage) -> None:
        job = service.create(plan(), owner=ME)
        cancelled = service.cancel(job.job_id, owner=ME)
        assert cancelled.status is Status.CANCELLED
        assert service.cancel(job.job_id, owner=ME) == cancelled
        assert storage.jobs.save(job.moved(Status.PROCESSING, job.updated_at)) == cancelled

    @pytest.mark.parametrize("status", [Status.COMPLETED, Status.FAILED])
    def test_an_ended_job_cannot_be_cancelled(self, service: JobService, storage: Storage, status: Status) -> None:
        job = finish(storage, service.create(plan(), owner=ME), status)
        with pytest.raises(JobAlreadyCompletedError) as refused:
            service.cancel(job.job_id, owner=ME)
        assert refused.value.details["status"] == status.value
        assert service.get(job.job_id, owner=ME) == job

    def test_a_job_that_completes_meanwhile_stays_completed(
        self, storage: Storage, settings: Settings, ticking: Ticking
    ) -> None:
        job = make_service(storage, settings, ticking).create(plan(), owner=ME)

        class Racing:
            """The worker completes the job between the look and the cancel."""

            def get(self, job_id: str) -> Job | None:
                found = storage.jobs.get(job_id)
                finish(storage, job)
                return found

            def __getattr__(self, name: str) -> object:
                return getattr(storage.jobs, name)

        service = make_service(replace(storage, jobs=Racing()), settings, ticking)  # type: ignore[arg-type]
        with pytest.raises(JobAlreadyCompletedError):
            service.cancel(job.job_id, owner=ME)


class TestPurge:
    def kept(self, storage: Storage, job: Job) -> None:
        storage.cache.put(result_key(job.job_id), b"{}", "application/json")
        storage.cache.put(page_picture_key(job.job_id, 1), png(), "image/png")
        storage.previews.put(Preview(job.blueprint_hash, MODEL_VERSION, []))

    def assert_gone(self, storage: Storage, job: Job) -> None:
        assert storage.jobs.get(job.job_id) is None
        assert storage.previews.get(job.blueprint_hash) is None
        assert storage.blueprints.delete_prefix(f"blueprints/{job.job_id}/") == 0
        assert storage.cache.delete_prefix("cache/") == 0

    def test_nothing_stays(self, service: JobService, storage: Storage) -> None:
        key = Idempotency("k", "f")
        job = finish(storage, service.create(plan(), owner=ME, idempotency=key))
        self.kept(storage, job)
        assert service.purge(job.job_id, owner=ME) == job
        self.assert_gone(storage, job)
        assert storage.claims.get(key.claim_name(ME)) is None
        with pytest.raises(JobNotFoundError):
            service.purge(job.job_id, owner=ME)

    def test_files_outlive_the_record_and_go_with_their_owner_only(self, service: JobService, storage: Storage) -> None:
        job = finish(storage, service.create(plan(), owner=ME))
        self.kept(storage, job)
        storage.jobs.delete(job.job_id)  # as when it has expired
        with pytest.raises(JobNotFoundError):
            service.purge(job.job_id, owner=OTHER)
        assert storage.blueprints.get(job.blueprint_s3_key) == png()
        assert service.purge(job.job_id, owner=ME) is None
        self.assert_gone(storage, job)

    def test_a_purge_that_fails_midway_can_be_repeated(
        self, storage: Storage, settings: Settings, ticking: Ticking
    ) -> None:
        job = finish(storage, make_service(storage, settings, ticking).create(plan(), owner=ME))
        self.kept(storage, job)
        with pytest.raises(ServiceUnavailableError):
            make_service(failing(storage, "previews", "delete"), settings, ticking).purge(job.job_id, owner=ME)
        make_service(storage, settings, ticking).purge(job.job_id, owner=ME)
        self.assert_gone(storage, job)

    def test_only_this_job_goes(self, service: JobService, storage: Storage) -> None:
        gone, stays = service.create(plan(), owner=ME), service.create(plan(1), owner=ME)
        service.purge(gone.job_id, owner=ME)
        assert service.get(stays.job_id, owner=ME) == stays
        assert storage.blueprints.get(stays.blueprint_s3_key) == png(shade=1)


class TestRequeue:
    def lost(self, service: JobService, storage: Storage) -> Job:
        """A job whose create died between record and message."""
        job = service.create(plan(), owner=ME)
        assert messages(storage) == [job.job_id]
        return job

    def test_a_lost_job_is_queued_again_once(self, service: JobService, storage: Storage, ticking: Ticking) -> None:
        job = self.lost(service, storage)
        assert service.requeue_lost() == 0  # its create may still be under way
        ticking.sleep(60)
        assert service.requeue_lost() == 1
        assert service.requeue_lost() == 0
        assert messages(storage) == [job.job_id]

    def test_a_job_with_a_message_is_not_lost(self, service: JobService, storage: Storage, ticking: Ticking) -> None:
        job = service.create(plan(), owner=ME)
        ticking.sleep(60)
        assert service.requeue_lost() == 0
        assert storage.queue.receive(30) is not None
        assert service.requeue_lost() == 0  # handed out is not lost
        assert job.blueprint_format is BlueprintFormat.PNG

    def test_an_ended_job_is_not_lost(self, service: JobService, storage: Storage, ticking: Ticking) -> None:
        service.cancel(self.lost(service, storage).job_id, owner=ME)
        finish(storage, self.lost(service, storage))
        ticking.sleep(60)
        assert service.requeue_lost() == 0
