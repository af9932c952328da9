"""What the deployed functions live by: their roles, which are enforced, and settings that are read while they run."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator

import boto3
import httpx
import pytest
from botocore.exceptions import ClientError
from tests.aws.clients import FLAT, JOBS, Record, completed, create, inline, refused
from tests.aws.deployment import Deployment
from tests.aws.servers import REGION

pytestmark = [pytest.mark.slow, pytest.mark.timeout(500)]


@pytest.fixture(scope="module")
def done(deployment: Deployment) -> Record:
    return completed(deployment.http, create(deployment.http, inline(FLAT))["job_id"])


def test_a_function_that_its_role_denies_the_table_says_that_it_is_out_of_service(
    deployment: Deployment, done: Record
) -> None:
    iam, role = deployment.client("iam"), deployment.resources("AWS::IAM::Role")["RestApiRole"]
    statement = {"Effect": "Deny", "Action": "dynamodb:GetItem", "Resource": "*"}
    denial = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=role, PolicyName="denied", PolicyDocument=denial)
    try:
        answer = deployment.http.get(f"{JOBS}/{done['job_id']}")
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="denied")
    assert refused(answer) == (503, "SERVICE_UNAVAILABLE")
    assert int(answer.headers["retry-after"]) > 0
    assert deployment.http.get(f"{JOBS}/{done['job_id']}").status_code == 200


@pytest.fixture
def somebody(deployment: Deployment) -> Iterator[boto3.Session]:
    """A user of the account who may take every role that trusts it."""
    iam, name = deployment.client("iam"), f"somebody-{secrets.token_hex(4)}"
    iam.create_user(UserName=name)
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=name, PolicyName="roles", PolicyDocument=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    yield boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name=REGION)
    iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(UserName=name, PolicyName="roles")
    iam.delete_user(UserName=name)


@pytest.mark.parametrize("role", ["RestApiRole", "WorkerRole"])
def test_nobody_but_lambda_takes_a_functions_role(deployment: Deployment, somebody: boto3.Session, role: str) -> None:
    name = deployment.resources("AWS::IAM::Role")[role]
    found = deployment.client("iam").get_role(RoleName=name)["Role"]
    assert [one["Principal"] for one in found["AssumeRolePolicyDocument"]["Statement"]] == [
        {"Service": "lambda.amazonaws.com"}
    ]
    with pytest.raises(ClientError) as caught:
        deployment.client("sts", somebody).assume_role(RoleArn=found["Arn"], RoleSessionName="somebody")
    assert caught.value.response["Error"]["Code"] == "AccessDenied"


def test_nobody_reads_a_file_without_a_signature(deployment: Deployment, done: Record) -> None:
    files = {
        deployment.outputs["BlueprintsBucketName"]: done["blueprint_s3_key"],
        deployment.outputs["CacheBucketName"]: done["result_s3_key"],
    }
    for bucket, key in files.items():
        assert httpx.get(f"{deployment.environment['AWS_ENDPOINT_URL']}/{bucket}/{key}").status_code == 403
        assert deployment.client("s3").head_object(Bucket=bucket, Key=key)["ContentLength"] > 0


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://plans.example/flat.png", "its host is not on this service's list"),
        ("https://localhost/flat.png", "its host has an address that is not public"),
        ("http://localhost/flat.png", "only https is fetched"),
    ],
)
def test_parameter_store_says_which_hosts_are_asked(deployment: Deployment, url: str, reason: str) -> None:
    name = deployment.outputs["UrlHostsParameterName"]
    assert deployment.client("ssm").get_parameter(Name=name)["Parameter"]["Value"] == "localhost"
    answer = deployment.http.post(JOBS, json={"blueprint": {"file": url, "format": "png"}})
    assert refused(answer) == (400, "URL_NOT_ALLOWED")
    assert answer.json()["error"]["details"]["reason"] == reason
