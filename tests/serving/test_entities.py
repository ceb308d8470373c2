"""What the replies of the online store say of a record, as the schema hands it over."""

import json
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest

from potluck.contract.features import FeatureContract, LookupView
from potluck.contract.fields import Field
from potluck.contract.redis_format import encode_timestamp, encode_value
from serving.services.entities import EntityReader, Known
from serving.services.schema import RequestSchema, overridable_names

AT = datetime(2010, 7, 31, tzinfo=UTC)
TTL_SECONDS = 3600
CONTRACT = FeatureContract(
    project="shop",
    service="price",
    objective="regression",
    transform="identity",
    label_source="sales",
    label="price",
    keys=(Field("product", "int64", "key", required=True),),
    request=(Field("weight", "float64", "request"),),
    online=(Field("stock", "float64", "online"), Field("rating", "float64", "online")),
    views=(
        LookupView("stocks", ("product",), ("stock",), ("00000001",), TTL_SECONDS),
        LookupView("ratings", ("product",), ("rating",), ("00000002",), 0),
    ),
    functions=(),
    columns=(),
)
SENT = {"product": 7, "weight": 2.0, "stock": 3.0}
STOCK, RATING = encode_value(50.0, "float64"), encode_value(4.5, "float64")


def reply_of_store() -> list[bytes | None]:
    return [encode_timestamp(AT), STOCK, encode_timestamp(AT), RATING]


def known_of(record: dict[str, Any], reply: list[bytes | None], age_seconds: int = 0) -> Known:
    known = EntityReader(CONTRACT).known(record, [reply], AT.timestamp() + age_seconds)
    assert isinstance(known, Known)
    return known


@pytest.mark.parametrize("names", permutations(SENT))
def test_a_sent_looked_up_field_overrides_wherever_the_request_has_it(
    names: tuple[str, ...],
) -> None:
    body = json.dumps({name: SENT[name] for name in names}).encode()
    schema = RequestSchema(CONTRACT)
    for record in (schema.read(body), schema.read_whole(body)):
        assert isinstance(record, dict)
        assert [*record] == ["product", "weight", "stock"]
        known = known_of(record, reply_of_store())
        assert known.overridden == ("stock",)
        assert known.stored == [encode_value(3.0, "float64"), RATING]


def test_looked_up_fields_stand_behind_all_others_in_the_schema() -> None:
    """`EntityReader` asks for a record's last name only."""
    names, overridable = [*RequestSchema(CONTRACT).entries], overridable_names(CONTRACT)
    assert overridable == {"stock", "rating"}
    assert set(names[-len(overridable) :]) == overridable


def test_a_record_without_looked_up_fields_takes_the_replys_own_values() -> None:
    known = known_of({"product": 7, "weight": 2.0}, reply_of_store())
    assert (list(known.stored), known.overridden) == ([STOCK, RATING], ())


@pytest.mark.parametrize(
    ("reply", "age_seconds", "stored"),
    [
        (reply_of_store(), TTL_SECONDS, [STOCK, RATING]),
        (reply_of_store(), TTL_SECONDS + 1, [None, RATING]),
        ([None, STOCK, encode_timestamp(AT), RATING], 0, [None, RATING]),
    ],
    ids=["fresh", "stale", "unknown to one view"],
)
def test_the_reply_itself_stays_as_it_came(
    reply: list[bytes | None], age_seconds: int, stored: list[bytes | None]
) -> None:
    before = reply.copy()
    known = known_of({"product": 7}, reply, age_seconds)
    assert (list(known.stored), reply) == (stored, before)


def test_a_reply_of_which_all_counts_is_not_copied() -> None:
    reader, reply = EntityReader(CONTRACT), reply_of_store()
    knowing, values = reader.without_stale(reader.hashes[0], reply, AT.timestamp())
    assert knowing == 2
    assert values is reply
