"""What a deployed stack gives, by the names of template.yaml's outputs; `stack.py dev ApiUrl` prints one of them."""

from __future__ import annotations

import argparse
import sys
import tomllib
from pathlib import Path
from typing import Any

SAMCONFIG = Path(__file__).parents[1] / "samconfig.toml"


def stack_name(env: str, samconfig: Path = SAMCONFIG) -> str:
    """The name under which samconfig.toml deploys the environment.

    Raises:
        SystemExit: samconfig.toml has no such environment.
    """
    tables = tomllib.loads(samconfig.read_text()).get(env, {})
    for command in ("deploy", "global"):
        name = tables.get(command, {}).get("parameters", {}).get("stack_name")
        if name:
            return str(name)
    raise SystemExit(f"samconfig.toml names no stack for the environment {env!r}")


def overrides(env: str, samconfig: Path = SAMCONFIG) -> dict[str, str]:
    """The template's parameters that samconfig.toml sets for the environment."""
    tables = tomllib.loads(samconfig.read_text()).get(env, {})
    text = tables.get("deploy", {}).get("parameters", {}).get("parameter_overrides", "")
    return dict(pair.split("=", 1) for pair in text.split())


def outputs(cloudformation: Any, stack: str) -> dict[str, str]:
    """The outputs of the stack, by name."""
    (found,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}


def main(arguments: list[str]) -> int:
    """Print one output of the environment's stack, or all of them."""
    import boto3

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("env", help="dev or prod")
    parser.add_argument("output", nargs="?", help="the one to print; all of them, with their names, when left out")
    given = parser.parse_args(arguments)
    found = outputs(boto3.client("cloudformation"), stack_name(given.env))
    if given.output is None:
        print("\n".join(f"{name}\t{value}" for name, value in sorted(found.items())))
    elif given.output in found:
        print(found[given.output])
    else:
        print(f"the stack has no output {given.output}; it has {', '.join(sorted(found))}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
