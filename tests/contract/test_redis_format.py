"""Our reader and writer against Feast's own bytes."""

import struct
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.infra.online_stores.helpers import _redis_key
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import example, given, settings
from hypothesis import strategies as st

from potluck.contract.redis_format import (
    NULL,
    NULL_TIMESTAMP,
    decode_timestamp,
    decode_value,
    encode_timestamp,
    encode_value,
    entity_key,
    packed_key_value,
    timestamp_field,
)

repeatable = settings(derandomize=True, deadline=None, max_examples=200, database=None)

INT32, INT64 = st.integers(-(2**31), 2**31 - 1), st.integers(-(2**63), 2**63 - 1)
VALUES = {
    "string": st.text(),
    "int64": INT64,
    "int32": INT32,
    "float64": st.floats(),
    "bool": st.booleans(),
}
PROTO_FIELDS = {
    "string": "string_val",
    "int64": "int64_val",
    "int32": "int32_val",
    "float64": "double_val",
    "bool": "bool_val",
}
typed_values = st.one_of(
    *(st.tuples(st.just(dtype), values) for dtype, values in VALUES.items() if dtype != "float64"),
    st.tuples(st.just("float64"), st.floats(allow_nan=False)),
)
key_values = st.one_of(
    *(st.tuples(st.just(dtype), VALUES[dtype]) for dtype in ("string", "int64", "int32"))
)


def feast_value(dtype: str, value: Any) -> Value:
    return Value(**{PROTO_FIELDS[dtype]: value})


def feast_key(names: list[str], typed: list[tuple[str, Any]]) -> EntityKey:
    return EntityKey(
        join_keys=names, entity_values=[feast_value(dtype, value) for dtype, value in typed]
    )


def bits(value: Any) -> bytes:
    return struct.pack("<d", value) if isinstance(value, float) else repr(value).encode()


@repeatable
@given(
    project=st.text(max_size=20),
    keys=st.dictionaries(st.text(max_size=20), key_values, min_size=1, max_size=3),
)
def test_an_entity_key_is_feasts_to_the_byte(
    project: str, keys: dict[str, tuple[str, Any]]
) -> None:
    names, typed = list(keys), list(keys.values())
    ours = entity_key(project, names, [value for _, value in typed], [dtype for dtype, _ in typed])
    assert ours == _redis_key(project, feast_key(names, typed), entity_key_serialization_version=3)
    assert ours == serialize_entity_key(feast_key(names, typed), 3) + project.encode()


def test_the_order_of_join_keys_does_not_matter() -> None:
    there = entity_key("shop", ["b", "a"], [2, "one"], ["int64", "string"])
    back = entity_key("shop", ["a", "b"], ["one", 2], ["string", "int64"])
    assert there == back


def test_an_integer_key_and_the_same_digits_as_text_are_two_entities() -> None:
    assert entity_key("shop", ["id"], [7], ["int64"]) != entity_key(
        "shop", ["id"], ["7"], ["string"]
    )


def test_an_integer_key_refuses_text() -> None:
    with pytest.raises(TypeError, match="takes an int, not str"):
        packed_key_value("7", "int64")


@repeatable
@given(typed_values)
@example(("float64", -0.0))
@example(("float64", 5e-324))
@example(("float64", float("inf")))
@example(("int64", -(2**63)))
@example(("int32", -1))
@example(("string", ""))
def test_a_value_is_feasts_to_the_byte_and_comes_back(typed: tuple[str, Any]) -> None:
    dtype, value = typed
    stored = encode_value(value, dtype)
    assert stored == feast_value(dtype, value).SerializeToString()
    assert type(decode_value(stored)) is type(value)
    assert bits(decode_value(stored)) == bits(value)


def test_a_nan_comes_back_as_nan() -> None:
    stored = encode_value(float("nan"), "float64")
    assert stored == feast_value("float64", float("nan")).SerializeToString()
    assert decode_value(stored) != decode_value(stored)


@pytest.mark.parametrize("dtype", VALUES)
def test_null_is_feasts_null_whatever_the_type(dtype: str) -> None:
    assert encode_value(None, dtype) == NULL == Value(null_val=0).SerializeToString()


@pytest.mark.parametrize("stored", [None, b"", NULL])
def test_null_empty_and_absent_are_missing(stored: bytes | None) -> None:
    assert decode_value(stored) is None


def test_a_float_of_feasts_is_read_though_we_write_none() -> None:
    assert decode_value(Value(float_val=0.5).SerializeToString()) == 0.5


@pytest.mark.parametrize(
    "other",
    [
        Value(bytes_val=b"x"),
        Value(unix_timestamp_val=NULL_TIMESTAMP),
        Value(double_list_val={"val": [1.0]}),
    ],
)
def test_what_is_no_scalar_is_refused(other: Value) -> None:
    with pytest.raises(ValueError, match="no scalar"):
        decode_value(other.SerializeToString())


@repeatable
@given(st.binary(max_size=24))
@example(b"\x20")
@example(b"\x20\xff")
@example(b"\x29\x00")
@example(b"\x12\x05abc")
@example(b"\x12\x02\xff\xfe")
@example(b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01abc")
def test_any_bytes_give_a_value_or_a_value_error(stored: bytes) -> None:
    try:
        value = decode_value(stored)
    except ValueError:
        return
    assert value is None or isinstance(value, str | int | float | bool)


@repeatable
@given(typed_values, st.data())
def test_a_value_that_lost_its_end_is_refused(typed: tuple[str, Any], data: st.DataObject) -> None:
    whole = encode_value(typed[1], typed[0])
    length = data.draw(st.integers(1, len(whole) - 1))
    with pytest.raises(ValueError, match=r"cut or changed|its header says"):
        decode_value(whole[:length])


@repeatable
@given(st.sampled_from([b"\x20", b"\x38"]), st.binary(min_size=1, max_size=14))
@example(b"\x20", b"\x80" * 12 + b"\x01")
@example(b"\x20", b"\xff" * 9 + b"\x7f")
def test_changed_bytes_never_give_an_integer_that_protobuf_does_not_read(
    tag: bytes, body: bytes
) -> None:
    """A varint has at most ten bytes, and 64 bits."""
    try:
        ours = decode_value(tag + body)
    except ValueError:
        return
    theirs = Value()
    try:
        theirs.ParseFromString(tag + body)
    except DecodeError:
        pytest.fail(f"protobuf refuses what was read as {ours}")
    assert ours == getattr(theirs, theirs.WhichOneof("val"))


@repeatable
@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)))
@example(datetime(1970, 1, 1))
@example(datetime(1969, 12, 31, 23, 59, 59, 999999))
@example(datetime(2010, 7, 31))
def test_a_timestamp_is_protobufs_to_the_byte(moment: datetime) -> None:
    aware = moment.replace(tzinfo=UTC)
    theirs = Timestamp()
    theirs.FromDatetime(moment)
    assert encode_timestamp(aware) == theirs.SerializeToString()


@repeatable
@given(st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2100, 1, 1)))
def test_a_timestamp_comes_back_in_seconds(moment: datetime) -> None:
    aware = moment.replace(tzinfo=UTC)
    decoded = decode_timestamp(encode_timestamp(aware))
    assert decoded == pytest.approx(aware.timestamp(), abs=1e-6, rel=0)


def test_a_timestamp_of_another_zone_is_the_same_moment() -> None:
    summer = datetime(2010, 7, 31, 2, tzinfo=timezone(timedelta(hours=2)))
    assert encode_timestamp(summer) == encode_timestamp(datetime(2010, 7, 31, tzinfo=UTC))


def test_a_timestamp_that_is_not_there_is_none() -> None:
    assert decode_timestamp(None) is None


@repeatable
@given(st.binary(max_size=16))
@example(b"\x08")
@example(b"\x08\x80")
@example(b"\x12\x02ab")
def test_any_bytes_give_a_timestamp_or_a_value_error(stored: bytes) -> None:
    try:
        seconds = decode_timestamp(stored)
    except ValueError:
        return
    assert isinstance(seconds, int | float)


def test_a_views_timestamp_lies_where_feast_puts_it() -> None:
    """`RedisOnlineStore` writes `_ts:` and the view's name."""
    assert timestamp_field("petal_record") == "_ts:petal_record"
