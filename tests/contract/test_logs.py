"""Both forms of a log line, and what a line about a request never holds."""

import json
import logging
from collections.abc import Iterator

import pytest

from potluck.contract import logs
from potluck.contract.logs import JsonLines, OurHandler, TextLines
from potluck.contract.settings import Settings

SECRET = "8675309"


def record(message: str, **extra: object) -> logging.LogRecord:
    logger = logging.getLogger("potluck.test")
    error = extra.pop("error", None)
    info = (type(error), error, error.__traceback__) if isinstance(error, Exception) else None
    return logger.makeRecord("potluck.test", logging.ERROR, "f", 1, message, (), info, extra=extra)


def failing() -> Exception:
    try:
        try:
            raise KeyError(SECRET)
        except KeyError as cause:
            raise ValueError(f"no such area: {SECRET}") from cause
    except ValueError as error:
        return error


def test_a_json_line_is_one_object_with_time_level_logger_and_message() -> None:
    made = record("two\nlines")
    made.created = 1767225600.25
    line = JsonLines().format(made)
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "2026-01-01T00:00:00.250Z",
        "level": "ERROR",
        "logger": "potluck.test",
        "message": "two\nlines",
    }


def test_a_text_line_begins_alike_and_moves_no_cursor() -> None:
    made = record("red \x1b[31m and \r back", request_id="abc")
    made.created = 1767225600.0
    start = "2026-01-01T00:00:00.000Z ERROR potluck.test: red "
    assert TextLines().format(made) == start + "\\x1b[31m and \\x0d back request_id=abc"


def test_the_trace_of_a_request_has_places_and_kinds_but_no_words() -> None:
    told = json.loads(JsonLines().format(record("failed", error=failing(), request_id="abc")))
    assert "builtins.ValueError" in told["trace"]
    assert "builtins.KeyError" in told["trace"]
    assert "in failing" in told["trace"]
    assert SECRET not in json.dumps(told)
    assert SECRET not in TextLines().format(record("failed", error=failing(), request_id="abc"))


def test_another_trace_is_whole() -> None:
    assert f"no such area: {SECRET}" in TextLines().format(record("failed", error=failing()))
    assert SECRET in json.loads(JsonLines().format(record("failed", error=failing())))["trace"]


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield root
    root.handlers[:] = before
    root.setLevel(level)
    logging.captureWarnings(False)


def test_set_up_twice_logs_once_and_leaves_other_handlers(root: logging.Logger) -> None:
    others = [each for each in root.handlers if not isinstance(each, OurHandler)]
    for form in ("text", "json"):
        logs.set_up(Settings(log_format=form))
    assert logs.is_set_up()
    assert [each for each in root.handlers if not isinstance(each, OurHandler)] == others
    (ours,) = (each for each in root.handlers if isinstance(each, OurHandler))
    assert isinstance(ours.formatter, JsonLines)
