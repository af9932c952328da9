"""The script that makes tokens: shown once, kept as a hash, and nobody's change lost."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from api.auth import parse_tokens
from tokens import TokensError, Vault, main, secret_name

SCRIPT = Path(__file__).parents[2] / "scripts" / "tokens.py"
SECRET = "location-detection/dev/tokens"


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = boto3.client("secretsmanager")
        client.create_secret(Name=SECRET, SecretString="{}")
        yield client


@pytest.fixture
def vault(client: Any) -> Vault:
    return Vault(client, SECRET)


def kept(client: Any) -> str:
    return str(client.get_secret_value(SecretId=SECRET, VersionStage="AWSCURRENT")["SecretString"])


def sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def test_the_secret_is_the_one_that_the_service_reads_and_the_template_makes() -> None:
    assert secret_name("dev") == SECRET
    assert "Name: !Sub location-detection/${Env}/tokens" in (SCRIPT.parents[1] / "template.yaml").read_text()


def test_a_token_is_kept_as_its_hash_and_the_service_knows_it(vault: Vault, client: Any) -> None:
    token = vault.add("anna")
    assert len(token) >= 40
    assert token not in kept(client)
    assert parse_tokens(kept(client)) == {sha256(token): "anna"}


def test_a_token_is_changed_without_a_time_in_which_none_is_good(vault: Vault, client: Any) -> None:
    old, other = vault.add("anna"), vault.add("bert")
    new = vault.add("anna")
    assert parse_tokens(kept(client)) == {sha256(old): "anna", sha256(new): "anna", sha256(other): "bert"}
    assert vault.retire("anna") == 1
    assert parse_tokens(kept(client)) == {sha256(new): "anna", sha256(other): "bert"}
    assert vault.remove("anna") == 1
    assert parse_tokens(kept(client)) == {sha256(other): "bert"}
    assert vault.remove("bert") == 1
    assert kept(client) == "{}"


def test_withdrawing_from_somebody_without_a_token_says_so(vault: Vault) -> None:
    with pytest.raises(TokensError, match="anna has no token"):
        vault.remove("anna")


def test_a_name_that_the_service_refuses_is_refused_here(vault: Vault, client: Any) -> None:
    for name in ("", "a b", "a:b", "a,b", "x" * 65):
        with pytest.raises(TokensError, match="a name has"):
            vault.add(name)
    assert kept(client) == "{}"


@pytest.mark.parametrize("text", ["", "anna:token", "[]", '{"anna": "hash"}'])
def test_a_secret_of_another_form_is_left_alone(vault: Vault, client: Any, text: str) -> None:
    client.put_secret_value(SecretId=SECRET, SecretString=text or " ")
    with pytest.raises(TokensError, match="is not a JSON object"):
        vault.add("anna")
    assert kept(client) == (text or " ")


class Rival:
    """A client between whose reading and replacing somebody else changes the secret, `times` times."""

    def __init__(self, client: Any, times: int) -> None:
        self._client, self._times = client, times
        self.exceptions = client.exceptions

    def get_secret_value(self, **given: Any) -> Any:
        found = self._client.get_secret_value(**given)
        if self._times:
            self._times -= 1
            Vault(self._client, SECRET).add(f"rival-{self._times}")
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def test_what_somebody_else_changes_at_the_same_time_is_not_lost(client: Any) -> None:
    token = Vault(Rival(client, times=2), SECRET).add("anna")
    known = parse_tokens(kept(client))
    assert known[sha256(token)] == "anna"
    assert sorted(known.values()) == ["anna", "rival-0", "rival-1"]


def test_it_gives_up_on_a_secret_that_never_rests(client: Any) -> None:
    with pytest.raises(TokensError, match="all the time"):
        Vault(Rival(client, times=99), SECRET).add("anna")


def test_no_label_is_left_on_the_versions(vault: Vault, client: Any) -> None:
    vault.add("anna")
    vault.add("bert")
    versions = client.list_secret_version_ids(SecretId=SECRET, IncludeDeprecated=True)["Versions"]
    labels = {stage for version in versions for stage in version.get("VersionStages", [])}
    assert labels <= {"AWSCURRENT", "AWSPREVIOUS"}


def test_the_command_prints_the_token_alone_on_stdout(client: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["add", "anna"]) == 0
    token = capsys.readouterr().out.strip()
    assert json.loads(kept(client)) == {"anna": [sha256(token)]}
    assert main(["list"]) == 0
    listed = capsys.readouterr().out
    assert listed == f"anna\t1 token(s)\tnewest {sha256(token)[:8]}\n"
    assert main(["retire", "anna"]) == 0
    assert main(["remove", "bert"]) == 1
    assert "bert has no token" in capsys.readouterr().err


def test_it_runs_as_a_script_of_its_own() -> None:
    # A script's folder comes first among Python's paths: none of its neighbours may hide a module of Python's own.
    hidden = {path.stem for path in SCRIPT.parent.glob("*.py")} & sys.stdlib_module_names
    assert hidden == set()
    environment = {**os.environ, "AWS_DEFAULT_REGION": "us-east-1"}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "add"], capture_output=True, text=True, timeout=60, env=environment
    )
    assert done.returncode == 2
    assert "need a name" in done.stderr
