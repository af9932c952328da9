"""The README's quickstart, run as it is written: only the program's path and the port are another."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.servers import served

ROOT = Path(__file__).resolve().parents[2]


def block(name: str) -> str:
    found = re.search(rf"<!-- quickstart: {name} -->\n```bash\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert found, f"the README has no quickstart for {name}"
    return found[1]


def run_block(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "examples").symlink_to(ROOT / "examples")
    return subprocess.run(
        [
            "bash",
            "-euo",
            "pipefail",
            "-c",
            script.replace(".venv/bin/location-detection", f"{sys.executable} -m cli.main"),
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def rooms(file: Path) -> int:
    return sum(len(page["rooms"]) for page in json.loads(file.read_text())["pages"])


@pytest.mark.slow
def test_the_quickstart_of_the_command_line(tmp_path: Path) -> None:
    done = run_block(block("cli"), tmp_path)
    assert done.returncode == 0, done.stderr
    assert rooms(tmp_path / "flat.json") > 3
    written = {path.name for path in (tmp_path / "out" / "rooms").iterdir()}
    assert {"flat.json", "scan.json", "office.json", "flat.overlay.png", "office.page2.overlay.png"} <= written


@pytest.mark.slow
def test_the_quickstart_on_labelled_plans(tmp_path: Path) -> None:
    done = run_block(block("evaluate"), tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "figures.json").read_text())["sets"]["examples"]["plans"] == 5
    assert "<figure>" in (tmp_path / "figures.html").read_text()


@pytest.mark.slow
def test_the_quickstart_over_http(tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl on this machine")
    with served(tmp_path / "data") as url:
        script = block("http")
        assert "127.0.0.1:8000" in script
        done = run_block(script.replace("http://127.0.0.1:8000", url), tmp_path)
        assert done.returncode == 0, done.stderr
        assert rooms(tmp_path / "flat.json") > 3
        assert (tmp_path / "flat.png").read_bytes().startswith(b"\x89PNG")
        assert json.loads(done.stdout)["data"]["purged"] is True
