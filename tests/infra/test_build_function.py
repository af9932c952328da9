"""The builder of the functions' trees, on small trees: what it takes out, what it refuses, that it repeats itself."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import struct
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_function", ROOT / "infra" / "build_function.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


builder = _load()
FUNCTION = builder.Function(("app",), "requirements.txt", 200_000)


def write(path: Path, content: str | bytes = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def library(*symbols: str, machine: int = 62) -> bytes:
    """An ELF header for a machine (62: x86_64), then a string table."""
    return (
        b"\x7fELF\x02\x01\x01".ljust(18, b"\0")
        + struct.pack("<H", machine)
        + b"\0".join(map(str.encode, ("", *symbols, "")))
    )


def finished(tree: Path) -> Path:
    builder.compile_all(tree, sys.executable)
    builder.normalise(tree)
    return tree


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    home = tmp_path / "tree"
    write(home / "app" / "__init__.py", '"""A package."""\n\nNAMES = {"b", "a", "c"}\n')
    write(home / "lib" / "core.so", library("GLIBC_2.2.5", "GLIBC_2.26", "GLIBCXX_3.4.24"))
    return home


def runtime() -> str:
    return f"python{sys.version_info.major}.{sys.version_info.minor}"


def test_a_good_tree_is_measured_to_the_byte(tree: Path) -> None:
    finished(tree)
    assert builder.check(FUNCTION, tree, runtime()) == sum(f.stat().st_size for f in tree.rglob("*") if f.is_file())


@pytest.mark.parametrize(
    ("path", "content", "fault"),
    [
        ("boto3/__init__.py", "", "boto3 is there, which the runtime brings"),
        ("lib/tests/data.txt", "", "lib/tests holds tests"),
        ("lib/new.so", library("GLIBC_2.27"), "lib/new.so wants GLIBC 2.27, the runtime has 2.26"),
        ("lib/new.so.3", library("GLIBCXX_3.4.29"), "lib/new.so.3 wants GLIBCXX 3.4.29, the runtime has 3.4.24"),
        ("lib/arm.so", library("GLIBC_2.17", machine=183), "lib/arm.so is no library for x86_64"),
        ("lib/x.cpython-39-x86_64-linux-gnu.so", library(), "is not for python3."),
        ("lib/large.bin", b"x" * 200_000, "MiB of 0 MiB: lib 0.2"),
    ],
)
def test_a_tree_that_may_not_be_deployed_is_refused_and_says_why(
    tree: Path, path: str, content: str | bytes, fault: str
) -> None:
    write(tree / path, content)
    with pytest.raises(builder.BuildError) as refused:
        builder.check(FUNCTION, finished(tree), runtime())
    assert fault in str(refused.value)


def test_a_tree_without_bytecode_or_without_its_package_is_refused(tree: Path) -> None:
    with pytest.raises(builder.BuildError, match=r"app/__init__\.py has no bytecode"):
        builder.check(FUNCTION, tree, runtime())
    with pytest.raises(builder.BuildError, match="other is not there"):
        builder.check(builder.Function(("app", "other"), "requirements.txt", 200_000), finished(tree), runtime())


def test_a_worker_without_its_weights_is_refused(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "src" / "detection" / "weights" / "rooms.onnx", "weights")
    write(tmp_path / "src" / "detection" / "weights" / "README.md", "what they are")
    monkeypatch.setattr(builder, "ROOT", tmp_path)
    worker = builder.Function(("app", "detection"), "requirements.txt", 200_000)
    write(tree / "detection" / "__init__.py")
    with pytest.raises(builder.BuildError, match=r"the weights rooms\.onnx are not there"):
        builder.check(worker, finished(tree), runtime())
    write(tree / "detection" / "weights" / "rooms.onnx", "weights")
    assert builder.check(worker, tree, runtime()) > 0


def test_all_faults_are_told_at_once(tree: Path) -> None:
    write(tree / "botocore" / "__init__.py")
    write(tree / "lib" / "new.so", library("GLIBC_2.34"))
    with pytest.raises(builder.BuildError) as refused:
        builder.check(FUNCTION, finished(tree), runtime())
    assert str(refused.value).count("\n") == 2


def test_the_newest_symbols_are_found_as_words_only() -> None:
    content = library("GLIBC_2.2.5", "GLIBC_2.9", "GLIBC_2.17", "xGLIBC_2.99", "GLIBC_PRIVATE", "GLIBCXX_3.4.9")
    assert builder.newest_symbols(content) == {"GLIBC": (2, 17), "GLIBCXX": (3, 4, 9)}
    assert builder.newest_symbols(b"no library") == {}


def test_a_real_library_names_the_glibc_that_it_wants() -> None:
    numpy_core = next((Path(sys.prefix) / "lib").glob("python*/site-packages/numpy/_core/_multiarray_umath*.so"))
    found = builder.newest_symbols(numpy_core.read_bytes())["GLIBC"]
    assert (2, 2) <= found <= (2, 40)


def test_what_is_never_loaded_is_taken_out_and_licences_stay(tree: Path) -> None:
    for gone in (
        "lib/tests/test_a.py",
        "lib/a.pyi",
        "lib/include/a.h",
        "lib/a.pyx",
        "bin/tool",
        "a-1.dist-info/RECORD",
    ):
        write(tree / gone, "x")
    for stays in ("lib/bin/data.bin", "lib/a.py", "a-1.dist-info/METADATA", "a-1.dist-info/licenses/LICENSE.md"):
        write(tree / stays, "x = 1")
    builder.strip(tree)
    left = {str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()}
    assert left == {
        "app/__init__.py",
        "lib/core.so",
        "lib/bin/data.bin",
        "lib/a.py",
        "a-1.dist-info/METADATA",
        "a-1.dist-info/licenses/LICENSE.md",
    }
    assert not (tree / "lib" / "include").exists()


def test_the_same_sources_make_the_same_bytes_times_and_modes(tmp_path: Path) -> None:
    made = []
    for name in ("one", "another"):
        home = tmp_path / name / "tree"
        write(
            home / "app" / "__init__.py",
            'WORDS = frozenset({"b", "a", "c", "d"})\n\n\ndef f(x):\n    return x in {"q", "w", "e"}\n',
        )
        finished(home)
        made.append(
            {
                str(path.relative_to(home)): (
                    path.stat().st_mtime,
                    path.stat().st_mode,
                    hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
                )
                for path in home.rglob("*")
            }
        )
    assert made[0] == made[1]
    assert len(made[0]) == 4


def test_bytecode_is_never_looked_up_against_its_source_and_names_where_lambda_has_it(tree: Path) -> None:
    finished(tree)
    (compiled,) = (tree / "app" / "__pycache__").glob("*.pyc")
    assert compiled.read_bytes()[4:8] == b"\x01\0\0\0"  # PEP 552: by hash, unchecked
    assert b"/var/task/app/__init__.py" in compiled.read_bytes()
    assert str(tree).encode() not in compiled.read_bytes()


def test_pins_are_those_of_the_project_but_for_what_the_function_pins_itself(tmp_path: Path) -> None:
    requirements = write(tmp_path / "requirements.txt", "# shapely==9\nShapely==2.0.7\nnumpy<2.3\n")
    pins = list(builder.pins(requirements))
    names = [builder.canonical(pin.split("==")[0]) for pin in pins]
    assert "shapely" not in names
    assert {"fastapi", "pydantic-core", "numpy"} <= set(names)


def test_a_runtime_that_this_machine_cannot_compile_for_is_refused() -> None:
    assert builder.interpreter(runtime()) == sys.executable
    with pytest.raises(builder.BuildError, match=r"python3\.99 needs a Python 3\.99"):
        builder.interpreter("python3.99")


def test_the_command_fails_with_the_reason_on_stderr(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "infra" / "build_function.py"), "api", str(tmp_path), "--runtime"]
    missing = next(name for name in builder.RUNTIMES if name != runtime())
    done = subprocess.run([*command, missing], capture_output=True, text=True, check=False, env={"PATH": str(tmp_path)})
    assert done.returncode == 1
    assert f"building for {missing} needs" in done.stderr
    assert done.stdout == ""


def test_requirements_of_both_functions_are_ranges_that_agree() -> None:
    both = [
        dict(re.findall(r"^([\w-]+)(\W.*)$", (ROOT / name).read_text(), re.MULTILINE))
        for name in ("requirements.txt", "requirements-worker.txt")
    ]
    assert both[0]["boto3"] == ">=1.28.0,<2.0.0"
    assert both[0]["botocore"] == ">=1.31.0,<2.0.0"
    assert both[0]["python-dateutil"] == ">=2.8.0,<3.0.0"
    assert both[0]["requests"] == ">=2.31.0,<3.0.0"
    shared = both[0].keys() & both[1].keys()
    assert len(shared) >= 8
    assert [name for name in shared if both[0][name] != both[1][name]] == []
