"""The preview cache: entries in their table, the rooms of large ones in the cache bucket."""

from __future__ import annotations

import re
from datetime import timedelta
from functools import lru_cache
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from models.job import format_time
from storage.aws.schema import TTL_ATTRIBUTE
from storage.aws.tables import Clock, Table, expires_at_s
from storage.base import BlobStore, Preview, PreviewCache

PREVIEW_LIFETIME: Final = timedelta(hours=1)
# Of JSON, which is what most plans stay below. DynamoDB would take up to 400 KB, at a price for each KB, and maps of
# thousands of points take long to pack.
MAX_ENTRY_BYTES: Final = 60_000
_HASH: Final = re.compile(r"[0-9a-f]{32,128}")


def preview_key(blueprint_hash: str) -> str:
    """Where a preview too large for the table lies in the cache bucket."""
    return f"cache/preview/{blueprint_hash}/preview.json"


class AwsPreviews(PreviewCache):
    """The preview_cache table: `rooms` has a page's findings a place, or `rooms_s3_key` says where they lie."""

    def __init__(self, table: Table, cache: BlobStore, clock: Clock) -> None:
        self._table, self._cache, self._clock = table, cache, clock

    def get(self, blueprint_hash: str) -> Preview | None:
        """See `PreviewCache.get`; an entry that an earlier version wrote in another form counts as none."""
        item = self._table.get(blueprint_hash) if _HASH.fullmatch(blueprint_hash) else None
        if item is None or item[TTL_ATTRIBUTE] <= self._clock().timestamp():
            return None
        try:
            if "rooms_s3_key" in item:
                body = self._cache.get(item["rooms_s3_key"])
                return None if body is None else _form().validate_json(body)
            return _form().validate_python(
                {
                    "blueprint_hash": blueprint_hash,
                    "model_version": item.get("model_version"),
                    "pages": item.get("rooms"),
                    "picture_keys": item.get("picture_keys"),
                }
            )
        except ValidationError:
            return None

    def put(self, preview: Preview) -> None:
        """See `PreviewCache.put`."""
        if _HASH.fullmatch(preview.blueprint_hash) is None:
            raise ValueError("a preview's name is a hash in hexadecimal")
        now, body = self._clock(), _form().dump_json(preview, by_alias=True)
        item = {
            "blueprint_hash": preview.blueprint_hash,
            "model_version": preview.model_version,
            "timestamp": format_time(now),
            TTL_ATTRIBUTE: expires_at_s(now, PREVIEW_LIFETIME),
        }
        if len(body) > MAX_ENTRY_BYTES:
            key = preview_key(preview.blueprint_hash)
            self._cache.put(key, body, "application/json")
            self._table.put({**item, "rooms_s3_key": key})
            return
        found: dict[str, Any] = _form().dump_python(preview, mode="json", by_alias=True)
        self._table.put({**item, "rooms": found["pages"], "picture_keys": found["picture_keys"]})

    def delete(self, blueprint_hash: str) -> None:
        """See `PreviewCache.delete`."""
        if _HASH.fullmatch(blueprint_hash):
            self._table.delete(blueprint_hash)
            self._cache.delete_prefix(preview_key(blueprint_hash))


@lru_cache(maxsize=1)
def _form() -> TypeAdapter[Preview]:
    return TypeAdapter(Preview)
