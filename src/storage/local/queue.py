"""The queue in SQLite: a message is hidden while someone works on it, and seen again if they do not finish."""

from __future__ import annotations

import math
import secrets

from storage.base import Delivery, JobMessage, JobQueue
from storage.local.database import Clock, Database, milliseconds


class LocalQueue(JobQueue):
    """The messages table. The oldest visible message comes first."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def send(self, message: JobMessage) -> None:
        """See `JobQueue.send`."""
        with self._database.writing() as db:
            db.execute(
                "INSERT INTO messages (job_id, request_id, correlation_id, visible_ms) VALUES (?, ?, ?, ?)",
                (message.job_id, message.request_id, message.correlation_id, self._in_ms(0)),
            )

    def receive(self, visibility_s: float) -> Delivery | None:
        """See `JobQueue.receive`."""
        with self._database.reading() as db:  # an idle worker's look at an empty queue takes no lock
            if db.execute("SELECT 1 FROM messages WHERE visible_ms <= ? LIMIT 1", (self._in_ms(0),)).fetchone() is None:
                return None
        receipt = secrets.token_hex(16)
        with self._database.writing() as db:
            row = db.execute(
                "UPDATE messages SET receipt = ?, visible_ms = ?, deliveries = deliveries + 1"
                " WHERE id = (SELECT id FROM messages WHERE visible_ms <= ? ORDER BY id LIMIT 1)"
                " RETURNING job_id, request_id, correlation_id, deliveries",
                (receipt, self._in_ms(visibility_s), self._in_ms(0)),
            ).fetchone()
        return None if row is None else Delivery(JobMessage(*row[:3]), receipt, row[3])

    def extend(self, delivery: Delivery, visibility_s: float) -> bool:
        """See `JobQueue.extend`."""
        with self._database.writing() as db:
            return bool(
                db.execute(
                    "UPDATE messages SET visible_ms = ? WHERE receipt = ? AND visible_ms > ?",
                    (self._in_ms(visibility_s), delivery.receipt, self._in_ms(0)),
                ).rowcount
            )

    def acknowledge(self, delivery: Delivery) -> None:
        """See `JobQueue.acknowledge`."""
        with self._database.writing() as db:
            db.execute("DELETE FROM messages WHERE receipt = ? AND visible_ms > ?", (delivery.receipt, self._in_ms(0)))

    def release(self, delivery: Delivery, delay_s: float) -> None:
        """See `JobQueue.release`."""
        with self._database.writing() as db:
            db.execute(
                "UPDATE messages SET visible_ms = ?, receipt = NULL WHERE receipt = ? AND visible_ms > ?",
                (self._in_ms(delay_s), delivery.receipt, self._in_ms(0)),
            )

    def _in_ms(self, delay_s: float) -> int:
        return milliseconds(self._clock()) + math.ceil(delay_s * 1000)
