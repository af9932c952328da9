from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.blueprint import BlueprintFormat
from models.job import (
    JOB_LIFETIME,
    MOVES,
    Job,
    Status,
    blueprint_key,
    format_time,
    is_job_id,
    new_job_id,
    now_utc,
    page_picture_key,
    parse_time,
    result_key,
    sources_of,
)

NOW = datetime(2024, 1, 15, 10, 30, 0, 123000, tzinfo=UTC)
ID = "job_20240115_abcdefghijklmnop"
JOB = Job(
    job_id=ID,
    owner="me",
    created_at=NOW,
    updated_at=NOW,
    blueprint_s3_key=f"blueprints/{ID}/blueprint.pdf",
    blueprint_format=BlueprintFormat.PDF,
    blueprint_hash="ab" * 32,
)
ENDED = {Status.COMPLETED, Status.FAILED, Status.CANCELLED}

moments = st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2200, 1, 1)).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000, tzinfo=UTC)
)


def test_every_status_has_moves_and_what_has_ended_has_none() -> None:
    assert set(MOVES) == set(Status)
    assert {status for status in Status if not MOVES[status]} == ENDED
    assert all(replace(JOB, status=status).ended == (status in ENDED) for status in Status)


def test_nothing_goes_back_to_pending_and_only_processing_may_repeat() -> None:
    assert sources_of(Status.PENDING) == frozenset()
    assert [status for status in Status if status in MOVES[status]] == [Status.PROCESSING]
    assert sources_of(Status.COMPLETED) == {Status.PROCESSING}
    assert sources_of(Status.CANCELLED) == {Status.PENDING, Status.PROCESSING}


@given(st.sampled_from(list(Status)), st.sampled_from(list(Status)), st.timedeltas(timedelta(0), timedelta(days=9)))
def test_a_move_is_in_the_table_or_a_value_error(source: Status, target: Status, later: timedelta) -> None:
    job = replace(JOB, status=source)
    if target in MOVES[source]:
        moved = job.moved(target, NOW + later, message="why")
        assert (moved.status, moved.updated_at, moved.message) == (target, NOW + later, "why")
        assert replace(moved, status=source, updated_at=NOW, message=None) == job
    else:
        with pytest.raises(ValueError, match=f"a {source} job cannot become {target}"):
            job.moved(target, NOW + later)


def test_a_clock_that_went_back_does_not_turn_updated_at_back() -> None:
    assert JOB.moved(Status.PROCESSING, NOW - timedelta(hours=1)).updated_at == NOW


def test_a_job_expires_seven_days_after_its_creation() -> None:
    assert JOB.expires_at == NOW + timedelta(days=7) == NOW + JOB_LIFETIME


def test_the_public_form_has_the_specified_fields_and_keeps_the_owner_inside() -> None:
    assert JOB.to_json() == {
        "job_id": ID,
        "status": "pending",
        "created_at": "2024-01-15T10:30:00.123Z",
        "updated_at": "2024-01-15T10:30:00.123Z",
        "blueprint_s3_key": f"blueprints/{ID}/blueprint.pdf",
        "blueprint_format": "pdf",
        "blueprint_hash": "ab" * 32,
        "result_s3_key": None,
        "error": None,
        "stage": "queued",
        "progress": 0.0,
        "message": None,
    }


@given(
    st.builds(
        Job,
        job_id=st.just(ID),
        owner=st.text(max_size=20),
        created_at=moments,
        updated_at=moments,
        blueprint_s3_key=st.text(max_size=30),
        blueprint_format=st.sampled_from(list(BlueprintFormat)),
        blueprint_hash=st.text(max_size=30),
        status=st.sampled_from(list(Status)),
        result_s3_key=st.none() | st.text(max_size=30),
        error=st.none() | st.fixed_dictionaries({"code": st.text(), "message": st.text(), "details": st.just({})}),
        stage=st.text(max_size=10),
        progress=st.floats(0, 1),
        message=st.none() | st.text(max_size=30),
        pages=st.none() | st.text(max_size=10),
    )
)
def test_a_record_survives_json(job: Job) -> None:
    assert Job.from_record(json.loads(json.dumps(job.to_record()))) == job


@given(st.binary(min_size=10, max_size=10), moments)
def test_new_ids_have_the_specified_form(random: bytes, now: datetime) -> None:
    job_id = new_job_id(now, lambda size: random[:size])
    assert is_job_id(job_id)
    assert job_id.startswith(f"job_{now:%Y%m%d}_")


@given(st.sets(st.binary(min_size=10, max_size=10), min_size=2, max_size=2))
def test_every_random_bit_counts(pair: set[bytes]) -> None:
    first, second = pair
    assert new_job_id(NOW, lambda _: first) != new_job_id(NOW, lambda _: second)


@pytest.mark.parametrize(
    "text",
    ["", "job_", ID + "\n", " " + ID, ID[:-1], ID + "a", ID.upper(), "job_2024011_abcdefghijklmnop", f"../{ID}",
     "job_20240115_abcdefghijklmno1", "job_20240115_" + "é" * 16],
)  # fmt: skip
def test_what_has_not_the_form_of_an_id_is_none(text: str) -> None:
    assert not is_job_id(text)


def test_the_keys_are_those_of_the_specification() -> None:
    assert blueprint_key(ID, BlueprintFormat.JPG) == f"blueprints/{ID}/blueprint.jpg"
    assert result_key(ID) == f"cache/final/{ID}/floorplan.json"
    assert page_picture_key(ID, 3) == f"cache/pages/{ID}/3.png"


@given(moments)
def test_times_survive_their_text(moment: datetime) -> None:
    text = format_time(moment)
    assert text.endswith("Z")
    assert parse_time(text) == moment
    assert format_time(moment.astimezone(timezone(timedelta(hours=-7)))) == text


def test_now_is_in_utc_and_in_whole_milliseconds() -> None:
    now = now_utc()
    assert now.utcoffset() == timedelta(0)
    assert now.microsecond % 1000 == 0
    assert abs(datetime.now(UTC) - now) < timedelta(seconds=10)
