"""Measures the API function's cold start against what any function that uses three AWS services pays.

    python benchmarks/cold_start.py [--repeats N] [--no-save]

Each repeat is two fresh processes, one after the other: one imports the API function and answers its first /health, for
which it makes its clients and asks DynamoDB, S3 and SQS; the other imports boto3 and makes clients of the same three.
Python's own start counts for neither. A server on loopback stands for AWS and answers at once. The figures are kept in
benchmarks/results/cold_start.json; the bar is twice the other's time. The processor's time is kept too: it depends less
on what else the machine does.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.accuracy import machine  # noqa: E402 - after the path that it is found on
from tests.unit.api.events import event  # noqa: E402

RESULT = ROOT / "benchmarks" / "results" / "cold_start.json"
BAR = 2.0
_MARK = "measured: "
OURS = f"""
import json, sys, time
began, used = time.perf_counter(), time.process_time()
import api.rest_api
imported = time.perf_counter()
class Context:
    aws_request_id = "1"
    def get_remaining_time_in_millis(self):
        return 29000
answer = api.rest_api.handler(json.loads(sys.argv[1]), Context())
ended = time.perf_counter()
assert answer["statusCode"] == 200, answer
print({_MARK!r} + json.dumps([ended - began, time.process_time() - used, imported - began]))
"""
THEIRS = f"""
import json, time
began, used = time.perf_counter(), time.process_time()
import boto3
for service in ("dynamodb", "s3", "sqs"):
    boto3.client(service)
ended = time.perf_counter()
print({_MARK!r} + json.dumps([ended - began, time.process_time() - used, 0.0]))
"""


class _Stores(BaseHTTPRequestHandler):
    """As much of DynamoDB, S3 and SQS as a health check asks."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        asked = self.headers.get("X-Amz-Target", "")
        self._answer(b'{"Attributes": {"VisibilityTimeout": "3600"}}' if asked.startswith("AmazonSQS.") else b"{}")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@contextmanager
def stores() -> Iterator[str]:
    """The address of the stores."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Stores) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def environment(address: str) -> dict[str, str]:
    """What the function finds around it on Lambda."""
    return {
        **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
        "PYTHONPATH": str(ROOT / "src"),
        "AWS_ENDPOINT_URL": address,
        "AWS_LAMBDA_FUNCTION_NAME": "api",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "LOCATION_DETECTION_WORLD": "aws",
        "LOCATION_DETECTION_ENV": "bench",
        "LOCATION_DETECTION_JOBS_TABLE": "jobs",
        "LOCATION_DETECTION_PREVIEW_CACHE_TABLE": "preview_cache",
        "LOCATION_DETECTION_BLUEPRINTS_BUCKET": "bench-blueprints",
        "LOCATION_DETECTION_CACHE_BUCKET": "bench-cache",
        "LOCATION_DETECTION_QUEUE_URL": f"{address}/123456789012/jobs",
    }


def run(program: str, environ: dict[str, str]) -> list[float]:
    """The seconds that the program measured in a fresh process: all of it, the processor's, and the import alone."""
    asked = json.dumps(event("GET", "/health"))
    done = subprocess.run(
        [sys.executable, "-c", program, asked], env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr[-2000:])
    (line,) = [line for line in done.stdout.splitlines() if line.startswith(_MARK)]
    measured: list[float] = json.loads(line.removeprefix(_MARK))
    return measured


def measure(repeats: int) -> dict[str, Any]:
    """The figures of so many pairs; a pair before them compiles what is not compiled yet."""
    ours, theirs = [], []
    with stores() as address:
        environ = environment(address)
        for _ in range(repeats + 1):
            ours.append(run(OURS, environ))
            theirs.append(run(THEIRS, environ))
    whole, processor, alone = (statistics.median(column) for column in zip(*ours[1:], strict=True))
    boto3, boto3_processor, _ = (statistics.median(column) for column in zip(*theirs[1:], strict=True))
    return {
        "repeats": repeats,
        "first_health_ms": round(whole * 1000, 1),
        "of_which_import_ms": round(alone * 1000, 1),
        "boto3_and_clients_ms": round(boto3 * 1000, 1),
        "ratio": ratio_of(ours[1:], theirs[1:], 0),
        "first_health_processor_ms": round(processor * 1000, 1),
        "boto3_and_clients_processor_ms": round(boto3_processor * 1000, 1),
        "processor_ratio": ratio_of(ours[1:], theirs[1:], 1),
        "bar": BAR,
    }


def ratio_of(ours: list[list[float]], theirs: list[list[float]], column: int) -> float:
    """The median of the pairs' ratios: what else the machine does slows both of a pair, and not both of two medians."""
    pairs = zip(ours, theirs, strict=True)
    return round(statistics.median(own[column] / other[column] for own, other in pairs), 3)


def main() -> int:
    """Measure, print, keep; 1 if the bar was not met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--no-save", action="store_true")
    options = parser.parse_args()
    found = measure(options.repeats)
    for name, value in found.items():
        print(f"{name:30} {value}")
    if not options.no_save:
        RESULT.write_text(json.dumps({**found, "machine": machine()}, indent=2) + "\n")
    return 0 if found["ratio"] <= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
