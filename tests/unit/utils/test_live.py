from __future__ import annotations

import json

import pytest

from utils import config, live
from utils.config import load_settings
from utils.errors import ServiceUnavailableError


@pytest.fixture
def parameters(monkeypatch: pytest.MonkeyPatch) -> dict[str, str | Exception]:
    """What Parameter Store holds, by path; an exception is an outage."""
    held: dict[str, str | Exception] = {}

    def fetch(path: str) -> str | None:
        value = held.get(path)
        if isinstance(value, Exception):
            raise value
        return value

    monkeypatch.setenv("LOCATION_DETECTION_WORLD", "aws")
    monkeypatch.setattr(config, "_parameters", lambda _: config.Parameters(fetch, {}))
    return held


SETTINGS = load_settings(world="local", cors_origins="https://fixed.example", url_hosts="fixed.example")


def test_without_aws_the_settings_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOCATION_DETECTION_WORLD", "AWS_LAMBDA_FUNCTION_NAME"):
        monkeypatch.delenv(name, raising=False)
    assert live.cors_origins(SETTINGS) == ("https://fixed.example",)
    assert live.url_hosts(SETTINGS) == {"fixed.example"}
    assert live.job_limit_s(900.0) == 900.0


def test_what_is_set_nowhere_is_as_the_settings_say(parameters: dict[str, str | Exception]) -> None:
    assert live.cors_origins(SETTINGS) == ("https://fixed.example",)
    assert live.url_hosts(SETTINGS) == {"fixed.example"}
    assert live.job_limit_s(900.0) == 900.0


def test_parameters_go_before_the_settings(parameters: dict[str, str | Exception]) -> None:
    parameters.update(
        {
            "/location-detection/dev/cors-origins": " https://a.example ,https://b.example,",
            "/location-detection/dev/url-hosts": "A.Example., b.example",
            "/location-detection/dev/job-limit-s": "60",
        }
    )
    assert live.cors_origins(SETTINGS) == ("https://a.example", "https://b.example")
    assert live.url_hosts(SETTINGS) == {"a.example", "b.example"}
    assert live.job_limit_s(900.0) == 60.0


def test_a_dash_is_an_empty_list(parameters: dict[str, str | Exception]) -> None:
    for name in ("cors-origins", "url-hosts"):
        parameters[f"/location-detection/dev/{name}"] = "-"
    assert live.cors_origins(SETTINGS) == ()
    assert live.url_hosts(SETTINGS) == frozenset()


@pytest.mark.parametrize("text", ["soon", "0", "-5", "nan", "inf", "60 s"])
def test_a_limit_that_is_no_positive_number_does_not_count(
    parameters: dict[str, str | Exception], capsys: pytest.CaptureFixture[str], text: str
) -> None:
    parameters["/location-detection/dev/job-limit-s"] = text
    assert live.job_limit_s(900.0) == 900.0
    assert json.loads(capsys.readouterr().err)["action"] == "parameter_wrong"


def test_in_an_outage_hosts_are_out_of_reach_and_the_rest_is_as_the_settings_say(
    parameters: dict[str, str | Exception],
) -> None:
    for name in ("cors-origins", "url-hosts", "job-limit-s"):
        parameters[f"/location-detection/dev/{name}"] = ServiceUnavailableError()
    assert live.cors_origins(SETTINGS) == ("https://fixed.example",)
    assert live.job_limit_s(900.0) == 900.0
    with pytest.raises(ServiceUnavailableError):
        live.url_hosts(SETTINGS)
