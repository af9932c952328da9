"""Builds the tree of one Lambda function: its sources, its own dependencies for the runtime, its bytecode.

Whatever machine builds, the tree is the same to the byte, so that a second deployment changes nothing. It is checked
before it is handed over: its size, that no library wants more than the runtime's glibc, that what the runtime brings
was left out, that no package's tests came along.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
MIB: Final = 1024 * 1024
RUNTIMES: Final = ("python3.11", "python3.12", "python3.13")
# Amazon Linux 2 (python3.11) has glibc 2.26 and GCC 7's libstdc++; what runs there runs on Amazon Linux 2023 too.
MAX_GLIBC: Final = (2, 26)
MAX_LIBSTDCXX: Final = (3, 4, 24)
PLATFORMS: Final = tuple(
    f"{tag}_x86_64"
    for tag in (
        "manylinux_2_26",
        "manylinux_2_24",
        "manylinux_2_17",
        "manylinux2014",
        "manylinux_2_12",
        "manylinux_2_5",
    )
)
PROVIDED: Final = frozenset({"boto3", "botocore", "s3transfer"})
"""Distributions that the runtime brings and the tree leaves out; what they need stays, since others need it too."""
STAMP_S: Final = 315_619_200  # 1980-01-02: a zip cannot hold an earlier time in every zone
_USELESS_SUFFIXES: Final = frozenset({".pyi", ".pyx", ".pxd", ".pxi", ".c", ".h", ".hpp", ".cpp", ".a", ".md", ".rst"})
_USELESS_FOLDERS: Final = frozenset({"tests", "__pycache__"})
_USELESS_FILES: Final = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "py.typed", "conftest.py"})
_SYMBOL: Final = re.compile(rb"\0(GLIBC|GLIBCXX)_(\d+(?:\.\d+)+)(?=\0)")
_EXTENSION: Final = re.compile(r"\.cpython-(\d+)-")


class BuildError(Exception):
    """The tree cannot be built, or is not what it must be."""


@dataclass(frozen=True)
class Function:
    """What goes into one function."""

    packages: tuple[str, ...]
    requirements: str
    max_bytes: int


FUNCTIONS: Final = {
    "api": Function(("api", "services", "storage", "models", "utils"), "requirements.txt", 30 * MIB),
    "worker": Function(
        ("worker", "services", "storage", "detection", "models", "utils"), "requirements-worker.txt", 250 * MIB
    ),
}


def build(function: Function, target: Path, runtime: str) -> int:
    """The size in bytes of the tree that now lies in `target`.

    Raises:
        BuildError: what is wrong with it, or in the way of it.
    """
    python = interpreter(runtime)
    target.mkdir(parents=True, exist_ok=True)
    for old in target.iterdir():
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    install(function, target, python)
    for package in function.packages:
        shutil.copytree(ROOT / "src" / package, target / package, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    strip(target)
    compile_all(target, python)
    normalise(target)
    return check(function, target, runtime)


def interpreter(runtime: str) -> str:
    """A Python of the runtime's version: bytecode and environment markers depend on it.

    Raises:
        BuildError: there is none.
    """
    version = runtime.removeprefix("python")
    for candidate in (sys.executable, runtime, "python3", "python"):
        found = shutil.which(candidate)
        if found is None:
            continue
        asked = [found, "-c", "import sys, pip; print('%d.%d' % sys.version_info[:2])"]
        answer = subprocess.run(asked, capture_output=True, text=True, check=False)  # noqa: S603
        if answer.returncode == 0 and answer.stdout.strip() == version:
            return found
    raise BuildError(f"building for {runtime} needs a Python {version} with pip on the PATH")


def install(function: Function, target: Path, python: str) -> None:
    """Put the function's dependencies into `target`: wheels of the pinned releases for the runtime's platform."""
    with tempfile.TemporaryDirectory() as scratch:
        report, constraints = Path(scratch, "report.json"), Path(scratch, "constraints.txt")
        requirements = ROOT / function.requirements
        constraints.write_text("\n".join(pins(requirements)), encoding="utf-8")
        platforms = [word for tag in PLATFORMS for word in ("--platform", tag)]
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--ignore-installed"]
        pip += ["--only-binary=:all:", "--no-compile", *platforms, "--target", str(target)]
        resolve = ["--dry-run", "--report", str(report), "--constraint", str(constraints), "-r", str(requirements)]
        run([*pip, *resolve])
        chosen = json.loads(report.read_text(encoding="utf-8"))["install"]
        wheels = [
            f"{item['metadata']['name']} @ {item['download_info']['url']}#sha256={digest(item)}"
            for item in chosen
            if canonical(item["metadata"]["name"]) not in PROVIDED
        ]
        run([*pip, "--no-deps", *wheels])


def digest(item: dict[str, dict[str, dict[str, dict[str, str]]]]) -> str:
    """The SHA-256 of a wheel in pip's report."""
    return item["download_info"]["archive_info"]["hashes"]["sha256"]


def pins(requirements: Path) -> Iterator[str]:
    """The lines of constraints.txt, but for what the requirements pin themselves."""
    own = set()
    for line in requirements.read_text(encoding="utf-8").splitlines():
        if "==" in line and not line.startswith("#"):
            own.add(canonical(line.split("==")[0]))
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#") and canonical(line.split("==")[0]) not in own:
            yield line


def canonical(name: str) -> str:
    """The name of a distribution as the index compares it."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def run(command: list[str]) -> None:
    """Run a program.

    Raises:
        BuildError: it failed; the last of what it said.
    """
    # The hash seed keeps the order in which sets are written into bytecode the same in every build.
    done = subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONHASHSEED": "0"}
    )
    if done.returncode != 0:
        raise BuildError(f"{' '.join(command[:4])} failed:\n{done.stderr[-2000:]}")


def strip(target: Path) -> None:
    """Remove what is never loaded: packages' tests, sources of compiled code, type stubs, installers' notes."""
    for folder in sorted(target.rglob("*"), reverse=True):
        if folder.is_dir() and (folder.name in _USELESS_FOLDERS or folder == target / "bin"):
            shutil.rmtree(folder)
    for file in files(target):
        licence = "licen" in str(file.relative_to(target)).lower()
        if file.name in _USELESS_FILES or (file.suffix in _USELESS_SUFFIXES and not licence):
            file.unlink()
    for cascade in (target / "cv2" / "data").glob("*.xml"):  # 9 MB of face detectors
        cascade.unlink()
    for folder in sorted(target.rglob("*"), reverse=True):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def compile_all(target: Path, python: str) -> None:
    """Write the bytecode, which the read-only tree could not keep, under the names that tracebacks will show."""
    options = ["-q", "--invalidation-mode", "unchecked-hash", "-s", str(target), "-p", "/var/task"]
    run([python, "-m", "compileall", *options, str(target)])


def normalise(target: Path) -> None:
    """Give every file the same time and mode, so that the same content makes the same zip."""
    for path in target.rglob("*"):
        executable = path.is_dir() or path.suffix == ".so" or ".so." in path.name
        path.chmod(0o755 if executable else 0o644)
        os.utime(path, (STAMP_S, STAMP_S))


def check(function: Function, target: Path, runtime: str) -> int:
    """The size in bytes of a tree that may be deployed.

    Raises:
        BuildError: why it may not.
    """
    size_bytes = sum(file.stat().st_size for file in files(target))
    faults = [*_content_faults(function, target), *_library_faults(target, runtime)]
    if size_bytes > function.max_bytes:
        largest = sorted(((tree_bytes(entry), entry.name) for entry in target.iterdir()), reverse=True)[:8]
        listed = ", ".join(f"{name} {bytes_ / MIB:.1f}" for bytes_, name in largest)
        faults.append(f"{size_bytes / MIB:.1f} MiB of {function.max_bytes / MIB:.0f} MiB: {listed}")
    if faults:
        raise BuildError("the tree may not be deployed:\n  " + "\n  ".join(faults))
    return size_bytes


def _content_faults(function: Function, target: Path) -> Iterator[str]:
    for name in sorted(PROVIDED):
        if (target / name).exists():
            yield f"{name} is there, which the runtime brings"
    for folder in target.rglob("tests"):
        yield f"{folder.relative_to(target)} holds tests"
    for package in function.packages:
        if not (target / package / "__init__.py").exists():
            yield f"{package} is not there"
    weights = ROOT / "src" / "detection" / "weights"
    if "detection" in function.packages and weights.is_dir():
        for file in files(weights):
            copy = target / "detection" / "weights" / file.relative_to(weights)
            if file.suffix not in _USELESS_SUFFIXES and not file.match("*.py*") and not copy.exists():
                yield f"the weights {copy.name} are not there"
    for source in target.rglob("*.py"):
        if not any((source.parent / "__pycache__").glob(f"{source.stem}.cpython-*.pyc")):
            yield f"{source.relative_to(target)} has no bytecode"


def _library_faults(target: Path, runtime: str) -> Iterator[str]:
    wanted = runtime.removeprefix("python").replace(".", "")
    for file in files(target):
        if file.suffix != ".so" and ".so." not in file.name:
            continue
        name = file.relative_to(target)
        made_for = _EXTENSION.search(file.name)
        if made_for is not None and made_for[1] != wanted:
            yield f"{name} is not for {runtime}"
        content = file.read_bytes()
        if content[:5] != b"\x7fELF\x02" or content[18:20] != b"\x3e\x00":
            yield f"{name} is no library for x86_64"
        for library, version in newest_symbols(content).items():
            most = MAX_GLIBC if library == "GLIBC" else MAX_LIBSTDCXX
            if version > most:
                yield f"{name} wants {library} {dotted(version)}, the runtime has {dotted(most)}"


def newest_symbols(content: bytes) -> dict[str, tuple[int, ...]]:
    """The newest version of glibc and libstdc++ whose symbols a library names: in its string table, as a word each."""
    newest: dict[str, tuple[int, ...]] = {}
    for library, version in _SYMBOL.findall(content):
        numbers = tuple(int(part) for part in version.split(b"."))
        name = library.decode()
        newest[name] = max(newest.get(name, ()), numbers)
    return newest


def dotted(version: tuple[int, ...]) -> str:
    """The version as people write it."""
    return ".".join(map(str, version))


def files(tree: Path) -> Iterable[Path]:
    """The files of a tree, in a fixed order."""
    return sorted(path for path in tree.rglob("*") if path.is_file())


def tree_bytes(path: Path) -> int:
    """The size of a file, or of all files of a folder."""
    return sum(file.stat().st_size for file in files(path)) if path.is_dir() else path.stat().st_size


def main() -> int:
    """The exit code: 0 if the tree was built and may be deployed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("function", choices=sorted(FUNCTIONS))
    parser.add_argument("target", type=Path)
    parser.add_argument("--runtime", choices=RUNTIMES, default=RUNTIMES[0])
    given = parser.parse_args()
    function = FUNCTIONS[given.function]
    try:
        size_bytes = build(function, given.target.resolve(), given.runtime)
    except BuildError as error:
        print(f"build of {given.function}: {error}", file=sys.stderr)  # noqa: T201
        return 1
    limit = f"{function.max_bytes / MIB:.0f} MiB"
    print(f"{given.function}: {size_bytes / MIB:.1f} MiB unpacked of {limit}, for {given.runtime}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
