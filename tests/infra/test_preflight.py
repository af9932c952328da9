"""The look before a deployment: what it finds in an account, and that it asks for what the deployment role grants."""

from __future__ import annotations

import datetime
import fnmatch
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore.stub import Stubber
from moto import mock_aws

import permissions
import preflight
import stack

ROOT = Path(__file__).parents[2]
ACCOUNT = "123456789012"
NAMES = {"partition": "aws", "region": "us-east-1", "account": ACCOUNT, "env": "dev", "suffix": ""}
PLAN = preflight.Plan(env="dev")
TODAY = datetime.date(2026, 11, 24)
Client = Callable[[str], Any]


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """An empty account: moto's, and stubs of what moto has not; the stubs are by the service's name."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield {
            name: boto3.client(name) for name in ("sts", "s3", "dynamodb", "secretsmanager", "cloudformation", "iam")
        }


@pytest.fixture
def client(account: dict[str, Any]) -> Client:
    def get(service: str) -> Any:
        if service not in account:
            account[service] = boto3.client(service)
        return account[service]

    return get


def stub(account: dict[str, Any], service: str) -> Stubber:
    account[service] = boto3.client(service)
    stubber = Stubber(account[service])
    stubber.activate()
    return stubber


def concurrency(account: dict[str, Any], limit: int) -> None:
    stub(account, "lambda").add_response(
        "get_account_settings",
        {"AccountLimit": {"ConcurrentExecutions": limit, "UnreservedConcurrentExecutions": limit}},
    )


def said(findings: Iterator[preflight.Finding] | list[preflight.Finding], level: str) -> list[str]:
    return [finding.text for finding in findings if finding.level == level]


def test_an_empty_account_is_ready(account: dict[str, Any], client: Client) -> None:
    concurrency(account, 1000)
    simulated(account, denied=set())
    stub(account, "cloudformation").add_client_error("describe_stacks", "ValidationError", "Stack does not exist")
    account["sts"] = caller(f"arn:aws:iam::{ACCOUNT}:user/anna")
    found = list(preflight.look(boto3.Session(), client, PLAN, TODAY))
    assert [finding for finding in found if finding.level == "FAIL"] == []
    assert {finding.what for finding in found} == {
        "region", "credentials", "permissions", "quotas", "stack", "names", "runtime",
    }  # fmt: skip


def caller(arn: str) -> Any:
    sts = boto3.client("sts")
    stubber = Stubber(sts)
    stubber.add_response("get_caller_identity", {"Arn": arn, "Account": ACCOUNT, "UserId": "x"})
    stubber.activate()
    return sts


def test_credentials_that_do_not_work_end_the_look(account: dict[str, Any], client: Client) -> None:
    stub(account, "sts").add_client_error("get_caller_identity", "ExpiredToken")
    found = list(preflight.look(boto3.Session(), client, PLAN, TODAY))
    assert [finding.level for finding in found] == ["ok", "FAIL"]
    assert "ExpiredToken" in found[-1].text


@pytest.mark.parametrize(("name", "level"), [("us-east-1", "ok"), ("us-moon-1", "FAIL"), (None, "FAIL")])
def test_a_region_must_be_chosen_and_have_the_services(
    name: str | None, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    (finding,) = preflight.region(boto3.Session(region_name=name))
    assert finding.level == level


# --- permissions


def simulated(account: dict[str, Any], denied: set[str]) -> Stubber:
    """IAM, that answers as if the actions were denied; what it is asked is checked on the way."""
    stubber = stub(account, "iam")
    for needed in permissions.NEEDED:
        stubber.add_response(
            "simulate_principal_policy",
            {
                "EvaluationResults": [
                    {
                        "EvalActionName": action,
                        "EvalDecision": "implicitDeny" if action in denied else "allowed",
                        "EvalResourceName": needed.resource.format_map(NAMES),
                    }
                    for action in needed.actions
                ],
                "IsTruncated": False,
            },
        )
    return stubber


def test_what_is_denied_is_named_with_its_resource(account: dict[str, Any], client: Client) -> None:
    simulated(account, denied={"iam:PassRole", "sqs:CreateQueue"})
    found = list(preflight.permissions(client, f"arn:aws:iam::{ACCOUNT}:user/anna", NAMES))
    assert said(found, "FAIL") == [
        f"sqs:CreateQueue is denied on arn:aws:sqs:us-east-1:{ACCOUNT}:location-detection-dev-jobs",
        f"iam:PassRole is denied on arn:aws:iam::{ACCOUNT}:role/location-detection-dev-RestApiRole-preflight",
    ]


def test_a_session_of_a_role_is_asked_about_as_the_role_with_its_path(account: dict[str, Any], client: Client) -> None:
    role = {
        "Path": "/teams/plans/", "RoleName": "deployer", "RoleId": "AROAEXAMPLE0123456789",
        "Arn": f"arn:aws:iam::{ACCOUNT}:role/teams/plans/deployer", "CreateDate": datetime.datetime(2026, 1, 1),
    }  # fmt: skip
    stubber = stub(account, "iam")
    stubber.add_response("get_role", {"Role": role}, {"RoleName": "deployer"})
    asked: list[str] = []
    for _ in permissions.NEEDED:
        stubber.add_response("simulate_principal_policy", {"EvaluationResults": [], "IsTruncated": False})
    account["iam"].meta.events.register(
        "provide-client-params.iam.SimulatePrincipalPolicy",
        lambda params, **_: asked.append(params["PolicySourceArn"]),
    )
    list(preflight.permissions(client, f"arn:aws:sts::{ACCOUNT}:assumed-role/deployer/session", NAMES))
    assert set(asked) == {role["Arn"]}


def test_being_told_nothing_is_a_warning_and_the_root_user_too(account: dict[str, Any], client: Client) -> None:
    stub(account, "iam").add_client_error("simulate_principal_policy", "AccessDenied")
    (finding,) = preflight.permissions(client, f"arn:aws:iam::{ACCOUNT}:user/anna", NAMES)
    assert (finding.level, "AccessDenied" in finding.text) == ("warn", True)
    (finding,) = preflight.permissions(client, f"arn:aws:iam::{ACCOUNT}:root", NAMES)
    assert finding.level == "warn"


class Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms as what stands behind them."""


def _short_form(loader: Loader, _: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return node.value
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_mapping(node, deep=True)


Loader.add_multi_constructor("!", _short_form)
ROLE = yaml.load((ROOT / "scripts" / "deploy-role.yaml").read_text(), Loader)["Resources"]["DeployRole"]["Properties"]
(POLICY,) = ROLE["Policies"]


def granted(action: str, resource: str, context: dict[str, str]) -> bool:
    """Whether a statement of the deployment role grants it."""

    def filled(text: str) -> str:
        for pattern, value in {
            "${AWS::Partition}": "aws", "${AWS::Region}": "us-east-1", "${AWS::AccountId}": ACCOUNT, "${Env}": "dev",
        }.items():  # fmt: skip
            text = text.replace(pattern, value)
        return text

    def listed(value: str | list[str]) -> list[str]:
        return [value] if isinstance(value, str) else value

    for statement in POLICY["PolicyDocument"]["Statement"]:
        conditions = [
            any(fnmatch.fnmatchcase(context.get(key, ""), filled(value)) for value in listed(values))
            for test in statement.get("Condition", {}).values()
            for key, values in test.items()
        ]
        if (
            any(fnmatch.fnmatchcase(action, pattern) for pattern in listed(statement["Action"]))
            and any(fnmatch.fnmatchcase(resource, filled(pattern)) for pattern in listed(statement["Resource"]))
            and all(conditions)
        ):
            return True
    return False


@pytest.mark.parametrize("needed", permissions.NEEDED, ids=lambda needed: needed.actions[0])
def test_the_deployment_role_may_do_what_the_look_asks_for(needed: permissions.Needed) -> None:
    context = {key: value.format_map(NAMES) for key, value in needed.context.items()}
    for action in needed.actions:
        assert granted(action, needed.resource.format_map(NAMES), context), action


def test_the_deployment_role_is_of_one_environment_of_one_repository() -> None:
    (statement,) = ROLE["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert statement["Condition"] == {
        "StringEquals": {
            "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
            "token.actions.githubusercontent.com:sub": "repo:${Repository}:environment:${Env}",
        }
    }


def test_the_deployment_role_touches_nothing_of_the_other_environment_and_no_plan() -> None:
    for resource in (
        "arn:aws:s3:::location-detection-prod-blueprints",
        f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/location-detection-prod-jobs",
        f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:location-detection-prod-api",
        f"arn:aws:iam::{ACCOUNT}:role/admin",
    ):
        for action in ("s3:DeleteBucket", "dynamodb:DeleteTable", "lambda:UpdateFunctionCode", "iam:PutRolePolicy"):
            assert not granted(action, resource, {})
    assert not granted("s3:GetObject", "arn:aws:s3:::location-detection-dev-blueprints/blueprints/job/plan.pdf", {})
    assert not granted(
        "dynamodb:GetItem", f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/location-detection-dev-jobs", {}
    )
    assert not granted("iam:AttachRolePolicy", permissions.ROLE.format_map(NAMES), {"iam:PolicyARN": "arn:aws:iam::aws:policy/AdministratorAccess"})  # fmt: skip # noqa: E501
    assert not granted("iam:PassRole", permissions.ROLE.format_map(NAMES), {"iam:PassedToService": "ec2.amazonaws.com"})


def test_every_statement_of_the_deployment_role_names_its_resource_or_has_a_reason() -> None:
    open_ones = [s["Sid"] for s in POLICY["PolicyDocument"]["Statement"] if s["Resource"] == "*"]
    assert open_ones == ["WhatBelongsToNoResource", "QueueToWorker"]
    actions = [a for s in POLICY["PolicyDocument"]["Statement"] for a in s["Action"]]
    assert not {action for action in actions if action.endswith(":*")}


def test_the_deployment_role_fits_into_what_iam_takes() -> None:
    text = json.dumps(POLICY["PolicyDocument"], separators=(",", ":"))
    for pattern, value in (("${AWS::Partition}", "aws-us-gov"), ("${AWS::Region}", "ap-southeast-2")):
        text = text.replace(pattern, value)
    text = text.replace("${AWS::AccountId}", ACCOUNT).replace("${Env}", "prod")
    assert len(text) < 10_240


# --- quotas


@pytest.mark.parametrize(
    ("limit", "workers", "provisioned", "level"),
    [(10, 10, 0, "FAIL"), (25, 10, 0, "warn"), (1000, 10, 0, "ok"), (1000, 10, 901, "FAIL"), (1000, 1000, 0, "FAIL")],
)
def test_as_many_functions_may_run_as_are_asked_for(
    account: dict[str, Any], client: Client, limit: int, workers: int, provisioned: int, level: str
) -> None:
    concurrency(account, limit)
    plan = preflight.Plan("dev", worker_concurrency=workers, provisioned_concurrency=provisioned)
    first, _ = preflight.quotas(client, plan)
    assert first.level == level
    if level != "ok" and provisioned == 0:
        assert "--quota-code L-B99A9384" in first.text


@pytest.mark.parametrize(("most", "level"), [(3, "ok"), (2, "FAIL")])
def test_three_more_buckets_are_needed(account: dict[str, Any], client: Client, most: int, level: str) -> None:
    concurrency(account, 1000)
    stub(account, "service-quotas").add_response(
        "get_service_quota", {"Quota": {"Value": float(most)}}, {"ServiceCode": "s3", "QuotaCode": "L-DC2B2D3D"}
    )
    assert list(preflight.quotas(client, PLAN))[1].level == level


# --- the stack, its names, what a deleted one left


def in_state(account: dict[str, Any], status: str) -> None:
    stub(account, "cloudformation").add_response(
        "describe_stacks",
        {"Stacks": [{"StackName": "x", "StackStatus": status, "CreationTime": datetime.datetime(2026, 1, 1)}]},
        {"StackName": "location-detection-dev"},
    )


def test_a_stack_that_is_there_may_keep_its_names(account: dict[str, Any], client: Client) -> None:
    in_state(account, "CREATE_COMPLETE")
    for kind in ("blueprints", "cache"):
        client("s3").create_bucket(Bucket=f"location-detection-dev-{kind}")
    deployed, state = preflight.stack_state(client, PLAN)
    assert deployed
    assert said(state, "ok") == ["location-detection-dev is there: CREATE_COMPLETE"]
    assert said(preflight.names_free(client, PLAN, deployed), "FAIL") == []


@pytest.mark.parametrize(
    ("status", "level", "word"),
    [
        ("UPDATE_ROLLBACK_COMPLETE", "ok", "is there"),
        ("ROLLBACK_COMPLETE", "FAIL", "delete it"),
        ("UPDATE_IN_PROGRESS", "FAIL", "wait"),
        ("UPDATE_ROLLBACK_FAILED", "FAIL", "docs/deploy.md"),
    ],
)
def test_a_stack_that_cannot_be_changed_is_in_the_way(
    account: dict[str, Any], client: Client, status: str, level: str, word: str
) -> None:
    in_state(account, status)
    _, (finding,) = preflight.stack_state(client, PLAN)
    assert (finding.level, word in finding.text) == (level, True)


def test_names_that_are_taken_are_in_the_way(account: dict[str, Any], client: Client) -> None:
    client("s3").create_bucket(Bucket="location-detection-dev-cache-acme")
    client("dynamodb").create_table(
        TableName="location-detection-dev-jobs",
        KeySchema=[{"AttributeName": "job_id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "job_id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    client("secretsmanager").create_secret(Name="location-detection/dev/tokens", SecretString="{}")
    client("secretsmanager").delete_secret(SecretId="location-detection/dev/tokens", RecoveryWindowInDays=7)
    plan = preflight.Plan("dev", bucket_suffix="-acme")
    found = list(preflight.names_free(client, plan, deployed=False))
    assert [text.split(":")[0] for text in said(found, "FAIL")] == [
        "bucket location-detection-dev-cache-acme is there already, and yours",
        "secret location-detection/dev/tokens waits to be deleted",
        "table location-detection-dev-jobs is there already",
    ]
    assert "--force-delete-without-recovery" in said(found, "FAIL")[1]


@pytest.mark.parametrize("code", ["403", "301"])
def test_a_bucket_of_somebody_else_needs_a_suffix(account: dict[str, Any], client: Client, code: str) -> None:
    stubber = stub(account, "s3")
    stubber.add_client_error("head_bucket", code)
    stubber.add_client_error("head_bucket", "404")
    found = list(preflight.names_free(client, PLAN, deployed=True))
    assert [finding.level for finding in found] == ["FAIL", "ok"]
    assert "BucketSuffix" in found[0].text


# --- the runtime


@pytest.mark.parametrize(
    ("today", "deployed", "level"),
    [
        ("2026-11-24", False, "ok"),
        ("2027-02-01", False, "warn"),
        ("2027-07-31", False, "warn"),
        ("2027-08-01", False, "FAIL"),
        ("2027-08-01", True, "warn"),
        ("2027-09-01", True, "FAIL"),
    ],
)
def test_a_runtime_that_ends_is_told_in_time(today: str, deployed: bool, level: str) -> None:
    (finding,) = preflight.runtime(PLAN, datetime.date.fromisoformat(today), deployed)
    assert finding.level == level


def test_the_runtimes_and_limits_are_those_of_the_template() -> None:
    template = yaml.load((ROOT / "template.yaml").read_text(), Loader)["Parameters"]
    assert set(preflight.RUNTIMES) == set(template["Runtime"]["AllowedValues"])
    assert PLAN.runtime == template["Runtime"]["Default"]
    assert PLAN.worker_concurrency == template["WorkerConcurrency"]["Default"]
    assert PLAN.provisioned_concurrency == template["ProvisionedConcurrency"]["Default"]
    assert PLAN.bucket_suffix == template["BucketSuffix"]["Default"]
    assert (
        f"!If [IsProd, {preflight.WORKERS['prod']}, {preflight.WORKERS['dev']}]" in (ROOT / "template.yaml").read_text()
    )


def test_a_plan_is_what_samconfig_says_and_what_is_given_beside_it() -> None:
    prod = preflight.Plan.of("prod", stack.overrides("prod"))
    assert (prod.workers, prod.provisioned_concurrency, prod.stack) == (50, 1, "location-detection-prod")
    given = {"Runtime": "python3.13", "BucketSuffix": "-acme", "WorkerConcurrency": "7", "Env": "dev"}
    assert preflight.Plan.of("dev", given) == preflight.Plan("dev", "python3.13", "-acme", 7)
    (finding,) = preflight.runtime(preflight.Plan("dev", runtime="python3.9"), TODAY, deployed=False)
    assert finding.level == "FAIL"


# --- the tools


def test_old_and_missing_tools_are_told() -> None:
    versions = {"sam": "SAM CLI, version 1.170.0\n", "aws": None}
    assert [f.level for f in preflight.tools(lambda command: versions[command[0]])] == ["ok", "warn"]
    versions = {"sam": "SAM CLI, version 1.99.0\n", "aws": "aws-cli/2.31.0 Python/3.13.7 Linux/6.1\n"}
    assert [f.level for f in preflight.tools(lambda command: versions[command[0]])] == ["warn", "ok"]
