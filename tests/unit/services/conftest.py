from __future__ import annotations

import pytest
from tests.unit.services.plans import Ticking, make_service

from services.job_service import JobService
from storage.base import Storage
from utils.config import Settings


@pytest.fixture
def ticking() -> Ticking:
    return Ticking()


@pytest.fixture
def service(storage: Storage, settings: Settings, ticking: Ticking) -> JobService:
    return make_service(storage, settings, ticking)
