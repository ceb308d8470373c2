"""A service's request as a typed schema, made from its contract and never restated: validation and OpenAPI share it."""

import re
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Annotated, Any, NotRequired

from pydantic import (
    BeforeValidator,
    ConfigDict,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
)
from pydantic import Field as Constraint
from pydantic_core import CoreSchema, ErrorDetails, SchemaValidator, core_schema, from_json
from typing_extensions import TypedDict

from potluck.contract.errors import Detail, SchemaValidation
from potluck.contract.features import LARGEST_INTEGER, DType, FeatureContract, Field
from serving.malformed import ONE_RECORD, not_json

Record = dict[str, Any]

ROWS = "dataframe_records"
MOST_DETAILS = 20
LONGEST_NAME = 64
WHOLE_NUMBER = re.compile(r"([+-]?[0-9]{1,19})(?:\.0+)?")
FORMS = {
    ROWS: f'{{"{ROWS}": [{{"field": value, ...}}, ...]}}',
    "ids": '{"ids": [id, ...]}',
}
"""What the body of a batch is, by the name of its list."""

BOUNDS: dict[DType, int] = {"int64": LARGEST_INTEGER, "int32": 2**31 - 1}
INTEGERS: dict[DType, Any] = {
    dtype: Annotated[StrictInt, Constraint(ge=-bound, le=bound)] for dtype, bound in BOUNDS.items()
}


def from_whole_float(value: Any) -> Any:
    """65.0 is a whole number: so a data frame writes an integer column that has gaps."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


TYPES: dict[DType, Any] = {
    **{dtype: Annotated[kind, BeforeValidator(from_whole_float)] for dtype, kind in INTEGERS.items()},
    "float64": Annotated[StrictFloat, Constraint(allow_inf_nan=False)],
    "string": StrictStr,
    "bool": StrictBool,
}


def from_digits(value: Any) -> Any:
    """An integer key may come as text; and with `.0`, as pandas writes the ids of a column that has gaps."""
    if not isinstance(value, str):
        return from_whole_float(value)
    digits = WHOLE_NUMBER.fullmatch(value)
    return int(digits[1]) if digits else value


def key_type(field: Field) -> Any:
    if field.dtype == "string":
        return StrictStr
    schema = {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": f"^{WHOLE_NUMBER.pattern}$"}]}
    return Annotated[INTEGERS[field.dtype], BeforeValidator(from_digits), WithJsonSchema(schema)]


def entry(field: Field, required: bool, description: str) -> Any:
    """The annotation of one field of a request."""
    kind = key_type(field) if field.source == "key" else TYPES[field.dtype]
    described = Constraint(description=description)
    return Annotated[kind, described] if required else NotRequired[Annotated[kind | None, described]]


def describe(field: Field) -> str:
    if field.source == "key":
        return "Join key: the online store brings what it knows of this entity."
    if field.source == "online":
        return "Looked up by the join key. A value sent here overrides it."
    return "" if field.default is None else f"Default: {field.default}."


class RequestSchema:
    """Checks records of one service."""

    def __init__(self, contract: FeatureContract) -> None:
        fields = contract.keys + contract.request + contract.online
        entries = {field.name: entry(field, is_required(field), describe(field)) for field in fields}
        self.service, self.entries = contract.service, entries
        own = {field.name: entries[field.name] for field in contract.keys + contract.request}
        plain: TypeAdapter[Record] = TypeAdapter(record_type(contract.service, own))
        self.read_plain: Callable[[bytes], Record] = plain.validator.validate_json
        self.read_plain_rows = SchemaValidator(rows_of(plain.core_schema)).validate_json
        self.computed = {out.name for function in contract.functions for out in function.outputs}

    def read(self, body: bytes) -> Record | SchemaValidation:
        """One record from a body's bytes, or why it is none: malformed JSON, or every field that does not fit."""
        try:
            return self.read_plain(body)
        except ValidationError:
            return self.read_with_overrides(body)

    @cached_property
    def adapter(self) -> TypeAdapter[Record]:
        """With the fields that may be overridden; made when the first one is, so that a start does not wait for it."""
        return TypeAdapter(record_type(self.service, self.entries))

    def read_with_overrides(self, body: bytes) -> Record | SchemaValidation:
        """The whole schema: looking for each field that may be overridden takes as long as all the rest."""
        try:
            return self.adapter.validator.validate_json(body)  # type: ignore[no-any-return]
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            if first["type"] == "json_invalid":
                return not_json(body, first["msg"], ONE_RECORD)
            return self.refusal(error)

    def read_rows(self, body: bytes) -> list[Record | SchemaValidation]:
        """The records of a batch's body, each checked by itself.

        Raises:
            SchemaValidation: malformed JSON, or something else than a list of rows under `dataframe_records`.
        """
        try:
            return list(self.read_plain_rows(body)[ROWS])
        except ValidationError:
            return [self.check(row) for row in read_envelope(body, ROWS)]

    def check(self, row: Any) -> Record | SchemaValidation:
        """One record of a batch, or why it does not fit."""
        try:
            return self.adapter.validate_python(row)
        except ValidationError as error:
            return self.refusal(error)

    def refusal(self, error: ValidationError) -> SchemaValidation:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        details = tuple(self.detail(reason) for reason in found[:MOST_DETAILS])
        return SchemaValidation(f"the record does not fit the service's contract in {len(found)} place(s)", details)

    def detail(self, reason: ErrorDetails) -> Detail:
        name = str(reason["loc"][0])[:LONGEST_NAME] if reason["loc"] else ""
        if reason["type"] == "extra_forbidden":
            text = "computed on demand; it can't be sent" if name in self.computed else "no such field in this service"
            return Detail(name, text)
        if not reason["loc"]:
            return Detail(name, f"expected {ONE_RECORD}")
        return Detail(name, "required" if reason["type"] == "missing" else reason["msg"])


def rows_of(record: CoreSchema) -> CoreSchema:
    """The body of a batch of such records."""
    rows = core_schema.typed_dict_field(core_schema.list_schema(record))
    return core_schema.typed_dict_schema({ROWS: rows}, extra_behavior="forbid")


def record_type(service: str, entries: dict[str, Any]) -> Any:
    """A typed dict, because a field's name need be no Python name."""
    make: Any = TypedDict
    shape = make(f"{service}_request", entries)
    shape.__pydantic_config__ = ConfigDict(extra="forbid")
    return shape


def is_required(field: Field) -> bool:
    """Whether a request must carry a field: a looked-up one is brought by the store."""
    return field.source == "key" or (field.source == "request" and field.required and field.default is None)


def read_envelope(body: bytes, name: str) -> list[Any]:
    """The list of a batch body `{name: [...]}`.

    Raises:
        SchemaValidation: malformed JSON, or something else than an object with just this list.
    """
    try:
        envelope = from_json(body)
    except ValueError as error:
        raise not_json(body, str(error), f"one JSON object, {FORMS[name]}") from None
    if not isinstance(envelope, dict) or set(envelope) != {name} or not isinstance(envelope[name], list):
        raise SchemaValidation(
            "the batch has another form than expected",
            (Detail(name, f"expected {FORMS[name]} and nothing else"),),
        )
    return list(envelope[name])


class KeyReader:
    """Checks the ids of one precomputed service, from a path or a list."""

    def __init__(self, key: Field) -> None:
        self.name = key.name
        self.adapter: TypeAdapter[int | str] = TypeAdapter(key_type(key))

    def check(self, value: Any) -> int | str | SchemaValidation:
        try:
            return self.adapter.validate_python(value)
        except ValidationError as error:
            reasons = (reason["msg"] for reason in error.errors(include_url=False, include_input=False))
            return SchemaValidation("the id does not fit the service's key", details(self.name, reasons))


def details(name: str, reasons: Iterable[str]) -> tuple[Detail, ...]:
    return tuple(Detail(name, reason) for reason in reasons)
