"""Small real things to run the services on: PNG files, floorplans, a store that fails where told."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from models.blueprint import Blueprint, PageSelection
from models.floorplan import Floorplan, Page, Room, Source
from services.detection_service import Observer
from services.job_service import JobService
from storage.base import Storage
from utils.config import Settings
from utils.errors import ServiceUnavailableError

MODEL_VERSION = "test-1"


def png(width_px: int = 4, height_px: int = 3, shade: int = 255) -> bytes:
    """A grey PNG of one shade."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\x00" + bytes([shade]) * width_px) * height_px
    header = struct.pack(">IIBBBBB", width_px, height_px, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def plan(shade: int = 255) -> Blueprint:
    """A blueprint; another shade is another blueprint."""
    return Blueprint.parse(png(shade=shade))


@dataclass
class Engine:
    """Finds one room that fills the page, and tells of it in stages; `then` runs after each stage."""

    pages: int = 1
    stages: tuple[str, ...] = ("document", "walls", "rooms")
    then: Callable[[str, int], None] = lambda name, page: None
    calls: list[str] = field(default_factory=list)

    def __call__(self, blueprint: Blueprint, *, pages: PageSelection, observer: Observer) -> Floorplan:
        self.calls.append(str(pages))
        found = []
        numbers = pages.of(self.pages)
        for index, page in enumerate(numbers):
            for step, name in enumerate(self.stages):
                observer.stage(name, page, self.pages, (index + step / len(self.stages)) / len(numbers))
                self.then(name, page)
            observer.picture(page, png(shade=page))
            room = Room(
                id=f"room_{page:03d}",
                polygon=[(0, 0), (4, 0), (4, 3), (0, 3)],
                bounding_box=[0, 0, 1000, 1000],
                confidence=0.9,
            )
            found.append(Page(page=page, width=4, height=3, unit="px", rooms=[room]))
        return Floorplan(
            model_version=MODEL_VERSION,
            source=Source(format=blueprint.format, sha256=blueprint.sha256),
            pages=found,
        )


class Ticking:
    """A clock that only `sleep` moves; `seconds` is its monotonic face, `now` its calendar."""

    def __init__(self) -> None:
        self.passed_s = 0.0
        self.naps: list[float] = []
        self._start = datetime.now(UTC).replace(microsecond=0)

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.passed_s)

    def seconds(self) -> float:
        return self.passed_s

    def sleep(self, duration_s: float) -> None:
        self.naps.append(duration_s)
        self.passed_s += duration_s


class Failing:
    """A part of the store of which some methods fail, for ever or some times."""

    def __init__(self, part: Any, methods: str, times: int = 10**9) -> None:
        self._part, self._methods, self.left = part, methods.split(), times

    def __getattr__(self, name: str) -> Any:
        if name in self._methods and self.left > 0:

            def fail(*_: object, **__: object) -> None:
                self.left -= 1
                raise ServiceUnavailableError(service=type(self._part).__name__)

            return fail
        return getattr(self._part, name)


def failing(storage: Storage, part: str, methods: str, times: int = 10**9) -> Storage:
    """The same world, one part of which fails."""
    return replace(storage, **{part: Failing(getattr(storage, part), methods, times)})


def make_service(storage: Storage, settings: Settings, ticking: Ticking) -> JobService:
    """A service whose time only passes when it sleeps."""
    return JobService(storage, settings, clock=ticking.now, sleep=ticking.sleep, monotonic=ticking.seconds)
