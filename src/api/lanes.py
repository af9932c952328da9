"""Lanes for work that must not keep the other work waiting: threads of its own, so many at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import anyio
from anyio import to_thread
from anyio.lowlevel import RunVar

_T = TypeVar("_T")


class Lane:
    """Threads beside the common pool, at most `width` at once in each event loop; who comes later waits."""

    def __init__(self, name: str, width: int) -> None:
        self._width: Final = width
        self._limiter: RunVar[anyio.CapacityLimiter] = RunVar(name)

    async def run(self, work: Callable[[], _T]) -> _T:
        """What `work` returns, from a thread of this lane."""
        limiter = self._limiter.get(None)
        if limiter is None:
            limiter = anyio.CapacityLimiter(self._width)
            self._limiter.set(limiter)
        return await to_thread.run_sync(work, limiter=limiter)
