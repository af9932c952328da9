"""Events as an HTTP API of API Gateway sends them to a function (payload format 2.0), and what Lambda tells of a call.

The form is that of `sam local generate-event apigateway http-api-proxy`, without the authorizers, which are not used.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

DOMAIN = "id.execute-api.us-east-1.amazonaws.com"
TEXT_TYPES = ("application/json", "text/", "application/xml", "application/javascript")


@dataclass
class Context:
    """As much of Lambda's context as the service reads."""

    left_s: float = 29.0
    aws_request_id: str = "11111111-2222-3333-4444-555555555555"

    def get_remaining_time_in_millis(self) -> int:
        return int(self.left_s * 1000)


def event(
    method: str,
    path: str,
    body: bytes = b"",
    *,
    stage: str = "$default",
    domain: str = DOMAIN,
    request_id: str = "JKJaXmPLvHcESHA=",
    **headers: str,
) -> dict[str, Any]:
    """The event of one request; names of headers are written with underscores.

    API Gateway hands over the body as text where its Content-Type is one of text, else as base64.
    """
    path, _, query = path.partition("?")
    path = path if stage == "$default" else f"/{stage}{path}"
    sent = {name.replace("_", "-").lower(): value for name, value in headers.items()}
    is_text = sent.get("content-type", "").startswith(TEXT_TYPES)
    made: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "ANY /{proxy+}",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {
            "accept": "*/*",
            "content-length": str(len(body)),
            "host": domain,
            "user-agent": "curl/8.5.0",
            "x-amzn-trace-id": "Root=1-5e6722a7-cc56xmpl46db7ae02d4da47e",
            "x-forwarded-for": "192.0.2.1",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
            **sent,
        },
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "id",
            "domainName": domain,
            "domainPrefix": domain.partition(".")[0],
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "curl/8.5.0",
            },
            "requestId": request_id,
            "routeKey": "ANY /{proxy+}",
            "stage": stage,
            "time": "12/Mar/2020:19:03:58 +0000",
            "timeEpoch": 1583348638390,
        },
        "pathParameters": {"proxy": path.lstrip("/")},
        "isBase64Encoded": bool(body) and not is_text,
    }
    if query:
        made["queryStringParameters"] = dict(parse_qsl(query, keep_blank_values=True))
    if body:
        made["body"] = body.decode() if is_text else base64.b64encode(body).decode()
    return made


def body_of(answer: dict[str, Any]) -> bytes:
    """The body that API Gateway sends on."""
    text = answer.get("body", "")
    return base64.b64decode(text) if answer.get("isBase64Encoded") else text.encode()
