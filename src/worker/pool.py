"""Worker processes: started, replaced when they die, and gone when their parent is, even after a kill -9.

Each child holds one end of a pipe. A word on it asks the child to finish; its end says that the parent is gone.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Final

from services.detection_service import DetectionService
from services.job_service import JobService
from storage import open_storage
from utils.config import Settings
from utils.errors import ServiceError
from utils.logging import get_logger
from worker.consumer import LEASE_S, Consumer

ENGINE: Final = "detection.engine"
GRACE_S: Final = 10.0
REQUEUE_EVERY_S: Final = 15.0
SWEEP_EVERY_S: Final = 600.0
_CHECK_S: Final = 0.5
_STEADY_S: Final = 5.0  # who lives this long did not die of starting
_BACKOFF_S: Final = (0.0, 1.0, 2.0, 5.0, 10.0)
_FINISH: Final = b"finish"

_log = get_logger()


@dataclass(slots=True)
class _Worker:
    process: SpawnProcess
    lifeline: Connection
    started_at: float


class WorkerPool:
    """A number of worker processes on one world, kept at that number."""

    def __init__(
        self,
        settings: Settings,
        count: int,
        *,
        engine: str = ENGINE,
        lease_s: float = LEASE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._count = settings, count
        self._engine, self._lease_s, self._clock = engine, lease_s, clock
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker] = []
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._early_deaths = 0

    def start(self) -> None:
        """Start the workers, and the threads that replace them and look after the store."""
        self._workers = [self._spawn() for _ in range(self._count)]
        for target in (self._watch, self._maintain):
            thread = threading.Thread(target=target, name=target.__name__.strip("_"), daemon=True)
            thread.start()
            self._threads.append(thread)

    def pids(self) -> list[int]:
        """The process ids of the workers that live."""
        return [w.process.pid for w in list(self._workers) if w.process.pid is not None and w.process.is_alive()]

    def stop(self, grace_s: float = GRACE_S) -> None:
        """Let the workers finish what they have in hand, for at most `grace_s`; what is left goes back to the queue."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        workers, self._workers = self._workers, []
        for worker in workers:
            try:
                worker.lifeline.send_bytes(_FINISH)
            except OSError:
                continue  # it is dead already
        ends = self._clock() + grace_s
        for worker in workers:
            worker.process.join(max(0.0, ends - self._clock()))
            worker.lifeline.close()
        for worker in workers:
            worker.process.join(2.0)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.process.close()

    def _spawn(self) -> _Worker:
        theirs, ours = self._context.Pipe(duplex=False)
        arguments = (self._settings, theirs, self._engine, self._lease_s)
        process = self._context.Process(target=_work, args=arguments, name="location-detection-worker", daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, ours, self._clock())

    def _watch(self) -> None:
        """Replace the workers that died, more slowly if they die as soon as they start."""
        while not self._stop.is_set():
            wait([worker.process.sentinel for worker in self._workers], timeout=_CHECK_S)
            for index, worker in enumerate(self._workers):
                if worker.process.is_alive() or self._stop.is_set():
                    continue
                steady = self._clock() - worker.started_at >= _STEADY_S
                self._early_deaths = 0 if steady else self._early_deaths + 1
                _log.error(
                    "A worker died and is replaced.",
                    extra={"action": "worker_replaced", "exit_code": worker.process.exitcode},
                )
                if self._stop.wait(_BACKOFF_S[min(self._early_deaths, len(_BACKOFF_S) - 1)]):
                    return
                self._workers[index] = self._spawn()
                worker.lifeline.close()
                worker.process.close()

    def _maintain(self) -> None:
        """Queue lost jobs again and remove what has expired, now and from time to time."""
        storage = open_storage(self._settings)
        service = JobService(storage, self._settings)
        swept_at = None
        while True:
            try:
                service.requeue_lost()
                if swept_at is None or self._clock() - swept_at >= SWEEP_EVERY_S:
                    swept_at = self._clock()
                    storage.sweep()
            except ServiceError:
                _log.exception("Looking after the store failed.", extra={"action": "maintenance_failed"})
            if self._stop.wait(REQUEUE_EVERY_S):
                return


def _work(settings: Settings, lifeline: Connection, engine: str, lease_s: float) -> None:
    """A worker process's whole life."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C in the terminal is the parent's to handle
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    holder: list[Consumer] = []
    threading.Thread(target=_hold, args=(lifeline, stop, holder), name="lifeline", daemon=True).start()
    module = importlib.import_module(engine)
    storage = open_storage(settings)
    service = DetectionService(storage, module.detect, model_version=module.MODEL_VERSION)
    consumer = Consumer(storage, service, lease_s=lease_s, on_overdue=lambda: os._exit(70))
    holder.append(consumer)
    consumer.run(stop)


def _hold(lifeline: Connection, stop: threading.Event, holder: list[Consumer]) -> None:
    """Wait for the parent's word; if the parent goes without one, hand the job back and go too."""
    try:
        while lifeline.recv_bytes() == _FINISH:
            stop.set()
    except (EOFError, OSError):
        try:
            for consumer in holder:
                consumer.abandon()
        except ServiceError:
            pass  # then its lease runs out
        finally:
            os._exit(1)
