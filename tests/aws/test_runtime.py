"""What was built, under Lambda's own runtime, beside nothing but awslambdaric and boto3; `make test-aws` runs this.

The stores are those of the emulator. A tree that lacks a package fails here, as it would on Lambda.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.aws import accounts
from tests.aws.accounts import AUTH, JOBS, JSON, Account
from tests.aws.runtime import BROUGHT, FunctionError, Invoke, function, python, surroundings
from tests.aws.servers import EMULATOR_ENDPOINT, REGION, ROOT
from tests.unit.api.events import body_of, event

BUILT = Path(os.environ.get("LOCATION_DETECTION_TEST_BUILT", "")).resolve()
TREES = ("RestApiFunction", "WorkerFunction")
FLAT = ROOT / "examples" / "flat.png"

pytestmark = [
    pytest.mark.skipif(
        not {EMULATOR_ENDPOINT, "LOCATION_DETECTION_TEST_BUILT"} <= os.environ.keys(),
        reason="nothing was built, or there is no emulator: `make test-aws` runs this",
    ),
    pytest.mark.timeout(180),
]


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    """Tables, buckets, a queue and a token that are only these functions'."""
    with accounts.account(os.environ[EMULATOR_ENDPOINT]) as made:
        yield made


def files(tree: Path) -> set[Path]:
    return {path for path in tree.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def before() -> dict[Path, set[Path]]:
    """The trees' files as they were built."""
    return {tree: files(tree) for tree in (BUILT / name for name in TREES)}


@pytest.fixture(scope="module")
def api(account: Account, before: dict[Path, set[Path]]) -> Iterator[Invoke]:
    with function(BUILT / "RestApiFunction", "api.rest_api.handler", account.environment, timeout_s=29) as invoke:
        yield invoke


@pytest.fixture(scope="module")
def worker(account: Account, before: dict[Path, set[Path]]) -> Iterator[Invoke]:
    tree = BUILT / "WorkerFunction"
    with function(tree, "worker.consumer.handler", account.environment, timeout_s=120, memory_mb=3008) as invoke:
        yield invoke


@pytest.fixture(params=TREES)
def tree(request: pytest.FixtureRequest) -> Path:
    return BUILT / str(request.param)


def create_body(data: bytes, form: str = "png") -> bytes:
    return json.dumps({"blueprint": {"file": base64.b64encode(data).decode(), "format": form}}).encode()


def test_the_runtime_has_nothing_but_its_client_and_boto3(tree: Path, account: Account) -> None:
    check = (
        "import sys, json, importlib.metadata as m;"
        "print(json.dumps([sys.path, sorted({d.name.lower() for d in m.distributions(path=sys.path[-1:])})]))"
    )
    environ = surroundings(tree, account.environment)
    done = subprocess.run([python(), "-c", check], cwd=tree, env=environ, capture_output=True, text=True, check=True)
    path, installed = json.loads(done.stdout)
    assert set(installed) == BROUGHT
    places = [Path(entry or tree) for entry in path]
    own = [place for place in places if place.is_relative_to(ROOT) and not place.is_relative_to(python().parents[1])]
    assert set(own) <= {tree}
    assert not any(place.name == "site-packages" for place in places[:-1])


class TestApi:
    def test_the_first_call_is_answered_and_every_part_is_asked(self, api: Invoke) -> None:
        answer = api(event("GET", "/health"))
        assert answer["statusCode"] == 200, answer
        assert json.loads(answer["body"]) == {
            "status": "healthy",
            "services": {"dynamodb": "healthy", "s3": "healthy", "sqs": "healthy"},
        }

    @pytest.mark.parametrize(
        ("method", "path", "headers", "status", "code"),
        [
            ("GET", "/nowhere", {}, 404, "NOT_FOUND"),
            ("GET", f"{JOBS}/job_20260101_abcdefghijklmnop", AUTH, 404, "JOB_NOT_FOUND"),
            ("GET", JOBS, {}, 401, "UNAUTHORIZED"),
            ("PUT", JOBS, AUTH, 405, "METHOD_NOT_ALLOWED"),
            ("GET", f"{JOBS}?cursor=none", AUTH, 422, "VALIDATION_FAILED"),
            ("POST", JOBS, {**AUTH, **JSON}, 400, "INVALID_REQUEST"),
        ],
    )
    def test_refusals_have_the_envelope(
        self, api: Invoke, method: str, path: str, headers: dict[str, str], status: int, code: str
    ) -> None:
        answer = api(event(method, path, b"{" if method == "POST" else b"", **headers))
        assert (answer["statusCode"], json.loads(answer["body"])["error"]["code"]) == (status, code)
        assert answer["headers"]["x-request-id"].startswith("req_")

    def test_a_page_and_the_description_come_from_the_tree(self, api: Invoke) -> None:
        page = api(event("GET", "/"))
        assert page["headers"]["content-type"].startswith("text/html")
        for name in re.findall(r'(?:src|href)="(/static/[^"]+)"', body_of(page).decode()):
            assert api(event("GET", name))["statusCode"] == 200
        assert json.loads(body_of(api(event("GET", "/openapi.json"))))["openapi"].startswith("3.1")

    def test_an_event_of_the_sam_cli_is_answered(self, api: Invoke) -> None:
        made = subprocess.run(
            [ROOT / "build/venv-sam/bin/sam", "local", "generate-event", "apigateway", "http-api-proxy"],
            env={**os.environ, "SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": REGION},
            capture_output=True,
            text=True,
            check=True,
        )
        answer = api(json.loads(made.stdout))
        assert answer["statusCode"] == 404
        assert json.loads(answer["body"])["error"]["code"] == "NOT_FOUND"


def test_a_job_goes_through_both_functions(api: Invoke, worker: Invoke, account: Account) -> None:
    created = api(event("POST", JOBS, create_body(FLAT.read_bytes()), x_correlation_id="order-7", **JSON, **AUTH))
    assert created["statusCode"] == 201, created
    path = created["headers"]["location"]
    pending = json.loads(api(event("GET", path, **AUTH))["body"])["data"]
    assert pending["status"] == "pending"
    assert worker({"Records": [account.take()]}) == {"batchItemFailures": []}
    done = json.loads(api(event("GET", path, **AUTH))["body"])["data"]
    assert done["status"] == "completed", done
    result = json.loads(body_of(api(event("GET", f"{path}/result", **AUTH))))
    assert len(result["pages"][0]["rooms"]) > 3
    picture = api(event("GET", f"{path}/pages/1.png", **AUTH))
    assert picture["isBase64Encoded"] is True
    assert body_of(picture).startswith(b"\x89PNG\r\n\x1a\n")
    purged = api(event("DELETE", f"{path}?purge=true", **AUTH))
    assert purged["statusCode"] == 200
    assert api(event("GET", path, **AUTH))["statusCode"] == 404


@pytest.mark.parametrize("name", ["house.jpg", "office.pdf"])
def test_the_other_formats_are_read_too(api: Invoke, worker: Invoke, account: Account, name: str) -> None:
    plan = ROOT / "examples" / name
    created = api(event("POST", JOBS, create_body(plan.read_bytes(), plan.suffix[1:]), **JSON, **AUTH))
    assert created["statusCode"] == 201, created
    assert worker({"Records": [account.take()]}) == {"batchItemFailures": []}
    result = json.loads(body_of(api(event("GET", f"{created['headers']['location']}/result", **AUTH))))
    assert result["pages"][0]["rooms"]


def test_the_schedule_finds_nothing_lost(worker: Invoke) -> None:
    assert worker({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}) == {"resent": 0}


def test_a_message_that_is_none_of_ours_is_named_as_failed(worker: Invoke, account: Account) -> None:
    account.client("sqs").send_message(QueueUrl=account.settings.queue_url, MessageBody="[]")
    record = account.take()
    assert worker({"Records": [record]}) == {"batchItemFailures": [{"itemIdentifier": record["messageId"]}]}


def test_a_tree_that_lacks_a_package_does_not_answer(account: Account, tmp_path: Path) -> None:
    """Were this one answered, the runtime would see more than the tree, and the other tests would say nothing."""
    lacking = tmp_path / "tree"
    lacking.mkdir()
    for entry in (BUILT / "RestApiFunction").iterdir():
        if entry.name != "mangum":
            (lacking / entry.name).symlink_to(entry)
    with (
        function(lacking, "api.rest_api.handler", account.environment, timeout_s=29) as invoke,
        pytest.raises(FunctionError, match="No module named 'mangum'"),
    ):
        invoke(event("GET", "/health"))


def test_calls_leave_nothing_in_the_tree(
    tree: Path, before: dict[Path, set[Path]], api: Invoke, worker: Invoke
) -> None:
    """On Lambda it is read-only."""
    assert api(event("GET", "/docs"))["statusCode"] == 200
    assert worker({"detail-type": "Scheduled Event"}) == {"resent": 0}
    assert len(before[tree]) > 600
    assert files(tree) == before[tree]
