"""A body that is no JSON, in a sentence that says where and what was expected, and repeats nothing
of it."""

import re

from potluck.contract.errors import SchemaValidation

ONE_RECORD = 'one JSON object, {"field": value, ...}'

WHERE = re.compile(r"(?P<reason>.*) at line (?P<line>\d+) column (?P<column>\d+)", re.DOTALL)
PLAIN = {
    "EOF": "it ends too early",
    "control character": (
        "a line break or another control character within a text is written as an escape, "
        "such as \\n"
    ),
    "expected `,`": "a comma or a closing bracket is missing",
    "expected `:`": "a colon is missing",
    "expected ident": (
        "no value is written in this way; "
        "without double quotes stand only numbers, true, false and null"
    ),
    "expected value": "no value begins in this way; text stands in double quotes",
    "invalid escape": "a text holds an escape that JSON does not have",
    "invalid number": "a number is not written in this way",
    "invalid unicode": "text is expected in UTF-8",
    "key must be a string": "the name of a field stands in double quotes",
    "recursion limit": "it is nested too deeply",
    "trailing characters": "more follows behind its end",
    "trailing comma": "no comma stands behind the last entry",
    "unexpected end of hex escape": "a text holds half of an escape",
}
"""How the parser's reasons begin -> what they mean."""


def not_json(body: bytes, said: str, form: str) -> SchemaValidation:
    """The error of a body that is no JSON.

    Args:
        said: the parser's own words, which end with a place.
        form: what the body must be.
    """
    if not body.strip():
        return SchemaValidation(f"the body is empty; expected {form}")
    found = WHERE.search(said.removeprefix("Invalid JSON: "))
    if found is None:
        return SchemaValidation(f"the body is not valid JSON; expected {form}")
    place = f"line {found['line']}, column {found['column']}"
    return SchemaValidation(
        f"the body is not valid JSON at {place}: {plain(found['reason'])}; expected {form}"
    )


def plain(reason: str) -> str:
    """A reason of the parser's for people; one that is not known here stays as it is."""
    for beginning, meaning in PLAIN.items():
        if reason.startswith(beginning):
            return meaning
    return reason
