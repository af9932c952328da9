"""Who asks: bearer tokens, kept as hashes and compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Annotated, Final

from fastapi import Depends, Request

from utils.config import environment_name
from utils.errors import UnauthorizedError
from utils.logging import get_logger
from utils.secrets import get_secret

LOCAL_OWNER: Final = "local"
TOKENS_SECRET: Final = "tokens"  # noqa: S105 -- the name of a secret, not one
TOKENS_VARIABLE: Final = environment_name(TOKENS_SECRET)
_NAME: Final = re.compile(r"[A-Za-z0-9_.@-]{1,64}")
_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,512}")
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_SHORT: Final = 16

_log = get_logger()

Tokens = Mapping[str, str]
"""The owner's name by the hash of the token; an empty mapping lets nobody in."""


def hash_token(token: str) -> str:
    """The SHA-256 of the token, in hexadecimal: all that is kept of it."""
    return hashlib.sha256(token.encode()).hexdigest()


def parse_tokens(text: str) -> dict[str, str]:
    """The tokens in a text such as `anna:s3cret-of-anna,plant:s3cret-of-plant`, hashed.

    Or in a JSON object of lists of hashes, `{"anna": ["<hash>", "<hash>"]}`, with which a text that is read by others
    lets nobody in. A name may have several tokens: the old and the new one while they are changed.

    Raises:
        ValueError: what is wrong, without showing any token.
    """
    if text.lstrip().startswith("{"):
        return _parse_hashes(text)
    tokens: dict[str, str] = {}
    for number, entry in enumerate(filter(None, (part.strip() for part in text.split(","))), start=1):
        name, colon, token = entry.partition(":")
        if not colon or _NAME.fullmatch(name) is None:
            raise ValueError(f"entry {number} of {TOKENS_VARIABLE} is not of the form name:token")
        if _TOKEN.fullmatch(token) is None:
            raise ValueError(f"the token of {name} in {TOKENS_VARIABLE} needs 1 to 512 visible ASCII characters")
        hashed = hash_token(token)
        if hashed in tokens:
            raise ValueError(f"the token of {name} in {TOKENS_VARIABLE} is another name's too")
        if len(token) < _SHORT:
            _log.warning("A token is short enough to be guessed.", extra={"action": "weak_token", "owner": name})
        tokens[hashed] = name
    return tokens


def _parse_hashes(text: str) -> dict[str, str]:
    try:
        owners = json.loads(text)
    except ValueError:
        raise ValueError(f"{TOKENS_VARIABLE} is not JSON, although it begins like it") from None
    tokens: dict[str, str] = {}
    for name, hashes in owners.items():
        if _NAME.fullmatch(name) is None or not isinstance(hashes, list):
            raise ValueError(f"an entry of {TOKENS_VARIABLE} is not of the form name and list of hashes")
        for hashed in hashes:
            if not isinstance(hashed, str) or _HASH.fullmatch(hashed) is None:
                raise ValueError(f"{name} in {TOKENS_VARIABLE} needs SHA-256 hashes, in lower-case hexadecimal")
            if tokens.setdefault(hashed, name) != name:
                raise ValueError(f"a token of {name} in {TOKENS_VARIABLE} is another name's too")
    return tokens


_parse_once = lru_cache(maxsize=4)(parse_tokens)  # the text is asked for at every request


def load_tokens() -> dict[str, str] | None:
    """The configured tokens, hashed, or None where none are configured.

    Raises:
        ValueError: they are configured, but not well-formed.
    """
    text = get_secret(TOKENS_SECRET)
    return _parse_once(text) if text else None


class Authenticator:
    """Tells the owner of a request, from the tokens that are known.

    Args:
        tokens: the known tokens, or what gives them anew each time (secrets rotate); None lets everybody in as
            `local`, which is for loopback alone.
    """

    def __init__(self, tokens: Tokens | Callable[[], Tokens] | None) -> None:
        self._tokens = tokens

    def owner(self, header: str) -> str:
        """The name behind an Authorization header.

        Raises:
            UnauthorizedError: no token, or an unknown one.
        """
        if self._tokens is None:
            return LOCAL_OWNER
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise UnauthorizedError
        asked = hash_token(token.strip())
        tokens = self._tokens() if callable(self._tokens) else self._tokens
        # Every entry is compared, so that the time tells nothing of which one was near.
        owners = [name for hashed, name in tokens.items() if hmac.compare_digest(hashed, asked)]
        if not owners:
            raise UnauthorizedError
        return owners[0]


def _owner_of(request: Request) -> str:
    authenticator: Authenticator = request.app.state.authenticator
    owner = authenticator.owner(request.headers.get("authorization", ""))
    request.scope["state"]["owner"] = owner
    return owner


Owner = Annotated[str, Depends(_owner_of)]
"""The owner of the request: the parameter of every route that serves somebody's data."""
