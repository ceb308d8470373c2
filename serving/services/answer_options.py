"""What a caller wants to know besides the prediction."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any
from urllib.parse import parse_qsl

from pydantic import ConfigDict, StrictBool, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from potluck.contract.errors import Detail, SchemaValidation

TRUTH = {"true": True, "false": False}
LONGEST_NAME = 64


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class AnswerOptions:
    """Of one request: in the URL of a record, beside the rows of a batch."""

    details: StrictBool = False
    """Add where each feature came from, and how old it was."""


PLAIN = AnswerOptions()
OPTIONS: TypeAdapter[AnswerOptions] = TypeAdapter(AnswerOptions)
NAMES = tuple(field.name for field in fields(AnswerOptions))


def options_of_query(query: bytes) -> AnswerOptions:
    """Read the options of a URL: `?details=true`.

    Raises:
        SchemaValidation: there is no such option, or its value is none.
    """
    if not query:
        return PLAIN
    given: dict[str, Any] = {}
    for name, text in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        given[name] = TRUTH.get(text, text)
    return options_of_fields(given)


def options_of_fields(given: Mapping[str, Any]) -> AnswerOptions:
    """Read the options that stand beside the rows of a batch.

    Raises:
        SchemaValidation: there is no such option, or its value is none.
    """
    try:
        return OPTIONS.validate_python(dict(given))
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        details = tuple(
            Detail(str(each["loc"][0])[:LONGEST_NAME], reason_of(each["type"])) for each in found
        )
        raise SchemaValidation("an option of the request is not valid", details) from None


def reason_of(kind: str) -> str:
    if kind == "unexpected_keyword_argument":
        return f"no such option; there are: {', '.join(NAMES)}"
    return "expected true or false"
