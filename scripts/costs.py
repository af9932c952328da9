"""What a month costs in AWS, worked out from how often each thing is used by one plan and what AWS charges for it.

Prints the table of docs/deploy.md. List prices of us-east-1 in US dollars, as AWS's price list files had them in August
and September 2026; no free allowance and no discount is subtracted. To work it out for other plans or prices, change
`Plan` or `PRICES`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

VOLUMES = (100, 10_000, 1_000_000)
MONTH_H = 730.0
MONTH_DAYS = MONTH_H / 24
MB = 1e6
GB = 1e9

# The offer files lie below https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/; docs/deploy.md names the versions.
PRICES: dict[str, float] = {
    "http_api_request": 1.00 / 1e6,  # AmazonApiGateway: a request of up to 512 KB, of the first 300 million
    "lambda_gb_s": 0.0000166667,  # AWSLambda: x86, of the first 6 billion
    "lambda_request": 0.20 / 1e6,
    "lambda_kept_warm_gb_s": 0.0000041667,
    "dynamodb_write": 0.625 / 1e6,  # AmazonDynamoDB: on demand, up to 1 KB
    "dynamodb_read": 0.125 / 1e6,  # up to 4 KB, strongly consistent
    "dynamodb_gb_month": 0.25,
    "s3_gb_month": 0.023,  # AmazonS3: Standard, of the first 50 TB
    "s3_put": 0.005 / 1000,
    "s3_get": 0.0004 / 1000,
    "sqs_request": 0.40 / 1e6,  # AWSQueueService: standard queue, up to 64 KB
    "log_gb": 0.50,  # AmazonCloudWatch: taken in
    "log_gb_month": 0.03,  # kept
    "metric_month": 0.30,  # of the first 10,000; an hour in which it is not written costs nothing
    "alarm_month": 0.10,
    "dashboard_month": 3.00,  # the CloudWatch page; the first three of an account are free
    "secret_month": 0.40,  # AWSSecretsManager
    "secret_request": 0.05 / 10_000,
    "kms_request": 0.03 / 10_000,  # awskms
    "out_gb": 0.09,  # AWSDataTransfer: to the internet, of the first 10 TB
}


@dataclass(frozen=True)
class Plan:
    """What one plan uses. tests/infra/test_costs.py holds the counts to what a plan really does."""

    file_bytes: float = 2 * MB
    result_bytes: float = 0.02 * MB
    picture_bytes: float = 0.25 * MB
    preview_bytes: float = 0.02 * MB
    worker_s: float = 3.0  # billed: the engine's second or so, the stores, and now and then a start
    create_s: float = 0.15
    get_s: float = 0.03  # a request that does not wait
    wait_s: float = 5.0  # how long requests with ?wait= wait, all together
    waits: int = 8  # each is answered when the job changes
    gets: int = 2  # the result, the picture
    record_saves: int = 10  # moves and progress
    bodies_put: int = 3  # the file, the result, the picture
    bodies_read: int = 3
    messages: int = 3  # sent, received, deleted
    log_bytes: float = 25_000  # about 2 KB a request and 3 KB for the work


@dataclass(frozen=True)
class Deployment:
    """What is there whether it is used or not; the figures are template.yaml's."""

    api_gb: float = 1024 / 1024
    worker_gb: float = 3008 / 1024
    sweep_every_s: float = 300.0
    sweep_s: float = 0.1
    pollers: int = 5  # Lambda's, each asking the queue again after 20 s
    poll_s: float = 20.0
    alarms: int = 11
    route_metrics: int = 6 * 6  # of the six routes that a client uses: DetailedMetricsEnabled
    own_metrics: int = 40  # by status, route, stage, outcome, model
    kept_days: float = 30.0  # files and logs
    record_days: float = 7.0
    marker_days: float = 39.0
    kept_warm: int = 0  # ProvisionedConcurrency


def monthly(plans: int, plan: Plan | None = None, deployment: Deployment | None = None) -> dict[str, float]:
    """US dollars a month by service, for as many plans a month."""
    p, d = plan or Plan(), deployment or Deployment()
    month_s = MONTH_H * 3600
    active = min(1.0, plans / MONTH_H)  # the share of hours in which there is anything to measure
    requests = 1 + p.waits + p.gets
    encoded_bytes = p.file_bytes * 4 / 3  # base64, in the request that creates the job
    kept_months = d.kept_days / MONTH_DAYS
    stored_gb = plans * (p.file_bytes + p.result_bytes + p.picture_bytes) * kept_months / GB
    api_s = p.create_s + p.wait_s + (p.waits + p.gets) * p.get_s
    sweeps = month_s / d.sweep_every_s
    # A record has an index beside it, and another until its message is sent; a marker stays for as long as the files.
    writes = 1 + 3 + 3 + 2 * p.record_saves + math.ceil(p.preview_bytes / 1024)
    reads = 3 + p.waits + p.gets + p.wait_s / 0.3
    record_gb = plans * (1_000 * d.record_days + 250 * d.marker_days) / MONTH_DAYS / GB
    log_gb = plans * p.log_bytes / GB
    metered = math.ceil(encoded_bytes / (512 * 1024)) + requests - 1
    use = {
        "API Gateway": plans * metered * PRICES["http_api_request"],
        "Lambda, API": plans * (api_s * d.api_gb * PRICES["lambda_gb_s"] + requests * PRICES["lambda_request"])
        + d.kept_warm * d.api_gb * month_s * PRICES["lambda_kept_warm_gb_s"],
        "Lambda, worker": (plans * p.worker_s + sweeps * d.sweep_s) * d.worker_gb * PRICES["lambda_gb_s"]
        + (plans + sweeps) * PRICES["lambda_request"],
        "DynamoDB": plans * (writes * PRICES["dynamodb_write"] + reads * PRICES["dynamodb_read"])
        + record_gb * PRICES["dynamodb_gb_month"],
        "S3": plans * (p.bodies_put * PRICES["s3_put"] + p.bodies_read * PRICES["s3_get"])
        + stored_gb * PRICES["s3_gb_month"],
        "SQS": (plans * p.messages + d.pollers * month_s / d.poll_s) * PRICES["sqs_request"],
        "CloudWatch logs": log_gb * (PRICES["log_gb"] + kept_months * PRICES["log_gb_month"]),
        "CloudWatch metrics": active * (d.route_metrics + d.own_metrics) * PRICES["metric_month"],
        "CloudWatch alarms, dashboard": d.alarms * PRICES["alarm_month"] + PRICES["dashboard_month"],
        "Secrets Manager, KMS": PRICES["secret_month"]
        + active * 12 * MONTH_H * (2 * PRICES["secret_request"] + 4 * PRICES["kms_request"]),
        "Data to the internet": plans * (p.result_bytes + p.picture_bytes) / GB * PRICES["out_gb"],
    }
    return {**use, "together": sum(use.values())}


def table() -> str:
    """The table of docs/deploy.md, in Markdown."""
    columns = [monthly(plans) for plans in VOLUMES]
    lines = [
        "| US dollars a month | " + " | ".join(f"{plans:,} plans" for plans in VOLUMES) + " |",
        "|---|" + "---:|" * len(VOLUMES),
    ]
    lines += [f"| {name} | " + " | ".join(f"{column[name]:,.2f}" for column in columns) + " |" for name in columns[0]]
    share = " | ".join(
        f"{column['together'] / plans * 1000:,.2f}" for plans, column in zip(VOLUMES, columns, strict=True)
    )
    return "\n".join([*lines, f"| for 1,000 plans | {share} |"])


if __name__ == "__main__":
    print(table())
