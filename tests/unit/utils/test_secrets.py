from __future__ import annotations

import pytest

from utils import aws, secrets
from utils.errors import ServiceUnavailableError
from utils.secrets import Secrets, fetch_secret, get_secret


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets._secrets.cache_clear()
    for name in ("LOCATION_DETECTION_WORLD", "AWS_LAMBDA_FUNCTION_NAME", "LOCATION_DETECTION_ENV"):
        monkeypatch.delenv(name, raising=False)


def test_without_aws_a_secret_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCATION_DETECTION_TOKENS", "me:abc")
    assert get_secret("tokens") == "me:abc"
    assert get_secret("other") is None


def test_a_secret_is_kept_for_five_minutes_and_outlives_an_outage() -> None:
    now_s, asked, down = 0.0, 0, False

    def fetch(name: str) -> str:
        nonlocal asked
        asked += 1
        if down:
            raise ServiceUnavailableError
        return f"{name} {asked}"

    kept = Secrets(fetch, {"LOCATION_DETECTION_ENV": "prod", "LOCATION_DETECTION_TOKENS": "x"}, clock=lambda: now_s)
    assert kept.get("tokens") == "location-detection/prod/tokens 1"
    now_s = 299.9
    assert kept.get("tokens") == "location-detection/prod/tokens 1"
    now_s = 300.0
    assert kept.get("tokens") == "location-detection/prod/tokens 2"
    now_s, down = 900.0, True
    assert kept.get("tokens") == "location-detection/prod/tokens 2"


def test_secrets_manager_is_asked_where_aws_is_in_use(aws_account: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "rest")
    manager = aws.client("secretsmanager")
    manager.create_secret(Name="location-detection/dev/tokens", SecretString="me:abc")
    manager.create_secret(Name="location-detection/dev/bytes", SecretBinary=b"raw")
    assert get_secret("tokens") == "me:abc"
    assert get_secret("bytes") == "raw"
    assert get_secret("none") is None
    manager.put_secret_value(SecretId="location-detection/dev/tokens", SecretString="me:def")
    assert get_secret("tokens") == "me:abc"  # from the cache
    assert fetch_secret("location-detection/dev/tokens") == "me:def"


def test_a_secrets_manager_that_is_down_is_an_outage(aws_down: None) -> None:
    with pytest.raises(ServiceUnavailableError) as caught:
        fetch_secret("location-detection/dev/tokens", sleep=lambda _: None)
    assert caught.value.details == {"service": "secrets"}
