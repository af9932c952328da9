"""Which texts are keys of blobs: a key comes from clients too, and must lead nowhere but to its blob."""

from __future__ import annotations

import re
from typing import Final

MAX_KEY_LENGTH: Final = 512
_SEGMENT: Final = r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}"  # none begins with a dot, so none is `..`
_KEY: Final = re.compile(rf"(?:{_SEGMENT}/)*{_SEGMENT}")
_PREFIX: Final = re.compile(rf"(?:{_SEGMENT}/)+(?:{_SEGMENT})?|{_SEGMENT}")


def is_key(text: str) -> bool:
    """Whether a blob may lie under the text: plain segments between slashes, none of them beginning with a dot."""
    return len(text) <= MAX_KEY_LENGTH and _KEY.fullmatch(text) is not None


def is_prefix(text: str) -> bool:
    """Whether a key may begin with the text; the empty text, which would mean everything, does not count."""
    return len(text) <= MAX_KEY_LENGTH and _PREFIX.fullmatch(text) is not None


def names_some(prefix: str) -> bool:
    """Whether keys may begin with the prefix.

    Raises:
        ValueError: the prefix is empty, which would mean everything.
    """
    if not prefix:
        raise ValueError("an empty prefix would remove everything")
    return is_prefix(prefix)


def check_key(text: str) -> str:
    """The text, which is a key.

    Raises:
        ValueError: it is none.
    """
    if not is_key(text):
        raise ValueError(f"not a key of a blob: {text[:80]!r}")
    return text
