"""Blobs as files in a folder of their own, and the form posts that bring them in."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO, Final

from models.job import FILE_LIFETIME
from storage.base import UPLOAD_PATH, BlobStore, UploadReceiver, UploadTicket
from storage.keys import check_key, is_key, names_some
from storage.local.database import Clock, Database
from storage.local.files import ABSENT, StagedFile, move, remove_tree, translating
from utils.errors import FileTooLargeError, UploadNotAllowedError

CHUNK_BYTES: Final = 1024 * 1024
UPLOAD_LIFETIME: Final = timedelta(days=1)
STAGED_LIFETIME: Final = timedelta(days=1)
UPLOADS: Final = "uploads"
_FIELDS: Final = ("key", "max_bytes", "expires")


class LocalBlobs(BlobStore):
    """The files below `root`; they are staged in `staging`, on the same file system."""

    def __init__(self, root: Path, staging: Path, database: Database, clock: Clock) -> None:
        self._root, self._staging, self._database, self._clock = root, staging, database, clock

    def put(self, key: str, data: bytes | BinaryIO, content_type: str) -> None:
        """See `BlobStore.put`; the content type shows in the key's name."""
        self.put_pieces(key, _pieces(data))

    def put_pieces(self, key: str, pieces: Iterable[bytes]) -> None:
        """Keep the pieces as one file; if getting them fails, nothing is kept.

        Raises:
            ValueError: it is no key.
        """
        target = self._root / check_key(key)
        with StagedFile(self._staging) as staged:
            for piece in pieces:
                staged.write(piece)
            staged.keep_as(target, self._clock().timestamp())

    def get(self, key: str) -> bytes | None:
        """See `BlobStore.get`."""
        if not is_key(key):
            return None
        with translating(), suppress(*ABSENT):
            return (self._root / key).read_bytes()
        return None

    def size_bytes(self, key: str) -> int | None:
        """See `BlobStore.size_bytes`."""
        path = self._root / key
        if not is_key(key):
            return None
        with translating(), suppress(*ABSENT):
            return path.stat().st_size if path.is_file() else None
        return None

    def chunks(self, key: str) -> Iterator[bytes] | None:
        """See `BlobStore.chunks`."""
        if not is_key(key):
            return None
        with translating(), suppress(*ABSENT):
            return _chunks((self._root / key).open("rb"))
        return None

    def move(self, source: str, target: str) -> bool:
        """See `BlobStore.move`."""
        check_key(target)
        if not is_key(source):
            return False
        with translating():
            try:
                move(self._root / source, self._root / target)
            except FileNotFoundError:
                if (self._root / source).exists():
                    raise
                return False
        with suppress(OSError):  # other files are in it
            (self._root / source).parent.rmdir()
        return True

    def delete_prefix(self, prefix: str) -> int:
        """See `BlobStore.delete_prefix`.

        Raises:
            ValueError: the prefix is empty, which would mean everything.
        """
        if not names_some(prefix):
            return 0
        before, _, beginning = prefix.rpartition("/")
        folder, removed = self._root / before, 0
        with translating():
            for path in _children(folder):
                if path.name.startswith(beginning):
                    removed += _remove(path)
            if folder != self._root:
                with suppress(OSError):  # other files are in it, or it is gone
                    folder.rmdir()
        return removed

    def presign_upload(self, key: str, max_bytes: int, expires_s: int) -> UploadTicket:
        """See `BlobStore.presign_upload`; the post goes to the service itself."""
        check_key(key)
        expires_at = (self._clock() + timedelta(seconds=expires_s)).replace(microsecond=0)
        fields = {"key": key, "max_bytes": str(max_bytes), "expires": str(int(expires_at.timestamp()))}
        signature = sign_fields(self._database.secret(), fields)
        return UploadTicket(
            "POST", f"{UPLOAD_PATH}/{signature[:16]}", {**fields, "signature": signature}, key, expires_at
        )

    def presign_download(self, key: str, expires_s: int) -> str | None:
        """None: the service itself hands its files out."""
        return None

    def key_of_url(self, url: str) -> str | None:
        """None: there are no URLs of this store."""
        return None

    def sweep(self, folder: str = "", lifetime: timedelta = FILE_LIFETIME) -> None:
        """Remove the folder's files that have had their time."""
        with translating():
            remove_tree(self._root / folder, (self._clock() - lifetime).timestamp())


class LocalUploads(UploadReceiver):
    """Takes what `LocalBlobs.presign_upload` let in, straight to the disk."""

    def __init__(self, blobs: LocalBlobs, database: Database, clock: Clock) -> None:
        self._blobs, self._database, self._clock = blobs, database, clock

    def receive_upload(self, fields: Mapping[str, str], stream: Iterable[bytes]) -> str:
        """See `UploadReceiver.receive_upload`."""
        signed = {name: fields.get(name, "") for name in _FIELDS}
        expected, given = sign_fields(self._database.secret(), signed), fields.get("signature", "")
        if not hmac.compare_digest(expected.encode(), given.encode()):
            raise UploadNotAllowedError
        if self._clock().timestamp() >= int(signed["expires"]):
            raise UploadNotAllowedError("The upload ticket has expired.")
        self._blobs.put_pieces(signed["key"], _bounded(stream, int(signed["max_bytes"])))
        return signed["key"]

    def sweep(self) -> None:
        """Remove uploads of which no job was made within a day."""
        self._blobs.sweep(UPLOADS, UPLOAD_LIFETIME)


def sign_fields(secret: bytes, fields: Mapping[str, str]) -> str:
    """The signature, in hexadecimal, of a ticket's fields."""
    text = json.dumps(["upload", *(fields[name] for name in _FIELDS)])
    return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()


def _bounded(stream: Iterable[bytes], max_bytes: int) -> Iterator[bytes]:
    total_bytes = 0
    for piece in stream:
        total_bytes += len(piece)
        if total_bytes > max_bytes:
            raise FileTooLargeError(
                f"The file is larger than the {max_bytes} bytes that its ticket allows.",
                limit="max_file_bytes",
                value=max_bytes,
            )
        yield piece


def _pieces(data: bytes | BinaryIO) -> Iterator[bytes]:
    if isinstance(data, bytes | bytearray | memoryview):
        yield data
        return
    while piece := data.read(CHUNK_BYTES):
        yield piece


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    with file, translating():
        while piece := file.read(CHUNK_BYTES):
            yield piece


def _children(folder: Path) -> list[Path]:
    try:
        return [Path(entry.path) for entry in os.scandir(folder)]
    except ABSENT:
        return []


def _remove(path: Path) -> int:
    removed = 0
    if path.is_dir():
        removed = remove_tree(path)
        with suppress(OSError):  # a file came in meanwhile
            path.rmdir()
        return removed
    with suppress(FileNotFoundError):
        path.unlink()
        removed = 1
    return removed
