"""The API runs on `requirements.txt` alone: in a fresh environment, with no part of the engine installed."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = """
import importlib.util, pathlib, sys
engine = [name for name in ("numpy", "cv2", "shapely", "pypdfium2", "PIL") if importlib.util.find_spec(name)]
assert engine == [], engine
from api.rest_api import create_app, handler
from storage import open_storage
from utils.config import load_settings
settings = load_settings(data_dir=pathlib.Path(sys.argv[1]))
print(len(create_app(open_storage(settings), settings, tokens=None).routes))
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_api_needs_no_more_than_its_requirements(tmp_path: Path) -> None:
    home = tmp_path / "env"
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    install = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    try:
        done = subprocess.run(
            [*install, "--constraint", str(ROOT / "constraints.txt"), "-r", str(ROOT / "requirements.txt")],
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    except subprocess.TimeoutExpired:
        pytest.skip("the package index did not answer in time")
    if done.returncode != 0 and ("connection" in done.stderr.lower() or "No matching distribution" in done.stderr):
        pytest.skip("the package index cannot be reached")
    assert done.returncode == 0, done.stderr
    ran = subprocess.run(
        [str(python), "-c", CODE, str(tmp_path / "data")],
        env={"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) > 8
