"""Files that are whole or absent: written under a temporary name, synced, and moved into place in one step."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from utils.errors import ServiceUnavailableError

# A reader or a writer may meet a folder that a removal just took away, or a file where it expects a folder.
ABSENT: Final = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
_MOVE_ATTEMPTS: Final = 5


@contextmanager
def translating() -> Iterator[None]:
    """Failures of the file system come out as ServiceUnavailableError."""
    try:
        yield
    except OSError as error:
        raise ServiceUnavailableError(service="files") from error


class StagedFile:
    """A file on its way in; unless it was kept, nothing remains of it. Its writes fail as ServiceUnavailableError."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / secrets.token_hex(16)
        self._kept = False
        with translating():
            make_folder(folder)
            self._descriptor = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        self._open = True

    def write(self, piece: bytes) -> None:
        """Append the bytes."""
        view = memoryview(piece)
        with translating():
            while view:
                view = view[os.write(self._descriptor, view) :]

    def keep_as(self, target: Path, at_s: float) -> None:
        """Put the file in its place, on the disk, dated `at_s` (seconds since 1970).

        Raises:
            ValueError: the place is another file's folder, or inside another file.
        """
        with translating():
            os.fsync(self._descriptor)
            os.utime(self._descriptor, (at_s, at_s))
            self._close()
            move(self._path, target)
        self._kept = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._close()
        if not self._kept:
            with suppress(OSError):
                self._path.unlink()

    def _close(self) -> None:
        if self._open:
            self._open = False
            os.close(self._descriptor)


def move(source: Path, target: Path) -> None:
    """The source is the target now, on the disk.

    Raises:
        ValueError: the target is another file's folder, or inside another file.
        FileNotFoundError: there is no source.
    """
    for attempt in range(_MOVE_ATTEMPTS):
        try:
            made = make_folder(target.parent)
            source.replace(target)
            break
        except (NotADirectoryError, IsADirectoryError, FileExistsError) as error:
            raise ValueError("a key cannot lie where another key's file or folder is") from error
        except FileNotFoundError:  # the folder was empty and removed just now, or the source is not there
            if attempt == _MOVE_ATTEMPTS - 1 or not source.exists():
                raise
    for folder in {target.parent, source.parent, *made}:
        with suppress(FileNotFoundError):
            _sync_folder(folder)


def make_folder(folder: Path) -> list[Path]:
    """The folders whose entries changed because `folder` and what leads to it were made, for their owner alone."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        if folder.parent == folder:
            break
        folder = folder.parent
    for path in reversed(missing):
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
        if not path.is_dir():
            if path.exists():
                raise NotADirectoryError(str(path))
            raise FileNotFoundError(str(path))
    return [path.parent for path in missing]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_tree(folder: Path, older_than_s: float | None = None) -> int:
    """How many files in the folder and below were removed: all, or those dated before `older_than_s`."""
    removed = 0
    for place, folders, files in os.walk(folder, topdown=False, onerror=_raise_unless_absent):
        for name in files:
            path = Path(place, name)
            with suppress(*ABSENT):
                if older_than_s is None or path.stat().st_mtime < older_than_s:
                    path.unlink()
                    removed += 1
        for name in folders:
            with suppress(OSError):  # it is not empty
                Path(place, name).rmdir()
    return removed


def _raise_unless_absent(error: OSError) -> None:
    if not isinstance(error, ABSENT):
        raise error
