"""The costs of a month: the table of the documentation, and that what it counts is what a plan really does."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws
from tests.contract.worlds import AWS_ENVIRONMENT, make_account

import costs
from detection import engine
from models.blueprint import Blueprint, BlueprintFormat
from models.job import now_utc
from services.detection_service import DetectionService
from services.job_service import JobService
from storage.aws.world import open_aws
from utils import aws
from utils.config import Settings

ROOT = Path(__file__).parents[2]
TEMPLATE = (ROOT / "template.yaml").read_text()
Calls = Counter[str]


def test_the_table_of_the_documentation_is_what_the_script_prints() -> None:
    found = re.search(r"<!-- costs -->\n(.*?)\n<!-- /costs -->", (ROOT / "docs" / "deploy.md").read_text(), re.DOTALL)
    assert found is not None
    assert found[1] == costs.table()


def test_the_worker_is_charged_for_memory_times_seconds_and_for_its_calls() -> None:
    deployment = costs.Deployment(sweep_every_s=float("inf"))
    million = costs.monthly(1_000_000, costs.Plan(worker_s=3.0), deployment)["Lambda, worker"]
    assert million == pytest.approx(1e6 * 3.0 * 2.9375 * 0.0000166667 + 0.20)


def test_the_sum_is_the_sum_and_grows_with_use_but_never_per_plan() -> None:
    months = [costs.monthly(plans) for plans in costs.VOLUMES]
    for month in months:
        assert month["together"] == pytest.approx(sum(month.values()) - month["together"])
    totals = [month["together"] for month in months]
    each = [total / plans for total, plans in zip(totals, costs.VOLUMES, strict=True)]
    assert totals == sorted(totals)
    assert each == sorted(each, reverse=True)
    warm = costs.monthly(100, deployment=costs.Deployment(kept_warm=1))["together"] - totals[0]
    assert warm == pytest.approx(10.95, abs=0.01)  # what docs/deploy.md says of prod


def test_what_is_deployed_is_what_the_template_says() -> None:
    deployment = costs.Deployment()
    memory_mb = [int(found) for found in re.findall(r"MemorySize: (\d+)", TEMPLATE)]
    assert [round(deployment.api_gb * 1024), round(deployment.worker_gb * 1024)] == memory_mb
    assert TEMPLATE.count("Type: AWS::CloudWatch::Alarm\n") == deployment.alarms
    assert set(re.findall(r"ExpirationInDays: (\d+)\n\s+Noncurrent", TEMPLATE)) == {f"{deployment.kept_days:.0f}"}
    (minutes,) = re.findall(r"rate\((\d+) minutes\)", TEMPLATE)
    assert deployment.sweep_every_s == int(minutes) * 60
    (days,) = re.findall(r"LogRetentionDays:\n\s+Type: Number\n\s+Default: (\d+)", TEMPLATE)
    assert deployment.kept_days == int(days)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Settings, Calls, dict[str, int]]]:
    """The settings of a world of moto's, the calls that are made to it, and the largest item of each table."""
    for name, value in AWS_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    made: Calls = Counter()
    largest: dict[str, int] = {}

    def note(params: dict[str, Any], model: Any, **_: Any) -> None:
        table = str(params.get("TableName", "")).partition("-")[2]
        made[f"{model.name} {table}".strip()] += 1
        if model.name == "PutItem":
            largest[table] = max(largest.get(table, 0), item_bytes(params["Item"]))

    aws.forget_clients()
    with mock_aws():
        settings = make_account({})
        for service in ("dynamodb", "s3", "sqs"):
            aws.client(service).meta.events.register(f"provide-client-params.{service}.*", note)  # type: ignore[call-overload]
        yield settings, made, largest
    aws.forget_clients()


def item_bytes(value: Any) -> int:
    """The size of an item about as DynamoDB reckons it: names and texts in UTF-8, numbers by their digits."""
    match value:
        case {"S": text} | {"N": text} if len(value) == 1:
            return len(text.encode())
        case {"L": parts} if len(value) == 1:
            return 3 + sum(1 + item_bytes(part) for part in parts)
        case {"M": parts} if len(value) == 1:
            return 3 + sum(1 + len(name.encode()) + item_bytes(part) for name, part in parts.items())
        case {"BOOL": _} | {"NULL": _} if len(value) == 1:
            return 1
        case _:
            return sum(len(name.encode()) + item_bytes(part) for name, part in value.items())


@pytest.mark.slow
def test_a_plan_uses_the_stores_as_often_as_is_reckoned(calls: tuple[Settings, Calls, dict[str, int]]) -> None:
    settings, made, largest = calls
    storage = open_aws(settings, now_utc, poll_s=0)
    jobs = JobService(storage, settings)
    file = (ROOT / "examples" / "flat.png").read_bytes()
    job = jobs.create(Blueprint.parse(file, BlueprintFormat.PNG), owner="anna")
    created = Counter(made)
    delivery = storage.queue.receive(600)
    DetectionService(storage, engine.detect, model_version=engine.MODEL_VERSION).run(delivery)
    worked = made - created
    jobs.result(job.job_id, owner="anna")
    jobs.page_picture(job.job_id, 1, owner="anna")

    plan = costs.Plan()
    assert created["PutItem jobs"] == 2  # the marker: 1 unit; the record with both of its indexes: 3
    assert created["UpdateItem jobs"] == 1  # it is no longer unsent: 3
    assert 2 <= worked["PutItem jobs"] <= plan.record_saves
    assert worked["PutItem preview_cache"] == 1
    assert largest["jobs"] <= 1024  # one unit a write
    assert largest["preview_cache"] <= plan.preview_bytes
    assert worked["GetItem jobs"] + worked["GetItem preview_cache"] <= 3
    assert made["PutObject"] == plan.bodies_put
    assert made["GetObject"] == plan.bodies_read
    assert made["SendMessage"] + made["ReceiveMessage"] + made["DeleteMessage"] == plan.messages
