"""Lambda's own runtime for tests: the interface emulator of the SAM CLI, AWS's client of it, and a built function.

    with function(tree, "api.rest_api.handler", environment, timeout_s=29) as invoke:
        answer = invoke(event)

The function's process has an environment of its own below `build/`, in which nothing is installed but awslambdaric and
boto3, as on Lambda; `python -m tests.aws.runtime install` makes it. The emulator counts the time of a call and kills it
when that is up, as Lambda does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.aws.servers import ROOT, ServerError, _await, _folder, _listens, _running, free_port
from tests.infra.test_build_function import builder

RUNTIME: Final = os.environ.get("RUNTIME", "python3.11")
VENV: Final = ROOT / "build" / f"venv-runtime-{RUNTIME}"
RELEASES: Final = ("awslambdaric==4.2.2", "boto3")
BROUGHT: Final = frozenset(
    {
        *("awslambdaric", "simplejson", "snapshot-restore-py"),
        *("boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3"),
    }
)
"""What is installed there: the two and what they need."""
_STAMP: Final = VENV / "+".join(RELEASES)
RAPID: Final = "lib/python*/site-packages/samcli/local/rapid/aws-lambda-rie-x86_64"

Invoke = Callable[[Any], Any]


class FunctionError(Exception):
    """The function raised, died, or took longer than it may; the message is what the emulator says of it."""


def install() -> None:
    """Make the functions' environment; nothing happens where it is already.

    Raises:
        subprocess.CalledProcessError: the package index did not give the packages.
    """
    if not _STAMP.exists():
        subprocess.run([builder.interpreter(RUNTIME), "-m", "venv", "--clear", "--without-pip", str(VENV)], check=True)
        pip = [sys.executable, "-m", "pip", "--python", str(VENV / "bin" / "python"), "--quiet"]
        constraints = ["--disable-pip-version-check", "--constraint", str(ROOT / "constraints.txt")]
        subprocess.run([*pip, "install", *constraints, *RELEASES], check=True)
        _STAMP.touch()


def python() -> Path:
    """The interpreter of the functions' environment.

    Raises:
        ServerError: it is not there.
    """
    if not _STAMP.exists():
        raise ServerError(f"{RELEASES} are not installed: python -m tests.aws.runtime install")
    return VENV / "bin" / "python"


def emulator() -> Path:
    """The emulator that came with the SAM CLI.

    Raises:
        ServerError: it did not.
    """
    found = sorted((ROOT / "build" / "venv-sam").glob(RAPID))
    if not found:
        raise ServerError("the SAM CLI is not installed: make sam-tools")
    return found[0]


def surroundings(tree: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """All that the function's process finds in its environment."""
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "LAMBDA_TASK_ROOT": str(tree),
        "PYTHONPATH": str(tree),
        "AWS_REGION": environment["AWS_DEFAULT_REGION"],
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{RUNTIME}",
        **environment,
    }


@contextmanager
def function(
    tree: Path, handler: str, environment: Mapping[str, str], *, timeout_s: int, memory_mb: int = 1024
) -> Iterator[Invoke]:
    """Calls the handler in the tree with events, until the block ends.

    Args:
        tree: what was built, and all of the project that its process can import.
        handler: as the template names it.
        environment: the function's variables; nothing of this process's environment is added.
        timeout_s: how long a call may take.
        memory_mb: what the function is told that it has.

    Raises:
        ServerError: the runtime is not installed, or did not come up.
    """
    asked, told = free_port(), free_port()
    settings = {
        **surroundings(tree, environment),
        "AWS_LAMBDA_FUNCTION_NAME": handler.partition(".")[0],
        "AWS_LAMBDA_FUNCTION_VERSION": "1",
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(timeout_s),
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory_mb),
    }
    command = [
        *("env", "--ignore-environment", f"--chdir={tree}", *(f"{name}={value}" for name, value in settings.items())),
        *(str(emulator()), "--log-level", "error", "--runtime-interface-emulator-address", f"127.0.0.1:{asked}"),
        *("--runtime-api-address", f"127.0.0.1:{told}", str(python()), "-m", "awslambdaric", handler),
    ]
    with _folder("lambda-") as folder, _running(command, folder, {}) as process:
        _await(lambda: _listens(asked), process, folder / "log")
        yield lambda event: _invoke(f"http://127.0.0.1:{asked}", event, timeout_s, folder / "log")


def _invoke(address: str, event: Any, timeout_s: int, log: Path) -> Any:
    asked = urllib.request.Request(
        f"{address}/2015-03-31/functions/function/invocations", json.dumps(event).encode(), method="POST"
    )
    with urllib.request.urlopen(asked, timeout=timeout_s + 30) as answer:
        text = answer.read().decode()
    try:
        found = json.loads(text)
    except ValueError:
        raise FunctionError(text) from None
    if isinstance(found, dict) and "errorType" in found:
        raise FunctionError(f"{text}\n{log.read_text(errors='replace')[-2000:]}")
    return found


if __name__ == "__main__":
    if sys.argv[1:] != ["install"]:
        sys.exit(__doc__)
    install()
