"""Drawn plans, and the command line in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

ROOT = Path(__file__).resolve().parents[3]
Run = Callable[..., subprocess.CompletedProcess[bytes]]


def draw_plan(path: Path, rooms: int = 2) -> Path:
    """A plan of `rooms` closed rooms beside each other, with walls of 8 px."""
    picture = Image.new("RGB", (80 + 200 * rooms, 320), "white")
    pen = ImageDraw.Draw(picture)
    for index in range(rooms):
        pen.rectangle((40 + 200 * index, 40, 248 + 200 * index, 280), outline="black", width=8)
    picture.save(path)
    return path


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    return draw_plan(tmp_path / "plan.png")


@pytest.fixture
def run_cli(tmp_path: Path) -> Run:
    """Runs the command line in an empty folder, with no terminal, and gives what it said."""

    def run(*arguments: object, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LOCATION_DETECTION_")}
        return subprocess.run(
            [sys.executable, "-m", "cli.main", *map(str, arguments)],
            input=stdin,
            capture_output=True,
            cwd=tmp_path,
            env={**kept, "PYTHONPATH": str(ROOT / "src"), **environment},
            timeout=90,
            check=False,
        )

    return run
