"""`location-detection jobs`: on a data folder, with or without a server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from models.blueprint import Blueprint
from models.job import Job
from services.job_service import JobService
from storage import open_storage
from utils.config import Settings, load_settings

from .conftest import draw_plan


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data_dir=tmp_path / "data")


@pytest.fixture
def jobs(settings: Settings, tmp_path: Path) -> list[Job]:
    """Three jobs of `local`, oldest first."""
    service = JobService(open_storage(settings), settings)
    return [
        service.create(Blueprint.parse(draw_plan(tmp_path / "p.png", n).read_bytes()), owner="local") for n in (1, 2, 3)
    ]


def invoke(settings: Settings, *arguments: str):
    return CliRunner().invoke(app, ["jobs", *arguments, "--data", str(settings.data_dir)])


def test_list_is_newest_first(settings: Settings, jobs: list[Job]) -> None:
    done = invoke(settings, "list", "--limit", "2")
    assert done.exit_code == 0
    listed = [job["job_id"] for job in json.loads(done.stdout)]
    assert len(listed) == 2
    assert set(listed) < {job.job_id for job in jobs}
    assert json.loads(invoke(settings, "list", "--owner", "somebody").stdout) == []


def test_show_gives_the_public_record(settings: Settings, jobs: list[Job]) -> None:
    done = invoke(settings, "show", jobs[0].job_id)
    assert json.loads(done.stdout) == jobs[0].to_json()


def test_cancel_then_purge(settings: Settings, jobs: list[Job]) -> None:
    job_id = jobs[0].job_id
    assert json.loads(invoke(settings, "cancel", job_id).stdout)["status"] == "cancelled"
    assert json.loads(invoke(settings, "purge", job_id).stdout) == {"job_id": job_id, "purged": True}
    gone = invoke(settings, "show", job_id)
    assert (gone.exit_code, gone.stdout) == (1, "")
    assert "JOB_NOT_FOUND" in gone.stderr


def test_another_owners_job_is_absent(settings: Settings, jobs: list[Job]) -> None:
    for command in ("show", "cancel", "purge"):
        done = invoke(settings, command, jobs[0].job_id, "--owner", "somebody")
        assert done.exit_code == 1
        assert "JOB_NOT_FOUND" in done.stderr
    assert invoke(settings, "show", jobs[0].job_id).exit_code == 0


def test_a_missing_data_folder_is_not_made(settings: Settings) -> None:
    done = invoke(settings, "list")
    assert done.exit_code == 2
    assert "no data folder" in done.stderr
    assert not settings.data_dir.exists()
