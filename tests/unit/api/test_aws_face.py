"""The API on moto's AWS: links to large files, what the page may reach, and settings that change while it runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from moto import mock_aws
from moto.sqs import models
from tests.conftest import Broken, MakeApp
from tests.contract.worlds import AWS_ENVIRONMENT, World, moto_world
from tests.unit.services.plans import MODEL_VERSION, Engine, png

from api.auth import hash_token
from api.cloud import known_tokens
from api.limits import LAMBDA, Limits
from api.rest_api import create_app
from models.job import page_picture_key, result_key
from services.detection_service import DetectionService
from services.job_service import JobService
from utils import aws, config, secrets
from utils.config import load_settings
from utils.errors import ServiceUnavailableError

JOBS, UPLOADS = "/api/v1/jobs", "/api/v1/uploads"
ANNA = {"Authorization": "Bearer token-of-anna-0123"}
NEXT = {"Authorization": "Bearer the-next-one-4567"}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name, value in AWS_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    for name in ("unix_time", "unix_time_millis"):  # the world sets them
        monkeypatch.setattr(models, name, getattr(models, name))
    aws.forget_clients()
    with mock_aws():
        yield moto_world(tmp_path)
    aws.forget_clients()


@pytest.fixture
def jobs(world: World) -> JobService:
    return JobService(world.storage, load_settings(world="local"), clock=world.now, sleep=lambda _: None)


@pytest.fixture
def client(world: World, jobs: JobService, make_app: MakeApp) -> TestClient:
    """An API whose answers end at 100 bytes."""
    limits = Limits(LAMBDA.inline_file_bytes, 100)
    return TestClient(make_app(storage=world.storage, jobs=jobs, limits=limits), follow_redirects=False)


def work(world: World) -> None:
    delivery = world.storage.queue.receive(30)
    assert delivery is not None
    service = DetectionService(world.storage, Engine(), model_version=MODEL_VERSION, clock=world.now)
    service.run(delivery)


def fetch(url: str) -> bytes:
    """What the store hands out to whoever has the URL."""
    import requests

    answer = requests.get(url, timeout=10)
    assert answer.status_code == 200
    return answer.content


class TestLargeAnswers:
    def test_the_store_hands_out_what_is_too_large_for_an_answer(
        self, client: TestClient, world: World, jobs: JobService
    ) -> None:
        job_id = client.post(JOBS, files={"file": png()}).json()["data"]["job_id"]
        work(world)
        world.storage.cache.put(page_picture_key(job_id, 1), large := png(200, 200) + bytes(500), "image/png")
        for path, content in [
            ("result", jobs.result(job_id, owner="local")),
            ("pages/1.png", large),
        ]:
            answer = client.get(f"{JOBS}/{job_id}/{path}")
            assert (answer.status_code, answer.content) == (307, b"")
            assert answer.headers["Cache-Control"] == "no-store"
            assert fetch(answer.headers["Location"]) == content

    def test_a_small_one_is_answered_at_once(self, client: TestClient, world: World) -> None:
        job_id = client.post(JOBS, files={"file": png()}).json()["data"]["job_id"]
        work(world)
        answer = client.get(f"{JOBS}/{job_id}/pages/1.png")
        assert (answer.status_code, answer.content) == (200, png(shade=1))

    def test_nobody_gets_a_link_to_anothers_job(self, world: World, jobs: JobService, make_app: MakeApp) -> None:
        tokens = {hash_token("token-of-anna-0123"): "anna", hash_token("the-next-one-4567"): "bert"}
        app = make_app(storage=world.storage, jobs=jobs, limits=Limits(answer_bytes=1), tokens=tokens)
        client = TestClient(app, follow_redirects=False)
        job_id = client.post(JOBS, files={"file": png()}, headers=ANNA).json()["data"]["job_id"]
        work(world)
        assert client.get(f"{JOBS}/{job_id}/result", headers=ANNA).status_code == 307
        assert client.get(f"{JOBS}/{job_id}/result", headers=NEXT).status_code == 404

    def test_a_world_without_links_answers_at_any_size(self, make_app: MakeApp, storage: Any) -> None:
        client = TestClient(make_app(limits=Limits(answer_bytes=1)), follow_redirects=False)
        job_id = client.post(JOBS, files={"file": png()}).json()["data"]["job_id"]
        delivery = storage.queue.receive(30)
        DetectionService(storage, Engine(), model_version=MODEL_VERSION).run(delivery)
        assert client.get(f"{JOBS}/{job_id}/result").status_code == 200
        assert storage.cache.get(result_key(job_id)) is not None


class TestThePage:
    def test_it_may_reach_the_stores_that_tickets_and_links_lead_to(self, client: TestClient, world: World) -> None:
        ticket = client.post(UPLOADS).json()["data"]
        for path in ("/", "/docs"):
            policy = client.get(path).headers["Content-Security-Policy"]
            (sources,) = [part.split() for part in policy.split("; ") if part.startswith("connect-src")]
            assert sources[1] == "'self'"
            link = world.storage.cache.presign_download("cache/a", 60)
            assert link is not None
            for url in (ticket["url"], link):
                assert any(url.startswith(f"{source}/") for source in sources[2:])
            assert all(source.startswith("https://") and source.count("/") == 2 for source in sources[2:])

    def test_where_the_service_is_the_store_it_reaches_nothing_else(self, make_app: MakeApp) -> None:
        policy = TestClient(make_app()).get("/").headers["Content-Security-Policy"]
        assert "connect-src" not in policy
        assert "default-src 'self'" in policy

    def test_a_store_without_keys_does_not_take_the_page_away(self, make_app: MakeApp, world: World) -> None:
        broken: Any = Broken(ServiceUnavailableError())
        client = TestClient(make_app(storage=replace(world.storage, blueprints=broken)))
        assert client.get("/").status_code == 200


def test_an_upload_becomes_one_job_however_often_it_is_asked_for(client: TestClient, world: World) -> None:
    ticket = client.post(UPLOADS).json()["data"]
    world.storage.blueprints.put(ticket["key"], png(), "image/png")
    body = {"blueprint": {"key": ticket["key"], "format": "png"}}
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: client.post(JOBS, json=body), range(4)))
    answers.append(client.post(JOBS, json=body))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["data"]["job_id"] for answer in answers}) == 1
    assert len(client.get(JOBS).json()["data"]["jobs"]) == 1
    work(world)
    assert client.post(JOBS, json=body).json()["data"]["status"] == "completed"


class TestLive:
    """Parameter Store and Secrets Manager, as the deployed API reads them; five minutes pass when told to."""

    @pytest.fixture
    def pass_minutes(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
        monkeypatch.setenv("LOCATION_DETECTION_WORLD", "aws")
        monkeypatch.setenv("LOCATION_DETECTION_ENV", "test")
        now_s = [0.0]
        monkeypatch.setattr("utils.lookup.time.monotonic", lambda: now_s[0])
        config._parameters.cache_clear()
        secrets._secrets.cache_clear()

        def pass_(minutes: float) -> None:
            now_s[0] += 60 * minutes

        yield pass_  # type: ignore[misc]
        config._parameters.cache_clear()
        secrets._secrets.cache_clear()

    @pytest.fixture
    def live(self, pass_minutes: Callable[[float], None], world: World, jobs: JobService) -> TestClient:
        app = create_app(world.storage, load_settings(world="local"), tokens=known_tokens, jobs=jobs, limits=LAMBDA)
        return TestClient(app)

    @pytest.fixture
    def down(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
        def stop() -> None:
            def fail(*_: object, **__: object) -> None:
                raise ServiceUnavailableError

            for part in (config._parameters(True), secrets._secrets(True)):
                monkeypatch.setattr(part._lookup, "_fetch", fail)

        return stop

    def put_tokens(self, *tokens: dict[str, str]) -> None:
        text = json.dumps({"anna": [hash_token(token["Authorization"].removeprefix("Bearer ")) for token in tokens]})
        manager = aws.client("secretsmanager")
        try:
            manager.create_secret(Name="location-detection/test/tokens", SecretString=text)
        except manager.exceptions.ResourceExistsException:
            manager.put_secret_value(SecretId="location-detection/test/tokens", SecretString=text)

    def put_parameter(self, name: str, value: str) -> None:
        path = f"/location-detection/test/{name}"
        aws.client("ssm").put_parameter(Name=path, Value=value, Type="String", Overwrite=True)

    def origin_of(self, client: TestClient, origin: str) -> str | None:
        found: str | None = client.get("/docs", headers={"Origin": origin}).headers.get("Access-Control-Allow-Origin")
        return found

    def test_tokens_are_changed_without_a_deployment(
        self, live: TestClient, pass_minutes: Callable[[float], None]
    ) -> None:
        assert live.get(JOBS, headers=ANNA).status_code == 401  # there is no secret at all
        pass_minutes(5)
        self.put_tokens(ANNA)
        assert live.get(JOBS, headers=ANNA).status_code == 200
        self.put_tokens(NEXT)
        assert live.get(JOBS, headers=ANNA).status_code == 200  # from the cache
        assert live.get(JOBS, headers=NEXT).status_code == 401
        pass_minutes(5)
        assert live.get(JOBS, headers=ANNA).status_code == 401
        assert live.get(JOBS, headers=NEXT).status_code == 200

    def test_an_outage_serves_the_last_tokens_and_says_so(
        self,
        live: TestClient,
        pass_minutes: Callable[[float], None],
        down: Callable[[], None],
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self.put_tokens(ANNA)
        assert live.get(JOBS, headers=ANNA).status_code == 200
        down()
        pass_minutes(60)
        capsys.readouterr()
        assert live.get(JOBS, headers=ANNA).status_code == 200
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        assert [line["part"] for line in lines if line["action"] == "lookup_stale"] == ["secrets"]

    def test_an_outage_before_the_tokens_were_ever_known_is_an_outage(
        self, live: TestClient, down: Callable[[], None]
    ) -> None:
        down()
        answer = live.get(JOBS, headers=ANNA)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
        assert int(answer.headers["Retry-After"]) > 0

    def test_origins_are_changed_without_a_deployment(
        self, live: TestClient, pass_minutes: Callable[[float], None], down: Callable[[], None]
    ) -> None:
        a, b = "https://a.example", "https://b.example"
        assert self.origin_of(live, a) == "*"
        self.put_parameter("cors-origins", f" {a} ")
        pass_minutes(5)
        assert (self.origin_of(live, a), self.origin_of(live, b)) == (a, None)
        self.put_parameter("cors-origins", f"{b},{a}")
        assert self.origin_of(live, b) is None
        pass_minutes(5)
        assert (self.origin_of(live, a), self.origin_of(live, b)) == (a, b)
        down()
        pass_minutes(60)
        assert (self.origin_of(live, a), self.origin_of(live, "https://c.example")) == (a, None)

    def test_hosts_are_changed_without_a_deployment(
        self, live: TestClient, pass_minutes: Callable[[float], None], down: Callable[[], None]
    ) -> None:
        self.put_tokens(ANNA)

        def asked() -> tuple[int, str]:
            body = {"blueprint": {"file": "https://plans.invalid/a.png", "format": "png"}}
            answer = live.post(JOBS, json=body, headers=ANNA)
            return answer.status_code, answer.json()["error"]["code"]

        assert asked() == (400, "URL_NOT_ALLOWED")
        self.put_parameter("url-hosts", "Plans.Invalid.")
        assert asked() == (400, "URL_NOT_ALLOWED")
        pass_minutes(5)
        assert asked() == (400, "URL_FETCH_FAILED")  # it is tried: no such host exists
        self.put_parameter("url-hosts", "-")
        pass_minutes(5)
        assert asked() == (400, "URL_NOT_ALLOWED")
        config._parameters.cache_clear()
        down()
        assert asked() == (503, "SERVICE_UNAVAILABLE")  # nobody is refused because the list is out of reach
