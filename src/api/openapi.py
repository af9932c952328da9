"""The API's description: what OpenAPI says of each route, true to the status."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI

from api.schemas import CREATE_FORM_SCHEMA, CREATE_JOB_SCHEMA, EMPTY_SCHEMA

PREFIX: Final = "/api/v1"
JOBS: Final = f"{PREFIX}/jobs"
_WHY: Final = {
    400: "The request or the file in it is not valid",
    401: "A valid bearer token is needed",
    403: "The upload's ticket is not valid",
    404: "There is no such thing for this caller",
    409: "The state of the job, or an earlier request, does not allow it",
    413: "The file exceeds a size limit",
    415: "The body's media type is not taken",
    422: "A parameter is not valid",
    500: "Something unforeseen happened on our side",
    503: "A part of the service cannot be reached",
}
_HEADERS: Final[dict[int, dict[str, Any]]] = {
    401: {"WWW-Authenticate": {"description": "the scheme to use", "schema": {"type": "string"}, "required": True}},
    503: {"Retry-After": {"description": "seconds", "schema": {"type": "integer"}, "required": True}},
}
_REQUEST_ID: Final = {
    "X-Request-Id": {
        "description": "the id under which the request is logged",
        "schema": {"type": "string", "pattern": "^req_[0-9a-f]{16}$"},
        "required": True,
    }
}

Responses = dict[int | str, dict[str, Any]]
ELSEWHERE: Final[dict[int | str, dict[str, Any]]] = {
    307: {
        "description": "The store hands it out, for some minutes: it is too large for the service in this place",
        "headers": {
            **_REQUEST_ID,
            "Location": {"schema": {"type": "string", "format": "uri"}, "required": True},
        },
    }
}


def errors(*statuses: int) -> Responses:
    """What a route documents of the errors that it answers with."""
    return {
        status: {
            "description": _WHY[status],
            "content": _json("ErrorBody"),
            "headers": {**_REQUEST_ID, **_HEADERS.get(status, {})},
        }
        for status in statuses
    }


def answer(status: int, description: str, body: str | None = None, **more: Any) -> Responses:
    """What a route documents of an answer that is no error; `body` is one of `api.answers`, by its name.

    By its name, because a framework that is given the class prepares at every start to check what nobody checks.
    """
    headers = {**_REQUEST_ID, **more.pop("headers", {})}
    content = {"content": _json(body)} if body else {}
    return {status: {"description": description, "headers": headers, **content, **more}}


def _json(body: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{body}"}}}


CREATE_JOB_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": CREATE_JOB_SCHEMA},
            "multipart/form-data": {"schema": CREATE_FORM_SCHEMA},
        },
    }
}
OPEN_UPLOAD_BODY: Final[dict[str, Any]] = {
    "requestBody": {"required": False, "content": {"application/json": {"schema": EMPTY_SCHEMA}}}
}


def describe(app: FastAPI, *, is_open: bool) -> dict[str, Any]:
    """The OpenAPI document; tokens are in it where tokens are needed."""
    from fastapi.openapi.utils import get_openapi

    from api.answers import answer_schemas

    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes, openapi_version="3.1.0"
    )
    document["components"] = {"schemas": answer_schemas()}
    # The framework adds a 422 of its own to whatever has parameters; here POST jobs answers 400 instead.
    document["paths"][JOBS]["post"]["responses"].pop("422", None)
    if not is_open:
        document["components"]["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
        for path, operations in document["paths"].items():
            if path.startswith((f"{PREFIX}/jobs", f"{PREFIX}/uploads")):
                for operation in operations.values():
                    operation["security"] = [{"bearer": []}]
    return document
