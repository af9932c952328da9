from __future__ import annotations

import pytest

from utils.errors import ServiceUnavailableError
from utils.lookup import OUTAGE_PAUSE_S, Lookup


class Home:
    """Where values live; it can be down, and counts how often it is asked."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {"a": "1"}
        self.down, self.asked, self.now_s = False, 0, 0.0

    def fetch(self, name: str) -> str | None:
        self.asked += 1
        if self.down:
            raise ServiceUnavailableError
        return self.values.get(name)


@pytest.fixture
def home() -> Home:
    return Home()


@pytest.fixture
def lookup(home: Home) -> Lookup:
    return Lookup(home.fetch, "test", max_age_s=300, clock=lambda: home.now_s)


def test_a_value_is_asked_for_once_in_its_lifetime(home: Home, lookup: Lookup) -> None:
    assert [lookup.get("a") for _ in range(3)] == ["1"] * 3
    home.values["a"] = "2"
    home.now_s = 299
    assert lookup.get("a") == "1"
    home.now_s = 300
    assert lookup.get("a") == "2"
    assert home.asked == 2


def test_that_there_is_none_is_remembered_too(home: Home, lookup: Lookup) -> None:
    assert [lookup.get("b") for _ in range(3)] == [None] * 3
    assert home.asked == 1
    home.values["b"] = "late"
    home.now_s = 301
    assert lookup.get("b") == "late"


def test_an_outage_serves_the_last_value_says_so_and_is_not_waited_for_each_time(
    home: Home, lookup: Lookup, capsys: pytest.CaptureFixture[str]
) -> None:
    lookup.get("a")
    home.down, home.now_s = True, 1000
    assert [lookup.get("a") for _ in range(5)] == ["1"] * 5
    assert home.asked == 2
    assert capsys.readouterr().err.count("lookup_stale") == 1
    home.values["a"] = "2"
    home.down, home.now_s = False, 1000 + OUTAGE_PAUSE_S
    assert lookup.get("a") == "2"


def test_what_was_never_known_cannot_be_served(home: Home, lookup: Lookup) -> None:
    home.down = True
    with pytest.raises(ServiceUnavailableError):
        lookup.get("a")
