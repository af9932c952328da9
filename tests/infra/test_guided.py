"""`sam deploy --guided` answered by a script: what a first user goes through, up to a stack and saved answers."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from tests.infra.template import ROOT, load

ENDPOINT = os.environ.get("LOCATION_DETECTION_TEST_EMULATOR_ENDPOINT", "")
SAM = ROOT / "build" / "venv-sam" / "bin" / "sam"
BUILT = ROOT / ".aws-sam" / "build"
STACK = "location-detection-guided"
# The other environment than the end-to-end tests deploy, so that both can stand side by side.
CHOSEN = {"Env": "prod", "BucketSuffix": "-guided", "UrlHosts": "plans.example", "LogRetentionDays": "90"}

pytestmark = [
    pytest.mark.skipif(not ENDPOINT, reason="no emulator: `make test-aws` runs this"),
    pytest.mark.slow,
    pytest.mark.timeout(240),
]


def environment(home: Path) -> dict[str, str]:
    own = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return {
        **own,
        "HOME": str(home),
        "SAM_CLI_TELEMETRY": "0",
        "AWS_ENDPOINT_URL": ENDPOINT,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": os.environ.get("AWS_ACCESS_KEY_ID", "test"),
        "AWS_SECRET_ACCESS_KEY": os.environ.get("AWS_SECRET_ACCESS_KEY", "test"),
    }


def client(service: Any) -> Any:
    keys = environment(Path())
    return boto3.client(
        service,
        endpoint_url=ENDPOINT,
        region_name="us-east-1",
        aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
    )


def chosen(values: dict[str, str]) -> list[str]:
    """Answers to the first questions: stack, region, and each parameter, where nothing takes its default."""
    return [STACK, "us-east-1", *(values.get(name, "") for name in load()["Parameters"])]


def deploy(
    home: Path, template: Path, *words: str, answers: list[str] | None = None
) -> subprocess.CompletedProcess[str]:
    options = ["--template-file", str(template), "--config-file", str(home / "samconfig.toml"), "--no-progressbar"]
    return sam(home, "deploy", *options, *words, answers=None if answers is None else "\n".join(answers) + "\n")


def sam(home: Path, *words: str, answers: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [str(SAM), *words]
    return subprocess.run(
        command,
        cwd=ROOT,
        env=environment(home),
        input=answers,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template that was built, with next to no code: the questions do not depend on it, and its zip takes long."""
    assert SAM.exists(), "make sam-tools comes first"
    assert BUILT.exists(), "make build-aws comes first"
    home = tmp_path_factory.mktemp("built")
    (home / "code").mkdir()
    (home / "code" / "handler.py").write_text("def handler(event, context):\n    return {}\n")
    text, functions = re.subn(r"CodeUri: \w+Function\n", "CodeUri: code\n", (BUILT / "template.yaml").read_text())
    assert functions == 2
    (home / "template.yaml").write_text(text)
    return home / "template.yaml"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A user's home; whatever was deployed from it is gone in the end."""
    yield tmp_path
    sam(tmp_path, "delete", "--stack-name", STACK, "--no-prompts", "--region", "us-east-1")


def test_a_first_deployment_by_answering_questions(home: Path, template: Path) -> None:
    saved = home / "samconfig.toml"
    saved.write_text("version = 0.1\n")
    # Confirm first? Make roles? Keep what failed? Save? Where to, and under which name?
    answers = [*chosen(CHOSEN), "n", "Y", "n", "Y", str(saved), "first"]
    done = deploy(home, template, "--guided", answers=answers)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert f"Successfully created/updated stack - {STACK}" in done.stdout

    written = tomllib.loads(saved.read_text())["first"]["deploy"]["parameters"]
    assert written["stack_name"] == STACK
    for name, value in CHOSEN.items():
        assert f'{name}="{value}"' in written["parameter_overrides"]

    (stack,) = client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
    outputs = {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
    assert outputs["BlueprintsBucketName"] == "location-detection-prod-blueprints-guided"
    assert outputs["JobsTableName"] == "location-detection-prod-jobs"
    parameter = client("ssm").get_parameter(Name=outputs["UrlHostsParameterName"])["Parameter"]
    assert parameter["Value"] == "plans.example"
    groups = client("logs").describe_log_groups(logGroupNamePrefix="/aws/lambda/location-detection-prod")["logGroups"]
    assert {int(group["retentionInDays"]) for group in groups} == {90}
    assert client("dynamodb").describe_table(TableName=outputs["JobsTableName"])["Table"]["DeletionProtectionEnabled"]

    # The saved answers are enough the next time, and that time nothing changes.
    again = deploy(home, template, "--config-env", "first", "--no-confirm-changeset")
    assert "No changes to deploy" in again.stdout + again.stderr, again.stdout[-3000:] + again.stderr[-3000:]


def test_a_first_deployment_with_a_wrong_answer_makes_nothing(home: Path, template: Path) -> None:
    (home / "samconfig.toml").write_text("version = 0.1\n")
    done = deploy(home, template, "--guided", answers=[*chosen({"Env": "staging"}), "n", "Y", "n", "n"])
    assert done.returncode != 0
    stacks = client("cloudformation").describe_stacks()["Stacks"]
    finished = [one for one in stacks if one["StackName"] == STACK and one["StackStatus"].endswith("CREATE_COMPLETE")]
    assert finished == []
