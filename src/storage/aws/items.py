"""Values as DynamoDB's items hold them: numbers as decimal texts, never as floats, and back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

_WHOLE: Final = re.compile(r"-?\d+")


def attribute(value: Any) -> AttributeValueTypeDef:
    """The attribute for a JSON value.

    Raises:
        TypeError: it is none.
    """
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": value}
        case int() | float():
            return {"N": repr(value)}
        case list() | tuple():
            return {"L": [attribute(part) for part in value]}
        case dict():
            return {"M": attributes(value)}
        case _:
            raise TypeError(f"{type(value).__name__} is no JSON value")


def attributes(values: Mapping[str, Any]) -> dict[str, AttributeValueTypeDef]:
    """The attributes of an item, or of a map in it."""
    return {str(name): attribute(value) for name, value in values.items()}


def value_of(found: AttributeValueTypeDef) -> Any:
    """The JSON value of an attribute. A number without a fraction comes back as an int: DynamoDB keeps no `1.0`.

    Raises:
        ValueError: the attribute is of a type that `attribute` does not write.
    """
    match dict(found):
        case {"NULL": True}:
            return None
        case {"BOOL": bool(value)} | {"S": str(value)}:
            return value
        case {"N": str(text)}:
            return int(text) if _WHOLE.fullmatch(text) else float(text)
        case {"L": list(parts)}:
            return [value_of(part) for part in parts]
        case {"M": dict(parts)}:
            return values_of(parts)
        case _:
            raise ValueError(f"an attribute of type {', '.join(found)}")


def values_of(item: Mapping[str, AttributeValueTypeDef]) -> dict[str, Any]:
    """The JSON values of an item."""
    return {name: value_of(found) for name, found in item.items()}
