"""Claims in SQLite: the first to come settles what stands under a name."""

from __future__ import annotations

import json

from storage.base import Claims
from storage.local.database import Clock, Database, milliseconds


class LocalClaims(Claims):
    """The claims table."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def claim(self, name: str, value: dict[str, str], lifetime_s: int) -> dict[str, str]:
        """See `Claims.claim`."""
        with self._database.writing() as db:
            now_ms = self._now_ms()
            row = db.execute("SELECT value FROM claims WHERE name = ? AND expires_ms > ?", (name, now_ms)).fetchone()
            if row is not None:
                return _value(row[0])
            db.execute(
                "INSERT OR REPLACE INTO claims (name, expires_ms, value) VALUES (?, ?, ?)",
                (name, now_ms + lifetime_s * 1000, json.dumps(value)),
            )
        return value

    def get(self, name: str) -> dict[str, str] | None:
        """See `Claims.get`."""
        with self._database.reading() as db:
            row = db.execute(
                "SELECT value FROM claims WHERE name = ? AND expires_ms > ?", (name, self._now_ms())
            ).fetchone()
        return None if row is None else _value(row[0])

    def delete(self, name: str) -> None:
        """See `Claims.delete`."""
        with self._database.writing() as db:
            db.execute("DELETE FROM claims WHERE name = ?", (name,))

    def sweep(self) -> None:
        """Remove the claims that have expired."""
        with self._database.writing() as db:
            db.execute("DELETE FROM claims WHERE expires_ms <= ?", (self._now_ms(),))

    def _now_ms(self) -> int:
        return milliseconds(self._clock())


def _value(text: str) -> dict[str, str]:
    value: dict[str, str] = json.loads(text)
    return value
