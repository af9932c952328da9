"""The role that the deployment workflow takes, in an emulator: made from its template, taken by a token as GitHub's."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any, Final

import boto3

TEMPLATE: Final = Path(__file__).parents[2] / "scripts" / "deploy-role.yaml"
ISSUER: Final = "https://token.actions.githubusercontent.com"
ACCOUNT: Final = "000000000000"
ROLE: Final = f"arn:aws:iam::{ACCOUNT}:role/location-detection-deploy-dev"
REPOSITORY: Final = "acme@7/plans@9"
SUBJECT: Final = f"repo:{REPOSITORY}:environment:dev"
CODE_BUCKET: Final = "aws-sam-cli-managed-default-test"
"""A bucket of a name that the role may upload code to. SAM's own wants TLS, which the emulator does not speak."""


def make(session: boto3.Session) -> None:
    """Give the account GitHub's provider, the role for dev and the bucket for code."""
    session.client("iam").create_open_id_connect_provider(Url=ISSUER, ClientIDList=["sts.amazonaws.com"])
    session.client("s3").create_bucket(Bucket=CODE_BUCKET)
    cloudformation = session.client("cloudformation")
    name = "location-detection-deploy-dev"
    parameters = {"Env": "dev", "Repository": REPOSITORY}
    cloudformation.create_stack(
        StackName=name,
        TemplateBody=TEMPLATE.read_text(),
        Capabilities=["CAPABILITY_NAMED_IAM"],
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
    )
    waiter = cloudformation.get_waiter("stack_create_complete")
    waiter.wait(StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})


def take(session: boto3.Session, subject: str = SUBJECT, audience: str = "sts.amazonaws.com") -> dict[str, str]:
    """The environment with the keys for a token such as GitHub's.

    The emulator reads the token's claims and does not check who signed it.
    """

    def part(claims: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")

    claims = {"iss": ISSUER, "aud": audience, "sub": subject, "iat": int(time.time()), "exp": int(time.time()) + 300}
    token = ".".join((part({"alg": "RS256", "typ": "JWT"}), part(claims), "c2lnbmVk"))
    found = session.client("sts").assume_role_with_web_identity(
        RoleArn=ROLE, RoleSessionName="deploy-1", WebIdentityToken=token
    )["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": found["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": found["SecretAccessKey"],
        "AWS_SESSION_TOKEN": found["SessionToken"],
    }
