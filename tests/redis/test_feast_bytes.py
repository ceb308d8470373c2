"""What is encoded by columns has the bytes that one value at a time gives, and Feast's own."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.type_map import python_values_to_proto_values
from feast.value_type import ValueType
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import example, given, settings
from hypothesis import strategies as st
from redis.crc import key_slot

from potluck.contract.errors import DataError
from potluck.contract.fields import DType, Field
from potluck.contract.redis_format import encode_timestamp, encode_value, entity_key
from potluck.redis.feast_bytes import (
    encode_timestamps,
    encode_values,
    entity_keys,
    typed_entity_keys,
)
from potluck.redis.feast_times import decode_timestamps
from potluck.redis.key_scan import readable_key
from potluck.redis.resp_stream import command_stream, hash_slots, key_hashes
from potluck.stores.feast_plugins.feast_values import encode_by_feast

repeatable = settings(derandomize=True, deadline=None, max_examples=150, database=None)

INT32, INT64 = st.integers(-(2**31), 2**31 - 1), st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(codec="utf-8"), max_size=300)
ARROW = {
    "string": pa.string(),
    "int64": pa.int64(),
    "int32": pa.int32(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
}
VALUES: dict[DType, st.SearchStrategy[Any]] = {
    "string": TEXT,
    "int64": INT64,
    "int32": INT32,
    "float64": st.floats(),
    "bool": st.booleans(),
}
columns = st.one_of(
    *(
        st.tuples(st.just(dtype), st.lists(st.none() | values, max_size=8))
        for dtype, values in VALUES.items()
    )
)


@repeatable
@given(columns)
@example(("float64", [-0.0, 0.0, float("inf"), float("-inf"), 5e-324, None]))
@example(("int64", [0, -1, -(2**63), 2**63 - 1, 127, 128, None]))
@example(("int32", [0, -1, -(2**31), 2**31 - 1]))
@example(("string", ["", "ä" * 64, "x" * 127, "x" * 128, "x" * 20_000, "\x00", None]))
@example(("bool", [True, False, None]))
@example(("float64", []))
def test_a_column_of_values_is_what_one_at_a_time_gives(typed: tuple[DType, list[Any]]) -> None:
    dtype, values = typed
    column = pa.array(values, ARROW[dtype])
    assert encode_values(column, dtype).to_pylist() == [
        encode_value(value, dtype) for value in values
    ]


def test_a_slice_and_chunks_of_a_column_are_encoded_as_the_whole() -> None:
    whole = pa.array(["a", None, "bcd", "", "e" * 200])
    encoded = encode_values(whole, "string").to_pylist()
    assert encode_values(whole[1:4], "string").to_pylist() == encoded[1:4]
    assert encode_values(pa.chunked_array([whole[:2], whole[2:]]), "string").to_pylist() == encoded


def test_what_stands_for_null_can_be_chosen() -> None:
    assert encode_values(pa.array([1.5, None]), "float64", null=b"")[1].as_py() == b""
    assert encode_values(pa.array([None, None]), "string", null=b"").to_pylist() == [b"", b""]


MOMENTS = [
    datetime(1969, 12, 31, 23, 59, 59, 999_999),
    datetime(1970, 1, 1),
    datetime(2024, 2, 29, 1, 2, 3, 400_000),
]
OTHERS = [
    (ValueType.FLOAT, pa.array([0.1, None, -0.0, 1e38], pa.float32())),
    (ValueType.FLOAT, pa.array([0.1, None, -0.0, 1e30], pa.float64())),
    (ValueType.DOUBLE, pa.array([1, None, 3], pa.int64())),
    (ValueType.INT64, pa.array([1, None, -3], pa.int32())),
    (ValueType.INT64, pa.array([4.5, 2.0])),
    (ValueType.STRING, pa.array([1, 2])),
    (ValueType.BOOL, pa.array([1, 0])),
    (ValueType.BYTES, pa.array([b"", b"\x00\xff" * 100, None])),
    (ValueType.UNIX_TIMESTAMP, pa.array([*MOMENTS, None], pa.timestamp("us"))),
    (ValueType.UNIX_TIMESTAMP, pa.array(MOMENTS, pa.timestamp("ns", tz="UTC"))),
    (ValueType.UNIX_TIMESTAMP, pa.array([None, None], pa.timestamp("us"))),
    (ValueType.DOUBLE_LIST, pa.array([[1.0, 2.5], [], None])),
    (ValueType.FLOAT_LIST, pa.array([[1.0, 2.5], [], None], pa.list_(pa.float32()))),
    (ValueType.INT64_LIST, pa.array([[1, -2], None])),
    (ValueType.INT32_LIST, pa.array([[1, -2], None], pa.list_(pa.int32()))),
    (ValueType.STRING_LIST, pa.array([["a", ""], None])),
    (ValueType.BYTES_LIST, pa.array([[b"a", b""], None])),
    (ValueType.BOOL_LIST, pa.array([[True, False], None])),
    (ValueType.UNIX_TIMESTAMP_LIST, pa.array([MOMENTS, None], pa.list_(pa.timestamp("us")))),
    (ValueType.JSON, pa.array(['{"a": 1}', None])),
    (ValueType.UUID, pa.array(["00000000-0000-0000-0000-000000000001", None])),
    (ValueType.MAP, pa.array([{"a": 1}, None], pa.struct([("a", pa.int64())]))),
]


@pytest.mark.parametrize(("kind", "column"), OTHERS, ids=lambda given: getattr(given, "name", ""))
def test_every_other_type_has_the_bytes_that_feast_materializes(
    kind: ValueType, column: Any
) -> None:
    theirs = python_values_to_proto_values(column.to_numpy(zero_copy_only=False), kind)
    assert encode_values(
        column, kind.name.lower(), null=b"", otherwise=encode_by_feast
    ).to_pylist() == [v.SerializeToString() for v in theirs]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "can't store string as int64; expected values of that type"),
        ({"otherwise": encode_by_feast}, "Feast can't store string as int64: "),
    ],
)
def test_what_can_not_be_encoded_is_a_data_error(options: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        encode_values(pa.array(["four"]), "int64", **options)


key_columns = st.one_of(
    *(
        st.tuples(st.just(dtype), st.lists(VALUES[dtype], min_size=3, max_size=3))
        for dtype in ("string", "int64", "int32")
    )
)


@repeatable
@given(
    project=st.text(st.characters(codec="utf-8"), max_size=10),
    named=st.dictionaries(TEXT, key_columns, min_size=1, max_size=3),
)
@example("shop", {"b": ("int32", [1, -2, 3]), "a": ("string", ["", "x" * 200, "ä"])})
def test_entity_keys_are_what_one_at_a_time_gives(
    project: str, named: dict[str, tuple[DType, list[Any]]]
) -> None:
    table = pa.table(
        {name: pa.array(values, ARROW[dtype]) for name, (dtype, values) in named.items()}
    )
    keys = [Field(name, dtype, "key") for name, (dtype, _) in named.items()]
    rows = zip(*(values for _, values in named.values()), strict=True)
    dtypes = [dtype for dtype, _ in named.values()]
    expected = [entity_key(project, list(named), row, dtypes) for row in rows]
    assert entity_keys(project, keys, table).to_pylist() == expected


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("bytes", [b"", b"ab"]),
        ("unix_timestamp", [datetime(1969, 12, 31, tzinfo=UTC), datetime(2020, 1, 1, tzinfo=UTC)]),
    ],
)
def test_keys_of_feasts_other_types(kind: str, values: list[Any]) -> None:
    protos = python_values_to_proto_values(np.array(values, object), ValueType[kind.upper()])
    theirs = [
        serialize_entity_key(EntityKey(join_keys=["k"], entity_values=[value]), 3) + b"p"
        for value in protos
    ]
    assert typed_entity_keys("p", {"k": kind}, pa.table({"k": values})).to_pylist() == theirs


def test_a_key_that_is_a_moment_is_read_by_people_as_its_seconds() -> None:
    table = pa.table({"at": [datetime(2020, 1, 1, tzinfo=UTC), datetime(1969, 12, 31, tzinfo=UTC)]})
    keys = typed_entity_keys("p", {"at": "unix_timestamp"}, table).to_pylist()
    assert [readable_key(key) for key in keys] == ["at=1577836800", "at=-86400"]


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (pa.array([1, None]), "is null in 1 row"),
        (pa.array(["seven"]), "declared int64, but holds string"),
        (pa.array([1.5]), "declared int64, but holds double"),
    ],
)
def test_a_key_that_is_none_is_refused(column: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        entity_keys("p", [Field("id", "int64", "key")], pa.table({"id": column}))


MOMENT = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30))


@repeatable
@given(st.lists(MOMENT, max_size=6))
@example(MOMENTS)
@example([datetime(1970, 1, 1), datetime(1970, 1, 1, 0, 0, 0, 1)])
def test_timestamps_are_protobufs_to_the_byte(moments: list[datetime]) -> None:
    theirs = []
    for moment in moments:
        stamp = Timestamp()
        stamp.FromDatetime(moment)
        theirs.append(stamp.SerializeToString())
    column = pa.array(
        [moment.replace(tzinfo=UTC) for moment in moments], pa.timestamp("us", tz="UTC")
    )
    assert encode_timestamps(column).to_pylist() == theirs


@repeatable
@given(st.lists(MOMENT, max_size=6))
@example(MOMENTS)
def test_timestamps_come_back(moments: list[datetime]) -> None:
    column = pa.array(moments, pa.timestamp("us"))
    micros, sound = decode_timestamps(encode_timestamps(column))
    assert micros.tolist() == column.cast(pa.int64()).to_pylist()
    assert sound.all()


@repeatable
@given(st.lists(st.none() | st.binary(max_size=26), max_size=8))
@example(
    [
        None,
        b"",
        b"\x08",
        b"\x08\x80",
        b"\x12\x02ab",
        b"\x08" + b"\xff" * 12 + b"\x01",
        b"\x08\x01\x10\x80",
    ]
)
@example([b"\x08" + b"\x80" * 10 + b"\x01"])
def test_damaged_timestamps_are_told_from_sound_ones(stored: list[bytes | None]) -> None:
    micros, sound = decode_timestamps(pa.array(stored, pa.binary()))
    for text, found, is_sound in zip(stored, micros.tolist(), sound.tolist(), strict=True):
        if is_sound and text is not None:
            theirs = Timestamp()
            theirs.ParseFromString(text)
            assert found == theirs.seconds * 1_000_000 + theirs.nanos // 1000
    assert [sound[row] for row, text in enumerate(stored) if text is None] == [
        False
    ] * stored.count(None)


def test_timestamps_of_any_unit_and_zone_are_the_same_moment() -> None:
    moment = datetime(2010, 7, 31, 2, tzinfo=UTC)
    expected = [encode_timestamp(moment)]
    for unit in ("s", "ms", "us", "ns"):
        for zone in (None, "UTC", "Europe/Berlin"):
            naive = moment.replace(tzinfo=None) if zone is None else moment
            assert (
                encode_timestamps(pa.array([naive], pa.timestamp(unit, tz=zone))).to_pylist()
                == expected
            )
    below = pa.array([-1], pa.timestamp("ns"))
    assert encode_timestamps(below).to_pylist() == [
        encode_timestamp(datetime(1970, 1, 1, tzinfo=UTC) - timedelta(microseconds=1))
    ]


def test_a_row_without_timestamp_is_refused() -> None:
    with pytest.raises(DataError, match="event timestamp in every row"):
        encode_timestamps(pa.array([None], pa.timestamp("us")))


@repeatable
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=8))
@example([b"{a}b", b"a{}b", b"x{tag}y{z}", b"}{", b"{", b"", b"z" * 600])
def test_slots_are_the_clusters(keys: list[bytes]) -> None:
    assert hash_slots(pa.array(keys, pa.binary())).tolist() == [key_slot(key) for key in keys]


@repeatable
@given(st.lists(st.binary(max_size=40), max_size=8))
def test_a_key_has_the_hash_of_its_bytes(keys: list[bytes]) -> None:
    expected = []
    for key in keys:
        found = 0xCBF29CE484222325
        for byte in key:
            found = ((found ^ byte) * 0x100000001B3) % 2**64
        expected.append(found)
    assert key_hashes(pa.array(keys, pa.binary())).tolist() == expected


def test_a_stream_is_redis_protocol() -> None:
    keys, values = pa.array([b"k1", b"k22"]), pa.array([b"", b"x" * 5000])
    stream = bytes(command_stream([b"HSET", keys, b"f", values], 2))
    parts = [
        [b"HSET", key, b"f", value]
        for key, value in zip([b"k1", b"k22"], [b"", b"x" * 5000], strict=True)
    ]
    assert stream == b"".join(
        b"*4\r\n" + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in row) for row in parts
    )
