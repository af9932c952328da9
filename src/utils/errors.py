"""Every way the service says no: one class a code, with its HTTP status and whether asking again may help.

The docstring of a class is the message a client reads when the raiser gives no better one.
"""

from __future__ import annotations

from typing import Any, ClassVar


class ServiceError(Exception):
    """The request could not be served."""

    code: ClassVar[str] = "INTERNAL_ERROR"
    http_status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(self, message: str | None = None, /, **details: Any) -> None:
        self.message = message or (type(self).__doc__ or "").strip()
        self.details: dict[str, Any] = details
        super().__init__(self.message)

    def to_json(self) -> dict[str, Any]:
        """The error as `{code, message, details}`: the form of the API's envelope and of a failed job."""
        return {"code": self.code, "message": self.message, "details": self.details}


class InvalidRequestError(ServiceError):
    """The request is not valid; `details.fields` names each field and what is wrong with it."""

    code, http_status = "INVALID_REQUEST", 400


class InvalidFileFormatError(ServiceError):
    """The file is not a readable PNG, JPG or PDF."""

    code, http_status = "INVALID_FILE_FORMAT", 400


class UrlNotAllowedError(ServiceError):
    """The URL is not one this service may fetch."""

    code, http_status = "URL_NOT_ALLOWED", 400


class UrlFetchFailedError(ServiceError):
    """The file behind the URL could not be fetched."""

    code, http_status = "URL_FETCH_FAILED", 400


class UnauthorizedError(ServiceError):
    """A valid bearer token is needed."""

    code, http_status = "UNAUTHORIZED", 401


class UploadNotAllowedError(ServiceError):
    """The form is not that of an upload ticket, or the ticket has expired."""

    code, http_status = "UPLOAD_NOT_ALLOWED", 403


class NotFoundError(ServiceError):
    """There is nothing at this address."""

    code, http_status = "NOT_FOUND", 404


class JobNotFoundError(ServiceError):
    """There is no job with this id."""

    code, http_status = "JOB_NOT_FOUND", 404


class MethodNotAllowedError(ServiceError):
    """This address does not take this method."""

    code, http_status = "METHOD_NOT_ALLOWED", 405


class JobAlreadyCompletedError(ServiceError):
    """The job has already ended and cannot be cancelled."""

    code, http_status = "JOB_ALREADY_COMPLETED", 409


class ResultNotReadyError(ServiceError):
    """The job has no result yet."""

    code, http_status = "RESULT_NOT_READY", 409


class IdempotencyKeyReusedError(ServiceError):
    """This Idempotency-Key was used before with a different request."""

    code, http_status = "IDEMPOTENCY_KEY_REUSED", 409


class FileTooLargeError(ServiceError):
    """The file exceeds a size limit; `details` names the limit and its value."""

    code, http_status = "FILE_TOO_LARGE", 413


class UnsupportedMediaTypeError(ServiceError):
    """The body's Content-Type is not one this address takes."""

    code, http_status = "UNSUPPORTED_MEDIA_TYPE", 415


class ValidationFailedError(ServiceError):
    """A parameter is not valid; `details.fields` names each one and what is wrong with it."""

    code, http_status = "VALIDATION_FAILED", 422


class ProcessingFailedError(ServiceError):
    """The plan could not be processed."""

    code, http_status = "PROCESSING_FAILED", 500


class InternalError(ServiceError):
    """Something went wrong on our side; the request id helps to find it."""

    code, http_status = "INTERNAL_ERROR", 500


class ServiceUnavailableError(ServiceError):
    """A part of the service cannot be reached right now; try again shortly."""

    code, http_status, retryable = "SERVICE_UNAVAILABLE", 503, True
