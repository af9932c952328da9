"""Blobs in a bucket of S3, and the forms and URLs with which clients reach them directly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import timedelta
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from storage.aws.calls import Calls
from storage.aws.tables import Clock
from storage.aws.urls import key_of_url
from storage.base import BlobStore, UploadTicket
from storage.keys import check_key, is_key, names_some
from utils.errors import ServiceError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import (
        CompletedPartTypeDef,
        GetObjectOutputTypeDef,
        ListObjectVersionsOutputTypeDef,
        ObjectIdentifierTypeDef,
        UploadPartOutputTypeDef,
    )

CHUNK_BYTES: Final = 1024 * 1024
PART_BYTES: Final = 8 * 1024 * 1024
"""What is larger goes up in parts of this size."""
PART_DEADLINE_S: Final = 10.0
"""A part may take longer than other calls, and is tried again all the same: the whole file would take longer still."""
MOST_AT_ONCE: Final = 1000
"""How many versions S3 removes in one call."""
_NO_KEY: Final = ("NoSuchKey", "404")  # a HEAD's answer has no body, and so no code but its status

_T = TypeVar("_T")


class AwsBlobs(BlobStore):
    """The bucket of this name."""

    def __init__(self, client: Callable[[], S3Client], bucket: str, calls: Calls, clock: Clock) -> None:
        self._client, self._bucket, self._calls, self._clock = client, bucket, calls, clock
        self._part_calls = calls.within(PART_DEADLINE_S)

    def put(self, key: str, data: bytes | BinaryIO, content_type: str) -> None:
        """See `BlobStore.put`; no more than two parts of it are held in memory."""
        check_key(key)
        parts = _parts(data)
        first, second = next(parts, b""), next(parts, None)
        if second is None:
            self._calls(
                lambda: self._client().put_object(Bucket=self._bucket, Key=key, Body=first, ContentType=content_type)
            )
        else:
            self._put_parts(key, chain((first, second), parts), content_type)

    def get(self, key: str) -> bytes | None:
        """See `BlobStore.get`."""
        if not is_key(key):
            return None

        def read() -> bytes:
            with closing(self._open(key)["Body"]) as body:
                return body.read()

        return self._unless_absent(read)

    def size_bytes(self, key: str) -> int | None:
        """See `BlobStore.size_bytes`."""
        if not is_key(key):
            return None
        size_bytes = self._unless_absent(
            lambda: self._client().head_object(Bucket=self._bucket, Key=key)["ContentLength"]
        )
        if size_bytes is None:
            self.check()  # the same 404 would come if the bucket itself were not there
        return size_bytes

    def chunks(self, key: str) -> Iterator[bytes] | None:
        """See `BlobStore.chunks`; if the line breaks midway, the reader gets ServiceUnavailableError."""
        found = self._unless_absent(lambda: self._open(key)) if is_key(key) else None
        return None if found is None else self._pieces(found)

    def move(self, source: str, target: str) -> bool:
        """See `BlobStore.move`; the file is at both places for a moment."""
        check_key(target)
        if not is_key(source):
            return False
        if source == target:
            return self.size_bytes(source) is not None
        copied = self._unless_absent(
            lambda: self._client().copy_object(
                Bucket=self._bucket, Key=target, CopySource={"Bucket": self._bucket, "Key": source}
            )
        )
        if copied is None:
            return False
        self._calls(lambda: self._client().delete_object(Bucket=self._bucket, Key=source))
        return True

    def delete_prefix(self, prefix: str) -> int:
        """See `BlobStore.delete_prefix`; versions and delete markers go too, and are not counted.

        Raises:
            ValueError: the prefix is empty, which would mean everything.
        """
        if not names_some(prefix):
            return 0
        found, removed = self._versions(prefix)
        for start in range(0, len(found), MOST_AT_ONCE):
            self._delete(found[start : start + MOST_AT_ONCE])
        return removed

    def presign_upload(self, key: str, max_bytes: int, expires_s: int) -> UploadTicket:
        """See `BlobStore.presign_upload`; S3 itself refuses a larger file, and any after that time."""
        check_key(key)
        expires_at = (self._clock() + timedelta(seconds=expires_s)).replace(microsecond=0)
        form = self._calls.once(
            lambda: self._client().generate_presigned_post(
                self._bucket, key, Conditions=[["content-length-range", 0, max_bytes]], ExpiresIn=expires_s
            )
        )
        return UploadTicket("POST", form["url"], form["fields"], key, expires_at)

    def presign_download(self, key: str, expires_s: int) -> str | None:
        """See `BlobStore.presign_download`."""
        check_key(key)
        return self._calls.once(
            lambda: self._client().generate_presigned_url(
                "get_object", Params={"Bucket": self._bucket, "Key": key}, ExpiresIn=expires_s
            )
        )

    def key_of_url(self, url: str) -> str | None:
        """See `BlobStore.key_of_url`."""
        meta = self._client().meta
        return key_of_url(url, bucket=self._bucket, region=meta.region_name, endpoint=meta.endpoint_url)

    def check(self) -> None:
        """Return if the bucket is there and this role may use it.

        Raises:
            ServiceUnavailableError: it is not, or not now.
        """
        self._calls.once(lambda: self._client().head_bucket(Bucket=self._bucket))

    def _open(self, key: str) -> GetObjectOutputTypeDef:
        return self._client().get_object(Bucket=self._bucket, Key=key)

    def _unless_absent(self, step: Callable[[], _T]) -> _T | None:
        """What the step gives, or None if S3 says that there is no such key."""
        try:
            return self._calls(step, *_NO_KEY)
        except ClientError:
            return None

    def _pieces(self, found: GetObjectOutputTypeDef) -> Iterator[bytes]:
        with closing(found["Body"]) as body:
            try:
                yield from body.iter_chunks(CHUNK_BYTES)
            except (BotoCoreError, ClientError) as error:
                raise self._calls.translated(error) from error

    def _put_parts(self, key: str, parts: Iterator[bytes], content_type: str) -> None:
        """Keep the parts as one file; if one of them fails, nothing is kept."""
        upload_id = self._calls(
            lambda: self._client().create_multipart_upload(Bucket=self._bucket, Key=key, ContentType=content_type)
        )["UploadId"]
        try:
            kept: list[CompletedPartTypeDef] = []
            size_bytes = 0
            for number, part in enumerate(parts, 1):
                answer = self._part_calls(partial(self._put_part, key, upload_id, number, part))
                kept.append({"PartNumber": number, "ETag": answer["ETag"]})
                size_bytes += len(part)
            self._complete(key, upload_id, kept, size_bytes)
        except BaseException:
            with suppress(ServiceError):  # the bucket's lifecycle removes what is never completed
                self._calls(partial(self._abort, key, upload_id))
            raise

    def _put_part(self, key: str, upload_id: str, number: int, part: bytes) -> UploadPartOutputTypeDef:
        return self._client().upload_part(
            Bucket=self._bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=part
        )

    def _complete(self, key: str, upload_id: str, parts: list[CompletedPartTypeDef], size_bytes: int) -> None:
        def complete() -> None:
            self._client().complete_multipart_upload(
                Bucket=self._bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": parts}
            )

        try:
            self._calls(complete, "NoSuchUpload")
        except ClientError as error:
            # A first try may have completed it, and its answer been lost.
            if self.size_bytes(key) != size_bytes:
                raise self._calls.translated(error) from error

    def _abort(self, key: str, upload_id: str) -> None:
        with suppress(self._client().exceptions.NoSuchUpload):
            self._client().abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload_id)

    def _versions(self, prefix: str) -> tuple[list[ObjectIdentifierTypeDef], int]:
        """All versions and delete markers under the prefix, and how many files are there now."""
        found: list[ObjectIdentifierTypeDef] = []
        files, places = 0, dict[str, str]()
        while True:
            page = self._calls(partial(self._page_of_versions, prefix, places))
            versions = page.get("Versions", [])
            files += sum(version["IsLatest"] for version in versions)
            for one in (*versions, *page.get("DeleteMarkers", [])):
                found.append({"Key": one["Key"], "VersionId": one["VersionId"]})
            if not page.get("IsTruncated"):
                return found, files
            places = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}

    def _page_of_versions(self, prefix: str, places: dict[str, str]) -> ListObjectVersionsOutputTypeDef:
        more: Any = places
        return self._client().list_object_versions(Bucket=self._bucket, Prefix=prefix, **more)

    def _delete(self, found: list[ObjectIdentifierTypeDef]) -> None:
        def delete() -> None:
            answer = self._client().delete_objects(Bucket=self._bucket, Delete={"Objects": found, "Quiet": True})
            for failed in answer.get("Errors", []):
                code = failed.get("Code", "")
                status = 403 if code == "AccessDenied" else 503
                raise ClientError(
                    {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
                    "DeleteObjects",
                )

        self._calls(delete)


def _parts(data: bytes | BinaryIO) -> Iterator[bytes]:
    """The data in parts of `PART_BYTES`, the last one shorter."""
    if isinstance(data, bytes | bytearray | memoryview):
        for start in range(0, len(data), PART_BYTES):
            yield bytes(data[start : start + PART_BYTES])
        return
    while part := _filled(data):
        yield part


def _filled(stream: BinaryIO) -> bytes:
    """The next `PART_BYTES` of the stream, or what is left of it; a read may give less than it was asked for."""
    pieces, missing_bytes = [], PART_BYTES
    while missing_bytes and (piece := stream.read(min(missing_bytes, CHUNK_BYTES))):
        pieces.append(piece)
        missing_bytes -= len(piece)
    return b"".join(pieces)
