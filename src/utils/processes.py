"""Work in other processes, of which some may die."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

_T = TypeVar("_T")


def settled(future: Future[_T], again: Callable[[], _T]) -> _T | None:
    """The future's result; None if its work takes a process down even when it has one to itself.

    Args:
        future: of a pool; when one process dies, the tasks beside it are lost, too.
        again: the same work, which can be sent to another process.
    """
    try:
        return future.result()
    except BrokenProcessPool:
        pass
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
        try:
            return alone.submit(again).result()
        except BrokenProcessPool:
            return None
