"""Where things are after a deployment and a job, and who may do what there: as the specification says."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from tests.aws.clients import FLAT, JOBS, Record, completed, create, inline
from tests.aws.deployment import OWNER, STACK, Deployment
from tests.infra.template import of_type

pytestmark = [pytest.mark.slow, pytest.mark.timeout(500)]
DAY_S = 86_400
DENIED = {"AccessDenied", "AccessDeniedException", "AWS.SimpleQueueService.AccessDenied"}


@pytest.fixture(scope="module")
def done(deployment: Deployment) -> Record:
    """A job that is completed, as its client sees it."""
    return completed(deployment.http, create(deployment.http, inline(FLAT))["job_id"])


def test_names_are_the_specified_ones(deployment: Deployment) -> None:
    assert set(deployment.resources("AWS::DynamoDB::Table").values()) == {
        "location-detection-dev-jobs",
        "location-detection-dev-preview_cache",
    }
    assert set(deployment.resources("AWS::S3::Bucket").values()) == {
        "location-detection-dev-blueprints",
        "location-detection-dev-cache",
    }


@pytest.mark.parametrize(("output", "key"), [("JobsTableName", "job_id"), ("PreviewCacheTableName", "blueprint_hash")])
def test_tables_have_their_key(deployment: Deployment, output: str, key: str) -> None:
    table = deployment.client("dynamodb").describe_table(TableName=deployment.outputs[output])["Table"]
    assert table["KeySchema"] == [{"AttributeName": key, "KeyType": "HASH"}]
    assert {"AttributeName": key, "AttributeType": "S"} in table["AttributeDefinitions"]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert not table["DeletionProtectionEnabled"]


def test_jobs_are_found_by_their_owner_and_by_what_was_not_sent(deployment: Deployment) -> None:
    table = deployment.client("dynamodb").describe_table(TableName=deployment.outputs["JobsTableName"])["Table"]
    keys = {one["IndexName"]: one["KeySchema"][0]["AttributeName"] for one in table["GlobalSecondaryIndexes"]}
    assert keys == {"by_owner": "owner", "unsent": "unsent"}


def test_the_stack_asks_for_what_the_emulator_drops(deployment: Deployment) -> None:
    """It keeps no time to live, no lifecycle and no encryption of tables: what it was given has to do."""
    told = deployment.client("cloudformation").get_template(StackName=STACK, TemplateStage="Processed")["TemplateBody"]
    template = told if isinstance(told, dict) else json.loads(told)
    tables, buckets = of_type(template, "AWS::DynamoDB::Table"), of_type(template, "AWS::S3::Bucket")
    assert (len(tables), len(buckets)) == (2, 2)
    for table in tables.values():
        assert table["TimeToLiveSpecification"]["AttributeName"] == "expires_at"
        assert str(table["TimeToLiveSpecification"]["Enabled"]).lower() == "true"
        assert str(table["SSESpecification"]["SSEEnabled"]).lower() == "true"
    for bucket in buckets.values():
        (expire,) = (rule for rule in bucket["LifecycleConfiguration"]["Rules"] if rule["Id"] == "expire")
        assert (expire["Status"], str(expire["ExpirationInDays"])) == ("Enabled", "30")
        assert "Prefix" not in expire


@pytest.mark.parametrize("output", ["BlueprintsBucketName", "CacheBucketName"])
def test_buckets_are_encrypted_and_nobody_elses(deployment: Deployment, output: str) -> None:
    s3, name = deployment.client("s3"), deployment.outputs[output]
    (rule,) = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    blocked = s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
    assert len(blocked) == 4
    assert all(blocked.values())


def test_a_jobs_record_is_as_specified(deployment: Deployment, done: Record) -> None:
    found = deployment.client("dynamodb").get_item(
        TableName="location-detection-dev-jobs", Key={"job_id": {"S": done["job_id"]}}
    )["Item"]
    for name in ("status", "created_at", "updated_at", "blueprint_s3_key", "blueprint_format", "blueprint_hash"):
        assert found[name] == {"S": done[name]}
    assert found["status"] == {"S": "completed"}
    assert found["result_s3_key"] == {"S": f"cache/final/{done['job_id']}/floorplan.json"}
    assert found["error"] == {"NULL": True}
    assert found["owner"] == {"S": OWNER}
    assert "unsent" not in found
    assert int(found["expires_at"]["N"]) == pytest.approx(time.time() + 7 * DAY_S, abs=600)


def test_a_preview_is_kept_for_an_hour(deployment: Deployment, done: Record) -> None:
    items = deployment.client("dynamodb").scan(TableName="location-detection-dev-preview_cache")["Items"]
    (found,) = (item for item in items if done["blueprint_hash"] in item["blueprint_hash"]["S"])
    assert {"rooms", "timestamp", "model_version", "expires_at"} <= set(found)
    assert int(found["expires_at"]["N"]) == pytest.approx(time.time() + 3600, abs=600)


def test_files_lie_where_they_belong_as_they_came(deployment: Deployment, done: Record) -> None:
    s3, job_id = deployment.client("s3"), done["job_id"]
    blueprint = s3.get_object(Bucket="location-detection-dev-blueprints", Key=f"blueprints/{job_id}/blueprint.png")
    assert done["blueprint_s3_key"] == f"blueprints/{job_id}/blueprint.png"
    assert blueprint["Body"].read() == FLAT
    result = s3.get_object(Bucket="location-detection-dev-cache", Key=f"cache/final/{job_id}/floorplan.json")
    assert json.loads(result["Body"].read()) == deployment.http.get(f"{JOBS}/{job_id}/result").json()
    page = s3.get_object(Bucket="location-detection-dev-cache", Key=f"cache/pages/{job_id}/1.png")
    assert page["Body"].read() == deployment.http.get(f"{JOBS}/{job_id}/pages/1.png").content


def test_nothing_of_a_finished_job_waits_in_a_queue(deployment: Deployment, done: Record) -> None:
    sqs = deployment.client("sqs")
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    told = sqs.get_queue_attributes(QueueUrl=deployment.outputs["DeadLetterQueueUrl"], AttributeNames=names)
    assert told["Attributes"] == dict.fromkeys(names, "0")


@contextmanager
def taken(deployment: Deployment, role: str) -> Iterator[boto3.Session]:
    """The session that a function has: of its role, which trusts this account too until the block ends."""
    iam, name = deployment.client("iam"), deployment.resources("AWS::IAM::Role")[role]
    trust = iam.get_role(RoleName=name)["Role"]
    own = json.dumps(trust["AssumeRolePolicyDocument"])
    more = json.loads(own)
    more["Statement"].append({"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"})
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(more))
    try:
        found = deployment.client("sts").assume_role(RoleArn=trust["Arn"], RoleSessionName="test")["Credentials"]
        keys = (found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])
        yield boto3.Session(*keys, region_name="us-east-1")
    finally:
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=own)


@pytest.fixture(scope="module")
def as_api(deployment: Deployment) -> Iterator[boto3.Session]:
    with taken(deployment, "RestApiRole") as session:
        yield session


@pytest.fixture(scope="module")
def as_worker(deployment: Deployment) -> Iterator[boto3.Session]:
    with taken(deployment, "WorkerRole") as session:
        yield session


Call = tuple[str, str, dict[str, Any]]
TABLE, PREVIEWS = "location-detection-dev-jobs", "location-detection-dev-preview_cache"
BLUEPRINTS, CACHE = "location-detection-dev-blueprints", "location-detection-dev-cache"
NEITHER_MAY: list[Call] = [
    ("dynamodb", "scan", {"TableName": TABLE}),
    ("dynamodb", "delete_table", {"TableName": TABLE}),
    ("s3", "put_object", {"Bucket": BLUEPRINTS, "Key": "elsewhere/a.png", "Body": b"x"}),
    ("s3", "put_object", {"Bucket": CACHE, "Key": "elsewhere/a.png", "Body": b"x"}),
    ("s3", "delete_bucket", {"Bucket": CACHE}),
    ("s3", "put_bucket_policy", {"Bucket": CACHE, "Policy": "{}"}),
    ("s3", "list_buckets", {}),
    ("ssm", "put_parameter", {"Name": "/location-detection/dev/url-hosts", "Value": "a", "Overwrite": True}),
    ("secretsmanager", "put_secret_value", {"SecretId": "location-detection/dev/tokens", "SecretString": "{}"}),
    ("iam", "list_roles", {}),
    ("lambda", "list_functions", {}),
]
API_MAY_NOT: list[Call] = [
    ("sqs", "receive_message", {"QueueUrl": "jobs"}),
    ("sqs", "purge_queue", {"QueueUrl": "jobs"}),
    ("s3", "put_object", {"Bucket": CACHE, "Key": "cache/final/x/floorplan.json", "Body": b"x"}),
    ("dynamodb", "put_item", {"TableName": PREVIEWS, "Item": {"blueprint_hash": {"S": "x"}}}),
    ("ssm", "get_parameter", {"Name": "/location-detection/dev/job-limit-s"}),
]
WORKER_MAY_NOT: list[Call] = [
    ("secretsmanager", "get_secret_value", {"SecretId": "location-detection/dev/tokens"}),
    ("s3", "put_object", {"Bucket": BLUEPRINTS, "Key": "blueprints/x/blueprint.png", "Body": b"x"}),
    ("s3", "delete_object", {"Bucket": BLUEPRINTS, "Key": "blueprints/x/blueprint.png"}),
    ("s3", "get_object", {"Bucket": BLUEPRINTS, "Key": "uploads/x/blueprint"}),
    ("dynamodb", "delete_item", {"TableName": TABLE, "Key": {"job_id": {"S": "x"}}}),
]
API_MAY: list[Call] = [
    ("dynamodb", "get_item", {"TableName": TABLE, "Key": {"job_id": {"S": "x"}}}),
    ("s3", "list_objects_v2", {"Bucket": BLUEPRINTS}),
    ("secretsmanager", "get_secret_value", {"SecretId": "location-detection/dev/tokens"}),
]
WORKER_MAY: list[Call] = [
    ("dynamodb", "get_item", {"TableName": TABLE, "Key": {"job_id": {"S": "x"}}}),
    ("s3", "list_objects_v2", {"Bucket": CACHE}),
    ("ssm", "get_parameter", {"Name": "/location-detection/dev/job-limit-s"}),
]


def called(deployment: Deployment, session: boto3.Session, call: Call) -> Callable[[], Any]:
    service, operation, given = call
    if given.get("QueueUrl") == "jobs":
        given = {"QueueUrl": deployment.outputs["JobQueueUrl"]}
    return lambda: getattr(deployment.client(service, session), operation)(**given)


def named(call: Call) -> str:
    return f"{call[0]}-{call[1]}"


@pytest.mark.parametrize("call", [*NEITHER_MAY, *API_MAY_NOT], ids=named)
def test_the_api_is_denied_what_is_not_its_own(deployment: Deployment, as_api: boto3.Session, call: Call) -> None:
    with pytest.raises(ClientError) as caught:
        called(deployment, as_api, call)()
    assert caught.value.response["Error"]["Code"] in DENIED


@pytest.mark.parametrize("call", [*NEITHER_MAY, *WORKER_MAY_NOT], ids=named)
def test_the_worker_is_denied_what_is_not_its_own(deployment: Deployment, as_worker: boto3.Session, call: Call) -> None:
    with pytest.raises(ClientError) as caught:
        called(deployment, as_worker, call)()
    assert caught.value.response["Error"]["Code"] in DENIED


def test_both_may_do_what_is_theirs(deployment: Deployment, as_api: boto3.Session, as_worker: boto3.Session) -> None:
    for session, calls in ((as_api, API_MAY), (as_worker, WORKER_MAY)):
        for call in calls:
            assert called(deployment, session, call)()["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_whoever_signs_with_wrong_keys_is_denied(deployment: Deployment, as_api: boto3.Session) -> None:
    own = as_api.get_credentials()
    assert own is not None
    for keys, code in (
        (("nobody", own.secret_key, None), "UnrecognizedClientException"),
        ((own.access_key, "wrong", own.token), "InvalidSignatureException"),
    ):
        with pytest.raises(ClientError) as caught:
            deployment.client("dynamodb", boto3.Session(*keys, region_name="us-east-1")).get_item(**API_MAY[0][2])
        assert caught.value.response["Error"]["Code"] == code
