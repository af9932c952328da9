"""What `make build-aws` left in .aws-sam/build: size, content, libraries, bytecode; `make test-aws` runs this."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.infra.template import ROOT
from tests.infra.test_build_function import builder

BUILT = Path(os.environ.get("LOCATION_DETECTION_TEST_BUILT", "")).resolve()
RUNTIME = os.environ.get("RUNTIME", "python3.11")
FUNCTIONS = {"api": "RestApiFunction", "worker": "WorkerFunction"}
MIB = 1024 * 1024

pytestmark = pytest.mark.skipif(
    "LOCATION_DETECTION_TEST_BUILT" not in os.environ, reason="nothing was built: `make test-aws` runs this"
)


def files(tree: Path) -> list[Path]:
    return [path for path in tree.rglob("*") if path.is_file()]


@pytest.fixture(params=sorted(FUNCTIONS))
def function(request: pytest.FixtureRequest) -> tuple[str, Path]:
    return request.param, BUILT / FUNCTIONS[request.param]


def test_the_tree_may_be_deployed(function: tuple[str, Path]) -> None:
    name, tree = function
    size_bytes = builder.check(builder.FUNCTIONS[name], tree, RUNTIME)
    assert size_bytes == sum(path.stat().st_size for path in files(tree))
    assert size_bytes < {"api": 30 * MIB, "worker": 250 * MIB}[name]


def test_what_the_runtime_brings_and_what_is_never_loaded_is_left_out(function: tuple[str, Path]) -> None:
    name, tree = function
    top = {path.name for path in tree.iterdir()}
    assert not top & {"boto3", "botocore", "s3transfer", "bin", "tests", "pip"}
    folders = {path.name for path in tree.rglob("*") if path.is_dir()}
    assert "tests" not in folders
    if name == "api":
        assert not top & {"numpy", "cv2", "shapely", "pypdfium2", "detection", "worker", "cli", "evaluation"}
        assert (tree / "api" / "static" / "index.html").exists()
    else:
        assert not top & {"fastapi", "starlette", "mangum", "api", "cli", "evaluation"}


def test_the_worker_brings_every_file_of_the_weights() -> None:
    def weights(folder: Path) -> dict[Path, bytes]:
        return {path.relative_to(folder): path.read_bytes() for path in files(folder) if path.suffix == ".onnx"}

    own = weights(ROOT / "src" / "detection" / "weights")
    assert weights(BUILT / FUNCTIONS["worker"] / "detection" / "weights") == own


def test_every_source_has_bytecode_that_is_not_looked_up_against_it(function: tuple[str, Path]) -> None:
    _, tree = function
    tag = f"cpython-{RUNTIME.removeprefix('python').replace('.', '')}"
    sources = list(tree.rglob("*.py"))
    assert len(sources) > 300
    for source in sources:
        compiled = source.parent / "__pycache__" / f"{source.stem}.{tag}.pyc"
        assert compiled.read_bytes()[4:8] == b"\x01\0\0\0", source


def test_no_library_wants_more_than_glibc_2_26(function: tuple[str, Path]) -> None:
    _, tree = function
    libraries = [path for path in files(tree) if path.suffix == ".so" or ".so." in path.name]
    assert len(libraries) >= 2
    wanted: set[tuple[int, ...]] = set()
    for library in libraries:
        found = re.findall(rb"GLIBC_(\d+)\.(\d+)", library.read_bytes())
        wanted |= {(int(major), int(minor)) for major, minor in found}
    assert (2, 2) < max(wanted) <= (2, 26)


def test_the_sources_are_those_of_this_checkout(function: tuple[str, Path]) -> None:
    name, tree = function
    for package in builder.FUNCTIONS[name].packages:
        own = {path.relative_to(ROOT / "src"): path.read_bytes() for path in (ROOT / "src" / package).rglob("*.py")}
        assert {path: (tree / path).read_bytes() for path in own} == own


@pytest.mark.parametrize(("name", "module"), [("api", "api.rest_api"), ("worker", "worker.consumer")])
def test_the_handler_loads_with_nothing_else_on_the_path(name: str, module: str) -> None:
    tree = BUILT / FUNCTIONS[name]
    code = (
        "import sys, importlib; sys.path[:] = [sys.argv[1], *(p for p in sys.path if 'site-packages' not in p)];"
        "module = importlib.import_module(sys.argv[2]); print(callable(module.handler), module.__file__)"
    )
    # -I: no site-packages of a user; -S: none of this environment.
    command = [sys.executable, "-I", "-S", "-c", code, str(tree), module]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["True", str(tree / f"{module.replace('.', '/')}.py")], done.stderr


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_building_again_gives_the_same_bytes_times_and_modes(tmp_path: Path) -> None:
    def state(tree: Path) -> dict[str, tuple[float, int, str]]:
        return {
            str(path.relative_to(tree)): (
                path.stat().st_mtime,
                path.stat().st_mode,
                hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
            )
            for path in tree.rglob("*")
        }

    builder.build(builder.FUNCTIONS["api"], tmp_path / "api", RUNTIME)
    assert state(tmp_path / "api") == state(BUILT / FUNCTIONS["api"])
