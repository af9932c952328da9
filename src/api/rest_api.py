"""The HTTP face: `create_app` builds the ASGI app for uvicorn, tests and Lambda; `handler` is the Lambda function."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Annotated, Any

from anyio import to_thread
from fastapi import FastAPI, Header, Path, Query, Request, Response

from api import pages, uploads
from api.auth import Authenticator, Owner, Tokens
from api.creation import create_job
from api.envelope import JSON, json_bytes, success
from api.failures import add_handlers, only
from api.gateway import Answered, Gateway, log_answered
from api.health import FIRST_TIMEOUT_S, Health
from api.lanes import Lane
from api.limits import LAMBDA, ONE_MACHINE, Limits
from api.openapi import CREATE_JOB_BODY, ELSEWHERE, JOBS, OPEN_UPLOAD_BODY, PREFIX, answer, describe, errors
from api.schemas import (
    Flag,
    JobId,
    ListLimit,
    PageNumber,
    WaitSeconds,
)
from api.waiting import await_change
from models.floorplan import floorplan_schema
from services.job_service import JobService, Link
from storage import open_storage
from storage.base import UPLOAD_PATH, Storage
from utils import aws, live
from utils.config import Settings, load_settings
from utils.errors import NotFoundError, ServiceError

_health_lane = Lane("health", 4)  # answers even while everything else waits for a slow store
_DESCRIPTION = "A blueprint (PNG, JPG or PDF) goes in, its rooms come out as polygons."


def create_app(
    storage: Storage,
    settings: Settings,
    *,
    tokens: Tokens | Callable[[], Tokens] | None,
    jobs: JobService | None = None,
    limits: Limits = ONE_MACHINE,
    audit: Callable[[Answered], None] = log_answered,
    version: str = "0.1.0",
) -> FastAPI:
    """The app on this world.

    Args:
        storage: where everything is kept.
        settings: the origins that CORS lets in, and what `JobService` reads.
        tokens: owners by hash of their token, or what tells them; None needs no token and is for loopback alone.
        jobs: the service behind the routes, if not one on `storage` with the real clock.
        limits: how much goes through the API itself.
        audit: gets a line for every request.
        version: what the API's description calls itself.
    """
    app = FastAPI(
        title="Location Detection",
        version=version,
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.authenticator = Authenticator(tokens)
    jobs = jobs or JobService(storage, settings)
    add_handlers(app)
    in_aws = aws.in_use(os.environ)
    health = Health(storage.checks, first_timeout_s=FIRST_TIMEOUT_S if in_aws else None)
    _add_open_routes(app, health, is_open=tokens is None)
    _add_pages(app, storage)
    _add_job_routes(app, jobs, limits)
    _add_job_file_routes(app, jobs, limits)
    _add_upload_routes(app, jobs, storage)
    live_origins = partial(live.cors_origins, settings) if in_aws else None
    app.add_middleware(Gateway, cors_origins=settings.cors_origins, live_origins=live_origins, audit=audit)
    return app


def _add_open_routes(app: FastAPI, health: Health, *, is_open: bool) -> None:
    """What needs no token and is data: health and descriptions."""
    described: list[bytes] = []

    @app.get(
        "/health",
        tags=["service"],
        response_model=None,
        responses={
            **answer(200, "Every part works", "HealthBody"),
            **answer(503, "A part does not work", "HealthBody", headers=errors(503)[503]["headers"]),
        },
    )
    async def get_health() -> Response:
        """Whether the service and each of its parts works."""
        status, body = await _health_lane.run(health.report)
        headers = {"Retry-After": "5"} if status == 503 else None
        return Response(json_bytes(body), status, headers, media_type=JSON)

    @app.get(
        f"{PREFIX}/schema/floorplan.json",
        tags=["service"],
        response_model=None,
        responses=answer(
            200, "A JSON Schema (2020-12)", content={"application/schema+json": {"schema": {"type": "object"}}}
        ),
    )
    def get_floorplan_schema() -> Response:
        """The JSON Schema of a floorplan document."""
        return Response(json_bytes(floorplan_schema()), media_type="application/schema+json")

    @app.get("/openapi.json", include_in_schema=False)
    def get_openapi_document() -> Response:
        if not described:
            described.append(json_bytes(describe(app, is_open=is_open)))
        return Response(described[0], media_type=JSON)


def _add_pages(app: FastAPI, storage: Storage) -> None:
    """The page, the documentation and what they are made of."""

    known: list[str] = []

    def policy() -> str:
        if not known:
            try:
                known.append(pages.page_policy(pages.store_origins(storage)))
            except ServiceError:  # the page can still say that the service is not well
                return pages.PAGE_POLICY
        return known[0]

    @app.get("/", include_in_schema=False)
    def get_page() -> Response:
        return pages.static_file("index.html", policy())

    @app.get("/docs", include_in_schema=False)
    def get_docs() -> Response:
        return pages.static_file("docs.html", policy())

    @app.get("/static/{name:path}", include_in_schema=False)
    def get_static(name: str) -> Response:
        return pages.static_file(name)


def _add_job_routes(app: FastAPI, jobs: JobService, limits: Limits) -> None:
    """Create, list, look and delete."""

    @app.post(
        JOBS,
        tags=["jobs"],
        status_code=201,
        response_model=None,
        dependencies=[only()],
        openapi_extra=CREATE_JOB_BODY,
        responses={
            **answer(
                201,
                "The job, pending",
                "JobBody",
                headers={"Location": {"schema": {"type": "string"}, "required": True}},
            ),
            **errors(400, 401, 409, 413, 415, 500, 503),
        },
    )
    async def post_job(
        request: Request,
        owner: Owner,
        idempotency_key: Annotated[
            str | None,
            Header(pattern="^[!-~]{1,255}$", description="the same key with the same request gives the same job"),
        ] = None,
    ) -> Response:
        """Create a job from a file in the body, a URL, or an upload."""
        job = await create_job(request, jobs, owner, idempotency_key, limits)
        return success(job.to_json(), 201, {"Location": f"{request.scope.get('root_path', '')}{JOBS}/{job.job_id}"})

    @app.get(
        JOBS,
        tags=["jobs"],
        response_model=None,
        dependencies=[only("limit", "cursor")],
        responses={**answer(200, "Some of your jobs, newest first", "JobListBody"), **errors(401, 422, 500, 503)},
    )
    def list_jobs(
        owner: Owner, limit: Annotated[ListLimit, Query()] = 20, cursor: Annotated[str | None, Query()] = None
    ) -> Response:
        """List your jobs, newest first; `next_cursor` leads on."""
        page = jobs.list(owner, limit, cursor or None)
        return success({"jobs": [job.to_json() for job in page.jobs], "next_cursor": page.next_cursor})

    @app.get(
        f"{JOBS}/{{job_id}}",
        tags=["jobs"],
        response_model=None,
        dependencies=[only("wait")],
        responses={**answer(200, "The job", "JobBody"), **errors(401, 404, 422, 500, 503)},
    )
    async def get_job(
        request: Request,
        owner: Owner,
        job_id: Annotated[JobId, Path()],
        wait: Annotated[WaitSeconds, Query(description="answer when the job changes, or after that many seconds")] = 0,
    ) -> Response:
        """Get a job, at once or when it changes."""
        return success((await await_change(request, jobs, job_id, owner, wait)).to_json())

    @app.delete(
        f"{JOBS}/{{job_id}}",
        tags=["jobs"],
        response_model=None,
        dependencies=[only("purge")],
        responses={
            **answer(200, "The job, cancelled, or purged", "DeletedBody"),
            **errors(401, 404, 409, 422, 500, 503),
        },
    )
    def delete_job(
        owner: Owner,
        job_id: Annotated[JobId, Path()],
        purge: Annotated[Flag, Query(description="remove the job and its files instead of cancelling it")] = False,
    ) -> Response:
        """Cancel a job, or remove everything that is kept of it."""
        if purge:
            jobs.purge(job_id, owner=owner)
            return success({"job_id": job_id, "purged": True})
        return success(jobs.cancel(job_id, owner=owner).to_json())


def _add_job_file_routes(app: FastAPI, jobs: JobService, limits: Limits) -> None:
    """What was made of a job: its floorplan and the pictures of its pages."""

    @app.get(
        f"{JOBS}/{{job_id}}/result",
        tags=["jobs"],
        response_model=None,
        dependencies=[only()],
        responses={
            **answer(200, "The floorplan document, bare", "Floorplan"),
            **ELSEWHERE,
            **errors(401, 404, 409, 422, 500, 503),
        },
    )
    def get_result(owner: Owner, job_id: Annotated[JobId, Path()]) -> Response:
        """Get the floorplan of a completed job."""
        return _hand_out(jobs.result(job_id, owner=owner, link_above_bytes=limits.answer_bytes), JSON)

    @app.get(
        f"{JOBS}/{{job_id}}/pages/{{page}}.png",
        tags=["jobs"],
        response_model=None,
        dependencies=[only()],
        responses={
            **answer(
                200, "The page as a picture", content={"image/png": {"schema": {"type": "string", "format": "binary"}}}
            ),
            **ELSEWHERE,
            **errors(401, 404, 422, 500, 503),
        },
    )
    def get_page_picture(
        owner: Owner, job_id: Annotated[JobId, Path()], page: Annotated[PageNumber, Path()]
    ) -> Response:
        """Get the picture of a page; it scales to the page's width and height."""
        found = jobs.page_picture(job_id, page, owner=owner, link_above_bytes=limits.answer_bytes)
        return _hand_out(found, "image/png")


def _hand_out(found: bytes | Link, media_type: str) -> Response:
    """The file, or where it is."""
    if isinstance(found, Link):
        return Response(status_code=307, headers={"Location": found.url})
    return Response(found, media_type=media_type)


def _add_upload_routes(app: FastAPI, jobs: JobService, storage: Storage) -> None:
    """Tickets, and the receiving end where the world is this machine."""

    @app.post(
        UPLOAD_PATH,
        tags=["uploads"],
        status_code=201,
        response_model=None,
        dependencies=[only()],
        openapi_extra=OPEN_UPLOAD_BODY,
        responses={**answer(201, "The ticket", "TicketBody"), **errors(401, 415, 422, 500, 503)},
    )
    async def post_upload(request: Request, owner: Owner) -> Response:
        """Get a ticket for one file of up to 50 MB, to be sent before a job is created from its key."""
        await uploads.check_empty(request)
        ticket = await to_thread.run_sync(lambda: jobs.open_upload(owner=owner))
        return success(uploads.ticket_json(ticket, str(request.base_url)), 201)

    @app.post(
        f"{UPLOAD_PATH}/{{ticket}}",
        include_in_schema=False,
        status_code=204,
        response_model=None,
        responses={**answer(204, "The file is kept"), **errors(400, 403, 404, 413, 415, 500, 503)},
    )
    async def receive_upload(request: Request) -> Response:
        """Take in a file on a ticket, which alone says whether it may come in."""
        if storage.uploads is None:
            raise NotFoundError
        await uploads.receive(request, storage.uploads)
        return Response(status_code=204)


def handler(event: Any, context: Any) -> Any:
    """Answer an API Gateway event; the app is built at the first one and kept."""
    return _function()(event, context)


@lru_cache(maxsize=1)
def _function() -> Callable[[Any, Any], Any]:
    from api.cloud import make_function

    return make_function(cloud_app())


def cloud_app() -> FastAPI:
    """The app as it is behind a gateway: on the world of the environment, where nobody is local."""
    from api.cloud import absent, known_tokens

    settings = load_settings()
    # To know that no parameter is a model of pydantic 1, FastAPI loads all of it, at every cold start. That it is not
    # there is answer enough.
    with absent("pydantic.v1"):
        return create_app(open_storage(settings), settings, tokens=known_tokens, limits=LAMBDA)
