"""A service's request as a typed schema, made from its contract and never restated: validation and
OpenAPI share it."""

import re
from collections.abc import Callable, Iterable, Sequence
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
from pydantic_core import ErrorDetails, from_json
from typing_extensions import TypedDict

from potluck.contract.errors import Detail, SchemaValidation
from potluck.contract.features import FeatureContract
from potluck.contract.fields import LARGEST_OF, DType, Field
from serving.bodies.batch_body import BatchReader, too_heavy
from serving.bodies.json_structure import UNCOUNTED_BYTES, is_light
from serving.bodies.malformed import ONE_RECORD, not_json
from serving.services.answer_options import NAMES as OPTION_NAMES

Record = dict[str, Any]

ROWS = "dataframe_records"
MOST_DETAILS = 20
LONGEST_NAME = 64
WHOLE_NUMBER = re.compile(r"([+-]?[0-9]{1,19})(?:\.0+)?")
FORM_OF_RECORDS = f'{{"{ROWS}": [{{"field": value, ...}}, ...]}}'
FORM_OF_IDS = '{"ids": [id, ...]}'

INTEGERS: dict[DType, Any] = {
    dtype: Annotated[StrictInt, Constraint(ge=-bound, le=bound)]
    for dtype, bound in LARGEST_OF.items()
}


def from_whole_float(value: Any) -> Any:
    """65.0 is a whole number: so a data frame writes an integer column that has gaps."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


TYPES: dict[DType, Any] = {
    **{
        dtype: Annotated[kind, BeforeValidator(from_whole_float)]
        for dtype, kind in INTEGERS.items()
    },
    "float64": Annotated[StrictFloat, Constraint(allow_inf_nan=False)],
    "string": StrictStr,
    "bool": StrictBool,
}


def from_digits(value: Any) -> Any:
    """An integer key may come as text; and with `.0`, as pandas writes the ids of a column that has
    gaps."""
    if not isinstance(value, str):
        return from_whole_float(value)
    digits = WHOLE_NUMBER.fullmatch(value)
    return int(digits[1]) if digits else value


def key_type(field: Field) -> Any:
    if field.dtype == "string":
        return StrictStr
    schema = {
        "anyOf": [{"type": "integer"}, {"type": "string", "pattern": f"^{WHOLE_NUMBER.pattern}$"}]
    }
    return Annotated[INTEGERS[field.dtype], BeforeValidator(from_digits), WithJsonSchema(schema)]


def entry(field: Field, required: bool, description: str) -> Any:
    """The annotation of one field of a request."""
    kind = key_type(field) if field.source == "key" else TYPES[field.dtype]
    described = Constraint(description=description)
    return (
        Annotated[kind, described] if required else NotRequired[Annotated[kind | None, described]]
    )


def describe_field(field: Field) -> str:
    if field.source == "key":
        return "Join key: the online store brings what it knows of this entity."
    if field.source == "online":
        return "Looked up by the join key. A value sent here overrides it."
    return "" if field.default is None else f"Default: {field.default}."


class RequestSchema:
    """Checks records of one service."""

    def __init__(self, contract: FeatureContract) -> None:
        own = entries_of(contract.keys + contract.request)
        # The order of a typed dict is the order of each checked record: `overridable_names` holds
        # by it.
        entries = {**own, **entries_of(contract.online)}
        self.service, self.entries = contract.service, entries
        plain: TypeAdapter[Record] = TypeAdapter(record_type(contract.service, own))
        self.read_plain: Callable[[bytes], Record] = plain.validator.validate_json
        schema = plain.core_schema
        self.batch: BatchReader[Record] = BatchReader(
            ROWS, FORM_OF_RECORDS, schema, self.read_whole, frozenset(OPTION_NAMES)
        )
        self.computed = {out.name for function in contract.functions for out in function.outputs}
        self.most_told_of = len(entries) + MOST_DETAILS

    def read(self, body: bytes) -> Record | SchemaValidation:
        """One record from a body's bytes, or why it is none: malformed JSON, or every field that
        does not fit."""
        if len(body) > UNCOUNTED_BYTES and not is_light(body):
            return too_heavy()
        try:
            return self.read_plain(body)
        except ValidationError:
            return self.read_with_overrides(body)

    @cached_property
    def adapter(self) -> TypeAdapter[Record]:
        """With the fields that may be overridden; made when the first one is, so that a start does
        not wait for it."""
        return TypeAdapter(record_type(self.service, self.entries))

    @cached_property
    def json_schema(self) -> dict[str, Any]:
        """For OpenAPI."""
        return self.adapter.json_schema()

    def read_with_overrides(self, body: bytes) -> Record | SchemaValidation:
        """The whole schema: looking for each field that may be overridden takes as long as all the
        rest."""
        try:
            return self.read_whole(body)
        except ValueError as error:
            return not_json(body, str(error), ONE_RECORD)

    def read_whole(self, text: bytes) -> Record | SchemaValidation:
        """One record from its text, or why it does not fit.

        Parsed first: where a value does not fit, pydantic's own reading copies it twice.

        Raises:
            ValueError: it is no JSON; in the parser's own words.
        """
        record = from_json(text)
        if isinstance(record, dict) and len(record) > self.most_told_of:
            return self.refusal_of_many(record)
        try:
            return self.adapter.validator.validate_python(record)  # type: ignore[no-any-return]
        except ValidationError as error:
            return self.refusal(error)

    def refusal_of_many(self, record: Record) -> SchemaValidation:
        """Why a record with too many fields does not fit: an error for each takes too long."""
        unknown = [name for name in record if name not in self.entries]
        told_of = dict.fromkeys(unknown[:MOST_DETAILS])
        few = {name: record[name] for name in self.entries if name in record}
        try:
            self.adapter.validator.validate_python({**few, **told_of})
        except ValidationError as error:
            return self.refusal(error, untold=len(unknown) - len(told_of))
        raise AssertionError("a record with unknown fields passed its check")

    def refusal(self, error: ValidationError, untold: int = 0) -> SchemaValidation:
        """Why a record does not fit, with so many reasons that the error does not hold."""
        found = error.errors(include_url=False, include_context=False, include_input=False)
        places = len(found) + untold
        details = tuple(self.detail(reason) for reason in found[:MOST_DETAILS])
        message = f"the record does not fit the service's contract in {places} place(s)"
        return SchemaValidation(message, details)

    def detail(self, reason: ErrorDetails) -> Detail:
        name = str(reason["loc"][0])[:LONGEST_NAME] if reason["loc"] else ""
        if reason["type"] == "extra_forbidden":
            text = (
                "computed on demand; it can't be sent"
                if name in self.computed
                else "no such field in this service"
            )
            return Detail(name, text)
        if not reason["loc"]:
            return Detail(name, f"expected {ONE_RECORD}")
        return Detail(name, "required" if reason["type"] == "missing" else reason["msg"])


def entries_of(fields: Sequence[Field]) -> dict[str, Any]:
    """Return the annotation of each field by its name."""
    return {field.name: entry(field, is_required(field), describe_field(field)) for field in fields}


def overridable_names(contract: FeatureContract) -> frozenset[str]:
    """Return the names of the looked-up fields, which a request may bring itself.

    In a checked record they stand behind all others, however the request ordered them. So a record
    brings one exactly where its last name is one: `next(reversed(record)) in names`.
    """
    return frozenset(field.name for field in contract.online)


def record_type(service: str, entries: dict[str, Any]) -> Any:
    """A typed dict, because a field's name need be no Python name."""
    make: Any = TypedDict
    shape = make(f"{service}_request", entries)
    shape.__pydantic_config__ = ConfigDict(extra="forbid")
    return shape


def is_required(field: Field) -> bool:
    """Whether a request must carry a field: a looked-up one is brought by the store."""
    return field.source == "key" or (field.source == "request" and field.must_be_given)


class KeyReader:
    """Checks the ids of one precomputed service, from a path or a list."""

    def __init__(self, key: Field) -> None:
        self.name = key.name
        self.adapter: TypeAdapter[int | str] = TypeAdapter(key_type(key))
        schema = self.adapter.core_schema
        self.batch: BatchReader[int | str] = BatchReader("ids", FORM_OF_IDS, schema, self.read)

    def read(self, text: bytes) -> int | str | SchemaValidation:
        """One id from its JSON.

        Raises:
            ValueError: it is none.
        """
        return self.check(from_json(text))

    def check(self, value: Any) -> int | str | SchemaValidation:
        try:
            return self.adapter.validate_python(value)
        except ValidationError as error:
            reasons = (
                reason["msg"] for reason in error.errors(include_url=False, include_input=False)
            )
            return SchemaValidation(
                "the id does not fit the service's key", details(self.name, reasons)
            )


def details(name: str, reasons: Iterable[str]) -> tuple[Detail, ...]:
    return tuple(Detail(name, reason) for reason in reasons)
