"""The two tables as DynamoDB's CreateTable takes them, without their names and how they are paid for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypedDict

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import (
        AttributeDefinitionTypeDef,
        GlobalSecondaryIndexTypeDef,
        KeySchemaElementTypeDef,
    )

BY_OWNER: Final = "by_owner"
UNSENT: Final = "unsent"
TTL_ATTRIBUTE: Final = "expires_at"


class TableForm(TypedDict, total=False):
    """Keys and indexes of a table."""

    AttributeDefinitions: list[AttributeDefinitionTypeDef]
    KeySchema: list[KeySchemaElementTypeDef]
    GlobalSecondaryIndexes: list[GlobalSecondaryIndexTypeDef]


JOBS_TABLE: Final[TableForm] = {
    "AttributeDefinitions": [
        {"AttributeName": "job_id", "AttributeType": "S"},
        {"AttributeName": "owner", "AttributeType": "S"},
        {"AttributeName": "created_at", "AttributeType": "S"},
        {"AttributeName": "unsent", "AttributeType": "S"},
    ],
    "KeySchema": [{"AttributeName": "job_id", "KeyType": "HASH"}],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": BY_OWNER,
            "KeySchema": [
                {"AttributeName": "owner", "KeyType": "HASH"},
                {"AttributeName": "created_at", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "ALL"},
        },
        {
            "IndexName": UNSENT,
            "KeySchema": [
                {"AttributeName": "unsent", "KeyType": "HASH"},
                {"AttributeName": "created_at", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "ALL"},
        },
    ],
}

PREVIEW_CACHE_TABLE: Final[TableForm] = {
    "AttributeDefinitions": [{"AttributeName": "blueprint_hash", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "blueprint_hash", "KeyType": "HASH"}],
}
