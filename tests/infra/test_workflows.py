"""The workflows do what docs/deploy.md says of them: pinned, no stored key, tests first, by targets of make."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".github" / "workflows"
TEXTS = {path.stem: path.read_text() for path in sorted(FOLDER.glob("*.yml"))}
WORKFLOWS: dict[str, dict[Any, Any]] = {name: yaml.safe_load(text) for name, text in TEXTS.items()}
CI, DEPLOY = WORKFLOWS["ci"], WORKFLOWS["deploy"]

JOBS = [(name, job_id, job) for name, workflow in WORKFLOWS.items() for job_id, job in workflow["jobs"].items()]
STEPS = [(f"{name}.{job_id}", job, step) for name, job_id, job in JOBS for step in job.get("steps", [])]
RUNS = [(where, job, step["run"]) for where, job, step in STEPS if "run" in step]
USES = [(name, line) for name, text in TEXTS.items() for line in text.splitlines() if re.search(r"\buses:", line)]
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def triggers(workflow: dict[Any, Any]) -> dict[str, Any]:
    return workflow[True]  # YAML 1.1 reads the key `on` as true


def made_by(job: dict[str, Any], run: str) -> list[str]:
    """The targets that a step calls; `$TARGET` stands for those of the matrix."""
    called = re.findall(r"\bmake (?:--[a-z-]+ )*(\"\$TARGET\"|[a-z][a-z-]*)", run)
    wide = [entry["target"] for entry in job.get("strategy", {}).get("matrix", {}).get("include", [])]
    return [target for name in called for target in (wide if name == '"$TARGET"' else [name])]


def test_there_is_a_workflow_for_changes_and_one_for_deployments() -> None:
    assert set(WORKFLOWS) == {"ci", "deploy"}


@pytest.mark.parametrize(("where", "job", "run"), RUNS, ids=[where for where, _, _ in RUNS])
def test_what_a_step_makes_is_a_target_of_the_makefile(where: str, job: dict[str, Any], run: str) -> None:
    assert set(made_by(job, run)) <= TARGETS


def test_the_targets_that_the_issue_asks_for_are_called() -> None:
    called = {target for where, job, run in RUNS if where.startswith("ci.") for target in made_by(job, run)}
    assert called >= {"check", "test", "test-light", "test-aws", "lint-workflows", "lint-aws", "audit", "bandit"}
    called = {target for where, job, run in RUNS if where.startswith("deploy.") for target in made_by(job, run)}
    assert called >= {"build-aws", "preflight", "deploy", "smoke"}


def test_every_python_of_the_specification_is_tested() -> None:
    rows = CI["jobs"]["test"]["strategy"]["matrix"]["include"]
    assert [(row["python"], row["target"]) for row in rows] == [
        ("3.11", "test"),
        ("3.12", "test-light"),
        ("3.13", "test-light"),
    ]


@pytest.mark.parametrize(("name", "line"), USES, ids=[line.split("uses:")[1].split("@")[0].strip() for _, line in USES])
def test_every_action_is_pinned_by_its_commit_with_the_version_beside_it(name: str, line: str) -> None:
    if "$/" in line:  # a workflow of this repository, at the commit that runs
        assert (ROOT / line.split("$/")[1].strip()).is_file()
    else:
        assert re.search(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


def test_an_action_has_one_pin_in_all_workflows() -> None:
    pins: dict[str, set[str]] = {}
    for _, line in USES:
        if "@" in line:
            action, pin = line.split("uses:")[1].split("@")
            pins.setdefault(action.strip(), set()).add(pin.strip())
    assert {action: len(found) for action, found in pins.items() if len(found) > 1} == {}


def test_no_checkout_leaves_its_token_behind() -> None:
    checkouts = [step for _, _, step in STEPS if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_no_workflow_knows_a_stored_key() -> None:
    for text in TEXTS.values():
        assert "secrets." not in text
        assert "secrets:" not in text
        assert not re.search(r"AWS_(ACCESS_KEY|SECRET)|aws-access-key|aws-secret", text, re.IGNORECASE)


@pytest.mark.parametrize(("name", "job_id", "job"), JOBS, ids=[f"{name}.{job_id}" for name, job_id, _ in JOBS])
def test_a_job_may_do_no_more_than_it_needs(name: str, job_id: str, job: dict[str, Any]) -> None:
    assert WORKFLOWS[name]["permissions"] == {}
    allowed = dict(job["permissions"])
    assert allowed.pop("contents") == "read"
    expected = {"deploy.deploy": {"id-token": "write"}, "deploy.report": {"pull-requests": "write"}}
    assert allowed == expected.get(f"{name}.{job_id}", {})
    if "uses" not in job:
        assert job["timeout-minutes"] <= 60
        assert job["runs-on"] == "ubuntu-24.04"


def test_no_text_from_outside_becomes_part_of_a_command() -> None:
    assert [where for where, _, run in RUNS if "${{" in run] == []


def test_main_and_tags_of_releases_are_deployed_and_nothing_else() -> None:
    assert triggers(DEPLOY) == {"push": {"branches": ["main"], "tags": ["v*"]}, "workflow_dispatch": None}
    # A run by hand may be started on any branch: the first job of the chain refuses it, and the others need that one.
    assert DEPLOY["jobs"]["test"]["if"] == "github.ref == 'refs/heads/main' || startsWith(github.ref, 'refs/tags/v')"


def test_nothing_is_deployed_before_its_tests_have_passed() -> None:
    jobs = DEPLOY["jobs"]
    assert jobs["test"]["uses"] == "$/.github/workflows/ci.yml"
    assert "workflow_call" in triggers(CI)
    assert jobs["build"]["needs"] == "test"
    assert jobs["deploy"]["needs"] == "build"
    for job in (jobs["build"], jobs["deploy"]):
        assert "if" not in job, "a condition could let it run after failed tests"
    for job in CI["jobs"].values():
        assert "continue-on-error" not in job
        assert "if" not in job


def test_main_goes_to_dev_and_tags_go_to_prod_each_by_its_github_environment() -> None:
    target = "${{ github.ref_type == 'tag' && 'prod' || 'dev' }}"
    job = DEPLOY["jobs"]["deploy"]
    assert job["environment"] == {"name": target, "url": "${{ steps.deploy.outputs.url }}"}
    assert job["env"]["ENV"] == target
    assert DEPLOY["concurrency"]["group"] == f"deploy-{target}"
    assert DEPLOY["concurrency"]["cancel-in-progress"] is False


def test_the_role_is_taken_by_oidc_after_everything_that_only_installs() -> None:
    steps = DEPLOY["jobs"]["deploy"]["steps"]
    names = [step.get("uses", step.get("run", "")) for step in steps]
    role = next(i for i, name in enumerate(names) if name.startswith("aws-actions/configure-aws-credentials@"))
    assert steps[role]["with"]["role-to-assume"] == "${{ vars.AWS_DEPLOY_ROLE_ARN }}"
    order = [
        next(i for i, n in enumerate(names) if f"make {target}" in n) for target in ("preflight", "deploy", "smoke")
    ]
    assert [role, *order] == sorted([role, *order])


def test_make_builds_and_deploys_with_sam() -> None:
    for target, command in (("build-aws", r"sam\S* build\b"), ("deploy", r"sam\S* deploy\b")):
        done = subprocess.run(
            ["make", "--dry-run", "--always-make", "--no-print-directory", target, "ENV=dev"],
            cwd=ROOT, capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        assert re.search(command, done.stdout), done.stdout


@pytest.fixture
def gh(tmp_path: Path) -> Path:
    """A `gh` that knows two pull requests of the commit and notes down what it is called with."""
    script = tmp_path / "gh"
    script.write_text(
        "#!/usr/bin/env python3\n"
        "import json, pathlib, sys\n"
        "with (pathlib.Path(__file__).parent / 'calls').open('a') as calls:\n"
        "    calls.write(json.dumps(sys.argv[1:]) + '\\n')\n"
        "if sys.argv[1] == 'api':\n"
        "    print('41\\n42')\n"
    )
    script.chmod(0o755)
    return script


@pytest.mark.parametrize(
    ("result", "ref_type", "says"),
    [
        ("success", "branch", "Deployed abcdef1 (main) to **dev**: https://api.example/ ([run]("),
        ("success", "tag", "Deployed abcdef1 (main) to **prod**: https://api.example/ ([run]("),
        ("failure", "branch", "**Failed**: deployment of abcdef1 (main) to dev (failure, [run]("),
        ("skipped", "tag", "**Failed**: deployment of abcdef1 (main) to prod (skipped, [run]("),
    ],
)
def test_the_outcome_and_the_address_are_told_on_each_pull_request_of_the_commit(
    gh: Path, tmp_path: Path, result: str, ref_type: str, says: str
) -> None:
    (step,) = DEPLOY["jobs"]["report"]["steps"]
    assert step["env"]["RESULT"] == "${{ needs.deploy.result }}"
    assert step["env"]["URL"] == "${{ needs.deploy.outputs.url }}"
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        env={
            "PATH": f"{gh.parent}:{os.environ['PATH']}",
            "GH_TOKEN": "token",
            "RESULT": result,
            "ENVIRONMENT": "prod" if ref_type == "tag" else "dev",
            "URL": "https://api.example/",
            "GITHUB_SERVER_URL": "https://github.example",
            "GITHUB_REPOSITORY": "owner/repo",
            "GITHUB_RUN_ID": "7",
            "GITHUB_SHA": "abcdef1234",
            "GITHUB_REF_NAME": "main",
            "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
        },
        capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    calls = [json.loads(line) for line in (tmp_path / "calls").read_text().splitlines()]
    assert calls[0] == ["api", "repos/owner/repo/commits/abcdef1234/pulls", "--jq", ".[].number"]
    assert [call[:3] for call in calls[1:]] == [["pr", "comment", "41"], ["pr", "comment", "42"]]
    for call in calls[1:]:
        body = call[call.index("--body") + 1]
        assert body.startswith(says)
        assert "https://github.example/owner/repo/actions/runs/7" in body


def test_the_outcome_is_told_after_a_failure_too() -> None:
    report = DEPLOY["jobs"]["report"]
    assert report["if"].startswith("always()")
    assert set(report["needs"]) == {"test", "build", "deploy"}


@pytest.mark.slow
def test_actionlint_and_zizmor_find_nothing() -> None:
    done = subprocess.run(["make", "lint-workflows"], cwd=ROOT, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
