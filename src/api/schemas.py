"""What clients send, as JSON: the checks of a POST's body and of parameters, and their schemas for OpenAPI."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from api.bodies import strict_json
from models.blueprint import MAX_PAGES, PageSelection, check_declared_format
from services.job_service import MAX_LIST
from utils.errors import InvalidRequestError

MAX_WAIT_S: Final = 20
JOB_ID: Final = r"^job_\d{8}_[a-z2-7]{16}$"
_PAGES: Final = r"^\s*(\d{1,6}(-\d{1,6})?(\s*,\s*\d{1,6}(-\d{1,6})?)*)?\s*$"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Options(_Strict):
    """How the blueprint is to be read."""

    pages: str = Field(
        default="",
        max_length=1000,
        description="which pages of a PDF, as in `1-3,7`; all if empty",
        json_schema_extra={"pattern": _PAGES},
    )

    def selection(self, field: str = "options.pages") -> PageSelection:
        """The pages that are wanted.

        Raises:
            InvalidRequestError: they are not written as in `1-3,7`.
        """
        try:
            return PageSelection.parse(self.pages)
        except ValueError as error:
            raise InvalidRequestError(fields={field: str(error)}) from None


def _text_alone(value: Any) -> Any:
    """Left out is one thing, null another: only text may stand here."""
    if not isinstance(value, str):
        raise ValueError("should be a string")
    return value


class BlueprintSource(_Strict):
    """Where the blueprint is: in `file` itself, or under the `key` of an upload."""

    format: str
    file: Annotated[str | None, BeforeValidator(_text_alone)] = None
    key: Annotated[str | None, BeforeValidator(_text_alone)] = None


class CreateJob(_Strict):
    """The JSON body of POST jobs."""

    blueprint: BlueprintSource
    options: Options = Options()


def parse_create_job(data: bytes) -> CreateJob:
    """The request in a JSON body.

    Raises:
        InvalidRequestError: with each field that is wrong, named.
        InvalidFileFormatError: the declared format is none of png, jpg and pdf.
    """
    value = strict_json(data)
    try:
        request = CreateJob.model_validate(value)
    except ValidationError as error:
        raise InvalidRequestError(fields=_fields(error)) from None
    source = request.blueprint
    if (source.file is None) == (source.key is None):
        raise InvalidRequestError(fields={"blueprint": "needs either file or key"})
    check_declared_format(source.format)
    request.options.selection()
    return request


def parse_options(text: str) -> Options:
    """The options in the `options` field of a form, a JSON object.

    Raises:
        InvalidRequestError: with each field that is wrong, named.
    """
    value = strict_json(text.encode(), "options")
    try:
        return Options.model_validate(value)
    except ValidationError as error:
        raise InvalidRequestError(fields=_fields(error, "options")) from None


def _fields(error: ValidationError, prefix: str = "") -> dict[str, str]:
    found = {}
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        path = ".".join([prefix, *map(str, item["loc"])] if prefix else map(str, item["loc"]))
        found[path[:100] or "body"] = str(item["msg"])
    return found


def _only_true_or_false(value: Any) -> Any:
    return {"true": True, "false": False}.get(str(value).lower(), "neither")


JobId = Annotated[str, Field(json_schema_extra={"pattern": JOB_ID})]
WaitSeconds = Annotated[float, Field(ge=0, le=MAX_WAIT_S, allow_inf_nan=False)]
ListLimit = Annotated[int, Field(ge=1, le=MAX_LIST)]
PageNumber = Annotated[int, Field(ge=1, le=MAX_PAGES)]
Flag = Annotated[bool, BeforeValidator(_only_true_or_false)]


_FORMAT_SCHEMA: Final = {"type": "string", "enum": ["png", "jpg", "pdf"]}
CREATE_JOB_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["blueprint"],
    "properties": {
        "blueprint": {
            "oneOf": [
                {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["file", "format"],
                    "properties": {
                        "file": {
                            "type": "string",
                            "minLength": 1,
                            "description": "the file as base64, as a base64 `data:` URL, or an https URL of it",
                        },
                        "format": _FORMAT_SCHEMA,
                    },
                },
                {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["key", "format"],
                    "properties": {
                        "key": {
                            "type": "string",
                            "pattern": r"^uploads/job_\d{8}_[a-z2-7]{16}/blueprint$",
                            "description": "the key of an upload ticket whose file was sent",
                        },
                        "format": _FORMAT_SCHEMA,
                    },
                },
            ]
        },
        "options": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "pages": {
                    "type": "string",
                    "maxLength": 1000,
                    "pattern": _PAGES,
                    "description": "which pages of a PDF, as in `1-3,7`; all if empty",
                }
            },
        },
    },
}
CREATE_FORM_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "format": "binary", "description": "the blueprint, at most 50 MB"},
        "format": {"type": "string", "enum": ["png", "jpg", "pdf"], "description": "seen from the file if left out"},
        "pages": {"type": "string", "maxLength": 1000, "pattern": _PAGES, "description": "as in `1-3,7`"},
        "options": {"type": "string", "description": 'a JSON object, as in `{"pages": "1-3"}`'},
    },
}
EMPTY_SCHEMA: Final[dict[str, Any]] = {"type": "object", "additionalProperties": False, "maxProperties": 0}
