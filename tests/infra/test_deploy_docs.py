"""docs/deploy.md says what is so: its blocks run, and what it names is there."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "deploy.md").read_text()
TEMPLATE = (ROOT / "template.yaml").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
TOKEN = "token-of-anna-0123456789"
# What the AWS CLI puts together itself, out of several calls.
HIGH_LEVEL = {("s3", "rm"), ("configure", "sso"), ("sso", "login"), ("logs", "tail"), ("cloudformation", "deploy")}
ANY_COMMAND = {"query", "output", "profile", "region"}


def block(name: str) -> str:
    found = re.search(rf"<!-- {name} -->\n```bash\n(.*?)```", TEXT, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def deployed(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a shell that has a token, and a `make` that says where the service answers."""
    for tool in ("curl", "jq"):
        if shutil.which(tool) is None:
            pytest.skip(f"there is no {tool} on this machine")
    server = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "serve", "--port", "0", "--data", str(tmp_path / "data"), "--workers", "1"],
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT / "src"),
            "POWERTOOLS_LOG_LEVEL": "CRITICAL",
            "LOCATION_DETECTION_TOKENS": f"anna:{TOKEN}",
        },
    )
    assert server.stderr is not None
    try:
        said = re.search(r"http://127\.0\.0\.1:\d+", server.stderr.readline())
        assert said, "the server did not start"
        fake = tmp_path / "bin" / "make"
        fake.parent.mkdir()
        fake.write_text(f'#!/bin/sh\n[ "$*" = "-s url ENV=dev" ] && echo {said[0]}\n')
        fake.chmod(0o755)
        (tmp_path / "examples").symlink_to(ROOT / "examples")
        yield {**os.environ, "PATH": f"{fake.parent}:{os.environ['PATH']}", "TOKEN": TOKEN}
    finally:
        server.terminate()
        server.wait(20)
        server.stderr.close()


@pytest.mark.slow
def test_a_first_job_and_a_first_upload_run_as_they_stand(deployed: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block("first job")],
        cwd=tmp_path, env=deployed, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert sum(len(page["rooms"]) for page in json.loads((tmp_path / "flat.json").read_text())["pages"]) > 3
    assert (tmp_path / "flat.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads(done.stdout)["data"]["purged"] is True

    start = block("first job").splitlines()[:2]
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(start) + "\n" + block("first upload")],
        cwd=tmp_path, env=deployed, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    created = json.loads(done.stdout[done.stdout.index('{"status"') :])
    assert created["data"]["status"] == "pending"
    assert created["data"]["blueprint_format"] == "pdf"


def commands() -> list[str]:
    """The lines of shell, with those that go on joined."""
    indented = re.findall(r"^    (\S.*(?:\\\n.*)*)$", TEXT, re.MULTILINE)
    fenced = "\n".join(re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL)).splitlines()
    inline = re.findall(r"`((?:make|aws|gh|build/venv-sam/bin/\w+) [^`]+)`", TEXT)
    return [re.sub(r"\\\n\s*", " ", line) for line in [*indented, *fenced, *inline]]


def test_every_target_that_is_called_is_there() -> None:
    called = {name for line in commands() for name in re.findall(r"\bmake (?:-s )?([a-z][a-z-]*)", line)}
    assert called >= {"preflight", "build-aws", "deploy", "url", "token", "smoke"}
    assert called <= set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.MULTILINE))


def test_every_script_that_is_called_takes_what_it_is_given() -> None:
    calls = [
        match
        for line in commands()
        for match in re.findall(r"build/venv-sam/bin/python scripts/(\w+)\.py ([^|#)\n]*)", line)
    ]
    assert {script for script, _ in calls} == {"stack", "tokens"}
    for script, arguments in calls:
        words = arguments.split()
        if script == "stack":
            assert words[0] == "dev"
            assert all(f"\n  {name}:\n" in TEMPLATE.split("\nOutputs:")[1] for name in words[1:])
        else:
            assert words[0] in {"add", "list", "retire", "remove"}
            assert "--env" in words


def test_every_parameter_that_is_named_is_the_templates() -> None:
    parameters = set(
        re.findall(r"^  (\w+):\n    Type:", TEMPLATE.split("\nParameters:")[1].split("\nConditions:")[0], re.MULTILINE)
    )
    section = TEXT.split("## Parameters")[1].split("\n## ")[0]
    named = set(re.findall(r"`([A-Z][A-Za-z]+)`", section.split("Some settings")[0]))
    assert len(named) > 8
    assert named <= parameters
    assert set(re.findall(r"\b(Runtime|BucketSuffix|BillingMode|AlarmEmail|UrlHosts)\b", TEXT)) <= parameters


def test_every_alarm_has_something_to_do() -> None:
    alarms = set(re.findall(r"AlarmName: !Sub location-detection-\$\{Env\}(\S+)", TEMPLATE))
    table = TEXT.split("| alarm | what to do |")[1].split("\n\n")[0]
    assert set(re.findall(r"`…(-[a-z0-9-]+)`", table)) == alarms


def test_every_widget_of_the_dashboard_is_explained() -> None:
    titles = {title.split(",")[0] for title in re.findall(r'"title": "([^"]+)"', TEMPLATE)} - {"Alarms"}
    table = TEXT.split("| widget | well, if | else |\n|---|---|---|\n")[1].split("\n\n")[0]
    assert {row.split("|")[1].strip() for row in table.splitlines()} == titles


def test_the_pins_are_those_of_the_workflows() -> None:
    table = dict(re.findall(r"\| (\S+/\S+) \| (v[\d.]+ \| `[0-9a-f]{40})` \|", TEXT))
    pins: dict[str, str] = {}
    for workflow in (ROOT / ".github" / "workflows").glob("*.yml"):
        for action, commit, version in re.findall(r"uses: (\S+)@([0-9a-f]{40}) # (v[\d.]+)", workflow.read_text()):
            pins[action] = f"{version} | `{commit}"
    assert table == pins


def aws_calls() -> list[list[str]]:
    found = []
    for line in commands():
        for start in re.finditer(r"\baws (?=[a-z][a-z0-9-]+ [a-z])", line):
            call = re.split(r"[|;)#]| && ", line[start.start() :].replace("'{ $", "'{ "))[0]
            try:
                found.append(shlex.split(call)[1:])
            except ValueError:  # cut inside a quotation: its flags come before
                found.append(call.split("'")[0].split()[1:])
    return found


def test_every_call_of_the_aws_cli_has_the_flags_that_it_is_given() -> None:
    session = botocore.session.get_session()
    calls = [call for call in aws_calls() if (call[0], call[1]) not in HIGH_LEVEL]
    assert len(calls) > 12
    for service, operation, *rest in calls:
        model = session.get_service_model({"deploy": "codedeploy"}.get(service, service))
        shapes = {xform_name(name, "-"): model.operation_model(name).input_shape for name in model.operation_names}
        assert operation in shapes, f"aws {service} {operation}"
        members = {xform_name(name, "-"): member for name, member in shapes[operation].members.items()}
        for flag in [word[2:] for word in rest if word.startswith("--")]:
            positive = flag.removeprefix("no-")
            known = flag in members or flag in ANY_COMMAND
            assert known or members[positive].type_name == "boolean", f"aws {service} {operation} --{flag}"
