"""How a blueprint comes in: as base64 text, as an uploaded file, from a URL. Bounded while reading, parsed once."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from models.blueprint import MAX_FILE_BYTES, Blueprint, BlueprintFormat, check_declared_format, check_file_size
from models.job import blueprint_key, is_job_id
from services.fetch import Fetcher
from storage.base import Storage
from utils import live
from utils.config import Settings
from utils.errors import InvalidRequestError, UrlNotAllowedError

_URL: Final = re.compile(r"\s*[a-zA-Z][a-zA-Z0-9+.-]*://")
_DATA_URL: Final = re.compile(r"data:[\w.+/-]*(?:;[\w.+-]+=[^;,]*)*;base64,", re.IGNORECASE)
_UPLOAD_KEY: Final = re.compile(r"uploads/(job_[a-z0-9_]+)/blueprint")
_FILE_FIELD: Final = "blueprint.file"
_KEY_FIELD: Final = "blueprint.key"


def is_url(text: str) -> bool:
    """Whether the text of a `file` field is meant as a URL to fetch, allowed or not, and not as base64."""
    return _URL.match(text[:64]) is not None


def read_inline(text: str, declared: str | None) -> Blueprint:
    """The blueprint that a base64 text or a base64 `data:` URL holds; line breaks in it do not matter.

    Raises:
        InvalidRequestError: the text is not base64.
        FileTooLargeError, InvalidFileFormatError: the bytes are not a blueprint.
    """
    if declared is not None:
        check_declared_format(declared)
    start = 0
    if text[:5].lower() == "data:":
        head = _DATA_URL.match(text[:200])
        if head is None:
            raise InvalidRequestError(fields={_FILE_FIELD: "a data: URL must be base64"})
        start = head.end()
    breaks = text.count("\n") + text.count("\r")
    encoded_length = len(text) - start - breaks
    padding = 2 if text.endswith("==") else 1 if text.endswith("=") else 0
    check_file_size(encoded_length // 4 * 3 - padding)  # before anything is copied or decoded
    encoded = text[start:] if start else text
    if breaks:
        encoded = encoded.replace("\r", "").replace("\n", "")
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequestError(fields={_FILE_FIELD: "is neither base64 nor a URL"}) from None
    return Blueprint.parse(data, declared)


def upload_key(job_id: str) -> str:
    """Where a file that comes in on a ticket lies until a job is made of it."""
    return f"uploads/{job_id}/blueprint"


def upload_job_id(storage: Storage, key: str, owner: str) -> str:
    """The id of the one job that may be made of an upload, once its owner is proven.

    Raises:
        InvalidRequestError: the key is not one that this owner got a ticket for.
    """
    match = _UPLOAD_KEY.fullmatch(key)
    if match is None or not is_job_id(match[1]):
        raise _no_upload()
    # The upload's claim ends after a day; a job that was made of it carries its owner itself.
    job = storage.jobs.get(match[1])
    claim = {"owner": job.owner} if job is not None else storage.claims.get(f"upload:{match[1]}")
    if claim is None or claim["owner"] != owner:
        raise _no_upload()
    return match[1]


def read_upload(storage: Storage, key: str, declared: str | None, owner: str) -> Blueprint:
    """The blueprint that was uploaded under the key.

    Raises:
        InvalidRequestError: this owner has uploaded nothing there.
        FileTooLargeError, InvalidFileFormatError: the bytes are not a blueprint.
    """
    if declared is not None:
        check_declared_format(declared)
    job_id = upload_job_id(storage, key, owner)
    # A create that died midway has moved the file already.
    for place in (key, *(blueprint_key(job_id, form) for form in BlueprintFormat)):
        size_bytes = storage.blueprints.size_bytes(place)
        if size_bytes is None:
            continue
        check_file_size(size_bytes)
        data = storage.blueprints.get(place)
        if data is not None:
            return Blueprint.parse(data, declared)
    raise _no_upload()


def read_url(
    url: str,
    declared: str | None,
    settings: Settings,
    *,
    storage: Storage | None = None,
    fetcher: Fetcher | None = None,
) -> Blueprint:
    """The blueprint behind an https URL of an allowed host, or of the service's own store.

    Raises:
        UrlNotAllowedError: the URL is not one this service fetches.
        UrlFetchFailedError: nothing usable came back in time.
        FileTooLargeError, InvalidFileFormatError: the bytes are not a blueprint.
    """
    if declared is not None:
        check_declared_format(declared)
    fetcher = fetcher or Fetcher()
    try:
        own = storage is not None and storage.blueprints.key_of_url(url) is not None
    except ValueError:
        raise UrlNotAllowedError(reason="it is not a valid URL") from None
    data = fetcher.fetch(
        url,
        hosts=live.url_hosts(settings),
        any_host=own,
        exempt=settings.url_test_exempt,
        max_bytes=MAX_FILE_BYTES,
    )
    return Blueprint.parse(data, declared)


def _no_upload() -> InvalidRequestError:
    return InvalidRequestError(fields={_KEY_FIELD: "there is no uploaded file under this key"})
