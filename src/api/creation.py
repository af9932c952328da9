"""POST jobs: from a body of either kind to a job."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

from anyio import to_thread
from fastapi import Request

from api.bodies import Spool, bounded
from api.envelope import json_bytes
from api.limits import Limits
from api.multipart import MAX_FIELD_BYTES, PartBegins, PartEnds, boundary_of, field_text, read_form
from api.schemas import CreateJob, Options, parse_create_job, parse_options
from models.blueprint import Blueprint, PageSelection, check_declared_format, check_file_size
from models.job import Job
from services.intake import is_url, read_inline
from services.job_service import Idempotency, JobService
from utils.errors import FileTooLargeError, InvalidRequestError, UnsupportedMediaTypeError

JSON_TYPE: Final = "application/json"
FORM_TYPE: Final = "multipart/form-data"
_PAGES_FIELDS: Final = frozenset({"pages", "options.pages", "options[pages]"})
_FIELDS: Final = frozenset({"file", "format", "options"}) | _PAGES_FIELDS


async def create_job(
    request: Request, jobs: JobService, owner: str, idempotency_key: str | None, limits: Limits
) -> Job:
    """The job that the request's body asks for.

    Raises:
        ServiceError: the code says why there is none.
    """
    kind = media_type(request)
    with Spool() as spool:
        if kind == FORM_TYPE:
            fields = await _read_form(request, spool, limits)
            wanted = _Wanted(jobs, owner, idempotency_key, *fields)
            return await spool.with_bytes(wanted.from_bytes)
        if kind not in ("", JSON_TYPE):
            raise UnsupportedMediaTypeError(
                f"A job is created from {JSON_TYPE} or {FORM_TYPE}.", allowed=[JSON_TYPE, FORM_TYPE]
            )
        check_announced(request, limits.json_bytes, limits.too_large)
        async for chunk in bounded(request.stream(), limits.json_bytes, limits.too_large):
            await spool.write(chunk)
        return await spool.with_bytes(lambda body: _from_json(body, jobs, owner, idempotency_key, limits))


def media_type(request: Request) -> str:
    """The body's media type in lower case, or nothing if none is named.

    Raises:
        UnsupportedMediaTypeError: the body is encoded in a way that is not taken.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    head, _, parameters = request.headers.get("content-type", "").partition(";")
    kind = head.strip().lower()
    charset = [part.partition("=")[2].strip(" \"'").lower() for part in parameters.split(";") if "charset" in part]
    if encoding != "identity" or (kind == JSON_TYPE and charset not in ([], ["utf-8"], ["utf8"])):
        raise UnsupportedMediaTypeError("The body must be plain UTF-8, without a Content-Encoding.")
    return kind


def check_announced(request: Request, max_bytes: int, refusal: Callable[[], FileTooLargeError]) -> None:
    """Nothing, if the announced length may be read.

    Raises:
        FileTooLargeError: it is more than `max_bytes`; nothing needs to be read to know.
    """
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > max_bytes:
        raise refusal()


class _Wanted:
    """A job to be made of one file, and everything else that was asked with it."""

    def __init__(
        self, jobs: JobService, owner: str, key: str | None, declared: str | None, pages: PageSelection
    ) -> None:
        self._jobs, self._owner, self._key = jobs, owner, key
        self._declared, self._pages = declared, pages

    def from_bytes(self, data: bytes) -> Job:
        """The job for the file itself."""
        return self.from_blueprint(Blueprint.parse(data, self._declared))

    def from_blueprint(self, blueprint: Blueprint) -> Job:
        """The job for the blueprint."""
        seen = self._seen("sha256", blueprint.sha256)
        return self._jobs.create(blueprint, owner=self._owner, pages=self._pages, idempotency=seen)

    def from_url(self, url: str) -> Job:
        """The job for the file behind the URL."""
        seen = self._seen("url", url)
        return self._jobs.create_from_url(url, self._declared, owner=self._owner, pages=self._pages, idempotency=seen)

    def from_upload(self, key: str) -> Job:
        """The job for the file that was uploaded under the key."""
        seen = self._seen("key", key)
        return self._jobs.create_from_upload(
            key, self._declared, owner=self._owner, pages=self._pages, idempotency=seen
        )

    def _seen(self, kind: str, value: str) -> Idempotency | None:
        """The request's Idempotency-Key with a hash of what was asked: the same file by any way is the same request."""
        if self._key is None:
            return None
        asked = json_bytes([kind, value, self._declared, str(self._pages)])
        return Idempotency(self._key, hashlib.sha256(asked).hexdigest())


def _from_json(body: bytes, jobs: JobService, owner: str, key: str | None, limits: Limits) -> Job:
    request: CreateJob = parse_create_job(body)
    del body  # up to 72 MB that nobody reads again
    source = request.blueprint
    wanted = _Wanted(jobs, owner, key, source.format, request.options.selection())
    if source.key is not None:
        return wanted.from_upload(source.key)
    text = source.file or ""
    if is_url(text):
        return wanted.from_url(text.strip())
    blueprint = read_inline(text, source.format)
    limits.check(len(blueprint.data))
    return wanted.from_blueprint(blueprint)


async def _read_form(request: Request, spool: Spool, limits: Limits) -> tuple[str | None, PageSelection]:
    """The declared format and the pages of a form whose file is in the spool afterwards."""
    boundary = boundary_of(request.headers["content-type"])
    check_announced(request, limits.form_bytes, limits.too_large)
    texts: dict[str, bytearray] = {}
    problems: dict[str, str] = {}
    current, has_file = "", False
    async for event in read_form(bounded(request.stream(), limits.form_bytes, limits.too_large), boundary):
        if isinstance(event, PartBegins):
            current = event.name
            if current not in _FIELDS:
                problems[current[:100] or "(empty)"] = "is not a field of this form"
            elif current in texts or (current == "file" and has_file):
                problems[current] = "is there more than once"
            elif current == "file":
                has_file = True
            else:
                texts[current] = bytearray()
        elif isinstance(event, PartEnds) or current in problems or current not in _FIELDS:
            continue
        elif current == "file":
            check_file_size(spool.size_bytes + len(event))
            limits.check(spool.size_bytes + len(event))
            await spool.write(event)
        elif len(texts[current]) + len(event) > MAX_FIELD_BYTES:
            problems[current] = "is too long"
        else:
            texts[current] += event
    if not has_file:
        problems["file"] = "is missing"
    if problems:
        raise InvalidRequestError(fields=problems)
    return await to_thread.run_sync(
        _declared_and_pages, {name: field_text(name, bytes(text)) for name, text in texts.items()}
    )


def _declared_and_pages(texts: dict[str, str]) -> tuple[str | None, PageSelection]:
    declared = texts.get("format", "").strip() or None  # an empty field is one that was not filled in
    if declared is not None:
        check_declared_format(declared)
    given = {name: text for name, text in texts.items() if name in _PAGES_FIELDS and text.strip()}
    options = parse_options(texts["options"]) if texts.get("options", "").strip() else Options()
    if options.pages:
        given["options"] = options.pages
    if len(given) > 1:
        raise InvalidRequestError(fields=dict.fromkeys(given, "says the pages once more"))
    for name, text in given.items():
        return declared, Options.model_construct(pages=text[:MAX_FIELD_BYTES]).selection(name)
    return declared, PageSelection()
