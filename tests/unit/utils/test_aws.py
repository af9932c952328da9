from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from storage.aws.queue import POLL_S
from utils import aws


def test_a_client_is_made_once_with_timeouts_and_a_single_attempt(aws_account: None) -> None:
    with ThreadPoolExecutor(8) as pool:
        clients = list(pool.map(lambda _: aws.client("dynamodb"), range(16)))
    assert len({id(client) for client in clients}) == 1
    config = clients[0].meta.config
    assert (config.connect_timeout, config.read_timeout) == (1.0, 1.5)
    assert config.retries["total_max_attempts"] == 1
    assert aws.client("s3").meta.config.signature_version == "s3v4"
    assert aws.client("sqs").meta.config.read_timeout > POLL_S + 1


def test_forgotten_clients_are_made_anew(aws_account: None) -> None:
    first = aws.client("ssm")
    aws.forget_clients()
    assert aws.client("ssm") is not first


@pytest.mark.parametrize(
    ("environ", "used"),
    [
        ({}, False),
        ({"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "x"}, False),
        ({"LOCATION_DETECTION_WORLD": "local"}, False),
        ({"LOCATION_DETECTION_WORLD": "aws"}, True),
        ({"AWS_LAMBDA_FUNCTION_NAME": "rest"}, True),
    ],
)
def test_credentials_alone_do_not_bring_aws_into_use(environ: dict[str, str], used: bool) -> None:
    assert aws.in_use(environ) is used


def test_an_answers_code_is_read_from_it_and_from_nothing_else(aws_account: None) -> None:
    client = aws.client("ssm")
    with pytest.raises(client.exceptions.ParameterNotFound) as caught:
        client.get_parameter(Name="/none")
    assert aws.error_code(caught.value) == "ParameterNotFound"
    assert aws.error_code(OSError()) is None
    assert aws.error_code(None) is None
