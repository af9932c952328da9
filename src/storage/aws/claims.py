"""Claims as items of the jobs table, beside the jobs: the first to come settles what stands under a name."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any, Final

from storage.aws.schema import TTL_ATTRIBUTE
from storage.aws.tables import Clock, Table, expires_at_s
from storage.base import Claims

_PREFIX: Final = "claim#"  # no id of a job begins so
_MAX_NAME_BYTES: Final = 1024  # a key ends at 2048


class AwsClaims(Claims):
    """The claims in the jobs table. One has expired by its `expires_at`, whether or not DynamoDB has removed it."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table, self._clock = table, clock

    def claim(self, name: str, value: dict[str, str], lifetime_s: int) -> dict[str, str]:
        """See `Claims.claim`."""
        now = self._clock()
        standing = self._table.put_new(
            {"job_id": _key(name), "value": value, TTL_ATTRIBUTE: expires_at_s(now, timedelta(seconds=lifetime_s))},
            "attribute_not_exists(job_id) OR expires_at <= :now",
            {":now": now.timestamp()},
        )
        return value if standing is None else _value(standing)

    def get(self, name: str) -> dict[str, str] | None:
        """See `Claims.get`."""
        item = self._table.get(_key(name))
        return None if item is None or item[TTL_ATTRIBUTE] <= self._clock().timestamp() else _value(item)

    def delete(self, name: str) -> None:
        """See `Claims.delete`."""
        self._table.delete(_key(name))


def _key(name: str) -> str:
    data = name.encode()
    return _PREFIX + (name if len(data) <= _MAX_NAME_BYTES else hashlib.sha256(data).hexdigest())


def _value(item: dict[str, Any]) -> dict[str, str]:
    value: dict[str, str] = item["value"]
    return value
