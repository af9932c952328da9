"""The house: who may import whom, how large a module may be, and what may not be written into a tracked file."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.checkout import tracked

from models.floorplan import floorplan_schema

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ("detection", "numpy", "cv2", "shapely", "pypdfium2", "PIL", "onnxruntime", "ezdxf")
MAX_LINES = 430
# Names are put together so that this file does not hold what it forbids.
FORBIDDEN = {
    "a registry's host": "pyp" + r"i\.org|python" + r"hosted\.org|npm" + r"js\.org|deb\." + "debian",
    "an absolute path of a machine": r"(^|[^A-Za-z0-9._-])/(" + "wo" + "rk|fa" + "rm|ro" + r"ot)/",
    "a private key": "BEGIN [A-Z ]*PRIVATE" + " KEY-----\n[A-Za-z0-9+/]{60}",
    "an access key": "AKIA" + "[0-9A-Z]{16}",
}


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "src")}


def test_import_contracts_hold() -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"[1-9]\d* kept, 0 broken", done.stdout)


@pytest.mark.parametrize("module", ["api.rest_api", "services.detection_service", "storage.local.world"])
def test_no_part_of_the_engine_is_loaded(module: str) -> None:
    code = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=True)
    loaded = set(done.stdout.split())
    assert module.partition(".")[0] in loaded
    assert loaded.isdisjoint(ENGINE)


def test_modules_stay_readable() -> None:
    sizes = {file.relative_to(ROOT): len(file.read_text().splitlines()) for file in (ROOT / "src").rglob("*.py")}
    assert len(sizes) > 30
    assert {file: lines for file, lines in sizes.items() if lines > MAX_LINES} == {}


def test_tests_have_no_packages_and_no_equal_names() -> None:
    files = [f for f in (ROOT / "tests").rglob("*.py") if f.name != "conftest.py"]
    assert [f for f in files if f.name == "__init__.py"] == []
    names = [f.name for f in files if f.name.startswith("test_")]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("what", FORBIDDEN)
def test_tracked_files_hold_nothing_of_this_machine(what: str) -> None:
    pattern = re.compile(FORBIDDEN[what], re.MULTILINE)
    found = []
    for file in tracked():
        data = file.read_bytes()
        if b"\0" not in data and file.suffix != ".svg":
            found += [f"{file.relative_to(ROOT)}: {match[0]!r}" for match in pattern.finditer(data.decode("latin-1"))]
    assert found == []


def test_nothing_is_left_undone_in_the_source() -> None:
    words = re.compile("TO" + "DO|FIX" + "ME|NotImplemented" + r"Error|XX" + "X")
    left = [file.name for file in (ROOT / "src").rglob("*.py") if words.search(file.read_text())]
    assert left == []


def test_tracked_files_are_small() -> None:
    sizes = [(f.name, f.stat().st_size) for f in tracked()]
    assert [name for name, size in sizes if size > 8_000_000] == []
    binaries = (".onnx", ".npz", ".png", ".jpg", ".pdf")
    assert sum(size for name, size in sizes if name.endswith(binaries)) < 10_000_000


def test_the_schema_in_docs_is_the_models_own() -> None:
    kept = json.loads((ROOT / "docs" / "floorplan.schema.json").read_text())
    assert kept == floorplan_schema(), "run `make docs`"
