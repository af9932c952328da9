"""The role that the deployment workflow takes, in an emulator that enforces who may take it and what it may do."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError
from tests.aws import deploy_role
from tests.aws.servers import MINISTACK_VENV, ministack

import permissions
import preflight
import stack

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not MINISTACK_VENV.exists(), reason="MiniStack is not installed (make test-aws installs it)"),
]

ROOT = Path(__file__).parents[2]
SAM = ROOT / "build" / "venv-sam" / "bin" / "sam"


@pytest.fixture(scope="module")
def account() -> Iterator[boto3.Session]:
    """An account with GitHub's provider and the role for dev."""
    with ministack() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment().items():
            patch.setenv(name, value)
        patch.delenv("AWS_PROFILE", raising=False)
        patch.setattr(boto3, "DEFAULT_SESSION", None)  # one of an earlier test would keep that one's keys
        session = boto3.Session()
        deploy_role.make(session)
        yield session


def test_the_look_at_an_account_that_is_ready_finds_nothing_in_the_way(
    account: boto3.Session, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "_version", lambda command: None)  # the tools take seconds to say theirs
    assert preflight.main(["--env", "dev"]) == 0
    told = capsys.readouterr().out
    assert "location-detection-dev is not there yet" in told
    assert "FAIL" not in told
    account.client("s3").create_bucket(Bucket="location-detection-dev-cache-acme")
    assert preflight.main(["--env", "dev", "--parameter-overrides", "BucketSuffix=-acme"]) == 1
    assert "FAIL  names        bucket location-detection-dev-cache-acme is there already" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("subject", "audience"),
    [
        ("repo:acme@7/plans@9:environment:prod", "sts.amazonaws.com"),
        ("repo:acme@7/plans@9:ref:refs/heads/main", "sts.amazonaws.com"),
        ("repo:acme@7/plans@9:pull_request", "sts.amazonaws.com"),
        ("repo:acme/plans:environment:dev", "sts.amazonaws.com"),
        ("repo:acme@8/plans@9:environment:dev", "sts.amazonaws.com"),
        ("repo:acme@7/plans@9:environment:dev", "https://github.com/acme"),
    ],
)
def test_nobody_else_can_take_it(account: boto3.Session, subject: str, audience: str) -> None:
    with pytest.raises(ClientError) as caught:
        deploy_role.take(account, subject, audience)
    assert caught.value.response["Error"]["Code"] == "AccessDenied"


def test_the_repositorys_environment_can_and_does_what_it_needs(account: boto3.Session) -> None:
    session = boto3.Session(*deploy_role.take(account).values())
    session.client("sqs").create_queue(QueueName="location-detection-dev-jobs")
    with pytest.raises(ClientError) as caught:
        session.client("sqs").create_queue(QueueName="location-detection-prod-jobs")
    assert caught.value.response["Error"]["Code"] in {"AccessDenied", "AWS.SimpleQueueService.AccessDenied"}
    with pytest.raises(ClientError):
        session.client("iam").attach_role_policy(
            RoleName="location-detection-deploy-dev", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess"
        )


@pytest.mark.timeout(240)
@pytest.mark.skipif(not SAM.exists(), reason="the SAM CLI is not installed (make sam-tools)")
def test_it_deploys_the_whole_stack_and_cannot_delete_it(account: boto3.Session, tmp_path: Path) -> None:
    keys = deploy_role.take(account)
    # Next to no code, whose upload takes long.
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "handler.py").write_text("def handler(event, context):\n    return {}\n")
    text, functions = re.subn(r"CodeUri: src/\n", "CodeUri: code\n", (ROOT / "template.yaml").read_text())
    assert functions == 2
    (tmp_path / "template.yaml").write_text(text)
    options = f"--stack-name location-detection-dev --s3-bucket {deploy_role.CODE_BUCKET} --no-progressbar"
    more = "--capabilities CAPABILITY_IAM CAPABILITY_AUTO_EXPAND --no-confirm-changeset --parameter-overrides Env=dev"
    done = subprocess.run(
        [str(SAM), "deploy", *options.split(), *more.split()],
        cwd=tmp_path,
        env={**os.environ, **keys, "SAM_CLI_TELEMETRY": "0", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (found,) = account.client("cloudformation").describe_stacks(StackName="location-detection-dev")["Stacks"]
    assert found["StackStatus"] == "CREATE_COMPLETE"
    session = boto3.Session(*keys.values())
    with pytest.raises(ClientError) as caught:
        session.client("cloudformation").delete_stack(StackName="location-detection-dev")
    assert caught.value.response["Error"]["Code"] == "AccessDenied"


def test_iam_says_of_it_what_the_look_before_a_deployment_needs(account: boto3.Session) -> None:
    names = {"partition": "aws", "region": "us-east-1", "account": deploy_role.ACCOUNT, "env": "dev", "suffix": ""}
    session = f"arn:aws:sts::{deploy_role.ACCOUNT}:assumed-role/location-detection-deploy-dev/deploy-1"
    denied = {
        finding.text.split(" is denied")[0]
        for finding in preflight.permissions(account.client, session, names)
        if finding.level == "FAIL"
    }
    # The emulator's simulation hears nothing of circumstances; test_preflight.py has those.
    assert denied == {action for needed in permissions.NEEDED if needed.context for action in needed.actions}


def test_a_stacks_outputs_are_told_by_name(account: boto3.Session, capsys: pytest.CaptureFixture[str]) -> None:
    template = {
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {"ApiUrl": {"Value": "https://api.example"}, "ApiId": {"Value": "a1"}},
    }
    cloudformation = account.client("cloudformation")
    cloudformation.create_stack(StackName="location-detection-prod", TemplateBody=json.dumps(template))
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName="location-detection-prod", WaiterConfig={"Delay": 1, "MaxAttempts": 30}
    )
    assert stack.main(["prod", "ApiUrl"]) == 0
    assert capsys.readouterr().out == "https://api.example\n"
    assert stack.main(["prod"]) == 0
    assert capsys.readouterr().out == "ApiId\ta1\nApiUrl\thttps://api.example\n"
    assert stack.main(["prod", "Nothing"]) == 1
    assert "it has ApiId, ApiUrl" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="no stack for the environment 'staging'"):
        stack.main(["staging"])
