from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from utils import metrics


@pytest.fixture(autouse=True)
def on(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(metrics.SWITCH, "on")
    metrics._metrics._kept.clear()
    yield
    metrics._metrics._kept.clear()


def written(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_numbers_of_the_same_dimensions_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    metrics.count("Requests", route="/health", status_class="2xx")
    metrics.count("Requests", status_class="2xx", route="/health")
    metrics.count("Requests", route="/health", status_class="5xx")
    metrics.seconds("StageSeconds", 1.5, stage="walls")
    assert written(capsys) == []
    metrics.flush()
    lines = written(capsys)
    assert len(lines) == 3
    first = lines[0]
    (described,) = first["_aws"]["CloudWatchMetrics"]
    assert described["Namespace"] == "LocationDetection"
    assert sorted(described["Dimensions"][0]) == ["route", "service", "status_class"]
    assert described["Metrics"] == [{"Name": "Requests", "Unit": "Count"}]
    assert first["Requests"] == [1.0, 1.0]
    assert (first["route"], first["status_class"], first["service"]) == ("/health", "2xx", "location-detection")
    assert lines[2]["StageSeconds"] == [1.5]
    assert lines[2]["_aws"]["CloudWatchMetrics"][0]["Metrics"] == [{"Name": "StageSeconds", "Unit": "Seconds"}]
    metrics.flush()
    assert written(capsys) == []  # what was written is forgotten


def test_deployments_in_one_account_stay_apart(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(metrics.SERVICE_VARIABLE, "location-detection-prod")
    metrics.count("PreviewHits")
    metrics.flush()
    assert [line["service"] for line in written(capsys)] == ["location-detection-prod"]


def test_more_values_than_a_line_takes_are_several_lines(capsys: pytest.CaptureFixture[str]) -> None:
    for rooms in range(250):
        metrics.count("RoomsPerPage", rooms, model_version="m")
    metrics.flush()
    lines = written(capsys)
    assert [len(line["RoomsPerPage"]) for line in lines] == [100, 100, 50]
    assert sorted(value for line in lines for value in line["RoomsPerPage"]) == list(range(250))


def test_no_number_is_lost_between_threads(capsys: pytest.CaptureFixture[str]) -> None:
    def work(number: int) -> None:
        metrics.count("JobMoves", to_status="pending")
        if number % 10 == 0:
            metrics.flush()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(300)))
    metrics.flush()
    assert sum(len(line["JobMoves"]) for line in written(capsys)) == 300


def test_elsewhere_nothing_is_kept_or_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(metrics.SWITCH)
    metrics.count("Requests")
    metrics.flush()
    assert written(capsys) == []


@pytest.mark.parametrize(
    ("environ", "on"),
    [
        ({}, False),
        ({"AWS_LAMBDA_FUNCTION_NAME": "api"}, True),
        ({"AWS_LAMBDA_FUNCTION_NAME": "api", metrics.SWITCH: "off"}, False),
        ({metrics.SWITCH: "on"}, True),
    ],
)
def test_they_are_on_where_a_function_runs_or_when_switched_on(environ: dict[str, str], on: bool) -> None:
    assert metrics.switched_on(environ) is on
