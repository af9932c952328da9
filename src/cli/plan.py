"""One file's way through the engine for the terminal: read, detect, write; every failure becomes a sentence."""

from __future__ import annotations

import os
import stat
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from models.blueprint import MAX_FILE_BYTES, Blueprint, PageSelection, check_file_size
from utils.errors import ServiceError

if TYPE_CHECKING:
    from models.floorplan import Floorplan

STDIN: Final = "-"

#: Told the file, the stage, the page and the number of pages whenever the work goes on to another stage.
Notify = Callable[[str, str, int, int], None]


def silent(file: str, stage: str, page: int, page_count: int) -> None:
    """Say nothing about where the work stands."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a file: its JSON text if stdout wants it, or the error's sentence; and notes for stderr."""

    file: str
    text: str | None = None
    error: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One file to be processed, with everything a child process needs to know."""

    file: str = field(kw_only=False)
    pages: str | None = None
    out: Path | None = None
    debug: Path | None = None
    overlay: bool = False
    threads: int = 2
    data: bytes | None = field(default=None, repr=False)

    @property
    def stem(self) -> str:
        """The name of the file's outputs without their ending."""
        return "stdin" if self.file == STDIN else Path(self.file).stem

    @property
    def shown(self) -> str:
        """The file as it is named to people."""
        return "stdin" if self.file == STDIN else self.file

    def with_stdin(self, stream: BinaryIO) -> Task:
        """The task with stdin's bytes in it, if it is the one that reads them."""
        return replace(self, data=stream.read(MAX_FILE_BYTES + 1)) if self.file == STDIN else self

    def failed(self, cause: str, page: int | None = None) -> Outcome:
        """The outcome of a failure, after removing what an earlier run left in the output folder."""
        notes = tuple(f"removed {path}, which an earlier run left" for path in self._remove_earlier())
        where = f"{self.shown}, page {page}" if page else self.shown
        return Outcome(self.file, error=f"{where}: {cause}", notes=notes)

    def _remove_earlier(self) -> list[Path]:
        if self.out is None:
            return []
        earlier = [path for path in (self.out / f"{self.stem}.json", *self.overlays()) if path.is_file()]
        for path in earlier:
            path.unlink(missing_ok=True)
        return earlier

    def overlays(self) -> list[Path]:
        """The overlay pictures of this file that lie in the output folder."""
        if self.out is None:
            return []
        prefix = f"{self.stem}."
        return sorted(
            path
            for path in self.out.iterdir()
            if path.name.startswith(prefix) and _is_overlay_ending(path.name.removeprefix(prefix))
        )


def _is_overlay_ending(ending: str) -> bool:
    first, _, rest = ending.partition(".")
    return ending == "overlay.png" or (rest == "overlay.png" and first[:4] == "page" and first[4:].isdigit())


class _Watch:
    """The engine's observer: remembers the page at work, for errors, and its picture, for overlays."""

    def __init__(self, task: Task, notify: Notify) -> None:
        self._task, self._notify = task, notify
        self.page: int | None = None
        self.page_count = 1
        self.pictures: dict[int, bytes] = {}

    def stage(self, name: str, page: int, page_count: int, progress: float) -> None:
        """Take note of where the engine is."""
        self.page, self.page_count = page or None, page_count
        self._notify(self._task.shown, name, page, page_count)

    def picture(self, page: int, png: bytes) -> None:
        """Keep the page's picture if it is to be drawn on."""
        if self._task.overlay:
            self.pictures[page] = png


def process(task: Task, notify: Notify) -> Outcome:
    """What became of the file; never raises for what is wrong with a file or a disk."""
    watch = _Watch(task, notify)
    try:
        return _process(task, watch)
    except ServiceError as error:
        page = error.details.get("page", watch.page if watch.page_count > 1 else None)
        return task.failed(f"{error.message} ({error.code})", page if isinstance(page, int) else None)
    except OSError as error:
        named = f" ({error.filename})" if error.filename and str(error.filename) != task.file else ""
        return task.failed(f"{error.strerror or error}{named}")
    except MemoryError:
        return task.failed("there is not enough memory for it", watch.page)
    except Exception as error:  # noqa: BLE001 - one bad file of many must not stop the rest
        if task.debug is not None:
            traceback.print_exc()
        return task.failed(f"unexpected {type(error).__name__}: {error}", watch.page)


def _process(task: Task, watch: _Watch) -> Outcome:
    blueprint = Blueprint.parse(_read(task))
    # The engine takes a fifth of a second to import, and a file that is no blueprint does not need it.
    from detection.engine import detect
    from detection.settings import Settings

    debug = _debug_writer(task.debug / task.stem) if task.debug is not None else None
    floorplan = detect(
        blueprint, Settings(threads=task.threads), pages=PageSelection.parse(task.pages), observer=watch, debug=debug
    )
    text = floorplan.to_json()
    if task.out is None:
        return Outcome(task.file, text=text)
    for path in task.overlays():
        path.unlink(missing_ok=True)
    if task.overlay:
        _write_overlays(task, floorplan, watch.pictures)
    write_whole(task.out / f"{task.stem}.json", text.encode() + b"\n")
    return Outcome(task.file)


def _read(task: Task) -> bytes:
    """The file's bytes, never more than one beyond the limit."""
    if task.data is not None:
        return task.data
    if task.file == STDIN:
        return sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
    with Path(task.file).open("rb") as stream:
        status = os.fstat(stream.fileno())
        if stat.S_ISREG(status.st_mode):
            check_file_size(status.st_size)
        return stream.read(MAX_FILE_BYTES + 1)


def write_whole(path: Path, data: bytes) -> None:
    """Make the file appear with all its bytes or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)  # noqa: PTH105 - the name that says what it does
    finally:
        temporary.unlink(missing_ok=True)


def _write_overlays(task: Task, floorplan: Floorplan, pictures: dict[int, bytes]) -> None:
    from detection.overlay import overlay_png

    assert task.out is not None  # noqa: S101 - narrows the type; the command line was checked
    for page in floorplan.pages:
        if page.page in pictures:
            part = "" if len(floorplan.pages) == 1 else f".page{page.page}"
            write_whole(task.out / f"{task.stem}{part}.overlay.png", overlay_png(pictures[page.page], page))


def _debug_writer(folder: Path) -> Callable[[str, Any], None]:
    """Writes each of the engine's intermediate pictures into the folder, numbered in the order they came."""
    import cv2

    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("[0-9][0-9]_*.png"):
        old.unlink()
    count = 0

    def write(name: str, picture: Any) -> None:
        nonlocal count
        count += 1
        whole, encoded = cv2.imencode(".png", picture)
        if whole:
            write_whole(folder / f"{count:02d}_{name}.png", encoded.tobytes())

    return write
