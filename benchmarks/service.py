"""Measures the server: p50 and p95 of health, get and create of 1 MB, and requests a second from several clients.

    python benchmarks/service.py [--requests N] [--clients N] [--no-save]

It starts `location-detection serve` with one worker on a free port and a temporary folder, on the machine it runs on,
so the clients share the processors with the server. The figures are kept in benchmarks/results/service.json.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.accuracy import machine  # noqa: E402 - after the path that it is found on

RESULT = ROOT / "benchmarks" / "results" / "service.json"
JOBS = "/api/v1/jobs"
CREATE_BYTES = 1_000_000
Rows = dict[str, dict[str, float]]


class Client:
    """One connection that is kept open, as a gateway or an application would."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._connection = HTTPConnection(parts.hostname or "", parts.port, timeout=60)

    def ask(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        """The answer's JSON.

        Raises:
            RuntimeError: it is none of 200 and 201.
        """
        headers = {"Content-Type": "application/json"} if body is not None else {}
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status not in (200, 201):
            raise RuntimeError(f"{method} {path} answered {answer.status}: {text[:200]!r}")
        value: dict[str, Any] = json.loads(text)
        return value


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=200, help="how many of each kind")
    parser.add_argument("--clients", type=int, default=8, help="how many ask at once for the throughput")
    parser.add_argument("--no-save", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, server(Path(folder)) as url:
        rows = measure(url, args.requests, args.clients)
    print(f"{'':16}{'p50 ms':>9}{'p95 ms':>9}{'max ms':>9}{'per s':>9}")
    for name, row in rows.items():
        cells = [f"{row[key]:9.1f}" if key in row else " " * 9 for key in ("p50_ms", "p95_ms", "max_ms", "per_s")]
        print(f"{name:16}{''.join(cells)}")
    if not args.no_save:
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        RESULT.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1, sort_keys=True) + "\n")
        print(f"kept in {RESULT.relative_to(ROOT)}")


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """The base URL of a server that runs until the block ends."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [
        sys.executable,
        "-m",
        "cli.main",
        "serve",
        "--port",
        "0",
        "--workers",
        "1",
        "--data",
        str(folder / "data"),
    ]
    log = folder / "server.log"
    with log.open("w") as stream:
        process = subprocess.Popen(command, stderr=stream, env=environment)
    try:
        ends = time.monotonic() + 60
        while not (said := re.search(r"serving on (\S+)", log.read_text())):
            if process.poll() is not None or time.monotonic() > ends:
                raise RuntimeError(f"the server did not start: {log.read_text()[-500:]}")
            time.sleep(0.05)
        yield said[1]
    finally:
        process.terminate()
        process.wait(30)


def measure(url: str, requests: int, clients: int) -> Rows:
    """Every row of the table."""
    client = Client(url)
    job_id = client.ask("POST", JOBS, create_body(1_000, 0))["data"]["job_id"]
    client.ask("GET", f"{JOBS}/{job_id}?wait=20")
    rows = {
        "health": latency(requests, lambda _: client.ask("GET", "/health")),
        "get": latency(requests, lambda _: client.ask("GET", f"{JOBS}/{job_id}")),
    }
    # Bodies that differ, so that nothing is answered from what was seen before; made before the clock runs.
    small = [create_body(5_000, 1000 + n) for n in range(requests)]
    large = [create_body(CREATE_BYTES, 1 + n) for n in range(max(10, requests // 5))]
    rows["create 1 MB"] = latency(len(large), lambda n: client.ask("POST", JOBS, large[n]))
    settle(client)
    rows["get, many"] = throughput(url, clients, requests * 5, lambda c, _: c.ask("GET", f"{JOBS}/{job_id}"))
    rows["create, many"] = throughput(url, clients, requests, lambda c, n: c.ask("POST", JOBS, small[n]))
    return rows


def settle(client: Client) -> None:
    """Return when no job waits any more, so that the worker takes nothing from what is measured next."""
    ends = time.monotonic() + 300
    while time.monotonic() < ends:
        jobs = client.ask("GET", f"{JOBS}?limit=100")["data"]["jobs"]
        if all(job["status"] in ("completed", "failed") for job in jobs):
            return
        time.sleep(0.5)


def latency(count: int, ask: Callable[[int], object]) -> dict[str, float]:
    """Milliseconds of `count` requests, one after the other."""
    times_ms = sorted(timed_ms(ask, n) for n in range(count))
    return {
        "p50_ms": round(statistics.median(times_ms), 2),
        "p95_ms": round(times_ms[min(count - 1, int(0.95 * count))], 2),
        "max_ms": round(times_ms[-1], 2),
    }


def timed_ms(ask: Callable[[int], object], number: int) -> float:
    """How long one request took."""
    start = time.perf_counter()
    ask(number)
    return 1000 * (time.perf_counter() - start)


def throughput(url: str, clients: int, count: int, ask: Callable[[Client, int], object]) -> dict[str, float]:
    """Requests a second from several clients at once, and how long each of them took."""
    connections = [Client(url) for _ in range(clients)]

    def share(index: int) -> list[float]:
        return [timed_ms(lambda n: ask(connections[index], n), n) for n in range(index, count, clients)]

    start = time.perf_counter()
    with ThreadPoolExecutor(clients) as threads:
        times_ms = sorted(t for part in threads.map(share, range(clients)) for t in part)
    seconds_s = time.perf_counter() - start
    return {
        "per_s": round(count / seconds_s, 1),
        "p50_ms": round(statistics.median(times_ms), 2),
        "p95_ms": round(times_ms[int(0.95 * len(times_ms))], 2),
        "max_ms": round(times_ms[-1], 2),
    }


def create_body(size_bytes: int, seed: int) -> bytes:
    """A request to create a job from a small white PNG with ballast, different for every seed."""
    rows = b"".join(b"\0" + bytes([255]) * 64 for _ in range(64))
    ballast = (seed.to_bytes(4, "big") * (size_bytes // 4 + 1))[:size_bytes]
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 0, 0, 0, 0)), (b"prVt", ballast)]
    chunks += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return json.dumps({"blueprint": {"file": base64.b64encode(png).decode(), "format": "png"}}).encode()


if __name__ == "__main__":
    main()
