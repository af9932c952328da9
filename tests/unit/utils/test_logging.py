from __future__ import annotations

import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from utils.errors import ServiceUnavailableError
from utils.logging import bind_context, current_correlation_id, current_request_id, get_logger


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Any:
    def read() -> list[dict[str, Any]]:
        captured = capsys.readouterr()
        assert captured.out == ""  # standard output belongs to what a command prints
        return [json.loads(line) for line in captured.err.splitlines()]

    return read


def test_a_line_is_json_with_sentence_action_and_ids(lines: Any) -> None:
    with bind_context(request_id="req_1", correlation_id="corr_1"):
        get_logger().info("A job was created.", extra={"action": "job_created"})
    (line,) = lines()
    assert line["message"] == "A job was created."
    assert (line["level"], line["service"], line["action"]) == ("INFO", "location-detection", "job_created")
    assert (line["request_id"], line["correlation_id"]) == ("req_1", "corr_1")
    assert "job_id" not in line
    assert line["timestamp"].endswith("+00:00")


def test_contexts_nest_and_end(lines: Any) -> None:
    log = get_logger()
    with bind_context(request_id="req_1"):
        with bind_context(job_id="job_1", request_id=None):
            assert current_request_id() == "req_1"
            log.info("Inner.", extra={"action": "inner"})
        log.info("Outer.", extra={"action": "outer"})
    log.info("Outside.", extra={"action": "outside"})
    inner, outer, outside = lines()
    assert (inner["request_id"], inner["job_id"]) == ("req_1", "job_1")
    assert outer["request_id"] == "req_1"
    assert "job_id" not in outer
    assert "request_id" not in outside
    assert current_request_id() is None
    assert current_correlation_id() is None


def test_an_exception_ends_its_context_and_shows_in_its_line(lines: Any) -> None:
    def fail() -> None:
        with bind_context(correlation_id="corr_1"):
            try:
                int("seven")
            except ValueError:
                get_logger().exception("It failed.", extra={"action": "failed"})
                raise

    with pytest.raises(ValueError, match="seven"):
        fail()
    (line,) = lines()
    assert line["correlation_id"] == "corr_1"
    assert line["exception_name"] == "ValueError"
    assert current_correlation_id() is None


def test_threads_do_not_see_each_others_ids() -> None:
    def bound(number: int) -> list[str | None]:
        with bind_context(request_id=str(number)):
            return [current_request_id() for _ in range(50)]

    with ThreadPoolExecutor(4) as pool:
        for number, seen in enumerate(pool.map(bound, range(20))):
            assert set(seen) == {str(number)}


def test_what_a_line_says_itself_goes_before_the_context(lines: Any) -> None:
    with bind_context(job_id="job_1"):
        get_logger().warning("Another one.", extra={"action": "other", "job_id": "job_2"})
    assert lines()[0]["job_id"] == "job_2"


def test_an_exception_is_shown_without_what_it_quotes(lines: Any) -> None:
    quoted = "-".join(("SECRET", "plan.pdf"))  # the lines of the source are shown
    try:
        try:
            int(quoted)
        except ValueError as error:
            raise KeyError(quoted) from error
    except KeyError:
        get_logger().exception("It failed.", extra={"action": "failed"})
    (line,) = lines()
    assert "SECRET-plan" not in json.dumps(line)
    assert line["exception_name"] == "KeyError"
    for words in ("KeyError", "ValueError", "test_logging.py", "in test_an_exception_is_shown_without"):
        assert words in line["exception"]


def test_stores_and_machines_may_say_what_is_wrong(lines: Any) -> None:
    for error in (sqlite3.OperationalError("database is locked"), OSError(28, "No space left on device")):
        try:
            raise ServiceUnavailableError(service="jobs") from error
        except ServiceUnavailableError:
            get_logger().exception("It failed.", extra={"action": "failed"})
    locked, full = lines()
    assert "ServiceUnavailableError: SERVICE_UNAVAILABLE" in locked["exception"]
    assert "OperationalError: database is locked" in locked["exception"]
    assert "No space left on device" in full["exception"]
