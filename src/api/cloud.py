"""The service behind an API gateway: events become requests, with what only the gateway and Lambda know of them."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mangum import Mangum
from starlette.types import ASGIApp, Receive, Scope, Send

from api.auth import Tokens, load_tokens
from utils.errors import ServiceUnavailableError
from utils.logging import get_logger

_log = get_logger()


def make_function(app: ASGIApp) -> Callable[[Any, Any], Any]:
    """A Lambda function that answers the events of an HTTP API (payload format 2.0) with the app."""
    logging.getLogger("mangum").setLevel(logging.ERROR)  # it writes paths, which are whatever clients send
    adapter: Callable[[Any, Any], Any] = Mangum(_Fronted(app), lifespan="off")
    return adapter


@contextmanager
def absent(module: str) -> Iterator[None]:
    """Within it the module cannot be imported, if it was not before."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[module]


def known_tokens() -> Tokens:
    """The tokens as they are now; without any nobody gets in.

    Raises:
        ServiceUnavailableError: they cannot be read, or what was read is not well-formed.
    """
    try:
        return load_tokens() or {}
    except ValueError as error:
        _log.error("The tokens are not well-formed.", extra={"action": "tokens_wrong", "reason": str(error)})
        raise ServiceUnavailableError(service="tokens") from None


class _Fronted:
    """Tells the app the stage under which it is found, the gateway's id of the request, and the time that is left."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked, context = scope["aws.event"]["requestContext"], scope["aws.context"]
        state = {"gateway_request_id": asked.get("requestId")}
        if context is not None:
            state["time_left_s"] = context.get_remaining_time_in_millis() / 1000
        # All stages but the default one are the first step of the path.
        prefix = f"/{asked.get('stage', '')}"
        root_path = prefix if f"{scope['path']}/".startswith(f"{prefix}/") and prefix != "/" else ""
        await self._app({**scope, "root_path": root_path, "state": state}, receive, send)
