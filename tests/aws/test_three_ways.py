"""The same requests through the app, through `handler(event)` and through the deployed API, on one deployment's stores.

All three get the same answers, but for what is random, counts time or is signed; `make test-aws` runs this.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import boto3
import httpx
import pytest
from fastapi.testclient import TestClient
from tests.aws.deployment import Deployment
from tests.aws.requests import STORY, Ask, Put, Work
from tests.unit.api.events import DOMAIN, Context, body_of, event

import api.rest_api
import utils.config
import utils.secrets
import worker.consumer
from utils import aws

WAYS = ("app", "event", "deployed")
ASKS = [step for step in STORY if isinstance(step, Ask)]
# What the servers and the gateway say of themselves. A length says nothing that the body does not, but for HEAD, where
# the emulator has none.
NOT_OURS = frozenset({"apigw-requestid", "connection", "content-length", "date", "server", "transfer-encoding"})
VARYING = [
    (rb"req_[0-9a-f]{16}", b"<request>"),
    (rb"job_20(?!260101_abc)\d{6}_[a-z2-7]{16}", b"<another job>"),
    (rb"\d{4}-\d\d-\d\dT[0-9:.]+Z", b"<time>"),
    (rb"https?://(localhost|127\.0\.0\.1)(:\d+)?(?=/)", b"<store>"),
    (rb"(X-Amz-[A-Za-z-]+=)[^&\"]*&?", b""),
    (rb'"(policy|x-amz-[a-z-]+)":"[^"]*",?', b""),
]

pytestmark = pytest.mark.timeout(600)  # a deployment, and the story three times


@dataclass
class Answer:
    """An answer, without what differs each time."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Way:
    """One way to the API, and the story's names there."""

    name: str
    send: Callable[[str, str, bytes, dict[str, str]], tuple[int, Mapping[str, str], bytes]]
    known: dict[str, str]
    answers: dict[str, Answer] = field(default_factory=dict)

    def ask(self, step: Ask) -> None:
        """Send the request, and keep its answer and what later steps need of it."""
        headers = {name: self.filled(value) for name, value in step.headers.items()}
        body = self.filled(step.body.decode("latin-1")).encode("latin-1")
        status, told, found = self.send(step.method, self.filled(step.path), body, headers)
        for name, way in step.keep.items():
            value: Any = json.loads(found)
            for part in way.split("."):
                value = value[part]
            self.known[name] = value
        kept = {name.lower(): value for name, value in told.items() if name.lower() not in NOT_OURS}
        kept |= {name: "<file>" for name in ("etag", "last-modified") if name in kept}  # of a file here, and in the zip
        if self.name == "deployed":  # CORS is the gateway's: the app says nothing of it, so that no header comes twice
            kept = {name: value for name, value in kept.items() if not name.startswith("access-control-")}
            if kept.get("vary") == "Origin":
                del kept["vary"]
        if not found and step.method != "HEAD":
            kept.pop("content-type", None)  # the adapter's word on an answer without a body
        sent_id = step.headers.get("x-correlation-id", "")
        if kept.get("x-correlation-id") != sent_id:
            kept["x-correlation-id"] = "<id>"
        steady = {name: self.steady(value.encode()).decode() for name, value in sorted(kept.items())}
        self.answers[step.name] = Answer(status, steady, self.steady(found))

    def warm_up(self) -> None:
        """Ask until all is well: on a busy machine the first clients of the stores take longer than a health check."""
        for _ in range(10):
            if self.send("GET", "/health", b"", {})[0] == 200:
                return

    def filled(self, text: str) -> str:
        """The text with its names replaced by what they stand for."""
        for name, value in self.known.items():
            text = text.replace("{" + name + "}", value)
        return text

    def steady(self, text: bytes) -> bytes:
        """The text with what is known by its name, and nothing else that varies."""
        for name, value in sorted(self.known.items(), key=lambda one: -len(one[1])):
            text = text.replace(value.encode(), f"<{name}>".encode())
        for pattern, word in VARYING:
            text = re.sub(pattern, word, text)
        return text


def through_the_app() -> Callable[..., tuple[int, Mapping[str, str], bytes]]:
    app = api.rest_api.cloud_app()
    client = TestClient(app, f"https://{DOMAIN}", raise_server_exceptions=False, follow_redirects=False)
    return over_http(client)


def over_http(client: httpx.Client) -> Callable[..., tuple[int, Mapping[str, str], bytes]]:
    def send(method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, Mapping[str, str], bytes]:
        answer = client.request(method, path, content=body, headers=headers)
        return answer.status_code, answer.headers, answer.content

    return send


def as_event(method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, Mapping[str, str], bytes]:
    answer = api.rest_api.handler(event(method, path, body, **headers), Context())
    return answer["statusCode"], answer["headers"], body_of(answer)


def work(sqs: Any, queue_url: str) -> None:
    """Have the worker's function do what messages there are."""
    while found := sqs.receive_message(
        QueueUrl=queue_url, WaitTimeSeconds=1, MaxNumberOfMessages=10, AttributeNames=["All"]
    ).get("Messages"):
        for message in found:
            record = {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": message["Attributes"],
            }
            assert worker.consumer.handler({"Records": [record]}, Context(600)) == {"batchItemFailures": []}
            sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])


@pytest.fixture(scope="module")
def here(deployment: Deployment) -> Iterator[dict[str, str]]:
    """The API function's variables, now this process's too; the deployed worker takes no messages meanwhile."""
    name = deployment.resources("AWS::Lambda::Function")["RestApiFunction"]
    told = deployment.client("lambda").get_function_configuration(FunctionName=name)
    variables: dict[str, str] = told["Environment"]["Variables"]
    with deployment.worker_paused(), pytest.MonkeyPatch.context() as patch:
        for name, value in {**variables, **deployment.environment}.items():
            patch.setenv(name, value)
        forget()
        yield variables
    forget()


def forget() -> None:
    aws.forget_clients()
    boto3.setup_default_session()
    for kept in (
        api.rest_api._function,
        worker.consumer._storage,
        worker.consumer._batches,
        utils.secrets._secrets,
        utils.config._parameters,
    ):
        kept.cache_clear()


@pytest.fixture(scope="module")
def ways(deployment: Deployment, here: dict[str, str]) -> dict[str, Way]:
    """The story as it goes each way, one after the other."""
    sqs, s3 = deployment.client("sqs"), deployment.client("s3")
    buckets = {name: here[f"LOCATION_DETECTION_{name.upper()}_BUCKET"] for name in ("blueprints", "cache")}
    with httpx.Client(base_url=deployment.url, timeout=60) as client:
        sends = (through_the_app(), as_event, over_http(client))
        found = {
            name: Way(name, send, {"token": deployment.token, "way": f"way-{name}"})
            for name, send in zip(WAYS, sends, strict=True)
        }
        for way in found.values():
            way.warm_up()
            for step in STORY:
                if isinstance(step, Ask):
                    way.ask(step)
                elif isinstance(step, Put):
                    s3.put_object(Bucket=buckets[step.bucket], Key=way.filled(step.key), Body=step.data)
                elif isinstance(step, Work):
                    work(sqs, here["LOCATION_DETECTION_QUEUE_URL"])
    return found


@pytest.mark.parametrize("name", [ask.name for ask in ASKS])
def test_the_answer_is_the_same_each_way(ways: dict[str, Way], name: str) -> None:
    app, as_event, deployed = (ways[way].answers[name] for way in WAYS)
    assert as_event == app
    assert deployed == app


def test_the_story_is_about_everything_that_clients_meet(ways: dict[str, Way]) -> None:
    assert len(ASKS) >= 40
    statuses = {answer.status for answer in ways["app"].answers.values()}
    assert statuses == {200, 201, 307, 400, 401, 404, 405, 409, 413, 415, 422}


def test_the_story_goes_as_it_should(ways: dict[str, Way]) -> None:
    for way in ways.values():
        answers = way.answers
        first, again = answers["create"], answers["create again"]
        assert (first.status, again.status) == (201, 201)
        assert b"<job>" in first.body
        assert b"<job>" in again.body
        assert answers["create another with the same key"].status == 409
        assert b'"cancelled"' in answers["still cancelled"].body
        assert b'"completed"' in answers["completed from the upload"].body
        assert b"<large>" in answers["create from it again"].body
        assert len(json.loads(answers["result"].body)["pages"][0]["rooms"]) > 3
        assert answers["a link to it"].headers["location"].startswith("<store>/")
        assert answers["purged"].status == 404


def test_nothing_of_the_story_is_left(deployment: Deployment, ways: dict[str, Way], here: dict[str, str]) -> None:
    s3 = deployment.client("s3")
    jobs = {way.known[name] for way in ways.values() for name in ("job", "formed", "large", "paged")}
    for name in ("BLUEPRINTS", "CACHE"):
        found = s3.list_objects_v2(Bucket=here[f"LOCATION_DETECTION_{name}_BUCKET"]).get("Contents", [])
        assert not [one["Key"] for one in found if any(job_id in one["Key"] for job_id in jobs)]
