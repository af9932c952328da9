from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from utils import aws, config
from utils.config import Parameters, Settings, fetch_parameter, get_parameter, load_settings
from utils.errors import ServiceUnavailableError


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    config._parameters.cache_clear()
    for name in ("LOCATION_DETECTION_WORLD", "AWS_LAMBDA_FUNCTION_NAME", "LOCATION_DETECTION_ENV"):
        monkeypatch.delenv(name, raising=False)


def test_the_defaults_serve_one_machine() -> None:
    settings = load_settings()
    assert (settings.world, settings.env, settings.data_dir) == ("local", "dev", Path("data"))
    assert (settings.url_hosts, settings.url_test_exempt, settings.cors_origins) == ((), None, ("*",))


def test_the_environment_sets_and_an_override_goes_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCATION_DETECTION_ENV", "prod")
    monkeypatch.setenv("LOCATION_DETECTION_DATA_DIR", "~/plans")
    monkeypatch.setenv("LOCATION_DETECTION_URL_HOSTS", " Files.Example.org., cdn.example.org ,")
    monkeypatch.setenv("LOCATION_DETECTION_CORS_ORIGINS", "https://a.example")
    monkeypatch.setenv("LOCATION_DETECTION_TOKENS", "me:secret")  # a secret, not a setting
    settings = load_settings()
    assert settings.env == "prod"
    assert settings.data_dir == Path.home() / "plans"
    assert settings.url_hosts == ("files.example.org", "cdn.example.org")
    assert settings.cors_origins == ("https://a.example",)
    assert "secret" not in repr(settings)
    assert load_settings(env="test", data_dir=Path("x")).env == "test"


@pytest.mark.parametrize(
    "wrong",
    [
        {"world": "moon"},
        {"env": "Prod"},
        {"env": "../x"},
        {"unknown": 1},
        {"url_test_exempt": "example.org:80"},
        {"url_test_exempt": "127.0.0.1"},
        {"url_test_exempt": "10.0.0.1:80"},
    ],
)
def test_a_wrong_setting_is_named(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        load_settings(**wrong)


AWS_NAMES = dict.fromkeys(("jobs_table", "preview_cache_table", "blueprints_bucket", "cache_bucket", "queue_url"), "x")


def test_the_aws_world_has_all_its_names() -> None:
    assert load_settings(world="aws", **AWS_NAMES).queue_url == "x"
    for name in AWS_NAMES:
        with pytest.raises(ValueError, match=rf"needs {name}\b"):
            load_settings(world="aws", **{**AWS_NAMES, name: ""})
    with pytest.raises(ValueError, match=r"needs jobs_table, preview_cache_table, .*, queue_url"):
        load_settings(world="aws")


def test_the_aws_world_comes_from_a_functions_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCATION_DETECTION_WORLD", "aws")
    for name in AWS_NAMES:
        monkeypatch.setenv(f"LOCATION_DETECTION_{name.upper()}", name)
    settings = load_settings()
    assert {name: getattr(settings, name) for name in AWS_NAMES} == {name: name for name in AWS_NAMES}


@pytest.mark.parametrize("exempt", ["127.0.0.1:8765", "localhost:1", "[::1]:80"])
def test_a_loopback_address_may_be_exempt(exempt: str) -> None:
    assert load_settings(url_test_exempt=exempt).url_test_exempt == exempt


def test_settings_do_not_change_and_travel_to_other_processes() -> None:
    settings = load_settings(env="test")
    with pytest.raises(ValueError, match="frozen"):
        settings.env = "prod"  # type: ignore[misc]
    copy: Settings = pickle.loads(pickle.dumps(settings))
    assert copy == settings


def test_a_parameter_comes_from_the_environment_first() -> None:
    asked: list[str] = []
    parameters = Parameters(lambda path: asked.append(path) or "far", {"LOCATION_DETECTION_MAX_JOBS": "near"})  # type: ignore[func-returns-value]
    assert parameters.get("max-jobs") == "near"
    assert asked == []
    assert parameters.get("limits/pages") == "far"
    assert asked == ["/location-detection/dev/limits/pages"]


def test_without_aws_the_environment_or_the_default_is_all_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCATION_DETECTION_COLOUR", "red")
    assert get_parameter("colour") == "red"
    assert get_parameter("size", "9") == "9"
    assert get_parameter("size") is None


def test_an_outage_before_anything_was_known_gives_the_default_or_says_so() -> None:
    def down(_: str) -> str:
        raise ServiceUnavailableError

    parameters = Parameters(down, {})
    assert parameters.get("pages", "200") == "200"
    with pytest.raises(ServiceUnavailableError):
        parameters.get("pages")


def test_parameter_store_is_asked_where_aws_is_in_use(aws_account: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCATION_DETECTION_WORLD", "aws")
    monkeypatch.setenv("LOCATION_DETECTION_ENV", "prod")
    path = "/location-detection/prod/pages"
    aws.client("ssm").put_parameter(Name=path, Value="12", Type="SecureString")
    assert get_parameter("pages") == "12"
    aws.client("ssm").put_parameter(Name=path, Value="13", Type="SecureString", Overwrite=True)
    assert get_parameter("pages", "1") == "12"  # from the cache
    assert fetch_parameter(path) == "13"
    assert get_parameter("other", "default") == "default"
    assert fetch_parameter("/location-detection/prod/other") is None


def test_a_parameter_store_that_is_down_is_an_outage(aws_down: None) -> None:
    naps: list[float] = []
    with pytest.raises(ServiceUnavailableError) as caught:
        fetch_parameter("/location-detection/dev/x", sleep=naps.append)
    assert caught.value.details == {"service": "parameters"}
    assert naps


def test_importing_the_plumbing_and_the_store_loads_no_aws_clients() -> None:
    code = (
        "import sys, utils.config, utils.secrets, utils.aws, utils.retry, utils.logging, storage, storage.local.world\n"
        "heavy = {'boto3', 'aws_lambda_powertools.utilities.parameters'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    src = Path(config.__file__).parents[1]
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(src)}
    )
    assert found.stdout.strip() == "[]"
