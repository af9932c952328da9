"""How records lie in DynamoDB, what is sent for them, and cursors."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.contract.worlds import START, make_job
from tests.unit.storage.aws.conftest import Faults

from models.floorplan import Page
from models.job import JOB_LIFETIME, Status
from storage.aws.cursors import read_cursor, write_cursor
from storage.aws.items import attribute, value_of
from storage.aws.tables import expires_at_s
from storage.base import JobMessage, Preview, Storage
from utils import aws
from utils.config import Settings

JOB = make_job(1, START)
NUMBERS = st.integers(-(10**30), 10**30) | st.floats(-1e100, 1e100).filter(lambda x: x == 0 or abs(x) > 1e-100)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_a_value_comes_back_from_its_attribute(value: Any) -> None:
    found = attribute(value)
    assert value_of(found) == value
    assert not any(isinstance(part, float) for part in _leaves(found))


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for part in value.values() for leaf in _leaves(part)]
    if isinstance(value, list):
        return [leaf for part in value for leaf in _leaves(part)]
    return [value]


def test_what_is_no_json_value_is_refused() -> None:
    with pytest.raises(TypeError, match="bytes"):
        attribute(b"x")
    with pytest.raises(ValueError, match="type SS"):
        value_of({"SS": ["a"]})


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))
def test_nothing_expires_too_early(moment: datetime) -> None:
    lifetime = timedelta(hours=1)
    ends = datetime.fromtimestamp(expires_at_s(moment, lifetime), UTC)
    assert timedelta(0) <= ends - (moment + lifetime) < timedelta(seconds=1)


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_cursor_is_read_by_its_owner_alone(owner: str, other: str) -> None:
    place = ("2024-01-15T10:30:00.000Z", JOB.job_id)
    cursor = write_cursor(owner, *place)
    assert read_cursor(owner, cursor) == place
    if other != owner:
        with pytest.raises(ValueError, match="cursor"):
            read_cursor(other, cursor)


@given(st.text(max_size=80) | st.binary(max_size=60).map(lambda data: data.hex()))
def test_any_other_text_is_no_cursor(text: str) -> None:
    with pytest.raises(ValueError, match="cursor"):
        read_cursor("me", text)


def item_of(account: Settings, job_id: str = JOB.job_id) -> dict[str, Any]:
    found = aws.client("dynamodb").get_item(TableName=account.jobs_table, Key={"job_id": {"S": job_id}})
    return dict(found["Item"])


def test_a_record_has_the_specifications_attributes(account: Settings, storage: Storage) -> None:
    storage.jobs.add(JOB)
    assert item_of(account) == {
        "job_id": {"S": JOB.job_id},
        "status": {"S": "pending"},
        "created_at": {"S": "2024-01-15T10:30:00.000Z"},
        "updated_at": {"S": "2024-01-15T10:30:00.000Z"},
        "blueprint_s3_key": {"S": JOB.blueprint_s3_key},
        "blueprint_format": {"S": "png"},
        "blueprint_hash": {"S": JOB.blueprint_hash},
        "result_s3_key": {"NULL": True},
        "error": {"NULL": True},
        "stage": {"S": "queued"},
        "progress": {"N": "0.0"},
        "message": {"NULL": True},
        "owner": {"S": "me"},
        "pages": {"NULL": True},
        "expires_at": {"N": str(int((START + JOB_LIFETIME).timestamp()))},
        "unsent": {"S": "unsent"},
    }


@pytest.mark.parametrize("how", ["sent", "begun"])
def test_the_mark_of_an_unsent_job_goes(account: Settings, storage: Storage, how: str) -> None:
    jobs = [make_job(number, START + timedelta(seconds=number)) for number in range(4)]
    for job in jobs:
        storage.jobs.add(job)
    assert storage.jobs.unsent(START + timedelta(seconds=3)) == jobs[:3]  # the oldest first
    if how == "sent":
        storage.queue.send(JobMessage(jobs[1].job_id, "", ""))
    else:
        storage.jobs.save(jobs[1].moved(Status.PROCESSING, START))
    assert "unsent" not in item_of(account, jobs[1].job_id)
    assert storage.jobs.unsent(START + timedelta(seconds=3)) == [jobs[0], jobs[2]]
    assert storage.jobs.unsent(START) == []
    assert storage.jobs.unsent(START - JOB_LIFETIME) == []


def test_only_a_pending_job_waits_for_its_message(storage: Storage) -> None:
    storage.jobs.add(replace(JOB, status=Status.COMPLETED))
    assert storage.jobs.unsent(START + timedelta(seconds=1)) == []


def test_a_message_makes_no_record(account: Settings, storage: Storage) -> None:
    for job_id in (JOB.job_id, "1", ""):  # a purged job's, and what is no job's
        storage.queue.send(JobMessage(job_id, "", ""))
    assert storage.jobs.get(JOB.job_id) is None
    assert aws.client("dynamodb").scan(TableName=account.jobs_table)["Items"] == []


def test_claims_lie_beside_jobs_and_are_in_no_index(account: Settings, storage: Storage) -> None:
    storage.jobs.add(JOB)
    storage.claims.claim(JOB.job_id, {"owner": "me"}, 60)
    storage.claims.claim("x" * 5000, {"owner": "me"}, 60)
    assert storage.claims.get("x" * 5000) == {"owner": "me"}
    assert storage.claims.get("x" * 4999) is None
    assert item_of(account, f"claim#{JOB.job_id}") == {
        "job_id": {"S": f"claim#{JOB.job_id}"},
        "value": {"M": {"owner": {"S": "me"}}},
        "expires_at": {"N": str(int(START.timestamp()) + 60)},
    }
    assert storage.jobs.list("me", 10).jobs == [JOB]
    assert storage.jobs.get(f"claim#{JOB.job_id}") is None
    assert storage.jobs.delete(f"claim#{JOB.job_id}") is False
    assert storage.claims.get(JOB.job_id) is not None


def test_a_preview_has_the_specifications_attributes(account: Settings, storage: Storage) -> None:
    page = Page(page=1, width=60.5, height=40, unit="pt")
    storage.previews.put(Preview("ab" * 32, "7", [page], {1: "cache/pages/job_1/1.png"}))
    table = aws.client("dynamodb")
    key = {"blueprint_hash": {"S": "ab" * 32}}
    item = dict(table.get_item(TableName=account.preview_cache_table, Key=key)["Item"])
    assert set(item) == {"blueprint_hash", "rooms", "timestamp", "model_version", "expires_at", "picture_keys"}
    assert item["timestamp"] == {"S": "2024-01-15T10:30:00.000Z"}
    assert item["expires_at"] == {"N": str(int(START.timestamp()) + 3600)}
    assert [part["M"]["page"] for part in item["rooms"]["L"]] == [{"N": "1"}]
    table.put_item(TableName=account.preview_cache_table, Item={**item, "rooms": {"L": [{"M": {"other": {"N": "1"}}}]}})
    assert storage.previews.get("ab" * 32) is None  # an earlier version's form


def test_each_step_is_one_call(storage: Storage, faults: Faults) -> None:
    storage.jobs.add(JOB)
    storage.jobs.save(JOB.moved(Status.CANCELLED, START))
    storage.jobs.save(replace(JOB, status=Status.PROCESSING))
    storage.jobs.get(JOB.job_id)
    storage.jobs.get("no id")
    storage.claims.claim("n", {}, 60)
    storage.claims.claim("n", {}, 60)
    storage.jobs.list("me", 10)
    storage.jobs.delete(JOB.job_id)
    expected = ["PutItem", "PutItem", "PutItem", "GetItem", "PutItem", "PutItem", "Query", "DeleteItem"]
    assert faults.calls == expected
