"""Configuration: the environment first, then Parameter Store, with defaults that serve one machine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, overload

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from utils import aws
from utils.errors import ServiceUnavailableError
from utils.logging import get_logger
from utils.lookup import Lookup
from utils.retry import retry_call

ENV_PREFIX: Final = "LOCATION_DETECTION_"
PARAMETER_MAX_AGE_S: Final = 300.0
_FETCH_DEADLINE_S: Final = 2.0  # leaves a request of 3 s the time to answer

_log = get_logger()

_AWS_NAMES: Final = ("jobs_table", "preview_cache_table", "blueprints_bucket", "cache_bucket", "queue_url")

CommaList = Annotated[tuple[str, ...], NoDecode]


class Settings(BaseSettings):
    """What is settled when a process starts; each field may come from `LOCATION_DETECTION_{FIELD}`."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, frozen=True, extra="forbid")

    world: Literal["local", "aws"] = "local"
    env: str = Field(default="dev", pattern=r"^[a-z][a-z0-9-]{0,31}$", description="names the deployment: dev, prod")
    data_dir: Path = Field(default=Path("data"), description="where the embedded world lives")
    url_hosts: CommaList = Field(default=(), description="hosts that https URLs of blueprints may name")
    url_test_exempt: str | None = Field(default=None, description="for tests: one loopback host:port free of URL rules")
    cors_origins: CommaList = Field(default=("*",), description="origins whose pages may call the API")

    jobs_table: str = Field(default="", description="what the AWS world is made of: tables, buckets, a queue")
    preview_cache_table: str = ""
    blueprints_bucket: str = ""
    cache_bucket: str = ""
    queue_url: str = ""

    @field_validator("url_hosts", "cors_origins", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("url_hosts")
    @classmethod
    def _lower(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(host.lower().rstrip(".") for host in value)

    @field_validator("data_dir")
    @classmethod
    def _home(cls, value: Path) -> Path:
        return value.expanduser()

    @field_validator("url_test_exempt")
    @classmethod
    def _loopback(cls, value: str | None) -> str | None:
        host, _, port = (value or "").rpartition(":")
        if value and (host not in {"127.0.0.1", "localhost", "[::1]"} or not port.isdecimal()):
            raise ValueError("must be a loopback host and a port, such as 127.0.0.1:8765")
        return value or None

    @model_validator(mode="after")
    def _named(self) -> Self:
        missing = [name for name in _AWS_NAMES if not getattr(self, name)]
        if self.world == "aws" and missing:
            raise ValueError(f"the AWS world needs {', '.join(missing)}")
        return self


def load_settings(**overrides: Any) -> Settings:
    """The settings of the environment, with what is given taking precedence.

    Raises:
        ValueError: a setting is not valid; the message names it.
    """
    return Settings(**overrides)


class Parameters:
    """Parameters by name: `LOCATION_DETECTION_{NAME}`, then `/location-detection/{env}/{name}` where AWS is in use."""

    def __init__(
        self,
        fetch: Callable[[str], str | None] | None,
        environ: Mapping[str, str],
        *,
        max_age_s: float = PARAMETER_MAX_AGE_S,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._environ = environ
        self._lookup = Lookup(fetch, "parameters", max_age_s, clock) if fetch is not None else None

    @overload
    def get(self, name: str, default: str) -> str: ...
    @overload
    def get(self, name: str, default: None = None) -> str | None: ...
    def get(self, name: str, default: str | None = None) -> str | None:
        """The parameter's value; `default` if it is set nowhere, or cannot be asked for and was never known.

        Raises:
            ServiceUnavailableError: it cannot be asked for, was never known, and there is no default.
        """
        value = self._environ.get(environment_name(name))
        if value is not None:
            return value
        if self._lookup is None:
            return default
        try:
            value = self._lookup.get(f"/location-detection/{deployment(self._environ)}/{name}")
        except ServiceUnavailableError:
            if default is None:
                raise
            _log.warning(
                "A parameter cannot be read; its default serves.",
                extra={"action": "parameter_default", "parameter": name},
            )
            return default
        return default if value is None else value


def environment_name(name: str) -> str:
    """The environment variable that stands for a parameter or a secret: `url-hosts` is LOCATION_DETECTION_URL_HOSTS."""
    return ENV_PREFIX + "".join(c if c.isalnum() else "_" for c in name).upper()


def deployment(environ: Mapping[str, str]) -> str:
    """The deployment's name, dev unless the environment says otherwise."""
    return environ.get(f"{ENV_PREFIX}ENV") or "dev"


@overload
def get_parameter(name: str, default: str) -> str: ...
@overload
def get_parameter(name: str, default: None = None) -> str | None: ...
def get_parameter(name: str, default: str | None = None) -> str | None:
    """The parameter's value from the environment, else from Parameter Store where AWS is in use, else the default."""
    return _parameters(aws.in_use(os.environ)).get(name, default)


@lru_cache(maxsize=2)
def _parameters(from_aws: bool) -> Parameters:
    return Parameters(fetch_parameter if from_aws else None, os.environ)


def fetch_parameter(path: str, sleep: Callable[[float], None] = time.sleep) -> str | None:
    """The parameter as Parameter Store has it now, decrypted, or None.

    Raises:
        ServiceUnavailableError: Parameter Store did not answer in time.
    """
    from aws_lambda_powertools.utilities.parameters import SSMProvider  # loads boto3: only where it is needed
    from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError

    provider = SSMProvider(boto3_client=aws.client("ssm"))

    def fetch() -> str | None:
        try:
            return str(provider.get(path, decrypt=True, force_fetch=True))
        except GetParameterError as error:
            if aws.error_code(error.__context__) == "ParameterNotFound":
                return None
            raise ServiceUnavailableError(service="parameters") from error

    return retry_call(fetch, deadline_s=_FETCH_DEADLINE_S, jitter=True, sleep=sleep)
