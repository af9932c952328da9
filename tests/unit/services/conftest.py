from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.services.plans import Ticking, make_service

from services.job_service import JobService
from storage import open_storage
from storage.base import Storage
from utils.config import Settings, load_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data_dir=tmp_path / "data")


@pytest.fixture
def storage(settings: Settings) -> Storage:
    return open_storage(settings)


@pytest.fixture
def ticking() -> Ticking:
    return Ticking()


@pytest.fixture
def service(storage: Storage, settings: Settings, ticking: Ticking) -> JobService:
    return make_service(storage, settings, ticking)
