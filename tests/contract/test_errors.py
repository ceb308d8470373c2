"""The error tree, its exit codes and its HTTP answers."""

import re
from collections.abc import Iterator

import pytest

from potluck.contract import errors
from potluck.contract.errors import Detail, PotluckError, RequestError

DRAWN_LINE = re.compile(r"^(?P<indent>[│├└─ ]*)(?P<name>[A-Z]\w+)\s+(?P<text>.*)$")

HTTP_CONTRACT = {
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "HTTP_ERROR": 500,
    "SCHEMA_VALIDATION": 422,
    "ENTITY_NOT_FOUND": 404,
    "SERVICE_NOT_FOUND": 404,
    "BATCH_TOO_LARGE": 413,
    "BODY_TOO_LARGE": 413,
    "FEATURE_STORE_UNAVAILABLE": 503,
    "MODEL_NOT_READY": 503,
    "OVERLOADED": 429,
    "MALFORMED_REQUEST": 400,
    "REQUEST_TIMEOUT": 408,
    "URI_TOO_LONG": 414,
    "HEADERS_TOO_LARGE": 431,
    "TOO_MANY_CONNECTIONS": 503,
    "CALLER_LEFT": 499,
}


def drawn() -> Iterator[tuple[str, str | None, str]]:
    """Name, parent and text of each line of the tree in the module's docstring."""
    parents: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        found = DRAWN_LINE.match(line)
        if found is None or not hasattr(errors, found["name"]):
            continue
        depth = len(found["indent"])
        parents = [parent for parent in parents if parent[0] < depth]
        yield found["name"], parents[-1][1] if parents else None, found["text"]
        parents.append((depth, found["name"]))


TREE = list(drawn())
CLASSES = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, PotluckError)
]
REQUEST_ERRORS = [
    each for each in CLASSES if issubclass(each, RequestError) and each is not RequestError
]


def test_the_drawn_tree_names_every_class_once() -> None:
    assert sorted(name for name, _, _ in TREE) == sorted(each.__name__ for each in CLASSES)


@pytest.mark.parametrize(("name", "parent"), [(name, parent) for name, parent, _ in TREE if parent])
def test_each_class_stands_below_its_drawn_parent(name: str, parent: str) -> None:
    assert getattr(errors, name).__bases__ == (getattr(errors, parent),)


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, _, text in TREE])
def test_a_drawn_exit_code_or_status_is_the_class_own(name: str, text: str) -> None:
    each = getattr(errors, name)
    code = re.search(r"exit code (\d+)", text)
    if code:
        assert each.exit_code == int(code[1])
    elif text.isdigit():
        assert each.status == int(text)
    else:
        assert each.exit_code == 1


def test_the_exit_codes_are_those_of_the_command_line() -> None:
    codes = {each.__name__: each.exit_code for each in CLASSES if each.exit_code != 1}
    assert codes == {"UsageError": 2, "Refused": 65, "Locked": 75}


def test_the_error_codes_are_those_of_the_http_contract() -> None:
    assert {each.error_code: each.status for each in REQUEST_ERRORS} == HTTP_CONTRACT


def test_a_request_error_carries_message_and_details() -> None:
    error = errors.SchemaValidation("does not fit", (Detail("price", "required"),))
    assert str(error) == error.message == "does not fit"
    assert error.details == (Detail("price", "required"),)
    assert errors.Overloaded("busy").details == ()
