"""Secrets: from Secrets Manager where AWS is in use, kept for 5 minutes; from the environment elsewhere."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

from utils import aws
from utils.config import deployment, environment_name
from utils.errors import ServiceUnavailableError
from utils.lookup import Lookup
from utils.retry import retry_call

SECRET_MAX_AGE_S: Final = 300.0
_FETCH_DEADLINE_S: Final = 2.0


class Secrets:
    """Secrets by name: `location-detection/{env}/{name}`, or `LOCATION_DETECTION_{NAME}` without AWS."""

    def __init__(
        self,
        fetch: Callable[[str], str | None] | None,
        environ: Mapping[str, str],
        *,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._environ = environ
        self._lookup = Lookup(fetch, "secrets", SECRET_MAX_AGE_S, clock) if fetch is not None else None

    def get(self, name: str) -> str | None:
        """The secret, at most 5 minutes old, or the last one known in an outage; None if there is none.

        Raises:
            ServiceUnavailableError: it cannot be asked for and was never known.
        """
        if self._lookup is None:
            return self._environ.get(environment_name(name))
        return self._lookup.get(f"location-detection/{deployment(self._environ)}/{name}")


def get_secret(name: str) -> str | None:
    """The secret, or None: from Secrets Manager where AWS is in use, from the environment elsewhere."""
    return _secrets(aws.in_use(os.environ)).get(name)


@lru_cache(maxsize=2)
def _secrets(from_aws: bool) -> Secrets:
    return Secrets(fetch_secret if from_aws else None, os.environ)


def fetch_secret(secret_id: str, sleep: Callable[[float], None] = time.sleep) -> str | None:
    """The secret's text as Secrets Manager has it now, or None.

    Raises:
        ServiceUnavailableError: Secrets Manager did not answer in time.
    """
    from aws_lambda_powertools.utilities.parameters import SecretsProvider  # loads boto3: only where it is needed
    from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError

    provider = SecretsProvider(boto3_client=aws.client("secretsmanager"))

    def fetch() -> str | None:
        try:
            value = provider.get(secret_id, force_fetch=True)
        except GetParameterError as error:
            if aws.error_code(error.__context__) == "ResourceNotFoundException":
                return None
            raise ServiceUnavailableError(service="secrets") from error
        return value.decode() if isinstance(value, bytes) else str(value)

    return retry_call(fetch, deadline_s=_FETCH_DEADLINE_S, jitter=True, sleep=sleep)
