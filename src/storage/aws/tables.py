"""One table of DynamoDB: items read as they are now, and written in one call that compares and sets."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from storage.aws.calls import Calls
from storage.aws.items import attributes, values_of
from utils.errors import ServiceUnavailableError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, QueryOutputTypeDef

CONDITION_FAILED: Final = "ConditionalCheckFailedException"

Clock = Callable[[], datetime]
Values = Mapping[str, Any]


def expires_at_s(moment: datetime, lifetime: timedelta) -> int:
    """The TTL attribute of what is to be forgotten then: whole seconds since 1970, not a moment too early."""
    return math.ceil((moment + lifetime).timestamp())


@dataclass(frozen=True, slots=True)
class Refused:
    """A write whose condition did not hold, and the item that stood there, if one did."""

    standing: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Query:
    """What an index is asked for."""

    index: str
    condition: str
    names: dict[str, str]
    values: dict[str, Any]
    newest_first: bool


class Table:
    """A table by its name; items are JSON values, the key being one of them."""

    def __init__(self, client: Callable[[], DynamoDBClient], name: str, key: str, calls: Calls) -> None:
        self._client, self._name, self._key, self._calls = client, name, key, calls

    def get(self, key: str) -> dict[str, Any] | None:
        """The item, whatever was written before this call being in it, or None."""
        found = self._calls(
            lambda: self._client().get_item(TableName=self._name, Key=self._place(key), ConsistentRead=True)
        )
        item = found.get("Item")
        return None if item is None else values_of(item)

    def put(self, item: Values) -> None:
        """Keep the item, whatever was there."""
        kept = attributes(item)
        self._calls(lambda: self._client().put_item(TableName=self._name, Item=kept))

    def put_if(
        self, item: Values, condition: str, values: Values, names: Mapping[str, str] | None = None
    ) -> Refused | None:
        """None if the condition held and the item is kept; else what stood in the way.

        If the answer of a first try was lost after it had been kept, what stands in the way is the item itself.
        """
        kept, compared = attributes(item), attributes(values)
        more: Any = {"ExpressionAttributeNames": names} if names else {}
        try:
            self._calls(
                lambda: self._client().put_item(
                    TableName=self._name,
                    Item=kept,
                    ConditionExpression=condition,
                    ExpressionAttributeValues=compared,
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                    **more,
                ),
                CONDITION_FAILED,
            )
        except ClientError as error:
            standing: Any = error.response.get("Item")
            return Refused(values_of(standing) if standing else None)
        return None

    def put_new(self, item: Values, condition: str, values: Values) -> dict[str, Any] | None:
        """None if the condition held and the item is kept; else the item that stands there.

        Args:
            item: what is to be kept.
            condition: one that holds wherever there is no item.
            values: what the condition names.
        """
        refused = self.put_if(item, condition, values)
        if refused is None:
            return None
        if refused.standing is None:  # what stood there was not told: that it was refused for nothing cannot be
            raise ServiceUnavailableError(service=self._calls.service)
        return refused.standing

    def remove_attribute(self, key: str, attribute: str) -> None:
        """Take the attribute from the item; nothing if there is no item that has it."""
        try:
            self._calls(
                lambda: self._client().update_item(
                    TableName=self._name,
                    Key=self._place(key),
                    UpdateExpression="REMOVE #a",
                    ConditionExpression="attribute_exists(#a)",
                    ExpressionAttributeNames={"#a": attribute},
                ),
                CONDITION_FAILED,
            )
        except ClientError:
            return

    def delete(self, key: str) -> dict[str, Any] | None:
        """The item that was there, or None; there is none now."""
        answer = self._calls(
            lambda: self._client().delete_item(TableName=self._name, Key=self._place(key), ReturnValues="ALL_OLD")
        )
        item = answer.get("Attributes")
        return values_of(item) if item else None

    def query(self, asked: Query, limit: int, after: Values | None = None) -> Iterator[dict[str, Any]]:
        """Up to `limit` items of an index in its order, after the one whose keys `after` has."""
        begin = None if after is None else attributes(after)
        while limit > 0:
            page = self._calls(partial(self._page, asked, limit, begin))
            for item in page["Items"]:
                yield values_of(item)
            limit -= len(page["Items"])
            begin = page.get("LastEvaluatedKey")
            if not begin:
                return

    def check(self) -> None:
        """Return if the table answers, asked for an item that is not there.

        Raises:
            ServiceUnavailableError: it does not.
        """
        self._calls.once(lambda: self._client().get_item(TableName=self._name, Key=self._place("health")))

    def _page(self, asked: Query, limit: int, begin: Mapping[str, Any] | None) -> QueryOutputTypeDef:
        more: Any = {"ExclusiveStartKey": begin} if begin else {}
        return self._client().query(
            TableName=self._name,
            IndexName=asked.index,
            KeyConditionExpression=asked.condition,
            ExpressionAttributeNames=asked.names,
            ExpressionAttributeValues=attributes(asked.values),
            ScanIndexForward=not asked.newest_first,
            Limit=limit,
            **more,
        )

    def _place(self, key: str) -> dict[str, AttributeValueTypeDef]:
        return {self._key: {"S": key}}
