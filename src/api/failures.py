"""Refusals, translated: whatever a route or the router raises becomes the error envelope."""

from __future__ import annotations

from typing import Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from api.envelope import failure
from api.openapi import JOBS
from models.job import is_job_id
from utils.errors import (
    InternalError,
    InvalidRequestError,
    JobNotFoundError,
    MethodNotAllowedError,
    NotFoundError,
    ServiceError,
    ValidationFailedError,
)


def add_handlers(app: FastAPI) -> None:
    """Make the app answer every refusal in the envelope."""

    @app.exception_handler(ServiceError)
    def on_service_error(request: Request, error: ServiceError) -> Response:
        return failure(error, _request_id(request))

    @app.exception_handler(RequestValidationError)
    def on_invalid(request: Request, error: RequestValidationError) -> Response:
        return failure(_from_validation(error, on_create=_is_create(request)), _request_id(request))

    @app.exception_handler(HTTPException)
    def on_http_error(request: Request, error: HTTPException) -> Response:
        allowed = _allowed_methods(app, request) if error.status_code == 405 else []
        return failure(_from_http(error, _path(request), allowed), _request_id(request))


def only(*names: str) -> Any:
    """A dependency that refuses every query parameter but these: a misspelt `purge` must not be a cancel."""

    def check(request: Request) -> None:
        unknown = [name for name in request.query_params if name not in names]
        if unknown:
            kind = InvalidRequestError if _is_create(request) else ValidationFailedError
            raise kind(fields={name[:100] or "(empty)": "is not a parameter of this request" for name in unknown})

    return Depends(check)


def _request_id(request: Request) -> str:
    return str(request.scope["state"]["request_id"])


def _is_create(request: Request) -> bool:
    return request.method == "POST" and _path(request) == JOBS


def _path(request: Request) -> str:
    """The request's path below where the service is mounted."""
    return str(request.scope["path"]).removeprefix(request.scope.get("root_path", ""))


def _allowed_methods(app: FastAPI, request: Request) -> list[str]:
    """The methods of every route that has the request's path."""
    methods: set[str] = set()
    for route in app.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            methods |= getattr(route, "methods", None) or set()
    return sorted(methods | ({"HEAD"} if "GET" in methods else set()))


def _from_validation(error: RequestValidationError, *, on_create: bool) -> ServiceError:
    """The error that names each parameter that was not valid: 400 on POST jobs, 422 elsewhere."""
    fields = {".".join(str(step) for step in item["loc"][1:]): str(item["msg"]) for item in error.errors()}
    return InvalidRequestError(fields=fields) if on_create else ValidationFailedError(fields=fields)


def _from_http(error: HTTPException, path: str, allowed: list[str]) -> ServiceError:
    """The error for what the router itself refused.

    Args:
        error: what the router raised.
        path: the request's path.
        allowed: the methods that the path takes; none if it is unknown.
    """
    if error.status_code == 405 and allowed:
        return MethodNotAllowedError(allowed=allowed)
    if error.status_code in (404, 405):
        job_id, _, rest = path.removeprefix(f"{JOBS}/").partition("/")
        unknown_job = path.startswith(f"{JOBS}/") and (not is_job_id(job_id) or not rest)
        return JobNotFoundError(job_id=job_id[:40]) if unknown_job else NotFoundError()
    if 400 <= error.status_code < 500:
        return InvalidRequestError(fields={"request": str(error.detail)})
    return InternalError()
