"""The one door to boto3: clients made when first needed, reused, with explicit timeouts and a single attempt.

Repeating is `utils.retry`'s business alone, so that there is one loop and not two inside each other.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, overload

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient

Service = Literal["dynamodb", "s3", "secretsmanager", "sqs", "ssm"]

CONNECT_TIMEOUT_S: Final = 1.0
# A large file takes S3 a while to copy, and an empty queue a second to say so. The rest answers in milliseconds or not
# at all.
READ_TIMEOUTS_S: Final[dict[Service, float]] = {
    "dynamodb": 1.5,
    "s3": 10.0,
    "secretsmanager": 1.5,
    "sqs": 4.0,
    "ssm": 1.5,
}
MAX_CONNECTIONS: Final = 32

_clients: dict[tuple[int, Service, str | None], Any] = {}
_lock = threading.Lock()


def in_use(environ: Mapping[str, str]) -> bool:
    """Whether this process lives in AWS, or was told to use it: having credentials alone does not say so."""
    return "AWS_LAMBDA_FUNCTION_NAME" in environ or environ.get("LOCATION_DETECTION_WORLD") == "aws"


@overload
def client(service: Literal["dynamodb"], endpoint_url: str | None = None) -> DynamoDBClient: ...
@overload
def client(service: Literal["s3"], endpoint_url: str | None = None) -> S3Client: ...
@overload
def client(service: Literal["secretsmanager"], endpoint_url: str | None = None) -> SecretsManagerClient: ...
@overload
def client(service: Literal["sqs"], endpoint_url: str | None = None) -> SQSClient: ...
@overload
def client(service: Literal["ssm"], endpoint_url: str | None = None) -> SSMClient: ...
def client(service: Service, endpoint_url: str | None = None) -> Any:
    """The process's one client of the service, at the endpoint or where the environment says.

    Clients may be shared between threads, but not across a fork.
    """
    key = (os.getpid(), service, endpoint_url)
    with _lock:
        found = _clients.get(key)
        if found is None:
            import boto3  # 0.3 s: only where it is needed
            from botocore.config import Config

            config = Config(
                connect_timeout=CONNECT_TIMEOUT_S,
                read_timeout=READ_TIMEOUTS_S[service],
                retries={"total_max_attempts": 1, "mode": "standard"},
                max_pool_connections=MAX_CONNECTIONS,
                **(_s3_options(endpoint_url) if service == "s3" else {}),
            )
            found = _clients[key] = boto3.client(service, endpoint_url=endpoint_url, config=config)
    return found


def _s3_options(endpoint_url: str | None) -> dict[str, Any]:
    """Signatures that every region takes, on addresses of the bucket's own region.

    Signed URLs would otherwise lead to the global address, which redirects, and no form can follow. Another store than
    AWS's seldom has a name for each bucket.
    """
    elsewhere = endpoint_url or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    options = {} if elsewhere else {"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"}
    return {"signature_version": "s3v4", "s3": options}


def forget_clients() -> None:
    """Make new clients from now on, for tests that change what clients are made of."""
    with _lock:
        _clients.clear()


def error_code(error: BaseException | None) -> str | None:
    """The code that an AWS service answered with, such as ParameterNotFound; None if it is no such answer."""
    response = getattr(error, "response", None)
    if not isinstance(response, dict):
        return None
    code = response.get("Error", {}).get("Code")
    return str(code) if code is not None else None
