"""What clients get, as JSON: the schemas that OpenAPI shows. Nothing else needs them, so nothing else loads them."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

from api.schemas import JOB_ID
from models.floorplan import Floorplan


class ErrorDetail(BaseModel):
    """What went wrong: a stable code, a sentence, and facts."""

    code: str
    message: str
    details: dict[str, Any]


class Meta(BaseModel):
    """What identifies the request in the logs."""

    request_id: str


class ErrorBody(BaseModel):
    """The body of every answer from 400 up."""

    status: Literal["error"]
    error: ErrorDetail
    meta: Meta


class JobData(BaseModel):
    """A job as clients see it."""

    model_config = ConfigDict(extra="forbid")

    job_id: str = Field(pattern=JOB_ID)
    status: Literal["pending", "processing", "completed", "failed", "cancelled"]
    created_at: str = Field(json_schema_extra={"format": "date-time"})
    updated_at: str = Field(json_schema_extra={"format": "date-time"})
    blueprint_s3_key: str
    blueprint_format: Literal["png", "jpg", "pdf"]
    blueprint_hash: str = Field(pattern="^[0-9a-f]{64}$")
    result_s3_key: str | None
    error: ErrorDetail | None
    stage: str
    progress: float = Field(ge=0, le=1)
    message: str | None


class JobBody(BaseModel):
    """One job."""

    status: Literal["success"]
    data: JobData


class PurgedData(BaseModel):
    """A job of which nothing is kept any more."""

    model_config = ConfigDict(extra="forbid")

    job_id: str
    purged: Literal[True]


class DeletedBody(BaseModel):
    """The cancelled job, or what was purged."""

    status: Literal["success"]
    data: JobData | PurgedData


class JobListData(BaseModel):
    """Some jobs, newest first, and where the next ones begin."""

    model_config = ConfigDict(extra="forbid")

    jobs: list[JobData]
    next_cursor: str | None


class JobListBody(BaseModel):
    """A list of jobs."""

    status: Literal["success"]
    data: JobListData


class TicketData(BaseModel):
    """How to send one file: a form post of `fields`, then the file as `file`, to `url`."""

    model_config = ConfigDict(extra="forbid")

    method: Literal["POST"]
    url: str = Field(json_schema_extra={"format": "uri"})
    fields: dict[str, str]
    key: str
    expires_at: str = Field(json_schema_extra={"format": "date-time"})


class TicketBody(BaseModel):
    """An upload ticket."""

    status: Literal["success"]
    data: TicketData


class HealthBody(BaseModel):
    """Whether the service and each of its parts works."""

    status: Literal["healthy", "unhealthy"]
    services: dict[str, Literal["healthy", "unhealthy"]]


_BODIES: Final = (DeletedBody, ErrorBody, Floorplan, HealthBody, JobBody, JobListBody, TicketBody)


def answer_schemas() -> dict[str, Any]:
    """The JSON Schemas of all answers, by the names that `api.openapi.answer` knows them by."""
    _, found = models_json_schema(
        [(body, "serialization") for body in _BODIES], ref_template="#/components/schemas/{model}"
    )
    schemas: dict[str, Any] = found["$defs"]
    return schemas
