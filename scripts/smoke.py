"""Runs one job through a running service and says whether everything that a client needs works.

`smoke.py --url http://127.0.0.1:8000` asks a server on this machine; `smoke.py --env dev` asks the deployed stack, with
a token that is made for this run and withdrawn after it.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPMessage
from pathlib import Path
from typing import IO, Any

PLAN = Path(__file__).parents[1] / "examples" / "flat.png"
TOKEN_VARIABLE = "LOCATION_DETECTION_SMOKE_TOKEN"  # noqa: S105 -- the name of a variable
# A function that is warm may know the tokens of 5 minutes ago; so long is a new one refused.
TOKEN_PATIENCE_S = 330.0
JOB_PATIENCE_S = 180.0


class SmokeError(Exception):
    """Something that a client needs does not work."""


@dataclass(frozen=True)
class Answer:
    """What the service answered."""

    status: int
    body: bytes
    seconds: float

    def data(self) -> Any:
        """The data of the envelope."""
        return json.loads(self.body)["data"]


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows to another host without the token, which S3 refuses and nobody else is to see."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        """The request to the new place."""
        new = super().redirect_request(req, fp, code, msg, headers, newurl)
        if new is not None and urllib.parse.urlsplit(newurl).netloc != urllib.parse.urlsplit(req.full_url).netloc:
            new.remove_header("Authorization")
        return new


class Client:
    """Asks the service at an address, with a token where there is one."""

    def __init__(self, url: str, token: str | None) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Accept": "*/*"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._opener = urllib.request.build_opener(_Redirects)

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Answer:
        """The answer, whatever its status.

        Raises:
            SmokeError: nothing answered.
        """
        request = urllib.request.Request(self._url + path, method=method, headers=dict(self._headers))  # noqa: S310
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        began = time.monotonic()
        try:
            with self._opener.open(request, timeout=35) as response:
                return Answer(response.status, response.read(), time.monotonic() - began)
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read(), time.monotonic() - began)
        except OSError as error:
            raise SmokeError(f"{method} {path}: {error}") from error


def run(
    client: Client,
    say: Callable[[str], None],
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Ask for the health, run a job of examples/flat.png to its rooms and page, purge it.

    Raises:
        SmokeError: what does not work.
    """
    health = _expect(client.ask("GET", "/health"), 200, "GET /health")
    say(f"healthy, in {health.seconds * 1000:.0f} ms")
    created = _create(client, say, clock, sleep)
    job = created.data()["job_id"]
    try:
        say(f"{job} created in {created.seconds * 1000:.0f} ms")
        began = clock()
        path = f"/api/v1/jobs/{job}"
        status = "pending"
        while status in {"pending", "processing"}:
            if clock() - began > JOB_PATIENCE_S:
                raise SmokeError(f"the job is still {status} after {JOB_PATIENCE_S:.0f} s")
            asked = clock()
            status = _expect(client.ask("GET", f"{path}?wait=20"), 200, "GET job").data()["status"]
            if clock() - asked < 0.5:  # a deployment that does not wait is not asked without end
                sleep(0.5)
        if status != "completed":
            raise SmokeError(f"the job is {status}")
        floorplan = json.loads(_expect(client.ask("GET", f"{path}/result"), 200, "GET result").body)
        rooms = sum(len(page["rooms"]) for page in floorplan["pages"])
        if rooms == 0:
            raise SmokeError("no room was found")
        say(f"{rooms} rooms after {clock() - began:.1f} s, by {floorplan['model_version']}")
        picture = _expect(client.ask("GET", f"{path}/pages/1.png"), 200, "GET page").body
        if not picture.startswith(b"\x89PNG"):
            raise SmokeError("the page is no PNG")
    finally:
        purged = client.ask("DELETE", f"/api/v1/jobs/{job}?purge=true")
    _expect(purged, 200, "DELETE job")
    _expect(client.ask("GET", f"/api/v1/jobs/{job}"), 404, "GET of the purged job")
    say("purged")


def _create(
    client: Client, say: Callable[[str], None], clock: Callable[[], float], sleep: Callable[[float], None]
) -> Answer:
    body = {"blueprint": {"file": base64.b64encode(PLAN.read_bytes()).decode(), "format": "png"}}
    began = clock()
    while True:
        answer = client.ask("POST", "/api/v1/jobs", body)
        if answer.status != 401 or clock() - began > TOKEN_PATIENCE_S:
            return _expect(answer, 201, "POST job")
        say("the token is not known yet")
        sleep(15.0)


def _expect(answer: Answer, status: int, what: str) -> Answer:
    if answer.status != status:
        raise SmokeError(f"{what}: {answer.status} instead of {status}: {answer.body[:300].decode(errors='replace')}")
    return answer


@contextlib.contextmanager
def _deployed(env: str, url: str | None) -> Iterator[Client]:
    """The stack's API, or the one at the address, with a token that lives as long as this."""
    import boto3

    import stack
    import tokens

    url = url or stack.outputs(boto3.client("cloudformation"), stack.stack_name(env))["ApiUrl"]
    vault = tokens.Vault(boto3.client("secretsmanager"), tokens.secret_name(env))
    owner = f"smoke-{int(time.time())}"
    token = vault.add(owner)
    try:
        yield Client(url, token)
    finally:
        vault.remove(owner)


def main(arguments: list[str]) -> int:
    """Run the job; the exit code is 1 if something does not work."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--env", help="dev or prod: makes a token for this run, and asks the environment's stack")
    parser.add_argument("--url", help=f"asks here; without --env, with the token in ${TOKEN_VARIABLE} if there is one")
    given = parser.parse_args(arguments)
    if not given.env and not given.url:
        parser.error("--env or --url is needed")
    service = (
        _deployed(given.env, given.url)
        if given.env
        else contextlib.nullcontext(Client(given.url, os.environ.get(TOKEN_VARIABLE)))
    )
    try:
        with service as client:
            run(client, print)
    except SmokeError as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    print("all works")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
