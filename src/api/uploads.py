"""Uploads: the ticket, and the door through which a file comes in where the world has none of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import anyio
import anyio.from_thread
from fastapi import Request

from api.bodies import bounded, strict_json
from api.creation import FORM_TYPE, JSON_TYPE, check_announced, media_type
from api.lanes import Lane
from api.limits import ONE_MACHINE
from api.multipart import MAX_FIELD_BYTES, Event, PartBegins, PartEnds, boundary_of, field_text, read_form
from models.job import format_time
from storage.base import UploadReceiver, UploadTicket
from utils.errors import InvalidRequestError, ServiceError, UnsupportedMediaTypeError, ValidationFailedError

MAX_TICKET_BODY_BYTES: Final = 4096
SILENCE_S: Final = 30.0
"""How long a client may send nothing in the middle of a file."""

_lane = Lane("uploads", 64)  # a slow client keeps a thread


async def check_empty(request: Request) -> None:
    """Nothing, if the body is empty or `{}`: all that a ticket takes.

    Raises:
        ValidationFailedError: there is more, and here is what.
        UnsupportedMediaTypeError: the body is not JSON.
    """
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_TICKET_BODY_BYTES:
            raise ValidationFailedError(fields={"body": "is too long: nothing is needed in it"})
    if not body:
        return
    if media_type(request) not in ("", JSON_TYPE):
        raise UnsupportedMediaTypeError(allowed=[JSON_TYPE])
    try:
        value = strict_json(body)
    except InvalidRequestError as error:
        raise ValidationFailedError(**error.details) from None
    if not isinstance(value, dict):
        raise ValidationFailedError(fields={"body": "must be empty or an object"})
    if value:
        raise ValidationFailedError(fields={name[:100]: "is not a field of this request" for name in value})


def ticket_json(ticket: UploadTicket, base_url: str) -> dict[str, Any]:
    """The ticket as clients get it; an address without a host is one of this server."""
    return {
        "method": ticket.method,
        "url": ticket.url if "://" in ticket.url else base_url.rstrip("/") + ticket.url,
        "fields": ticket.fields,
        "key": ticket.key,
        "expires_at": format_time(ticket.expires_at),
    }


async def receive(request: Request, receiver: UploadReceiver) -> None:
    """Take in a form post of a ticket's fields and then the file, streamed to where it stays.

    Raises:
        ServiceError: the code says why nothing of it was kept.
    """
    if media_type(request) != FORM_TYPE:
        raise UnsupportedMediaTypeError(allowed=[FORM_TYPE])
    boundary = boundary_of(request.headers["content-type"])
    max_bytes = ONE_MACHINE.form_bytes
    check_announced(request, max_bytes, ONE_MACHINE.too_large)
    events = read_form(bounded(request.stream(), max_bytes), boundary)
    fields = await _fields_before_file(events)
    await _lane.run(lambda: receiver.receive_upload(fields, _file_chunks(events)))


async def _fields_before_file(events: AsyncIterator[Event]) -> dict[str, str]:
    """The form's fields up to where the file's bytes begin."""
    fields: dict[str, bytes] = {}
    current = ""
    async for event in events:
        if isinstance(event, PartBegins):
            current = event.name
            if current == "file":
                return {name: field_text(name, data) for name, data in fields.items()}
            if current in fields:
                raise InvalidRequestError(fields={current[:100]: "is there more than once"})
            fields[current] = b""
        elif isinstance(event, bytes):
            fields[current] += event
            if len(fields[current]) > MAX_FIELD_BYTES:
                raise InvalidRequestError(fields={current[:100]: "is too long"})
    raise InvalidRequestError(fields={"file": "is missing"})


def _file_chunks(events: AsyncIterator[Event]) -> Iterator[bytes]:
    """The file's bytes for a thread that keeps them: each is asked of the event loop, which waits for the client.

    It ends only once the whole form has been read, so that what is cut off is never kept as whole.
    """
    while (chunk := anyio.from_thread.run(_next_chunk, events)) is not None:
        yield chunk
    anyio.from_thread.run(_end_of_form, events)


async def _next_chunk(events: AsyncIterator[Event]) -> bytes | None:
    with anyio.move_on_after(SILENCE_S):
        async for event in events:
            return event if isinstance(event, bytes) else None
    raise _stalled()


async def _end_of_form(events: AsyncIterator[Event]) -> None:
    with anyio.move_on_after(SILENCE_S):
        async for event in events:
            if not isinstance(event, PartEnds):
                raise InvalidRequestError(fields={"file": "must be the last part of the form"})
        return
    raise _stalled()


def _stalled() -> ServiceError:
    return InvalidRequestError("The file stopped coming in.", fields={"file": f"sent nothing for {SILENCE_S:.0f} s"})
