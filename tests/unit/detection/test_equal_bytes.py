"""Equal input gives equal bytes: on a second run, in a new process, and with any number of threads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from training import whole

ROOT = Path(__file__).resolve().parents[3]
PLANS = ROOT.parent / "shared" / "eval" / "plans"
THREADS = (1, 2, 4)
#: So many plans of each set that lies beside the checkout, those with the smallest files.
LABELLED = {"r3d": 2, "cubicasa": 2, "navpal": 1, "bim": 2}
SUFFIXES = (".png", ".jpg", ".pdf")
DRAWN: tuple[tuple[int, whole.Kind], ...] = (
    (500, "png"),
    (501, "jpg"),
    (502, "pdf"),
    (503, "png"),
    (504, "jpg"),
    (505, "pdf"),
)
#: Reads the files named and prints, for each run of each, a digest of its JSON text and how many rooms it has.
PROGRAM = """
import hashlib, json, sys
from detection.engine import detect
from detection.settings import Settings
from models.blueprint import Blueprint
asked = json.loads(sys.argv[1])
settings = Settings(threads=asked["threads"], network=asked["network"])
out = []
for _ in range(asked["runs"]):
    for file in asked["files"]:
        plan = detect(Blueprint.parse(open(file, "rb").read()), settings)
        out.append([hashlib.sha256(plan.to_json().encode()).hexdigest(), plan.room_count])
print(json.dumps(out))
"""

Read = list[tuple[str, int]]


def read_in_a_new_process(files: Sequence[Path], threads: int, *, runs: int = 1, network: bool = True) -> Read:
    """What a process of its own made of the files, one run after the other; even its hashes are seeded differently."""
    asked = {"files": [str(file) for file in files], "threads": threads, "runs": runs, "network": network}
    environ = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "src"),
        "PYTHONHASHSEED": str(threads),
        "OMP_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": str(threads),
    }
    command = [sys.executable, "-c", PROGRAM, json.dumps(asked)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return [(digest, rooms) for digest, rooms in json.loads(done.stdout)]


def assert_the_same(files: Sequence[Path], reads: Sequence[Read]) -> None:
    for place, file in enumerate(files):
        assert len({read[place] for read in reads}) == 1, f"{file.name} differs: {[read[place] for read in reads]}"
    assert sum(rooms for _, rooms in reads[0]) > 0


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("drawn")
    files = []
    for seed, kind in DRAWN:
        files.append(folder / f"{seed}.{kind}")
        files[-1].write_bytes(whole.draw(seed, kind)[0])
    return files


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_drawn_plans_give_the_same_bytes(drawn: list[Path]) -> None:
    twice = read_in_a_new_process(drawn, 2, runs=2)
    first, second = twice[: len(drawn)], twice[len(drawn) :]
    others = [read_in_a_new_process(drawn, threads) for threads in (1, 4)]
    assert_the_same(drawn, [first, second, *others])


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_pictures_read_by_their_strokes_give_the_same_bytes(drawn: list[Path]) -> None:
    pictures = [file for file in drawn if file.suffix != ".pdf"][:2]
    assert_the_same(pictures, [read_in_a_new_process(pictures, threads, network=False) for threads in (1, 4)])


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_labelled_plans_give_the_same_bytes() -> None:
    files: list[Path] = []
    for name, count in LABELLED.items():
        folder = PLANS / name
        known = [file for file in folder.glob("*") if file.suffix in SUFFIXES] if folder.is_dir() else []
        files += sorted(known, key=lambda file: (file.stat().st_size, file.name))[:count]
    if len(files) < sum(LABELLED.values()):
        pytest.skip("the labelled plans do not lie beside this checkout")
    assert_the_same(files, [read_in_a_new_process(files, threads) for threads in THREADS])
