"""What SAM makes of the template, with each switch on and off: the canary, its alarms, and instances kept warm."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import pytest
from tests.infra.template import ROOT

PYTHON = ROOT / "build" / "venv-sam" / "bin" / "python"
# Runs where the SAM CLI is installed: its releases of boto3 and others are not this project's.
CODE = """
import json, sys, boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse
template = yaml_parse(open("template.yaml").read())
for one in template["Resources"].values():
    if one["Type"] == "AWS::Serverless::Function":
        one["Properties"]["CodeUri"] = "s3://bucket/key"
values = {name: str(one["Default"]) for name, one in template["Parameters"].items()} | json.loads(sys.argv[1])
session = boto3.Session(region_name="us-east-1")
print(json.dumps(Translator({}, Parser(), boto_session=session).translate(template, values)["Resources"]))
"""

pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="the SAM CLI is not installed: `make sam-tools` does it")


def transformed(**values: str) -> dict[str, Any]:
    command = [str(PYTHON), "-c", CODE, json.dumps(values)]
    own = {"PATH": os.environ["PATH"], "AWS_DEFAULT_REGION": "us-east-1"}
    done = subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    made: dict[str, Any] = json.loads(done.stdout)
    return made


def test_the_canary_is_rolled_back_by_its_alarms_where_it_is_on() -> None:
    made = transformed(Env="prod", CanaryDeployments="true")
    for function, alarms in (
        ("RestApiFunction", ["ApiErrorsAlarm", "ApiFunctionErrorsAlarm"]),
        ("WorkerFunction", ["WorkerErrorsAlarm"]),
    ):
        group = made[f"{function}DeploymentGroup"]["Properties"]
        assert group["AlarmConfiguration"] == {"Enabled": True, "Alarms": [{"Name": {"Ref": name}} for name in alarms]}
        assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]
        update = made[f"{function}Aliaslive"]["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
        assert update["DeploymentGroupName"] == {"Ref": f"{function}DeploymentGroup"}


def test_nothing_of_codedeploy_is_made_where_it_is_off() -> None:
    made = transformed()
    assert [name for name, one in made.items() if "CodeDeploy" in one["Type"] or "UpdatePolicy" in one] == []


def test_the_queue_and_the_gateway_lead_to_the_alias_that_is_shifted() -> None:
    made = transformed()
    assert made["WorkerFunctionJobs"]["Properties"]["FunctionName"] == {"Ref": "WorkerFunctionAliaslive"}
    assert made["HttpApiIntegration"]["Properties"]["IntegrationUri"] == {"Ref": "RestApiFunctionAliaslive"}
    warm = made["RestApiFunctionAliaslive"]["Properties"]["ProvisionedConcurrencyConfig"]
    assert warm["Fn::If"][0] == "HasProvisionedConcurrency"


def test_sam_adds_no_role_and_no_permission_beyond_what_the_template_names() -> None:
    made = transformed()
    assert {name for name, one in made.items() if one["Type"] == "AWS::IAM::Role"} == {"RestApiRole", "WorkerRole"}
