"""template.yaml as data: CloudFormation's short forms become the long ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's tags."""


def _long_form(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _long_form)


def load(path: Path = ROOT / "template.yaml") -> dict[str, Any]:
    """The whole template."""
    return yaml.load(path.read_text(), _Loader)


def of_type(template: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    """The properties of the resources of a type, by logical name."""
    return {name: one.get("Properties", {}) for name, one in template["Resources"].items() if one["Type"] == kind}


def named(value: Any, env: str = "dev", suffix: str = "") -> str:
    """What a text with `${Env}` and `${BucketSuffix}` becomes when it is deployed."""
    text = value["Fn::Sub"] if isinstance(value, dict) else value
    return str(text).replace("${Env}", env).replace("${BucketSuffix}", suffix)
