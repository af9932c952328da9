"""The one form of every answer: `{status: success, data}` or `{status: error, error, meta}`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from fastapi import Response

from utils.errors import (
    MethodNotAllowedError,
    ServiceError,
    UnauthorizedError,
)
from utils.logging import get_logger

RETRY_AFTER_S: Final = 5
JSON: Final = "application/json"

_log = get_logger()


def json_bytes(value: Any) -> bytes:
    """The value as compact JSON in UTF-8."""
    # What came in as a lone surrogate leaves as an escape: no answer fails for its own details.
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


def success(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """The answer that carries `data`."""
    return Response(json_bytes({"status": "success", "data": data}), status, headers, media_type=JSON)


def failure_body(error: ServiceError, request_id: str) -> bytes:
    """The body that tells a client of the error."""
    return json_bytes({"status": "error", "error": error.to_json(), "meta": {"request_id": request_id}})


def failure_headers(error: ServiceError) -> dict[str, str]:
    """The headers that belong to the error's status."""
    if error.http_status == 503:
        return {"Retry-After": str(RETRY_AFTER_S)}
    if isinstance(error, UnauthorizedError):
        return {"WWW-Authenticate": "Bearer"}
    if isinstance(error, MethodNotAllowedError):
        return {"Allow": ", ".join(error.details["allowed"])}
    return {}


def failure(error: ServiceError, request_id: str) -> Response:
    """The answer that tells a client of the error."""
    body, headers = failure_body(error, request_id), failure_headers(error)
    return Response(body, error.http_status, headers, media_type=JSON)
