"""How every long-running process of Potluck logs: one form for all, on standard error.

A line has the time (UTC), the level, the logger and the message, and the request's id where it is
about a request. As JSON it is one object; what belongs to it besides (a trace, the figures of an
access line) are further fields.

A line about a request holds no value of it. So the trace of what nobody foresaw at a request has
the places and the kinds of the errors, without their words, which may quote what was sent.
"""

import json
import logging
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice

from potluck.contract.settings import Settings

REQUEST_ID = "request_id"
FIELDS = (REQUEST_ID, "method", "route", "service", "status", "milliseconds")
"""Names under `extra` that a line tells as fields."""
LONGEST_CHAIN = 10
CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), 127) if chr(code) not in "\t\n"}


class OurHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """The one that `set_up` puts in place; none of a library or of a test."""


class Lines(logging.Formatter):
    """What both forms share."""

    def fields(self, record: logging.LogRecord) -> dict[str, object]:
        """What a record tells besides its message."""
        given = vars(record)
        return {name: given[name] for name in FIELDS if name in given}

    def trace(self, record: logging.LogRecord) -> str:
        """Empty where the record is about no error."""
        if not record.exc_info or record.exc_info[1] is None:
            return ""
        if REQUEST_ID in vars(record):
            return "\n".join(outline(record.exc_info[1]))
        return self.formatException(record.exc_info)


class TextLines(Lines):
    """For people."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and a trace below it; no character of it moves a terminal's cursor."""
        head = [utc_moment(record), record.levelname, f"{record.name}: {record.getMessage()}"]
        named = [f"{name}={value}" for name, value in self.fields(record).items()]
        trace = self.trace(record)
        text = " ".join([*head, *named]) + (f"\n{trace}" if trace else "")
        return text.translate(CONTROL)


class JsonLines(Lines):
    """For machines: one object a line."""

    def format(self, record: logging.LogRecord) -> str:
        told = {
            "time": utc_moment(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **self.fields(record),
        }
        trace = self.trace(record)
        return json.dumps({**told, "trace": trace} if trace else told, default=str)


def set_up(settings: Settings) -> None:
    """Have this process log in our form, what libraries log included; called again, anew."""
    handler = OurHandler()
    handler.setFormatter(JsonLines() if settings.log_format == "json" else TextLines())
    root = logging.getLogger()
    for former in [each for each in root.handlers if isinstance(each, OurHandler)]:
        root.removeHandler(former)
    root.addHandler(handler)
    root.setLevel(settings.log_level)
    logging.captureWarnings(True)


def is_set_up() -> bool:
    """Whether this process logs in our form: then its last words are a line of it too."""
    return any(isinstance(handler, OurHandler) for handler in logging.getLogger().handlers)


def adopt(*names: str) -> None:
    """Have libraries that brought handlers of their own log as everything else does."""
    for name in names:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


def utc_moment(record: logging.LogRecord) -> str:
    """In UTC, to the millisecond, as ISO 8601 has it."""
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def outline(error: BaseException) -> Iterator[str]:
    """Where an error was raised and what kind it is, and the same of those that led to it."""
    for each in islice(chain(error), LONGEST_CHAIN):
        places = "".join(traceback.format_tb(each.__traceback__))
        yield f"{places}{type(each).__module__}.{type(each).__qualname__}"


def chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
