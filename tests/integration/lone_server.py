"""A process that runs a worker pool on a data folder until it is killed, and prints its workers' ids."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from utils.config import load_settings
from worker.pool import WorkerPool

if __name__ == "__main__":
    pool = WorkerPool(load_settings(data_dir=Path(sys.argv[1])), 2, engine="tests.integration.slow_engine", lease_s=2.0)
    pool.start()
    print(*pool.pids(), flush=True)
    time.sleep(60)
