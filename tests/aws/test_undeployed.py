"""A second deployment, and the end of the stack. Runs after everything else that needs it."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.aws.deployment import STACK, Deployment, sam

pytestmark = [pytest.mark.slow, pytest.mark.timeout(500)]


def test_a_second_deployment_finds_nothing_to_change(deployment: Deployment) -> None:
    cloudformation = deployment.client("cloudformation")

    def versions() -> dict[str, Any]:
        aliases = {
            name: deployment.client("lambda").get_alias(FunctionName=name, Name="live")["FunctionVersion"]
            for name in deployment.resources("AWS::Lambda::Function").values()
        }
        (stack,) = cloudformation.describe_stacks(StackName=STACK)["Stacks"]
        return {**aliases, "status": stack["StackStatus"], "updated": stack.get("LastUpdatedTime")}

    before = versions()
    assert before["status"] == "CREATE_COMPLETE"
    done = deployment.deploy()
    assert done.returncode == 0
    assert f"No changes to deploy. Stack {STACK} is up to date" in done.stdout + done.stderr
    assert versions() == before


def names_of_all(deployment: Deployment) -> list[str]:
    """Whatever there is in the account with the environment's name."""
    client = deployment.client
    found = [
        *client("dynamodb").list_tables()["TableNames"],
        *(one["Name"] for one in client("s3").list_buckets()["Buckets"]),
        *client("sqs").list_queues().get("QueueUrls", []),
        *(one["FunctionName"] for one in client("lambda").list_functions()["Functions"]),
        *(one["FunctionArn"] for one in client("lambda").list_event_source_mappings()["EventSourceMappings"]),
        *(one["Name"] for one in client("apigatewayv2").get_apis()["Items"]),
        *(one["Name"] for one in client("secretsmanager").list_secrets()["SecretList"]),
        *(one["Name"] for one in client("ssm").describe_parameters()["Parameters"]),
        *(one["logGroupName"] for one in client("logs").describe_log_groups()["logGroups"]),
        *(one["TopicArn"] for one in client("sns").list_topics()["Topics"]),
        *(one["AlarmName"] for one in client("cloudwatch").describe_alarms()["MetricAlarms"]),
        *(one["DashboardName"] for one in client("cloudwatch").list_dashboards()["DashboardEntries"]),
        *(one["Name"] for one in client("events").list_rules()["Rules"]),
        *(one["RoleName"] for one in client("iam").list_roles()["Roles"]),
    ]
    return sorted(name for name in found if "location-detection" in name and "location-detection-deploy" not in name)


def test_deleting_the_stack_leaves_nothing(deployment: Deployment) -> None:
    resources = deployment.client("cloudformation").describe_stack_resources(StackName=STACK)["StackResources"]
    assert len(names_of_all(deployment)) >= 30
    assert len(resources) >= 50
    s3 = deployment.client("s3")
    for name in deployment.resources("AWS::S3::Bucket").values():
        for one in s3.list_objects_v2(Bucket=name).get("Contents", []):
            s3.delete_object(Bucket=name, Key=one["Key"])
    words = ["delete", "--stack-name", STACK, "--no-prompts", "--region", "us-east-1"]
    done = sam(deployment.environment, deployment.folder, *words)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    with pytest.raises(ClientError, match="does not exist"):
        deployment.client("cloudformation").describe_stacks(StackName=STACK)
    assert names_of_all(deployment) == []
