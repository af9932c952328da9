"""The engine: from a blueprint to its floorplan. Pure: no network, no clock, equal input gives equal bytes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final, Protocol

import cv2

from detection import raster, vector
from detection.assembly import build_page, empty_page
from detection.document import BrokenPage, Page, open_document
from detection.merging import Reading
from detection.overlay import draw_rooms, encode_png
from detection.picture_words import are_read
from detection.regions import ByteImage, Debug
from detection.settings import DEFAULTS, Settings
from models import floorplan
from models.blueprint import Blueprint, PageSelection
from models.floorplan import Floorplan, Source
from utils.errors import ProcessingFailedError, ServiceError

_VERSION: Final = "0.5.0"  # changes whenever the same blueprint may give other rooms


def version_of(settings: Settings) -> str:
    """What finds rooms, in a word; another one where names on pictures are read, for rooms differ by them."""
    return f"{_VERSION}+names" if are_read(settings) else _VERSION


#: Names what finds rooms unless other settings are given.
MODEL_VERSION: Final = version_of(DEFAULTS)

PAGE_FAILED: Final = "This page could not be processed."

_log = logging.getLogger(__name__)


class Observer(Protocol):
    """Who is told how far the engine is; an exception from here ends the detection."""

    def stage(self, name: str, page: int, page_count: int, progress: float) -> None:
        """Stage `name` of page `page` begins; `progress` is the share of all work done."""

    def picture(self, page: int, png: bytes) -> None:
        """The page as it was looked at, as PNG; it scales to the page's width and height."""


def detect(
    blueprint: Blueprint,
    settings: Settings = DEFAULTS,
    *,
    pages: PageSelection = PageSelection(),  # noqa: B008 - frozen
    observer: Observer | None = None,
    debug: Debug | None = None,
) -> Floorplan:
    """The rooms on the selected pages of a blueprint.

    Args:
        blueprint: a parsed blueprint.
        settings: equal ones give equal results.
        pages: which pages to read; all by default.
        observer: told the stages and given each page's picture.
        debug: given one picture a step.

    Raises:
        InvalidFileFormatError: damaged, encrypted or without pages.
        FileTooLargeError: more pages, larger ones or more pixels than the limits allow.
        InvalidRequestError: the document has none of the selected pages.
        ProcessingFailedError: not one of the pages could be processed.
    """
    cv2.setNumThreads(settings.threads)
    tell = _Teller(observer)
    tell.stage("open", 1, 1, 0.0)
    found: list[floorplan.Page] = []
    failed: list[_PageFailedError] = []
    with open_document(blueprint, pages) as document:
        count = len(document.numbers)
        for index, page in enumerate(document.pages()):
            work = _PageWork(page, index, count, settings, tell, debug)
            try:
                found.append(work.run(first_id=1 + sum(len(done.rooms) for done in found)))
            except _PageFailedError as error:
                _log.exception("A page could not be processed.", extra={"action": "page_failed", "page": page.number})
                failed.append(error)
                found.append(empty_page(page, PAGE_FAILED))
    if len(failed) == count:
        raise ProcessingFailedError(page=found[0].page) from failed[0]
    source = Source(format=blueprint.format, sha256=blueprint.sha256)
    return Floorplan(model_version=version_of(settings), source=source, pages=found)


class _PageFailedError(Exception):
    """The engine failed on one page; the cause says how."""


@contextmanager
def _own_failures() -> Iterator[None]:
    """Tells what fails in the engine itself from what the observer or the limits mean to end the whole."""
    try:
        yield
    except (ServiceError, MemoryError):
        raise
    except Exception as error:
        raise _PageFailedError from error


@dataclass(frozen=True, slots=True)
class _Teller:
    """Tells the observer, if there is one."""

    observer: Observer | None

    def stage(self, name: str, page: int, page_count: int, progress: float) -> None:
        if self.observer is not None:
            self.observer.stage(name, page, page_count, round(progress, 4))

    def picture(self, page: Page, side_px: int) -> None:
        if self.observer is not None:
            with _own_failures():
                png = encode_png(page_picture(page, side_px))
            self.observer.picture(page.number, png)


@dataclass(frozen=True, slots=True)
class _PageWork:
    """One page's way through the steps."""

    page: Page
    index: int
    count: int
    settings: Settings
    tell: _Teller
    debug: Debug | None

    def run(self, first_id: int) -> floorplan.Page:
        """The page of the floorplan.

        Raises:
            _PageFailedError: the engine failed on it.
        """
        self._stage("picture", 0.0)
        self.tell.picture(self.page, self.settings.picture_side_px)
        if isinstance(self.page, BrokenPage):
            return empty_page(self.page)
        self._stage("walls", 0.2)
        with _own_failures():
            readings = read(self.page, self.settings, self.debug)
        self._stage("rooms", 0.8)
        with _own_failures():
            result = build_page(self.page, readings, first_id, self.settings)
            if self.debug is not None:
                self.debug("result", draw_rooms(page_picture(self.page, self.settings.picture_side_px), result))
        return result

    def _stage(self, name: str, share: float) -> None:
        self.tell.stage(name, self.page.number, self.count, (self.index + share) / self.count)


def page_picture(page: Page, side_px: int) -> ByteImage:
    """The page with its longer side at most `side_px` long, and never larger than a picture's own pixels."""
    scale = side_px / max(page.width, page.height)
    return page.raster(min(1.0, scale) if page.unit == "px" else scale)


def read(page: Page, settings: Settings, debug: Debug | None) -> list[Reading]:
    """The page by its own lines where it draws them, and by its picture where those tell nothing or leave doubts."""
    drawn = read_lines(page, settings, debug)
    if drawn is None:
        return [read_picture(page, settings, debug)]
    wall = drawn.regions.wall_px * drawn.regions.units_per_px
    if drawn.doubtful and raster.sees(settings) and raster.are_seen(wall, max(page.width, page.height)):
        return [drawn, read_picture(page, settings, debug)]
    return [drawn]


def read_lines(page: Page, settings: Settings, debug: Debug | None) -> Reading | None:
    """The page by its own lines; None where it draws none that enclose rooms."""
    regions = vector.find_regions(page, settings, debug) if page.kind in ("vector", "mixed") else None
    return None if regions is None else Reading.of(page, regions)


def read_picture(page: Page, settings: Settings, debug: Debug | None) -> Reading:
    """The page by its picture."""
    image = page_picture(page, settings.max_side_px)
    regions = raster.find_regions(image, settings, debug)
    return Reading.of(page, replace(regions, units_per_px=regions.units_per_px * page.width / image.shape[1]))
