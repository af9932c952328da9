"""The preview cache: small entries in SQLite, large ones as blobs that the entry points to."""

from __future__ import annotations

import re
from datetime import timedelta
from functools import lru_cache
from typing import Final

from pydantic import TypeAdapter, ValidationError

from storage.base import BlobStore, Preview, PreviewCache
from storage.local.database import Clock, Database, milliseconds

PREVIEW_LIFETIME: Final = timedelta(hours=1)
MAX_ENTRY_BYTES: Final = 350_000  # of JSON; what is larger is better off as a file
_HASH: Final = re.compile(r"[0-9a-f]{32,128}")


def preview_key(blueprint_hash: str) -> str:
    """Where a preview too large for the table lies in the cache store."""
    return f"cache/preview/{blueprint_hash}/preview.json"


class LocalPreviews(PreviewCache):
    """The previews table, beside the cache store."""

    def __init__(self, database: Database, cache: BlobStore, clock: Clock) -> None:
        self._database, self._cache, self._clock = database, cache, clock

    def get(self, blueprint_hash: str) -> Preview | None:
        """See `PreviewCache.get`; an entry that an earlier version wrote in another form counts as none."""
        with self._database.reading() as db:
            row = db.execute(
                "SELECT body, blob_key FROM previews WHERE blueprint_hash = ? AND expires_ms > ?",
                (blueprint_hash, milliseconds(self._clock())),
            ).fetchone()
        if row is None:
            return None
        body = row[0] if row[1] is None else self._cache.get(row[1])
        if body is None:
            return None
        try:
            return _form().validate_json(body)
        except ValidationError:
            return None

    def put(self, preview: Preview) -> None:
        """See `PreviewCache.put`."""
        if _HASH.fullmatch(preview.blueprint_hash) is None:
            raise ValueError("a preview's name is a hash in hexadecimal")
        body = _form().dump_json(preview, by_alias=True)
        large, key = len(body) > MAX_ENTRY_BYTES, preview_key(preview.blueprint_hash)
        if large:
            self._cache.put(key, body, "application/json")
        with self._database.writing() as db:
            db.execute(
                "INSERT OR REPLACE INTO previews (blueprint_hash, expires_ms, body, blob_key) VALUES (?, ?, ?, ?)",
                (
                    preview.blueprint_hash,
                    milliseconds(self._clock() + PREVIEW_LIFETIME),
                    None if large else body.decode(),
                    key if large else None,
                ),
            )

    def delete(self, blueprint_hash: str) -> None:
        """See `PreviewCache.delete`."""
        with self._database.writing() as db:
            db.execute("DELETE FROM previews WHERE blueprint_hash = ?", (blueprint_hash,))
        self._cache.delete_prefix(preview_key(blueprint_hash))

    def sweep(self) -> None:
        """Remove the entries that have expired, and the blobs they point to."""
        with self._database.writing() as db:
            rows = db.execute(
                "DELETE FROM previews WHERE expires_ms <= ? RETURNING blob_key", (milliseconds(self._clock()),)
            ).fetchall()
        for (key,) in rows:
            if key is not None:
                self._cache.delete_prefix(key)


@lru_cache(maxsize=1)
def _form() -> TypeAdapter[Preview]:
    return TypeAdapter(Preview)
