"""What whoever deploys must be allowed to do, as preflight.py asks IAM and deploy-role.yaml grants it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Names = Mapping[str, str]
"""What the patterns below are filled with: partition, region, account, env, suffix."""


@dataclass(frozen=True)
class Needed:
    """Actions that are needed on a resource, and what IAM is told of the circumstances."""

    actions: tuple[str, ...]
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)


FUNCTION = "arn:{partition}:lambda:{region}:{account}:function:location-detection-{env}-api"
ROLE = "arn:{partition}:iam::{account}:role/location-detection-{env}-RestApiRole-preflight"

NEEDED: tuple[Needed, ...] = (
    Needed(
        (
            "cloudformation:CreateChangeSet",
            "cloudformation:DescribeChangeSet",
            "cloudformation:DescribeStackEvents",
            "cloudformation:DescribeStacks",
            "cloudformation:ExecuteChangeSet",
        ),
        "arn:{partition}:cloudformation:{region}:{account}:stack/location-detection-{env}/preflight",
    ),
    Needed(
        ("cloudformation:CreateChangeSet",),
        "arn:{partition}:cloudformation:{region}:aws:transform/Serverless-2016-10-31",
    ),
    Needed(
        ("s3:CreateBucket", "s3:GetObject", "s3:PutObject", "s3:PutBucketPolicy", "s3:PutBucketVersioning"),
        "arn:{partition}:s3:::aws-sam-cli-managed-default-preflight",
    ),
    Needed(
        (
            "s3:CreateBucket",
            "s3:ListBucket",
            "s3:PutBucketCORS",
            "s3:PutBucketOwnershipControls",
            "s3:PutBucketPolicy",
            "s3:PutBucketPublicAccessBlock",
            "s3:PutBucketTagging",
            "s3:PutEncryptionConfiguration",
            "s3:PutLifecycleConfiguration",
        ),
        "arn:{partition}:s3:::location-detection-{env}-blueprints{suffix}",
    ),
    Needed(
        (
            "dynamodb:CreateTable",
            "dynamodb:DescribeTable",
            "dynamodb:TagResource",
            "dynamodb:UpdateContinuousBackups",
            "dynamodb:UpdateTable",
            "dynamodb:UpdateTimeToLive",
        ),
        "arn:{partition}:dynamodb:{region}:{account}:table/location-detection-{env}-jobs",
    ),
    Needed(
        ("sqs:CreateQueue", "sqs:GetQueueAttributes", "sqs:SetQueueAttributes", "sqs:TagQueue"),
        "arn:{partition}:sqs:{region}:{account}:location-detection-{env}-jobs",
    ),
    Needed(
        ("ssm:PutParameter", "ssm:GetParameters"),
        "arn:{partition}:ssm:{region}:{account}:parameter/location-detection/{env}/url-hosts",
    ),
    Needed(
        (
            "secretsmanager:CreateSecret",
            "secretsmanager:DescribeSecret",
            "secretsmanager:GetSecretValue",
            "secretsmanager:PutSecretValue",
            "secretsmanager:UpdateSecretVersionStage",
        ),
        "arn:{partition}:secretsmanager:{region}:{account}:secret:location-detection/{env}/tokens-abcdef",
    ),
    Needed(
        (
            "lambda:AddPermission",
            "lambda:CreateAlias",
            "lambda:CreateFunction",
            "lambda:GetFunction",
            "lambda:PublishVersion",
            "lambda:UpdateAlias",
            "lambda:UpdateFunctionCode",
            "lambda:UpdateFunctionConfiguration",
        ),
        FUNCTION,
    ),
    Needed(("lambda:CreateEventSourceMapping",), "*", {"lambda:FunctionArn": FUNCTION}),
    Needed(
        ("apigateway:GET", "apigateway:PATCH", "apigateway:POST", "apigateway:DELETE"),
        "arn:{partition}:apigateway:{region}::/apis/preflight",
    ),
    Needed(
        ("events:PutRule", "events:PutTargets"),
        "arn:{partition}:events:{region}:{account}:rule/location-detection-{env}-preflight",
    ),
    Needed(
        ("logs:CreateLogGroup", "logs:PutRetentionPolicy"),
        "arn:{partition}:logs:{region}:{account}:log-group:/aws/lambda/location-detection-{env}-api",
    ),
    Needed(("logs:CreateLogDelivery", "logs:PutResourcePolicy", "lambda:GetAccountSettings"), "*"),
    Needed(
        ("cloudwatch:PutMetricAlarm",),
        "arn:{partition}:cloudwatch:{region}:{account}:alarm:location-detection-{env}-api-5xx",
    ),
    Needed(
        ("cloudwatch:PutDashboard",),
        "arn:{partition}:cloudwatch::{account}:dashboard/location-detection-{env}",
    ),
    Needed(
        ("sns:CreateTopic", "sns:SetTopicAttributes", "sns:Subscribe"),
        "arn:{partition}:sns:{region}:{account}:location-detection-{env}-alarms",
    ),
    Needed(
        ("codedeploy:CreateApplication", "codedeploy:GetApplication"),
        "arn:{partition}:codedeploy:{region}:{account}:application:location-detection-{env}-preflight",
    ),
    Needed(
        ("codedeploy:CreateDeployment", "codedeploy:CreateDeploymentGroup"),
        "arn:{partition}:codedeploy:{region}:{account}:deploymentgroup:location-detection-{env}-preflight/preflight",
    ),
    Needed(("iam:CreateRole", "iam:GetRole", "iam:PutRolePolicy", "iam:TagRole"), ROLE),
    Needed(
        ("iam:AttachRolePolicy",),
        ROLE,
        {"iam:PolicyARN": "arn:{partition}:iam::aws:policy/service-role/AWSCodeDeployRoleForLambda"},
    ),
    Needed(("iam:PassRole",), ROLE, {"iam:PassedToService": "lambda.amazonaws.com"}),
)
