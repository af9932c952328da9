"""What template.yaml promises, above all where an emulator would drop it: names, limits, lifetimes, rights."""

from __future__ import annotations

import importlib
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from tests.infra.template import ROOT, load, named, of_type

from api import gateway
from api.auth import parse_tokens
from api.rest_api import create_app
from models.job import FILE_LIFETIME, now_utc
from services.detection_service import MAX_DELIVERIES
from storage.aws import schema
from storage.local.world import open_local
from utils.config import ENV_PREFIX, Settings

TEMPLATE = load()
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
FUNCTIONS = of_type(TEMPLATE, "AWS::Serverless::Function")
ROLES = of_type(TEMPLATE, "AWS::IAM::Role")
ALARMS = of_type(TEMPLATE, "AWS::CloudWatch::Alarm")
PROD_ONLY = {"Fn::If": ["IsProd", True, False]}


def properties(name: str) -> dict[str, Any]:
    return RESOURCES[name]["Properties"]


def statements(role: str) -> dict[str, dict[str, Any]]:
    found = [one for policy in ROLES[role]["Policies"] for one in policy["PolicyDocument"]["Statement"]]
    return {one["Sid"]: one for one in found}


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# ------------------------------------------------------------------- names
@pytest.mark.parametrize("env", ["dev", "prod"])
def test_names_are_the_specified_ones(env: str) -> None:
    assert named(properties("JobsTable")["TableName"], env) == f"location-detection-{env}-jobs"
    assert named(properties("PreviewCacheTable")["TableName"], env) == f"location-detection-{env}-preview_cache"
    assert named(properties("BlueprintsBucket")["BucketName"], env) == f"location-detection-{env}-blueprints"
    assert named(properties("CacheBucket")["BucketName"], env) == f"location-detection-{env}-cache"
    assert named(properties("CacheBucket")["BucketName"], env, "-acme") == f"location-detection-{env}-cache-acme"
    assert named(properties("TokensSecret")["Name"], env) == f"location-detection/{env}/tokens"
    assert named(properties("UrlHostsParameter")["Name"], env) == f"/location-detection/{env}/url-hosts"
    assert named(properties("JobLimitParameter")["Name"], env) == f"/location-detection/{env}/job-limit-s"


def test_names_that_others_could_hold_carry_the_environment() -> None:
    keys = {"TableName", "BucketName", "FunctionName", "QueueName", "Name", "LogGroupName", "AlarmName", "TopicName"}
    own = [
        (name, value)
        for name, one in RESOURCES.items()
        if one["Type"] != "AWS::Route53::RecordSet"
        for key, value in one.get("Properties", {}).items()
        if key in keys | {"DashboardName"} and not (isinstance(value, dict) and "Ref" in value)
    ]
    assert len(own) > 20
    assert [name for name, value in own if "${Env}" not in value["Fn::Sub"]] == []


def test_a_bucket_suffix_is_optional_and_fits_into_a_name() -> None:
    parameter = TEMPLATE["Parameters"]["BucketSuffix"]
    assert parameter["Default"] == ""
    allowed = re.compile(parameter["AllowedPattern"])
    assert allowed.fullmatch("")
    assert allowed.fullmatch("-acme7")
    assert not allowed.fullmatch("acme")
    assert not allowed.fullmatch("-ACME")
    assert len("location-detection-prod-blueprints") + 21 <= 63


# ------------------------------------------------------------------- tables
@pytest.mark.parametrize(
    ("name", "form"), [("JobsTable", schema.JOBS_TABLE), ("PreviewCacheTable", schema.PREVIEW_CACHE_TABLE)]
)
def test_tables_have_the_keys_and_indexes_that_the_code_asks_for(name: str, form: schema.TableForm) -> None:
    table = properties(name)
    assert table["KeySchema"] == form["KeySchema"]
    assert table["AttributeDefinitions"] == form["AttributeDefinitions"]
    indexes = [
        {key: value for key, value in index.items() if key != "ProvisionedThroughput"}
        for index in table.get("GlobalSecondaryIndexes", [])
    ]
    assert indexes == form.get("GlobalSecondaryIndexes", [])


@pytest.mark.parametrize("name", ["JobsTable", "PreviewCacheTable"])
def test_tables_forget_are_encrypted_and_can_be_restored_in_prod(name: str) -> None:
    table = properties(name)
    assert table["TimeToLiveSpecification"] == {"AttributeName": schema.TTL_ATTRIBUTE, "Enabled": True}
    assert table["SSESpecification"] == {"SSEEnabled": True}
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": PROD_ONLY}
    assert TEMPLATE["Conditions"]["IsProd"] == {"Fn::Equals": [{"Ref": "Env"}, "prod"]}


def test_the_records_of_prod_cannot_be_deleted_by_mistake() -> None:
    assert properties("JobsTable")["DeletionProtectionEnabled"] == PROD_ONLY


@pytest.mark.parametrize("name", ["JobsTable", "PreviewCacheTable"])
def test_capacity_is_on_demand_or_what_the_parameters_say(name: str) -> None:
    table = properties(name)
    assert table["BillingMode"] == {"Ref": "BillingMode"}
    assert TEMPLATE["Parameters"]["BillingMode"]["Default"] == "PAY_PER_REQUEST"
    assert set(TEMPLATE["Parameters"]["BillingMode"]["AllowedValues"]) == {"PAY_PER_REQUEST", "PROVISIONED"}
    capacity = {"ReadCapacityUnits": {"Ref": "ReadCapacity"}, "WriteCapacityUnits": {"Ref": "WriteCapacity"}}
    wanted = {"Fn::If": ["IsProvisioned", capacity, {"Ref": "AWS::NoValue"}]}
    assert table["ProvisionedThroughput"] == wanted
    for index in table.get("GlobalSecondaryIndexes", []):  # an index without its own would refuse to be made
        assert index["ProvisionedThroughput"] == wanted


# ------------------------------------------------------------------ buckets
BUCKETS = of_type(TEMPLATE, "AWS::S3::Bucket")


@pytest.mark.parametrize("name", sorted(BUCKETS))
def test_buckets_are_encrypted_private_and_forget_after_30_days(name: str) -> None:
    bucket = BUCKETS[name]
    (encryption,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    whole = [rule for rule in bucket["LifecycleConfiguration"]["Rules"] if "Prefix" not in rule]
    assert whole == [
        {
            "Id": "expire",
            "Status": "Enabled",
            "ExpirationInDays": FILE_LIFETIME.days,
            "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
        }
    ]


@pytest.mark.parametrize(("bucket", "policy"), [(name, f"{name}Policy") for name in sorted(BUCKETS)])
def test_buckets_deny_what_comes_without_tls_1_2(bucket: str, policy: str) -> None:
    assert properties(policy)["Bucket"] == {"Ref": bucket}
    denied = {one["Sid"]: one for one in properties(policy)["PolicyDocument"]["Statement"]}
    assert denied["TlsOnly"]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert denied["Tls12"]["Condition"] == {"NumericLessThan": {"s3:TlsVersion": "1.2"}}
    for one in denied.values():
        assert (one["Effect"], one["Principal"], one["Action"]) == ("Deny", "*", "s3:*")
        assert one["Resource"] == [{"Fn::GetAtt": [bucket, "Arn"]}, {"Fn::Sub": f"${{{bucket}.Arn}}/*"}]


def test_only_a_test_can_leave_the_tls_policy_out() -> None:
    assert {RESOURCES[f"{name}Policy"]["Condition"] for name in BUCKETS} == {"IsTlsOnly"}
    assert TEMPLATE["Parameters"]["TlsOnlyBuckets"]["Default"] == "true"
    samconfig = tomllib.loads((ROOT / "samconfig.toml").read_text())
    assert not any("TlsOnly" in str(table) for table in samconfig.values())


def test_browsers_may_post_blueprints_and_get_results_and_nothing_else() -> None:
    for name, method in (("BlueprintsBucket", "POST"), ("CacheBucket", "GET")):
        (rule,) = BUCKETS[name]["CorsConfiguration"]["CorsRules"]
        assert rule["AllowedMethods"] == [method]
        assert rule["AllowedOrigins"] == {"Ref": "CorsOrigins"}


# --------------------------------------------------------------------- API
def test_requests_are_throttled_at_a_thousand_a_second() -> None:
    stage = properties("HttpApiStage")
    assert stage["DefaultRouteSettings"]["ThrottlingRateLimit"] == {"Ref": "ThrottleRate"}
    assert stage["DefaultRouteSettings"]["ThrottlingBurstLimit"] == {"Ref": "ThrottleBurst"}
    assert TEMPLATE["Parameters"]["ThrottleRate"]["Default"] == 1000
    assert TEMPLATE["Parameters"]["ThrottleBurst"]["Default"] >= 100
    assert stage["RouteSettings"]["$default"]["ThrottlingRateLimit"] <= 100


def test_the_access_log_is_json_that_names_no_person_and_no_file() -> None:
    settings = properties("HttpApiStage")["AccessLogSettings"]
    assert settings["DestinationArn"] == {"Fn::GetAtt": ["HttpApiLogGroup", "Arn"]}
    fields = json.loads(settings["Format"])
    assert {"request_id", "route", "status", "latency_ms", "time"} <= set(fields)
    assert fields["request_id"] == "$context.requestId"
    assert all(value.startswith("$context.") for value in fields.values())
    telling = ("sourceIp", "userAgent", "path", "query", "authorizer")
    assert [value for value in fields.values() if any(word in value for word in telling)] == []


def route_keys() -> set[str]:
    return {one["RouteKey"] for one in of_type(TEMPLATE, "AWS::ApiGatewayV2::Route").values()}


def test_the_routes_are_those_of_the_app_and_one_for_the_rest(tmp_path: Path) -> None:
    app = create_app(open_local(tmp_path, now_utc), Settings(data_dir=tmp_path), tokens=None)
    wanted = set()
    for route in app.routes:
        path = re.sub(r"\{\w+:path\}", "{proxy+}", route.path)
        path = re.sub(r"\{page\}\.png$", "{picture}", path)  # a variable of the gateway is a whole segment
        wanted |= {f"{method} {path}" for method in route.methods - {"HEAD"}}
    wanted.remove("POST /api/v1/uploads/{ticket}")  # files go to the bucket
    assert route_keys() == wanted | {"$default"}


def test_every_route_leads_to_the_function_that_the_gateway_may_call() -> None:
    for route in of_type(TEMPLATE, "AWS::ApiGatewayV2::Route").values():
        assert route["Target"] == {"Fn::Sub": "integrations/${HttpApiIntegration}"}
    integration = properties("HttpApiIntegration")
    assert integration["PayloadFormatVersion"] == "2.0"
    assert integration["IntegrationUri"] == properties("HttpApiPermission")["FunctionName"]
    assert FUNCTIONS["RestApiFunction"]["Timeout"] == 29
    assert integration["TimeoutInMillis"] <= 30_000


def test_the_gateway_answers_for_cors_what_the_app_would_and_the_app_keeps_silent() -> None:
    cors = properties("HttpApi")["CorsConfiguration"]
    assert cors["AllowMethods"] == gateway.METHODS.split(", ")
    assert cors["AllowHeaders"] == gateway.REQUEST_HEADERS.split(", ")
    assert cors["ExposeHeaders"] == gateway.RESPONSE_HEADERS.split(", ")
    assert cors["MaxAge"] == gateway.PREFLIGHT_S
    assert cors["AllowOrigins"] == {"Ref": "CorsOrigins"}
    assert "AllowCredentials" not in cors  # no cookie is used
    assert environment()[f"{ENV_PREFIX}CORS_ORIGINS"] == ""


def test_a_domain_of_ones_own_speaks_tls_1_2_and_is_optional() -> None:
    (settings,) = properties("HttpApiDomain")["DomainNameConfigurations"]
    assert settings["SecurityPolicy"] == "TLS_1_2"
    assert RESOURCES["HttpApiDomain"]["Condition"] == RESOURCES["HttpApiMapping"]["Condition"] == "HasDomain"
    assert TEMPLATE["Parameters"]["DomainName"]["Default"] == ""


# --------------------------------------------------------------- functions
def environment() -> dict[str, Any]:
    return TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]


def test_the_environment_names_resources_that_the_settings_know() -> None:
    known = {f"{ENV_PREFIX}{field.upper()}" for field in Settings.model_fields}
    own = {name: value for name, value in environment().items() if name.startswith(ENV_PREFIX)}
    assert set(own) <= known
    assert own[f"{ENV_PREFIX}WORLD"] == "aws"
    places = {
        f"{ENV_PREFIX}{name}" for name in ("JOBS_TABLE", "PREVIEW_CACHE_TABLE", "BLUEPRINTS_BUCKET", "CACHE_BUCKET")
    }
    assert all(own[name] == {"Ref": own[name]["Ref"]} and own[name]["Ref"] in RESOURCES for name in places)
    assert own[f"{ENV_PREFIX}QUEUE_URL"] == {"Ref": "JobQueue"}


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_handlers_are_there(name: str) -> None:
    module, _, function = FUNCTIONS[name]["Handler"].rpartition(".")
    assert callable(getattr(importlib.import_module(module), function))


def test_the_runtime_is_a_parameter_python_3_11_unless_asked() -> None:
    runtime = TEMPLATE["Parameters"]["Runtime"]
    assert runtime["Default"] == "python3.11"
    assert runtime["AllowedValues"] == ["python3.11", "python3.12", "python3.13"]
    assert TEMPLATE["Globals"]["Function"]["Runtime"] == {"Ref": "Runtime"}
    assert TEMPLATE["Globals"]["Function"]["Architectures"] == ["x86_64"]


def test_a_canary_is_rolled_back_by_alarms_and_can_be_switched_on() -> None:
    assert TEMPLATE["Parameters"]["CanaryDeployments"]["Default"] == "false"
    for function in FUNCTIONS.values():
        preference = function["DeploymentPreference"]
        assert preference["Enabled"] == {"Ref": "CanaryDeployments"}
        assert preference["Type"].startswith("Canary10Percent")
        assert preference["Alarms"]
        assert all(alarm["Ref"] in ALARMS for alarm in preference["Alarms"])
    assert TEMPLATE["Globals"]["Function"]["AutoPublishAlias"] == "live"


def test_provisioned_concurrency_is_off_unless_asked_for() -> None:
    wanted = {"ProvisionedConcurrentExecutions": {"Ref": "ProvisionedConcurrency"}}
    config = FUNCTIONS["RestApiFunction"]["ProvisionedConcurrencyConfig"]
    assert config == {"Fn::If": ["HasProvisionedConcurrency", wanted, {"Ref": "AWS::NoValue"}]}
    assert TEMPLATE["Parameters"]["ProvisionedConcurrency"]["Default"] == 0


# ------------------------------------------------------------------- queue
def test_a_message_is_hidden_six_times_as_long_as_the_worker_may_take() -> None:
    queue, worker = properties("JobQueue"), FUNCTIONS["WorkerFunction"]
    assert queue["VisibilityTimeout"] >= 6 * worker["Timeout"]
    assert queue["RedrivePolicy"]["maxReceiveCount"] == MAX_DELIVERIES + 1
    assert queue["RedrivePolicy"]["deadLetterTargetArn"] == {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]}
    assert properties("DeadLetterQueue")["MessageRetentionPeriod"] == 14 * 86400
    for one in of_type(TEMPLATE, "AWS::SQS::Queue").values():
        assert one["SqsManagedSseEnabled"] is True


def test_the_worker_takes_one_message_at_a_time_and_says_which_failed() -> None:
    source = FUNCTIONS["WorkerFunction"]["Events"]["Jobs"]["Properties"]
    assert source["BatchSize"] == 1
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert source["ScalingConfig"]["MaximumConcurrency"]["Fn::If"][0] == "HasWorkerConcurrency"


def test_the_engine_gives_up_before_lambda_does() -> None:
    limit = properties("JobLimitParameter")
    assert re.fullmatch(limit["AllowedPattern"], limit["Value"])
    assert float(limit["Value"]) <= FUNCTIONS["WorkerFunction"]["Timeout"] - 30


def test_lost_jobs_are_looked_for() -> None:
    sweep = FUNCTIONS["WorkerFunction"]["Events"]["Sweep"]
    assert sweep["Type"] == "Schedule"
    assert sweep["Properties"]["Enabled"] is True


# ------------------------------------------------------------------ rights
@pytest.mark.parametrize("role", sorted(ROLES))
def test_roles_name_every_action_and_every_resource(role: str) -> None:
    assert "ManagedPolicyArns" not in ROLES[role]
    for one in statements(role).values():
        assert one["Effect"] == "Allow"
        assert [action for action in as_list(one["Action"]) if "*" in action] == []
        for resource in as_list(one["Resource"]):
            (text,) = resource.values()
            assert re.search(r"\$\{\w+(\.Arn)?\}|Arn", str(text)), resource


def test_only_its_function_may_take_a_role() -> None:
    for role in ROLES.values():
        (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Service": "lambda.amazonaws.com"}
    assert {name: one["Role"]["Fn::GetAtt"][0] for name, one in FUNCTIONS.items()} == {
        "RestApiFunction": "RestApiRole",
        "WorkerFunction": "WorkerRole",
    }


def test_the_api_takes_no_message_and_the_worker_reads_no_token() -> None:
    actions = {
        role: {action for one in statements(role).values() for action in as_list(one["Action"])} for role in ROLES
    }
    assert not actions["RestApiRole"] & {"sqs:ReceiveMessage", "sqs:DeleteMessage"}
    assert "secretsmanager:GetSecretValue" not in actions["WorkerRole"]
    assert "dynamodb:DeleteItem" not in as_list(statements("WorkerRole")["Jobs"]["Action"])
    assert as_list(statements("WorkerRole")["BlueprintFiles"]["Action"]) == ["s3:GetObject"]
    assert "s3:PutObject" not in as_list(statements("RestApiRole")["CacheFiles"]["Action"])


def test_a_new_deployment_lets_nobody_in() -> None:
    assert parse_tokens(properties("TokensSecret")["SecretString"]) == {}


# ------------------------------------------------------- logs, alarms, rest
def test_logs_end_and_the_template_owns_every_one() -> None:
    groups = of_type(TEMPLATE, "AWS::Logs::LogGroup")
    assert all(group["RetentionInDays"] == {"Ref": "LogRetentionDays"} for group in groups.values())
    for function, group in (("RestApiFunction", "RestApiLogGroup"), ("WorkerFunction", "WorkerLogGroup")):
        assert FUNCTIONS[function]["LoggingConfig"]["LogGroup"] == {"Ref": group}
        own = FUNCTIONS[function]["FunctionName"]["Fn::Sub"]
        assert groups[group]["LogGroupName"] == {"Fn::Sub": f"/aws/lambda/{own}"}
    assert "HttpApiLogGroup" in groups


def test_alarms_watch_what_hurts_and_tell_the_topic() -> None:
    watched = {(one["Namespace"], one["MetricName"]) for one in ALARMS.values()}
    assert watched >= {
        ("AWS/ApiGateway", "5xx"),
        ("AWS/ApiGateway", "Latency"),
        ("AWS/Lambda", "Errors"),
        ("AWS/Lambda", "Throttles"),
        ("AWS/DynamoDB", "ReadThrottleEvents"),
        ("AWS/DynamoDB", "WriteThrottleEvents"),
        ("AWS/SQS", "ApproximateAgeOfOldestMessage"),
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible"),
    }
    assert {tuple(one["AlarmActions"][0].items()) for one in ALARMS.values()} == {(("Ref", "AlarmTopic"),)}
    assert {one.get("ExtendedStatistic") for one in ALARMS.values() if one["MetricName"] == "Latency"} == {"p95"}
    (dead,) = [one for one in ALARMS.values() if one["MetricName"] == "ApproximateNumberOfMessagesVisible"]
    assert dead["Dimensions"][0]["Value"] == {"Fn::GetAtt": ["DeadLetterQueue", "QueueName"]}


def test_alarms_of_a_route_name_a_route() -> None:
    routes = set()
    for alarm in ALARMS.values():
        wanted = {one["Name"]: one["Value"] for one in alarm["Dimensions"]}
        if "Resource" in wanted:
            routes.add(f"{wanted['Method']} {wanted['Resource']}")
            assert wanted["Stage"] == properties("HttpApiStage")["StageName"]
    assert routes == {"POST /api/v1/jobs", "GET /health"}
    assert routes <= route_keys()
    assert properties("HttpApiStage")["DefaultRouteSettings"]["DetailedMetricsEnabled"] is True


def test_the_dashboard_is_json_and_shows_every_alarm() -> None:
    body = properties("Dashboard")["DashboardBody"]["Fn::Sub"]
    shown = set(re.findall(r"\$\{(\w+)\.Arn\}", body))
    assert shown == set(ALARMS)
    widgets = json.loads(re.sub(r"\$\{[\w.:]+\}", "x", body))["widgets"]
    assert len(widgets) >= 8
    taken = {(x, y) for one in widgets for x in range(one["x"], one["x"] + one["width"]) for y in (one["y"],)}
    assert len(taken) == sum(one["width"] for one in widgets)  # none covers another
    assert all(0 <= x < 24 for x, _ in taken)


def test_a_client_finds_what_it_needs_in_the_outputs() -> None:
    outputs = TEMPLATE["Outputs"]
    wanted = "ApiUrl BlueprintsBucketName CacheBucketName JobsTableName PreviewCacheTableName JobQueueUrl "
    wanted += "DeadLetterQueueUrl RestApiFunctionName WorkerFunctionName TokensSecretName AlarmTopicArn DashboardUrl"
    assert set(wanted.split()) <= set(outputs)
    assert all(output["Description"] for output in outputs.values())


# ---------------------------------------------------------------- samconfig
@pytest.mark.parametrize(("table", "env"), [("default", "dev"), ("dev", "dev"), ("prod", "prod")])
def test_samconfig_deploys_each_environment_with_parameters_that_exist(table: str, env: str) -> None:
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())[table]
    assert config["global"]["parameters"]["stack_name"] == f"location-detection-{env}"
    given = dict(pair.split("=", 1) for pair in config["deploy"]["parameters"]["parameter_overrides"].split())
    assert given["Env"] == env
    for name, value in given.items():
        parameter = TEMPLATE["Parameters"][name]
        assert value in [str(allowed) for allowed in parameter.get("AllowedValues", [value])]
    assert config["validate"]["parameters"]["lint"] is True
    if env == "prod":
        assert given["CanaryDeployments"] == "true"
        assert int(given["LogRetentionDays"]) >= 365


def test_git_leaves_out_what_python_and_sam_make() -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert {"__pycache__/", "*.py[cod]", ".venv*/", ".aws-sam/", "build/"} <= set(ignored)


def test_a_check_that_is_left_out_says_why() -> None:
    lines = (ROOT / "infra" / "checkov.yaml").read_text().partition("skip-check:")[2].splitlines()
    skipped = [line for line in lines if line.strip()]
    assert len(skipped) > 5
    assert [line for line in skipped if not re.fullmatch(r"  - CKV_AWS_\d+ # .{20,}", line)] == []
