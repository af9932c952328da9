"""Looks whether template.yaml can be deployed into the account that the credentials belong to, and changes nothing.

Says `ok`, `warn` or `FAIL` of each thing that it looks at; the exit code is 1 if anything would make a deployment fail.
"""

from __future__ import annotations

import argparse
import datetime
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from permissions import NEEDED, Names
from stack import overrides, stack_name

Level = Literal["ok", "warn", "FAIL"]
Client = Callable[[str], Any]

# From https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html, as read in September 2026: the day after which
# a runtime gets no more patches, no new function may use it, and no function that uses it may be changed.
RUNTIMES: dict[str, tuple[datetime.date, datetime.date, datetime.date]] = {
    "python3.11": (datetime.date(2027, 6, 30), datetime.date(2027, 7, 31), datetime.date(2027, 8, 31)),
    "python3.12": (datetime.date(2028, 10, 31), datetime.date(2028, 11, 30), datetime.date(2029, 1, 10)),
    "python3.13": (datetime.date(2029, 6, 30), datetime.date(2029, 7, 31), datetime.date(2029, 8, 31)),
}
NOTICE_DAYS = 180
# sam deploy of this template was tried with the newest, the specification asks for these.
TOOLS = {"sam": (1, 100, 0), "aws": (2, 13, 0)}
CONCURRENCY_QUOTA = ("lambda", "L-B99A9384")
BUCKETS_QUOTA = ("s3", "L-DC2B2D3D")
WORKERS = {"dev": 10, "prod": 50}  # template.yaml's, where WorkerConcurrency is 0
API_CONCURRENCY = 20  # what the API needs beside the workers, to answer while all of them work
STEADY = re.compile(r"(CREATE|UPDATE|IMPORT|UPDATE_ROLLBACK|IMPORT_ROLLBACK)_COMPLETE")


@dataclass(frozen=True)
class Finding:
    """What was found, and whether it is in the way."""

    level: Level
    what: str
    text: str


@dataclass(frozen=True)
class Plan:
    """What is to be deployed, with the defaults of template.yaml's parameters."""

    env: str
    runtime: str = "python3.11"
    bucket_suffix: str = ""
    worker_concurrency: int = 0
    provisioned_concurrency: int = 0

    @classmethod
    def of(cls, env: str, given: Mapping[str, str]) -> Plan:
        """The plan with the parameters that were given; those that make no difference here are passed over."""
        return cls(
            env,
            given.get("Runtime", cls.runtime),
            given.get("BucketSuffix", cls.bucket_suffix),
            int(given.get("WorkerConcurrency", cls.worker_concurrency)),
            int(given.get("ProvisionedConcurrency", cls.provisioned_concurrency)),
        )

    @property
    def workers(self) -> int:
        """How many plans are worked on at once, at most."""
        return self.worker_concurrency or WORKERS[self.env]

    @property
    def stack(self) -> str:
        """The stack's name."""
        return stack_name(self.env)


def tools(run: Callable[[list[str]], str | None]) -> Iterator[Finding]:
    """Whether the command line tools are there, and new enough."""
    for tool, least in TOOLS.items():
        said = run([tool, "--version"])
        found = re.search(r"(\d+)\.(\d+)\.(\d+)", said or "")
        wanted = ".".join(map(str, least))
        if found is None:
            yield Finding(
                "warn", "tools", f"{tool} is not on the PATH; {wanted} or later is needed to deploy from here"
            )
        elif tuple(map(int, found.groups())) < least:
            yield Finding("warn", "tools", f"{tool} {found[0]} is older than {wanted}")
        else:
            yield Finding("ok", "tools", f"{tool} {found[0]}")


def region(session: Any) -> Iterator[Finding]:
    """Whether a region is chosen that has what the template uses."""
    name = session.region_name
    if not name:
        yield Finding("FAIL", "region", "none is chosen; set AWS_DEFAULT_REGION")
        return
    for service in ("lambda", "apigatewayv2", "dynamodb", "secretsmanager", "codedeploy"):
        known = session.get_available_regions(service)
        if known and name not in known:
            yield Finding("FAIL", "region", f"{name} has no {service}")
            return
    yield Finding("ok", "region", name)


def permissions(client: Client, arn: str, names: Names) -> Iterator[Finding]:
    """Whether whoever asks may do what a deployment does, as IAM's own simulation says."""
    if arn.endswith(":root"):
        yield Finding(
            "warn", "permissions", "these are the root user's credentials: deploy with a role or a user instead"
        )
        return
    try:
        source = _policy_source(client, arn)
        denied = list(_denied(client("iam"), source, names))
    except ClientError as error:
        yield Finding("warn", "permissions", f"IAM does not say what these credentials may do: {_code(error)}")
        return
    for action, resource in denied:
        yield Finding("FAIL", "permissions", f"{action} is denied on {resource}")
    if not denied:
        count = sum(len(needed.actions) for needed in NEEDED)
        yield Finding("ok", "permissions", f"all {count} that were asked for are granted to {source}")


def _policy_source(client: Client, arn: str) -> str:
    """The user, or the role behind a session of it: IAM knows its path, the session does not."""
    session = re.fullmatch(r"arn:[^:]+:sts::\d+:assumed-role/([^/]+)/.+", arn)
    return str(client("iam").get_role(RoleName=session[1])["Role"]["Arn"]) if session else arn


def _denied(iam: Any, source: str, names: Names) -> Iterator[tuple[str, str]]:
    for needed in NEEDED:
        resource = needed.resource.format_map(names)
        context = [
            {"ContextKeyName": key, "ContextKeyType": "string", "ContextKeyValues": [value.format_map(names)]}
            for key, value in needed.context.items()
        ]
        pages = iam.get_paginator("simulate_principal_policy").paginate(
            PolicySourceArn=source,
            ActionNames=list(needed.actions),
            ResourceArns=[resource],
            ContextEntries=context,
        )
        for page in pages:
            for result in page["EvaluationResults"]:
                if result["EvalDecision"] != "allowed":
                    yield result["EvalActionName"], resource


def quotas(client: Client, plan: Plan) -> Iterator[Finding]:
    """Whether the account lets as much run at once as is asked for."""
    code = " ".join(("--service-code", CONCURRENCY_QUOTA[0], "--quota-code", CONCURRENCY_QUOTA[1]))
    try:
        limit = client("lambda").get_account_settings()["AccountLimit"]["ConcurrentExecutions"]
        if limit < plan.workers + API_CONCURRENCY:
            yield Finding(
                "FAIL" if limit <= plan.workers else "warn",
                "quotas",
                f"{limit} functions may run at once, of which {plan.workers} workers leave the API too few; "
                f"aws service-quotas request-service-quota-increase {code} --desired-value 1000",
            )
        elif plan.provisioned_concurrency > limit - 100:
            yield Finding(
                "FAIL", "quotas", f"of {limit} functions at once 100 stay free: ProvisionedConcurrency cannot be had"
            )
        else:
            yield Finding("ok", "quotas", f"{limit} functions may run at once")
    except ClientError as error:
        yield Finding("warn", "quotas", f"Lambda does not say how many functions may run at once: {_code(error)}")
    try:
        quota = client("service-quotas").get_service_quota(ServiceCode=BUCKETS_QUOTA[0], QuotaCode=BUCKETS_QUOTA[1])
        most, used = int(quota["Quota"]["Value"]), len(client("s3").list_buckets()["Buckets"])
        level: Level = "ok" if used + 3 <= most else "FAIL"  # two of ours and the one that SAM keeps its uploads in
        yield Finding(level, "quotas", f"{used} of {most} buckets are in use")
    except ClientError as error:
        yield Finding("warn", "quotas", f"how many buckets there may be is not said: {_code(error)}")


def stack_state(client: Client, plan: Plan) -> tuple[bool, list[Finding]]:
    """Whether the stack is there, and whether it can be changed."""
    try:
        (stack,) = client("cloudformation").describe_stacks(StackName=plan.stack)["Stacks"]
    except ClientError as error:
        if _code(error) == "ValidationError":
            return False, [Finding("ok", "stack", f"{plan.stack} is not there yet")]
        return False, [Finding("warn", "stack", f"whether {plan.stack} is there is not said: {_code(error)}")]
    status = stack["StackStatus"]
    if STEADY.fullmatch(status):
        return True, [Finding("ok", "stack", f"{plan.stack} is there: {status}")]
    way = "delete it, it never came to be" if status.startswith("ROLLBACK") else "wait, or see docs/deploy.md"
    return True, [Finding("FAIL", "stack", f"{plan.stack} is {status}: {way}")]


def names_free(client: Client, plan: Plan, deployed: bool) -> Iterator[Finding]:
    """Whether the names that the template gives are free, or the stack's own."""
    for kind in ("blueprints", "cache"):
        bucket = f"location-detection-{plan.env}-{kind}{plan.bucket_suffix}"
        try:
            client("s3").head_bucket(Bucket=bucket)
            if deployed:
                yield Finding("ok", "names", f"bucket {bucket} is the stack's")
            else:
                yield Finding("FAIL", "names", f"bucket {bucket} is there already, and yours: delete it")
        except ClientError as error:
            if _code(error) in {"404", "NoSuchBucket"}:
                yield Finding("ok", "names", f"bucket {bucket} is free")
            else:
                yield Finding(
                    "FAIL", "names", f"bucket {bucket} is another account's or another region's: set BucketSuffix"
                )
    if not deployed:
        yield from _left_over(client, plan)


def _left_over(client: Client, plan: Plan) -> Iterator[Finding]:
    """What a deleted stack may have left, in whose way a new one stops."""
    name = f"location-detection/{plan.env}/tokens"
    try:
        gone = client("secretsmanager").describe_secret(SecretId=name).get("DeletedDate")
        way = " --force-delete-without-recovery" if gone else ""
        state = "waits to be deleted" if gone else "is there already"
        yield Finding(
            "FAIL", "names", f"secret {name} {state}: aws secretsmanager delete-secret --secret-id {name}{way}"
        )
    except ClientError as error:
        if _code(error) == "ResourceNotFoundException":
            yield Finding("ok", "names", f"secret {name} is free")
        else:
            yield Finding("warn", "names", f"whether secret {name} is free is not said: {_code(error)}")
    for kind in ("jobs", "preview_cache"):
        table = f"location-detection-{plan.env}-{kind}"
        try:
            client("dynamodb").describe_table(TableName=table)
            yield Finding("FAIL", "names", f"table {table} is there already: delete it")
        except ClientError as error:
            if _code(error) == "ResourceNotFoundException":
                yield Finding("ok", "names", f"table {table} is free")
            else:
                yield Finding("warn", "names", f"whether table {table} is free is not said: {_code(error)}")


def runtime(plan: Plan, today: datetime.date, deployed: bool) -> Iterator[Finding]:
    """Whether Lambda still takes functions of the runtime."""
    if plan.runtime not in RUNTIMES:
        yield Finding("FAIL", "runtime", f"the template knows no {plan.runtime}, but {', '.join(RUNTIMES)}")
        return
    ends, no_new, no_change = RUNTIMES[plan.runtime]
    blocked = no_change if deployed else no_new
    if today > blocked:
        yield Finding("FAIL", "runtime", f"Lambda takes no function of {plan.runtime} since {blocked}: set Runtime")
    elif today + datetime.timedelta(days=NOTICE_DAYS) > ends:
        yield Finding("warn", "runtime", f"{plan.runtime} gets no patches after {ends}: see Runtime in docs/deploy.md")
    else:
        yield Finding("ok", "runtime", f"{plan.runtime} is patched until {ends}")


def look(session: Any, client: Client, plan: Plan, today: datetime.date) -> Iterator[Finding]:
    """Everything that is worth to know before deploying, one by one."""
    found = list(region(session))
    yield from found
    if found[-1].level == "FAIL":
        return
    try:
        caller = client("sts").get_caller_identity()
    except (ClientError, BotoCoreError) as error:
        yield Finding("FAIL", "credentials", f"there are none that work here: {error}")
        return
    yield Finding("ok", "credentials", f"{caller['Arn']} in account {caller['Account']}")
    names = {
        "partition": caller["Arn"].split(":")[1],
        "region": session.region_name,
        "account": caller["Account"],
        "env": plan.env,
        "suffix": plan.bucket_suffix,
    }
    yield from permissions(client, caller["Arn"], names)
    yield from quotas(client, plan)
    deployed, state = stack_state(client, plan)
    yield from state
    yield from names_free(client, plan, deployed)
    yield from runtime(plan, today, deployed)


def _code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])


def _version(command: list[str]) -> str | None:
    if shutil.which(command[0]) is None:
        return None
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout  # noqa: S603


def main(arguments: list[str]) -> int:
    """Say what was found; the exit code is 1 if anything is in the way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="dev", choices=["dev", "prod"])
    parser.add_argument(
        "--parameter-overrides",
        nargs="*",
        default=[],
        help="as sam deploy is given them; Name=value, beside samconfig's",
    )
    given = parser.parse_args(arguments)
    more = dict(pair.split("=", 1) for pair in given.parameter_overrides)
    plan = Plan.of(given.env, {**overrides(given.env), **more})
    session = boto3.Session()
    clients: dict[str, Any] = {}

    def client(service: str) -> Any:
        if service not in clients:
            clients[service] = session.client(service)  # type: ignore[call-overload]
        return clients[service]

    failed = False
    for check in (tools(_version), look(session, client, plan, datetime.datetime.now(datetime.UTC).date())):
        for finding in check:
            print(f"{finding.level:4}  {finding.what:11}  {finding.text}")
            failed |= finding.level == "FAIL"
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
