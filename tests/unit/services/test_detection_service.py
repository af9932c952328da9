from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.services.plans import MODEL_VERSION, Engine, Failing, Ticking, failing, plan, png

from models.blueprint import Blueprint, PageSelection
from models.floorplan import Floorplan
from models.job import Job, Status, page_picture_key, result_key
from services.detection_service import SILENCE, Detect, DetectionService, Observer, Outcome
from services.job_service import JobService
from storage import open_storage
from storage.base import Delivery, JobMessage, Storage
from utils.config import Settings
from utils.errors import FileTooLargeError, InvalidFileFormatError, ServiceUnavailableError

ME = "me"


class World:
    """A store, its jobs, and workers of any engine on it."""

    def __init__(self, storage: Storage, jobs: JobService, ticking: Ticking) -> None:
        self.storage, self.jobs, self.ticking = storage, jobs, ticking

    def create(self, blueprint: Blueprint | None = None, pages: str | None = None) -> tuple[Job, Delivery]:
        job = self.jobs.create(blueprint or plan(), owner=ME, pages=PageSelection.parse(pages))
        return job, self.receive()

    def receive(self) -> Delivery:
        delivery = self.storage.queue.receive(30)
        assert delivery is not None
        return delivery

    def worker(
        self, detect: Detect, model_version: str = MODEL_VERSION, storage: Storage | None = None
    ) -> DetectionService:
        return DetectionService(
            storage or self.storage,
            detect,
            model_version=model_version,
            clock=self.ticking.now,
            monotonic=self.ticking.seconds,
            sleep=self.ticking.sleep,
        )

    def job(self, job: Job) -> Job:
        return self.jobs.get(job.job_id, owner=ME)

    def later(self, span: timedelta) -> None:
        self.ticking.sleep(span.total_seconds())

    def acknowledged(self, delivery: Delivery) -> bool:
        return not self.storage.queue.extend(delivery, 30)


@pytest.fixture
def storage(settings: Settings, ticking: Ticking) -> Storage:
    return open_storage(settings, ticking.now)


@pytest.fixture
def world(storage: Storage, service: JobService, ticking: Ticking) -> World:
    return World(storage, service, ticking)


def broken(error: Exception) -> Detect:
    def detect(blueprint: Blueprint, *, pages: PageSelection, observer: Observer) -> Floorplan:
        raise error

    return detect


def test_a_job_completes_with_result_and_pictures(world: World) -> None:
    job, delivery = world.create()
    assert world.worker(Engine(pages=2)).run(delivery) is Outcome.COMPLETED
    done = world.job(job)
    assert (done.status, done.stage, done.progress, done.message) == (Status.COMPLETED, "done", 1.0, "2 rooms found.")
    assert done.result_s3_key == result_key(job.job_id)
    floorplan = Floorplan.from_json(world.jobs.result(job.job_id, owner=ME))
    assert (floorplan.room_count, floorplan.source.sha256) == (2, job.blueprint_hash)
    assert world.jobs.page_picture(job.job_id, 2, owner=ME) == png(shade=2)
    assert world.acknowledged(delivery)


def test_the_selection_reaches_the_engine(world: World) -> None:
    _, delivery = world.create(pages="1-2,4")
    engine = Engine(pages=5)
    world.worker(engine).run(delivery)
    assert engine.calls == ["1-2,4"]


class TestPreview:
    def test_the_same_blueprint_is_not_looked_at_twice(self, world: World) -> None:
        first, delivery = world.create()
        world.worker(Engine()).run(delivery)
        second, delivery = world.create()
        engine = Engine()
        assert world.worker(engine).run(delivery) is Outcome.COMPLETED
        assert engine.calls == []
        assert world.jobs.result(second.job_id, owner=ME) == world.jobs.result(first.job_id, owner=ME)
        world.jobs.purge(first.job_id, owner=ME)
        assert world.jobs.page_picture(second.job_id, 1, owner=ME) == png(shade=1)

    def test_another_model_looks_again(self, world: World) -> None:
        _, delivery = world.create()
        world.worker(Engine()).run(delivery)
        _, delivery = world.create()
        engine = Engine()
        world.worker(engine, model_version="test-2").run(delivery)
        assert len(engine.calls) == 1

    def test_selections_neither_read_nor_write_it(self, world: World) -> None:
        engine = Engine(pages=3)
        for pages in ("1", None, "2"):
            _, delivery = world.create(pages=pages)
            world.worker(engine).run(delivery)
        assert engine.calls == ["1", "", "2"]

    def test_a_purged_picture_makes_it_a_miss(self, world: World) -> None:
        first, delivery = world.create()
        world.worker(Engine()).run(delivery)
        world.storage.cache.delete_prefix(f"cache/pages/{first.job_id}/")
        second, delivery = world.create()
        engine = Engine()
        world.worker(engine).run(delivery)
        assert len(engine.calls) == 1
        assert world.jobs.page_picture(second.job_id, 1, owner=ME) == png(shade=1)

    def test_without_the_cache_the_work_goes_on(self, world: World) -> None:
        job, delivery = world.create()
        engine = Engine()
        down = failing(world.storage, "previews", "get put")
        assert world.worker(engine, storage=down).run(delivery) is Outcome.COMPLETED
        assert world.job(job).status is Status.COMPLETED

    def test_a_purge_just_before_it_is_written_leaves_none(self, world: World) -> None:
        job, delivery = world.create()
        previews = world.storage.previews

        class Racing:
            def put(self, preview: object) -> None:
                world.jobs.purge(job.job_id, owner=ME)
                previews.put(preview)  # type: ignore[arg-type]

            def __getattr__(self, name: str) -> object:
                return getattr(previews, name)

        racing = replace(world.storage, previews=Racing())  # type: ignore[arg-type]
        world.worker(Engine(), storage=racing).run(delivery)
        assert previews.get(job.blueprint_hash) is None


class TestStopping:
    @pytest.mark.parametrize("when", ["document", "rooms"])
    def test_a_cancelled_job_stops_and_leaves_nothing(self, world: World, when: str) -> None:
        job, delivery = world.create()

        def then(name: str, page: int) -> None:
            if (name, page) == (when, 2):
                world.jobs.cancel(job.job_id, owner=ME)

        engine = Engine(pages=9, then=then)
        assert world.worker(engine).run(delivery) is Outcome.SUPERSEDED
        assert world.job(job).status is Status.CANCELLED
        assert world.storage.cache.delete_prefix("cache/") == 0
        assert world.acknowledged(delivery)

    def test_a_job_cancelled_before_it_began_is_not_looked_at(self, world: World) -> None:
        job, delivery = world.create()
        world.jobs.cancel(job.job_id, owner=ME)
        engine = Engine()
        assert world.worker(engine).run(delivery) is Outcome.SUPERSEDED
        assert engine.calls == []
        assert world.acknowledged(delivery)

    @pytest.mark.parametrize("page", [1, 3])
    def test_a_purged_job_stops_and_leaves_nothing(self, world: World, page: int) -> None:
        job, delivery = world.create()

        def then(name: str, at: int) -> None:
            if (name, at) == ("rooms", page):
                world.jobs.purge(job.job_id, owner=ME)

        assert world.worker(Engine(pages=3, then=then)).run(delivery) is Outcome.SUPERSEDED
        assert world.storage.jobs.get(job.job_id) is None
        assert world.storage.previews.get(job.blueprint_hash) is None
        assert world.storage.cache.delete_prefix("cache/") == 0
        assert world.acknowledged(delivery)

    def test_who_loses_the_lease_leaves_the_job_to_the_other(self, world: World) -> None:
        job, delivery = world.create()
        lost: list[bool] = []
        engine = Engine(then=lambda name, page: lost.append(True))
        assert world.worker(engine).run(delivery, lease_lost=lambda: bool(lost)) is Outcome.SUPERSEDED
        assert world.job(job).status is Status.PROCESSING
        assert not world.acknowledged(delivery)

    def test_of_two_workers_the_second_loses_quietly(self, world: World) -> None:
        job, delivery = world.create()
        other = replace(delivery, count=2)
        engine = Engine(then=lambda name, page: world.worker(Engine()).run(other) and None)
        assert world.worker(engine).run(delivery) is Outcome.SUPERSEDED
        assert world.job(job).status is Status.COMPLETED
        assert Floorplan.from_json(world.jobs.result(job.job_id, owner=ME)).room_count == 1

    def test_a_detection_over_its_limit_fails_the_job(self, world: World) -> None:
        job, delivery = world.create()
        engine = Engine(then=lambda name, page: world.ticking.sleep(600))
        assert world.worker(engine).run(delivery) is Outcome.FAILED
        error = world.job(job).error
        assert error is not None
        assert (error["code"], error["details"]["limit"]) == ("PROCESSING_FAILED", "job_limit_s")

    def test_a_detection_that_hangs_is_given_up(self, world: World) -> None:
        job, delivery = world.create()
        world.worker(Engine()).give_up(delivery)
        assert world.job(job).status is Status.FAILED
        assert world.acknowledged(delivery)


class TestFailing:
    @pytest.mark.parametrize(
        "error", [InvalidFileFormatError("Page 2 is damaged.", page=2), FileTooLargeError(limit="max_pages", value=200)]
    )
    def test_the_clients_fault_ends_the_job_with_its_code(
        self, world: World, error: InvalidFileFormatError | FileTooLargeError
    ) -> None:
        job, delivery = world.create()
        assert world.worker(broken(error)).run(delivery) is Outcome.FAILED
        failed = world.job(job)
        assert (failed.status, failed.error, failed.message) == (Status.FAILED, error.to_json(), error.message)
        assert world.acknowledged(delivery)

    def test_the_engines_fault_is_tried_again_and_ends_as_failed(self, world: World) -> None:
        job, delivery = world.create()
        worker = world.worker(broken(ZeroDivisionError("secret")))
        assert worker.run(delivery) is Outcome.RELEASED
        assert world.job(job).status is Status.PROCESSING
        assert world.storage.queue.receive(30) is None  # not at once
        assert worker.run(replace(delivery, count=2)) is Outcome.RELEASED
        assert worker.run(replace(delivery, count=3)) is Outcome.FAILED
        failed = world.job(job)
        assert failed.error is not None
        assert failed.error["code"] == "PROCESSING_FAILED"
        assert "secret" not in str(failed.to_json())
        assert "Traceback" not in str(failed.to_json())

    def test_a_plan_that_kills_its_workers_is_not_looked_at_again(self, world: World) -> None:
        job, delivery = world.create()
        world.storage.jobs.save(job.moved(Status.PROCESSING, job.updated_at))
        engine = Engine()
        assert world.worker(engine).run(replace(delivery, count=4)) is Outcome.FAILED
        assert engine.calls == []
        error = world.job(job).error
        assert error is not None
        assert error["code"] == "PROCESSING_FAILED"
        assert world.acknowledged(delivery)

    def test_a_dead_workers_job_is_taken_over(self, world: World) -> None:
        job, delivery = world.create()
        world.storage.jobs.save(job.moved(Status.PROCESSING, job.updated_at, stage="walls", progress=0.5))
        assert world.worker(Engine()).run(replace(delivery, count=2)) is Outcome.COMPLETED

    @pytest.mark.parametrize("count", [4, 40])
    def test_a_job_that_nobody_began_is_looked_at_however_often_it_came(self, world: World, count: int) -> None:
        job, delivery = world.create()
        assert world.worker(Engine()).run(replace(delivery, count=count)) is Outcome.COMPLETED
        assert world.job(job).status is Status.COMPLETED

    def test_a_second_message_waits_until_the_first_has_done_the_job(self, world: World) -> None:
        job, first = world.create()
        world.storage.queue.send(JobMessage(job.job_id, "", ""))
        second = world.receive()
        engine, other = Engine(), Engine()
        during: list[Outcome] = []

        def then(name: str, page: int) -> None:
            if name == "walls":
                during.append(world.worker(other).run(second))

        engine.then = then
        assert world.worker(engine).run(first) is Outcome.COMPLETED
        assert (during, other.calls) == ([Outcome.RELEASED], [])
        assert world.storage.queue.receive(30) is None
        world.later(SILENCE)
        again = world.receive()
        assert again.count == 2
        assert world.worker(other).run(again) is Outcome.SUPERSEDED
        assert (world.job(job).status, other.calls) == (Status.COMPLETED, [])
        assert world.acknowledged(again)

    def test_a_message_handed_out_twice_is_not_lost_with_the_worker_that_had_it(self, world: World) -> None:
        job, delivery = world.create()
        killed = Engine(then=lambda name, page: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            world.worker(killed).run(delivery)
        assert world.worker(Engine()).run(delivery) is Outcome.RELEASED
        world.later(SILENCE)
        assert world.worker(Engine()).run(world.receive()) is Outcome.COMPLETED
        assert world.job(job).status is Status.COMPLETED

    def test_a_job_that_has_been_silent_for_long_is_taken_over_at_a_first_delivery(self, world: World) -> None:
        """As when its message is put back from the dead letters, and its count begins anew."""
        job, delivery = world.create()
        world.storage.jobs.save(job.moved(Status.PROCESSING, job.updated_at))
        world.later(SILENCE)
        assert world.worker(Engine()).run(delivery) is Outcome.COMPLETED

    def test_a_blueprint_that_is_gone_fails_the_job(self, world: World) -> None:
        job, delivery = world.create()
        world.storage.blueprints.delete_prefix("blueprints/")
        assert world.worker(Engine()).run(delivery) is Outcome.FAILED
        assert world.job(job).status is Status.FAILED

    def test_a_store_that_fails_in_mid_work_has_the_job_done_later(self, world: World) -> None:
        job, delivery = world.create()
        down = failing(world.storage, "blueprints", "get")
        assert world.worker(Engine(), storage=down).run(delivery) is Outcome.RELEASED
        assert world.worker(Engine()).run(replace(delivery, count=2)) is Outcome.COMPLETED
        assert world.job(job).status is Status.COMPLETED

    def test_a_store_that_is_down_raises_and_keeps_the_message(self, world: World) -> None:
        job, delivery = world.create()
        with pytest.raises(ServiceUnavailableError):
            world.worker(Engine(), storage=failing(world.storage, "jobs", "get")).run(delivery)
        assert not world.acknowledged(delivery)
        assert world.job(job).status is Status.PENDING

    def test_a_short_outage_costs_nothing_but_time(self, world: World) -> None:
        job, delivery = world.create()
        down = failing(world.storage, "cache", "put", times=2)
        assert world.worker(Engine(), storage=down).run(delivery) is Outcome.COMPLETED
        assert world.job(job).status is Status.COMPLETED
        assert world.ticking.naps


class TestProgress:
    def saves(self, world: World, engine: Engine) -> list[Job]:
        _, delivery = world.create()
        saved: list[Job] = []
        jobs = world.storage.jobs

        class Watching:
            def save(self, job: Job) -> Job | None:
                saved.append(job)
                return jobs.save(job)

            def __getattr__(self, name: str) -> object:
                return getattr(jobs, name)

        world.worker(engine, storage=replace(world.storage, jobs=Watching())).run(delivery)  # type: ignore[arg-type]
        return saved

    def test_each_stage_and_page_is_saved(self, world: World) -> None:
        saved = self.saves(world, Engine(pages=2, then=lambda name, page: world.ticking.sleep(1)))
        assert [(job.stage, job.message) for job in saved[1:-1]] == [
            (name, f"Page {page} of 2") for page in (1, 2) for name in ("document", "walls", "rooms")
        ]
        progress = [job.progress for job in saved]
        assert progress == sorted(progress)
        assert (progress[0], progress[-1], saved[0].stage) == (0.0, 1.0, "starting")
        assert all(ratio < 1 for ratio in progress[:-1])

    def test_quick_stages_are_not_all_saved(self, world: World) -> None:
        saved = self.saves(world, Engine(pages=100, then=lambda name, page: world.ticking.sleep(0.01)))
        assert 12 <= len(saved) <= 20  # three seconds, four a second, and a first burst

    def test_progress_that_cannot_be_saved_is_no_failure(self, world: World) -> None:
        job, delivery = world.create()
        part = Failing(world.storage.jobs, "save", times=0)
        engine = Engine()

        def then(name: str, page: int) -> None:
            part.left = {"document": 1, "walls": 1}.get(name, 0)

        engine.then = then
        down = replace(world.storage, jobs=part)  # type: ignore[arg-type]
        assert world.worker(engine, storage=down).run(delivery) is Outcome.COMPLETED
        assert world.job(job).status is Status.COMPLETED


def test_a_plan_without_rooms_completes_and_says_why(world: World) -> None:
    job, delivery = world.create()

    def detect(blueprint: Blueprint, *, pages: PageSelection, observer: Observer) -> Floorplan:
        found = Engine()(blueprint, pages=pages, observer=observer)
        page = found.pages[0].model_copy(update={"rooms": [], "message": "This looks like a photograph."})
        return found.model_copy(update={"pages": [page]})

    assert world.worker(detect).run(delivery) is Outcome.COMPLETED
    assert world.job(job).message == "This looks like a photograph."
    assert world.storage.cache.get(page_picture_key(job.job_id, 1)) == png(shade=1)
