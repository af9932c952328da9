"""The stack as `sam deploy` makes it, in an emulator that enforces signatures and policies, as a context manager.

    with deployed(folder) as deployment:
        deployment.http.get("/api/v1/jobs")

template.yaml is deployed unchanged, as `make build-aws` built it, by the role that the workflow takes. What the
emulator cannot do, or does otherwise than AWS, is made up for here and nowhere else:

- it speaks http alone: `TlsOnlyBuckets=false`, and a bucket for the code that is not SAM's own;
- it reads CORS from CloudFormation's lists and numbers as texts: a call says the same again;
- it swallows /health at its root: its long address is asked;
- functions fetch blueprints by http from one port of loopback: they inherit its environment, which says so.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import boto3
import httpx
from tests.aws import deploy_role
from tests.aws.servers import MINISTACK_VENV, REGION, Server, free_port, ministack
from tests.infra.template import ROOT, load, of_type

SAM: Final = ROOT / "build" / "venv-sam" / "bin" / "sam"
BUILT: Final = Path(os.environ.get("LOCATION_DETECTION_TEST_BUILT", ROOT / ".aws-sam" / "build")) / "template.yaml"
STACK: Final = "location-detection-dev"
OWNER: Final = "anna"
OTHER: Final = "bert"
SAM_LIMIT_S: Final = 400
LOG_LIMIT_S: Final = 60


def missing() -> str:
    """What has to be installed or built before; nothing if it is all there."""
    needed = {MINISTACK_VENV: "MiniStack", SAM: "the SAM CLI", BUILT: "what make build-aws builds"}
    return ", ".join(name for path, name in needed.items() if not path.exists())


@dataclass
class Deployment:
    """A stack that stands.

    Attributes:
        server: the emulator.
        folder: what `sam` has for a home.
        url_host: the host and port, on loopback, that blueprints may be fetched from by http.
        outputs: the stack's.
        token: one of `OWNER`.
        other_token: one of somebody else.
    """

    server: Server
    folder: Path
    url_host: str
    outputs: dict[str, str]
    token: str = ""
    other_token: str = ""

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs in its environment to take the emulator for AWS, with the root account's keys."""
        return self.server.environment()

    @property
    def url(self) -> str:
        """Where the API answers."""
        return f"{self.server.url}/_aws/execute-api/{self.outputs['ApiId']}/$default"

    @cached_property
    def session(self) -> boto3.Session:
        """The root account's."""
        return boto3.Session("test", "test", region_name=REGION)

    @cached_property
    def http(self) -> httpx.Client:
        """A client of the API that shows the token and follows no redirect."""
        return self.http_as(self.token)

    def http_as(self, token: str | None) -> httpx.Client:
        """A client of the API that shows another token, or none."""
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60)

    def client(self, service: str, session: boto3.Session | None = None) -> Any:
        """A client of boto3, of the root account or of another session."""
        make: Any = (session or self.session).client
        return make(service, endpoint_url=self.server.url)

    def resources(self, kind: str) -> dict[str, str]:
        """The names of the stack's resources of a type, by their names in the template."""
        found = self.client("cloudformation").describe_stack_resources(StackName=STACK)["StackResources"]
        return {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in found if one["ResourceType"] == kind}

    def deploy(self) -> subprocess.CompletedProcess[str]:
        """Run `sam deploy` once more."""
        return _deploy(self.server, self.folder, self.session)

    @contextmanager
    def worker_paused(self) -> Iterator[None]:
        """No message reaches the worker until the block ends."""
        functions = self.client("lambda")
        name = self.outputs["WorkerFunctionName"]
        (mapping,) = functions.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
        functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
        try:
            yield
        finally:
            functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)

    def kept_of(self, *texts: str) -> list[str]:
        """The items and objects that name any of the texts."""
        dynamodb, s3 = self.client("dynamodb"), self.client("s3")
        tables = [self.outputs["JobsTableName"], self.outputs["PreviewCacheTableName"]]
        buckets = [self.outputs["BlueprintsBucketName"], self.outputs["CacheBucketName"]]
        items = [str(item) for name in tables for item in dynamodb.scan(TableName=name)["Items"]]
        objects = [one["Key"] for name in buckets for one in s3.list_objects_v2(Bucket=name).get("Contents", [])]
        return [kept for kept in (*items, *objects) if any(text in kept for text in texts)]

    def await_log(self, function: str, text: str) -> list[dict[str, Any]]:
        """The lines of the function's log with that text, which come a moment after the answer."""
        ends_s = time.monotonic() + LOG_LIMIT_S
        logs, group = self.client("logs"), f"/aws/lambda/{function}"
        while True:
            found = logs.filter_log_events(logGroupName=group)["events"]
            lines = [line for one in found for line in one["message"].splitlines() if text in line]
            if lines or time.monotonic() > ends_s:
                return [json.loads(line[line.index("{") :]) for line in lines if "{" in line]
            time.sleep(0.5)

    def make_token(self, owner: str) -> str:
        """A new token of the owner. Functions that run may take 5 minutes to know it."""
        return _run([sys.executable, str(ROOT / "scripts" / "tokens.py"), "add", owner], self.environment, self.folder)


@contextmanager
def deployed(folder: Path) -> Iterator[Deployment]:
    """The stack in an emulator of its own, until the block ends, which ends both.

    Args:
        folder: an empty one, which `sam` has for a home.

    Raises:
        subprocess.CalledProcessError: it could not be deployed.
    """
    url_host = f"127.0.0.1:{free_port()}"
    with ministack(environment={"LOCATION_DETECTION_URL_TEST_EXEMPT": url_host}) as server:
        session = boto3.Session("test", "test", region_name=REGION)
        with _environment(server):
            deploy_role.make(session)
            done = _deploy(server, folder, session)
            done.check_returncode()
            cloudformation = session.client("cloudformation")
            (stack,) = cloudformation.describe_stacks(StackName=STACK)["Stacks"]
            outputs = {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
            _say_cors_again(session, outputs["ApiId"])
        made = Deployment(server, folder, url_host, outputs)
        made.token, made.other_token = (made.make_token(owner) for owner in (OWNER, OTHER))
        yield made
        made.http.close()


def sam(environment: dict[str, str], folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """What `sam` did, with the folder for a home."""
    return subprocess.run(
        [str(SAM), *words],
        cwd=ROOT,
        env=_process_environment({**environment, "SAM_CLI_TELEMETRY": "0"}, folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SAM_LIMIT_S,
        check=False,
    )


def _deploy(server: Server, folder: Path, session: boto3.Session) -> subprocess.CompletedProcess[str]:
    """Deploy dev as samconfig.toml says, by the workflow's role."""
    with _environment(server):
        keys = deploy_role.take(session)
    said = (ROOT / "samconfig.toml").read_text()
    for pattern, replacement in (
        (r"resolve_s3 = true", f's3_bucket = "{deploy_role.CODE_BUCKET}"\ns3_prefix = "{STACK}"'),
        (r'parameter_overrides = "Env=dev"', 'parameter_overrides = "Env=dev TlsOnlyBuckets=false UrlHosts=localhost"'),
    ):
        said, count = re.subn(pattern, replacement, said)
        assert count, f"samconfig.toml has no {pattern}"
    (folder / "samconfig.toml").write_text(said)
    environment = {**server.environment(), **keys}
    options = [
        "--config-file",
        str(folder / "samconfig.toml"),
        "--template-file",
        str(BUILT.resolve()),
        "--no-progressbar",
    ]
    done = sam(environment, folder, "deploy", *options)
    if done.returncode:
        print(done.stdout[-4000:], done.stderr[-4000:], server.log.read_text(errors="replace")[-2000:])
    return done


def _say_cors_again(session: boto3.Session, api_id: str) -> None:
    (properties,) = of_type(load(), "AWS::ApiGatewayV2::Api").values()
    cors = dict(properties["CorsConfiguration"])
    assert cors["AllowOrigins"] == {"Ref": "CorsOrigins"}
    cors["AllowOrigins"] = load()["Parameters"]["CorsOrigins"]["Default"].split(",")
    session.client("apigatewayv2").update_api(ApiId=api_id, CorsConfiguration=cors)


@contextmanager
def _environment(server: Server) -> Iterator[None]:
    """This process takes the emulator for AWS, until the block ends."""
    before = dict(os.environ)
    os.environ.pop("AWS_PROFILE", None)
    os.environ.update(server.environment())
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _process_environment(environment: dict[str, str], folder: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "AWS_CA_BUNDLE") if name in os.environ}
    return {**kept, "HOME": str(folder), **environment}


def _run(command: list[str], environment: dict[str, str], folder: Path) -> str:
    return subprocess.run(
        command, cwd=ROOT, env=_process_environment(environment, folder), check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()
