"""Feast's Redis format, byte for byte: entity keys, serialized `Value` messages, timestamps.

All views of an entity share one hash. Its key is the serialized entity key followed by the
project's name, its fields are 4-byte hashes of `view:feature` (worked out from the registry and
kept in the contract) and `_ts:view`; a push adds `_pushed:view`, which stock Feast never reads. No
`_ts:view` means that the view does not know the entity; an empty one is protobuf's way to write
1970-01-01T00:00:00. `feast.protos` would import all of Feast, and these few lines are what the
server needs of it; a test holds them to Feast's own bytes.
"""

import math
import struct
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from potluck.contract.fields import LARGEST_INTEGER, LARGEST_OF, DType, Field

Scalar = str | int | float | bool | None

STRING_TYPE, INT32_TYPE, INT64_TYPE = 2, 3, 4
NULL = b"\x98\x01\x00"
NULL_TIMESTAMP = -(2**63)


class DamagedValueError(ValueError):
    """Bytes that are nothing of Feast's."""


def entity_key(
    project: str, join_keys: Sequence[str], values: Sequence[Scalar], dtypes: Sequence[str]
) -> bytes:
    """Redis key of an entity.

    Args:
        project: Feast's project.
        join_keys: names; their order does not matter.
        values: one for each name, a str or an int.
        dtypes: `string`, `int32` or `int64`, one for each name.
    """
    return entity_key_maker(project, join_keys, dtypes)(values)


def entity_key_maker(
    project: str, join_keys: Sequence[str], dtypes: Sequence[str]
) -> Callable[[Sequence[Scalar]], bytes]:
    """`entity_key` for many entities of the same join keys: from values to the Redis key."""
    order = sorted(range(len(join_keys)), key=lambda place: join_keys[place])
    head = entity_key_head(join_keys)
    tail = project.encode()
    if len(order) == 1:
        return lambda values: head + packed_key_value(values[0], dtypes[0]) + tail
    return lambda values: (
        head + b"".join(packed_key_value(values[at], dtypes[at]) for at in order) + tail
    )


def entity_key_head(join_keys: Sequence[str]) -> bytes:
    """What the Redis keys of all entities of these join keys begin with."""
    names = [name.encode() for name in sorted(join_keys)]
    return struct.pack("<I", len(names)) + b"".join(
        struct.pack("<II", STRING_TYPE, len(n)) + n for n in names
    )


def packed_key_value(value: Scalar, dtype: str) -> bytes:
    if dtype == "string":
        text = str(value).encode()
        return struct.pack("<II", STRING_TYPE, len(text)) + text
    if not isinstance(value, int):
        raise TypeError(f"an entity key of type {dtype} takes an int, not {type(value).__name__}")
    if dtype == "int32":
        return struct.pack("<IIi", INT32_TYPE, 4, value)
    return struct.pack("<IIq", INT64_TYPE, 8, value)


def timestamp_field(view: str) -> str:
    """Hash field that holds a view's event timestamp."""
    return f"_ts:{view}"


def pushed_field(view: str) -> str:
    """Hash field that a push adds: the same bytes as in `timestamp_field`, for as long as the
    pushed row stands."""
    return f"_pushed:{view}"


def encode_value(value: Scalar, dtype: str) -> bytes:
    """Serialize one value as Feast's protobuf `Value`."""
    if value is None:
        return NULL
    if dtype == "string":
        text = str(value).encode()
        return b"\x12" + varint(len(text)) + text
    if dtype == "float64":
        return b"\x29" + struct.pack("<d", value)
    return {"int32": b"\x18", "int64": b"\x20", "bool": b"\x38"}[dtype] + varint(int(value))


def is_missing(stored: bytes | None) -> bool:
    return not stored or stored == NULL


def decode_value(stored: bytes | None) -> Scalar:
    """Read one scalar `Value` message; None for null, and for a field that is not there.

    Raises:
        DamagedValueError: the bytes are no scalar `Value`.
    """
    if stored is None or is_missing(stored):
        return None
    tag, body = stored[0], stored[1:]
    try:
        if tag == 0x12:
            length, start = read_varint(body, 0)
            return exactly(body[start:], length).decode()
        if tag == 0x29:
            return float(struct.unpack("<d", body)[0])
        if tag == 0x35:
            return float(struct.unpack("<f", body)[0])
        if tag in (0x18, 0x20, 0x38):
            return whole_number(tag, body)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise DamagedValueError(f"it is cut or changed: {error}") from None
    raise DamagedValueError(f"its wire tag {tag:#x} is no scalar's of Feast")


def value_reader(field: Field, *, answered: bool = False) -> Callable[[bytes | None], Scalar]:
    """`decode_value` for a field of a declared type: what it gives has that type, and is not NaN.

    Its errors name the field and hold nothing of the value: a log has few different ones.

    Args:
        answered: the value is an answer, so it is finite, as JSON has no infinity. A model takes
            one: training and the nightly run learn from it and score it as it is.
    """
    fits = is_finite if answered and field.dtype == "float64" else FITTING[field.dtype]

    def read(stored: bytes | None) -> Scalar:
        try:
            value = decode_value(stored)
        except DamagedValueError as error:
            what = f"a stored value of {field.name}"
            raise DamagedValueError(f"{what} can't be read: {error}") from None
        if value is None or fits(value):
            return value
        declared = f"{field.name} is declared {field.dtype}"
        raise DamagedValueError(f"{declared}, but the store holds something else")

    return read


def is_finite(value: Scalar) -> bool:
    return type(value) is float and math.isfinite(value)


def whole_within(lowest: int, highest: int) -> Callable[[Scalar], bool]:
    return lambda value: type(value) is int and lowest <= value <= highest


FITTING: dict[DType, Callable[[Scalar], bool]] = {
    "int64": whole_within(-LARGEST_INTEGER, LARGEST_INTEGER),
    "int32": whole_within(-LARGEST_OF["int32"] - 1, LARGEST_OF["int32"]),
    "float64": lambda value: type(value) is float and not math.isnan(value),
    "string": lambda value: type(value) is str,
    "bool": lambda value: type(value) is bool,
}


def whole_number(tag: int, body: bytes) -> int | bool:
    number, end = read_varint(body, 0)
    exactly(body, end)
    return bool(number) if tag == 0x38 else number


def exactly(body: bytes, length: int) -> bytes:
    if len(body) != length:
        raise DamagedValueError("it has more or fewer bytes than its header says")
    return body


def encode_timestamp(moment: datetime) -> bytes:
    """Serialize a `google.protobuf.Timestamp`."""
    micros = (moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
        microseconds=1
    )
    seconds, nanos = micros // 1_000_000, micros % 1_000_000 * 1000
    return (b"\x08" + varint(seconds) if seconds else b"") + (
        b"\x10" + varint(nanos) if nanos else b""
    )


def decode_timestamp(stored: bytes | None) -> float | None:
    """Seconds since 1970 of a serialized `Timestamp`; None where there is none.

    Raises:
        DamagedValueError: the bytes are no `Timestamp`.
    """
    if stored is None:
        return None
    parts, position = {0x08: 0, 0x10: 0}, 0
    try:
        while position < len(stored):
            tag = stored[position]
            parts[tag], position = read_varint(stored, position + 1)
    except (IndexError, KeyError):
        raise DamagedValueError("a stored timestamp is cut or changed") from None
    return parts[0x08] + parts[0x10] / 1e9


def varint(number: int) -> bytes:
    rest, out = number & 0xFFFFFFFFFFFFFFFF, bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """A signed 64-bit varint and the position behind it."""
    number = shift = 0
    while True:
        byte = data[position]
        number |= (byte & 0x7F) << shift
        position += 1
        if byte < 0x80:
            break
        shift += 7
        if shift > 63:
            raise DamagedValueError("it has a number of more than 64 bits")
    number &= 0xFFFFFFFFFFFFFFFF
    return (number - (1 << 64) if number >= 1 << 63 else number), position
