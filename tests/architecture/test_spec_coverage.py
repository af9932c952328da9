"""docs/spec-coverage.md leaves out no criterion, and names no test that is not there."""

from __future__ import annotations

import ast
import re
from functools import lru_cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
TEXT = (ROOT / "docs" / "spec-coverage.md").read_text()
SPECIFICATION = ROOT.parent / "shared" / "spec" / "tech-spec-epic-1.md"
NAMED = sorted(set(re.findall(r"`((?:[a-z_]+/)+\w+\.py::\w+)`", TEXT)))

STORIES = {"1.1": 10, "1.2": 28, "1.3": 7}
"""How many criteria each story has."""
LISTED = [
    *(f"AC-1.1.{number}" for number in range(1, 4)),
    *(f"AC-1.2.{number}" for number in range(1, 13)),
    *(f"AC-1.3.{number}" for number in range(1, 4)),
]
REQUIREMENTS = [f"NFR-{number:03}" for number in range(1, 20) if number != 13]
CRITERIA = [f"{story}-{number}" for story, count in STORIES.items() for number in range(1, count + 1)]


@lru_cache
def functions_of(path: str) -> set[str]:
    return {
        node.name
        for node in ast.walk(ast.parse((TESTS / path).read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


@pytest.mark.parametrize("named", NAMED)
def test_every_test_that_is_named_is_there(named: str) -> None:
    path, name = named.split("::")
    assert name in functions_of(path)


def rows() -> list[list[str]]:
    return [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in TEXT.splitlines()
        if re.match(r"\| [\w.-]+ \|", line)
    ]


def test_every_criterion_has_one_row_in_the_order_of_the_specification() -> None:
    found = [row[0] for row in rows()]
    assert found == [*CRITERIA, *LISTED, *REQUIREMENTS]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_every_criterion_has_a_test_that_proves_it(row: list[str]) -> None:
    assert len(row) == 4
    assert re.search(r"`[\w/]+\.py::test_\w+`", row[2])


def test_the_list_is_the_specifications_own() -> None:
    if not SPECIFICATION.exists():
        pytest.skip("the specification is not beside this checkout")
    text = SPECIFICATION.read_text()
    stories = re.split(r"\*\*Story (\d\.\d): ", text.split("## Acceptance Criteria")[1].split("## Traceability")[0])
    counted = {
        story: len(re.findall(r"^   - (?:Then|And) ", body, re.MULTILINE))
        for story, body in zip(stories[1::2], stories[2::2], strict=True)
    }
    assert counted == STORIES
    assert re.findall(r"^\| (AC-[\d.]+) ", text, re.MULTILINE) == LISTED
    assert re.findall(r"^\*\*(NFR-\d+):", text, re.MULTILINE) == REQUIREMENTS


def test_the_files_that_the_specification_names_are_there() -> None:
    named = "template.yaml samconfig.toml requirements.txt .gitignore .github/workflows/deploy.yml"
    modules = "api/rest_api api/health services/job_service models/job"
    plumbing = "utils/config utils/secrets utils/logging utils/errors utils/retry"
    for path in [*named.split(), *(f"src/{module}.py" for module in f"{modules} {plumbing}".split())]:
        assert (ROOT / path).is_file(), path
    specified = {
        "boto3>=1.28.0,<2.0.0",
        "botocore>=1.31.0,<2.0.0",
        "python-dateutil>=2.8.0,<3.0.0",
        "requests>=2.31.0,<3.0.0",
    }
    assert specified <= set((ROOT / "requirements.txt").read_text().splitlines())
