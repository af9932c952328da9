"""Trying again after 1, 2, 4 and 8 seconds, only what may help from being tried again, never past a deadline."""

from __future__ import annotations

import functools
import random as _random
import time
from collections.abc import Callable, Sequence
from typing import Final, ParamSpec, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception

from utils.errors import ServiceError

P = ParamSpec("P")
R = TypeVar("R")

DELAYS_S: Final = (1.0, 2.0, 4.0, 8.0)


def is_retryable(error: BaseException) -> bool:
    """Whether the error's class says that asking again may help."""
    return isinstance(error, ServiceError) and error.retryable


def retry_call(
    fn: Callable[[], R],
    *,
    delays_s: Sequence[float] = DELAYS_S,
    retryable: Callable[[BaseException], bool] | tuple[type[BaseException], ...] = is_retryable,
    deadline_s: float | None = None,
    jitter: bool = False,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
    random: Callable[[], float] = _random.random,
) -> R:
    """What `fn` returns, at its first call or at one of the calls that follow after each of the delays.

    Args:
        fn: what is tried; its last error is raised when the delays are used up.
        delays_s: the pauses between the calls.
        retryable: tells which errors are worth another call, or names exception types that are so beside
            those that `is_retryable` admits.
        deadline_s: seconds from now; a pause that would end later is not begun.
        jitter: whether each pause is cut to between half and all of its length, at random.
        sleep: pauses.
        clock: seconds that only grow.
        random: a ratio in 0..1.
    """
    ends_s = None if deadline_s is None else clock() + deadline_s

    def wait(state: RetryCallState) -> float:
        if state.attempt_number > len(delays_s):
            return 0.0
        delay_s = delays_s[state.attempt_number - 1]
        return delay_s * (0.5 + random() / 2) if jitter else delay_s

    def stop(state: RetryCallState) -> bool:
        if state.attempt_number > len(delays_s):
            return True
        return ends_s is not None and clock() + state.upcoming_sleep > ends_s

    def again(error: BaseException) -> bool:
        if isinstance(retryable, tuple):
            return is_retryable(error) or isinstance(error, retryable)
        return retryable(error)

    retrying = Retrying(stop=stop, wait=wait, retry=retry_if_exception(again), sleep=sleep, reraise=True)
    return retrying(fn)


def retrying(
    *,
    delays_s: Sequence[float] = DELAYS_S,
    retryable: Callable[[BaseException], bool] | tuple[type[BaseException], ...] = is_retryable,
    deadline_s: float | None = None,
    jitter: bool = False,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
    random: Callable[[], float] = _random.random,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator that makes every call of a function one of `retry_call`, with the same arguments."""

    def decorate(fn: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(fn)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            return retry_call(
                lambda: fn(*args, **kwargs),
                delays_s=delays_s,
                retryable=retryable,
                deadline_s=deadline_s,
                jitter=jitter,
                sleep=sleep,
                clock=clock,
                random=random,
            )

        return call

    return decorate
