from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.errors import JobNotFoundError, ServiceUnavailableError
from utils.retry import is_retryable, retry_call, retrying


class Time:
    def __init__(self) -> None:
        self.now_s = 100.0
        self.naps: list[float] = []

    def sleep(self, duration_s: float) -> None:
        self.naps.append(duration_s)
        self.now_s += duration_s

    def clock(self) -> float:
        return self.now_s


class Flaky:
    """Fails the first times, then answers."""

    def __init__(self, failures: int, error: Exception | None = None) -> None:
        self.failures, self.calls = failures, 0
        self.error = error or ServiceUnavailableError()

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error
        return "answer"


@pytest.mark.parametrize(("failures", "naps"), [(0, []), (1, [1]), (2, [1, 2]), (4, [1, 2, 4, 8])])
def test_waits_1_2_4_and_8_seconds(failures: int, naps: list[float]) -> None:
    time, flaky = Time(), Flaky(failures)
    assert retry_call(flaky, sleep=time.sleep, clock=time.clock) == "answer"
    assert time.naps == naps


def test_the_last_error_comes_out_as_it_is() -> None:
    time, flaky = Time(), Flaky(99)
    with pytest.raises(ServiceUnavailableError) as caught:
        retry_call(flaky, sleep=time.sleep, clock=time.clock)
    assert caught.value is flaky.error
    assert flaky.calls == 5


@pytest.mark.parametrize("error", [JobNotFoundError(), ValueError("ours"), OSError()])
def test_what_does_not_help_is_not_repeated(error: Exception) -> None:
    time, flaky = Time(), Flaky(1, error)
    with pytest.raises(type(error)):
        retry_call(flaky, sleep=time.sleep, clock=time.clock)
    assert (flaky.calls, time.naps) == (1, [])


def test_named_types_are_repeated_beside_the_retryable() -> None:
    time = Time()
    for error in (TimeoutError(), ServiceUnavailableError()):
        assert retry_call(Flaky(1, error), retryable=(TimeoutError,), sleep=time.sleep, clock=time.clock) == "answer"
    assert retry_call(Flaky(1, KeyError()), retryable=lambda _: True, sleep=time.sleep, clock=time.clock) == "answer"
    with pytest.raises(ValueError, match="no"):
        retry_call(Flaky(1, ValueError("no")), retryable=(TimeoutError,), sleep=time.sleep, clock=time.clock)


@given(
    st.floats(0, 20),
    st.booleans(),
    st.floats(0, 1),
    st.lists(st.floats(0, 5), max_size=5),
)
def test_never_sleeps_past_the_deadline(deadline_s: float, jitter: bool, dice: float, delays_s: list[float]) -> None:
    time, flaky = Time(), Flaky(99)
    with pytest.raises(ServiceUnavailableError):
        retry_call(
            flaky,
            delays_s=delays_s,
            deadline_s=deadline_s,
            jitter=jitter,
            random=lambda: dice,
            sleep=time.sleep,
            clock=time.clock,
        )
    assert time.now_s <= 100.0 + deadline_s
    assert flaky.calls <= len(delays_s) + 1


def test_a_call_that_eats_the_deadline_is_the_last() -> None:
    time = Time()

    def slow() -> None:
        time.now_s += 2.5
        raise ServiceUnavailableError

    with pytest.raises(ServiceUnavailableError):
        retry_call(slow, deadline_s=3.0, sleep=time.sleep, clock=time.clock)
    assert time.naps == []


@given(st.floats(0, 1))
def test_jitter_cuts_a_pause_to_half_at_most(dice: float) -> None:
    time = Time()
    retry_call(Flaky(1), jitter=True, random=lambda: dice, sleep=time.sleep, clock=time.clock)
    assert time.naps == [pytest.approx(0.5 + dice / 2)]


def test_the_decorator_passes_arguments_and_keeps_the_name() -> None:
    time, failures = Time(), [ServiceUnavailableError()]

    @retrying(sleep=time.sleep, clock=time.clock)
    def add(a: int, *, b: int) -> int:
        """A sum."""
        if failures:
            raise failures.pop()
        return a + b

    assert add(1, b=2) == 3
    assert (add.__name__, add.__doc__, time.naps) == ("add", "A sum.", [1])


def test_retryable_is_what_the_class_says() -> None:
    assert is_retryable(ServiceUnavailableError())
    assert not is_retryable(JobNotFoundError())
    assert not is_retryable(OSError())
