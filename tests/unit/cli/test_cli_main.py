"""The command line as a whole: its help, its version, and that it starts at once."""

from __future__ import annotations

import subprocess
import sys

from typer.testing import CliRunner

from cli.main import app

from .conftest import ROOT, Run


def test_every_command_documents_itself_and_the_exit_codes() -> None:
    runner = CliRunner(env={"TERMINAL_WIDTH": "200"})
    for command in ([], ["detect"], ["serve"], ["work"], ["jobs"]):
        done = runner.invoke(app, [*command, "--help"])
        assert done.exit_code == 0
        assert "Exit codes: 0" in " ".join(done.stdout.split())
    assert runner.invoke(app, ["no-such-command"]).exit_code == 2


def test_version_says_the_name_and_a_number(run_cli: Run) -> None:
    done = run_cli("version")
    assert done.returncode == 0
    assert done.stdout.startswith(b"location-detection 0.")


def test_the_command_line_alone_loads_nothing_heavy() -> None:
    code = "import sys, cli.main; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(ROOT / "src")}
    ).stdout.split()
    heavy = {"cv2", "numpy", "pypdfium2", "shapely", "fastapi", "uvicorn", "boto3", "pydantic"}
    assert heavy.isdisjoint(loaded)
