"""Makes, lists and withdraws the tokens of a deployment. A token is shown once; the secret keeps its SHA-256 alone.

`tokens.py add anna --env dev` prints a token for anna, beside those she has. `retire` withdraws all of them but the
newest, `remove` all of them. What is changed counts within 5 minutes: so long do the functions remember the secret.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import secrets
import sys
import uuid
from collections.abc import Callable
from typing import Any

NAME = re.compile(r"[A-Za-z0-9_.@-]{1,64}")
_ATTEMPTS = 5

Owners = dict[str, list[str]]
"""The hashes of each owner's tokens, oldest first."""


class TokensError(Exception):
    """Why nothing was changed."""


def secret_name(env: str) -> str:
    """The secret that template.yaml makes for the environment's tokens."""
    return f"location-detection/{env}/tokens"


class Vault:
    """The tokens in one secret of Secrets Manager.

    Changes replace the secret only as long as it is the one that was read, so that two people (or one and a deployment)
    lose nothing of each other's.
    """

    def __init__(self, secretsmanager: Any, secret: str) -> None:
        self._client = secretsmanager
        self._secret = secret

    def owners(self) -> Owners:
        """Who has tokens now."""
        return self._read()[0]

    def add(self, name: str) -> str:
        """A new token of the name, beside those it has. Nobody can show it again.

        Raises:
            TokensError: the name is not one that the service takes.
        """
        if NAME.fullmatch(name) is None:
            raise TokensError("a name has 1 to 64 letters, digits, and any of _ . @ -")
        token = f"ld_{secrets.token_urlsafe(32)}"
        hashed = hashlib.sha256(token.encode()).hexdigest()
        self._change(lambda owners: owners.setdefault(name, []).append(hashed))
        return token

    def retire(self, name: str) -> int:
        """How many of the name's tokens were withdrawn: all but the newest.

        Raises:
            TokensError: the name has none.
        """
        return self._withdraw(name, keep=1)

    def remove(self, name: str) -> int:
        """How many of the name's tokens were withdrawn: all.

        Raises:
            TokensError: the name has none.
        """
        return self._withdraw(name, keep=0)

    def _withdraw(self, name: str, keep: int) -> int:
        gone: list[str] = []

        def change(owners: Owners) -> None:
            if name not in owners:
                raise TokensError(f"{name} has no token")
            hashes = owners[name]
            gone[:] = hashes[: len(hashes) - keep]
            owners[name] = hashes[len(hashes) - keep :]
            if not owners[name]:
                del owners[name]

        self._change(change)
        return len(gone)

    def _read(self) -> tuple[Owners, str]:
        found = self._client.get_secret_value(SecretId=self._secret, VersionStage="AWSCURRENT")
        try:
            owners = json.loads(found["SecretString"])
        except ValueError:
            owners = None
        if not isinstance(owners, dict) or not all(isinstance(hashes, list) for hashes in owners.values()):
            raise TokensError(f"{self._secret} is not a JSON object of names and lists of hashes")
        return owners, found["VersionId"]

    def _change(self, change: Callable[[Owners], Any]) -> None:
        for _ in range(_ATTEMPTS):
            owners, version = self._read()
            change(owners)
            stage = f"change-{uuid.uuid4()}"
            made = self._client.put_secret_value(
                SecretId=self._secret, SecretString=json.dumps(owners, sort_keys=True), VersionStages=[stage]
            )
            try:
                self._client.update_secret_version_stage(
                    SecretId=self._secret,
                    VersionStage="AWSCURRENT",
                    RemoveFromVersionId=version,
                    MoveToVersionId=made["VersionId"],
                )
            except self._client.exceptions.InvalidParameterException:
                continue  # somebody else was faster: what they changed is read before what is asked here is done
            finally:
                self._client.update_secret_version_stage(
                    SecretId=self._secret, VersionStage=stage, RemoveFromVersionId=made["VersionId"]
                )
            return
        raise TokensError(f"{self._secret} is changed by others all the time")


def main(arguments: list[str]) -> int:
    """Change or list; the exit code is 1 if nothing could be changed."""
    import boto3

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["add", "list", "retire", "remove"])
    parser.add_argument("name", nargs="?", help="whose token")
    parser.add_argument("--env", default="dev", help="dev or prod")
    given = parser.parse_args(arguments)
    if (given.name is None) != (given.command == "list"):
        parser.error("add, retire and remove need a name; list takes none")
    vault = Vault(boto3.client("secretsmanager"), secret_name(given.env))
    try:
        if given.command == "list":
            for name, hashes in sorted(vault.owners().items()):
                print(f"{name}\t{len(hashes)} token(s)\tnewest {hashes[-1][:8]}")
        elif given.command == "add":
            token = vault.add(given.name)
            print(
                f"The token of {given.name}, good within 5 minutes. It is not kept and cannot be shown again:",
                file=sys.stderr,
            )
            print(token)
        else:
            count = vault.retire(given.name) if given.command == "retire" else vault.remove(given.name)
            print(f"{count} token(s) of {given.name} end within 5 minutes", file=sys.stderr)
    except TokensError as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
