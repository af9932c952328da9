"""The contract of a world in which the service lives: jobs, files, messages, previews and claims.

Two worlds keep it: `storage.local` (SQLite and files) and `storage.aws` (DynamoDB, S3, SQS). Absence is None, never
an exception. What cannot be reached raises `ServiceUnavailableError`, and then nothing is half-written.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO, Final

from models.floorplan import Page
from models.job import Job

UPLOAD_PATH: Final = "/api/v1/uploads"


@dataclass(frozen=True, slots=True)
class JobPage:
    """Some of an owner's jobs, newest first, and where the next ones begin (None: there are no more)."""

    jobs: list[Job]
    next_cursor: str | None


class JobStore(ABC):
    """Job records. Those older than `JOB_LIFETIME` are absent, whether or not they were swept yet."""

    @abstractmethod
    def add(self, job: Job) -> Job | None:
        """None if the record is new and now kept; else the record that already has this id, unchanged.

        A record equal to the job in every field may count as new: an earlier call whose answer was lost may have kept
        it.
        """

    @abstractmethod
    def get(self, job_id: str) -> Job | None:
        """The job, or None."""

    @abstractmethod
    def save(self, job: Job) -> Job | None:
        """Replace the record if its stored status may move to `job.status` (`models.job.sources_of`).

        One atomic compare-and-set. Returns None when saved; otherwise the stored job that stood in the way. A stored
        job equal in every field may count as saved: an earlier call whose answer was lost may have saved it.

        Raises:
            JobNotFoundError: there is no record.
        """

    @abstractmethod
    def list(self, owner: str, limit: int, cursor: str | None = None) -> JobPage:
        """Up to `limit` of the owner's jobs, newest first, after `cursor`.

        Raises:
            ValueError: the cursor is not one that this store gave for this owner.
        """

    @abstractmethod
    def delete(self, job_id: str) -> bool:
        """Whether there was a record; there is none now."""

    def unsent(self, before: datetime) -> Sequence[Job]:
        """Jobs pending since before that moment of which the world knows that no message waits.

        A process that dies between record and message leaves such a job. A world that cannot tell says none.
        """
        return []


@dataclass(frozen=True, slots=True)
class UploadTicket:
    """How a client puts a file into the store without the API in between: a form post of `fields`, then the file."""

    method: str
    url: str
    fields: dict[str, str]
    key: str
    expires_at: datetime


class BlobStore(ABC):
    """Files under keys such as `blueprints/{job_id}/blueprint.pdf`; a key is whole or absent, never in between.

    Nothing can lie under a text that is no key (`storage.keys`): reading it finds nothing, writing it is a ValueError.
    """

    @abstractmethod
    def put(self, key: str, data: bytes | BinaryIO, content_type: str) -> None:
        """Keep the bytes under the key, replacing what was there in one step."""

    @abstractmethod
    def get(self, key: str) -> bytes | None:
        """The bytes, or None."""

    @abstractmethod
    def size_bytes(self, key: str) -> int | None:
        """How large the file is, without reading it, or None."""

    @abstractmethod
    def chunks(self, key: str) -> Iterator[bytes] | None:
        """The bytes in pieces of about 1 MiB, or None."""

    @abstractmethod
    def move(self, source: str, target: str) -> bool:
        """Whether the source was there; it is at the target now."""

    @abstractmethod
    def delete_prefix(self, prefix: str) -> int:
        """How many files under the prefix were removed, with all their versions."""

    @abstractmethod
    def presign_upload(self, key: str, max_bytes: int, expires_s: int) -> UploadTicket:
        """A ticket that lets one file of at most `max_bytes` in under `key`, until it expires."""

    @abstractmethod
    def presign_download(self, key: str, expires_s: int) -> str | None:
        """A URL that hands the file out until it expires; None where the API itself must."""

    @abstractmethod
    def key_of_url(self, url: str) -> str | None:
        """The key that a URL of this very store points at, or None for any other URL."""


class UploadReceiver(ABC):
    """Takes the form posts of upload tickets where the service itself is the store.

    The tickets' URLs are then paths of the service: `UPLOAD_PATH` and one more segment.
    """

    @abstractmethod
    def receive_upload(self, fields: Mapping[str, str], stream: Iterable[bytes]) -> str:
        """The key under which the streamed file now lies, whole; it never lies in memory as a whole.

        Args:
            fields: the ticket's fields as they came back; others are ignored.
            stream: the file's bytes, in pieces.

        Raises:
            UploadNotAllowedError: the fields are not those of a ticket, or it has expired; nothing was read.
            FileTooLargeError: the file exceeds what the ticket allows; nothing is kept.
        """


@dataclass(frozen=True, slots=True)
class JobMessage:
    """What travels through the queue: a job's id, and whose request it was, for the logs."""

    job_id: str
    request_id: str
    correlation_id: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message handed out: `receipt` is good until the visibility time ends; `count` is 1 the first time."""

    message: JobMessage
    receipt: str
    count: int


class JobQueue(ABC):
    """At-least-once delivery: what is not acknowledged within its visibility time is handed out again."""

    @abstractmethod
    def send(self, message: JobMessage) -> None:
        """Accept the message for delivery."""

    @abstractmethod
    def receive(self, visibility_s: float) -> Delivery | None:
        """The next message, hidden from others for `visibility_s`, or None when there is none now."""

    @abstractmethod
    def extend(self, delivery: Delivery, visibility_s: float) -> bool:
        """Whether the delivery still holds its message, hidden for `visibility_s` from now."""

    @abstractmethod
    def acknowledge(self, delivery: Delivery) -> None:
        """The message is done; nothing if the receipt is no longer good."""

    @abstractmethod
    def release(self, delivery: Delivery, delay_s: float) -> None:
        """Hand the message out again after `delay_s`; nothing if the receipt is no longer good."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What was found on a blueprint before: its pages, the keys of their pictures, and by which model."""

    blueprint_hash: str
    model_version: str
    pages: list[Page]
    picture_keys: dict[int, str] = field(default_factory=dict)


class PreviewCache(ABC):
    """Previews under a blueprint's hash alone, for one hour; `model_version` is compared by the reader."""

    @abstractmethod
    def get(self, blueprint_hash: str) -> Preview | None:
        """The preview, or None if there is none or it is older than an hour."""

    @abstractmethod
    def put(self, preview: Preview) -> None:
        """Keep the preview for an hour from now, of any size (a large one in the cache store)."""

    @abstractmethod
    def delete(self, blueprint_hash: str) -> None:
        """Forget it."""


class Claims(ABC):
    """Small facts that the first one to come settles: an Idempotency-Key's request, an upload's owner."""

    @abstractmethod
    def claim(self, name: str, value: dict[str, str], lifetime_s: int) -> dict[str, str]:
        """The value that stands under the name: `value` if it was free (or expired), else the earlier one."""

    @abstractmethod
    def get(self, name: str) -> dict[str, str] | None:
        """The value under the name, or None."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Free the name."""


class HealthCheck(ABC):
    """One part of the world that may be down."""

    name: str

    @abstractmethod
    def check(self) -> None:
        """Return if the part works; any exception says that it does not."""


def _nothing_to_sweep() -> None:
    """A world that forgets by itself has nothing to do."""


@dataclass(frozen=True, slots=True)
class Storage:
    """One whole world. `blueprints` and `cache` are the two buckets of the specification.

    `uploads` is None where upload tickets lead to another server; `sweep` removes what has expired.
    """

    jobs: JobStore
    blueprints: BlobStore
    cache: BlobStore
    queue: JobQueue
    previews: PreviewCache
    claims: Claims
    checks: Iterable[HealthCheck]
    uploads: UploadReceiver | None = None
    sweep: Callable[[], None] = _nothing_to_sweep
