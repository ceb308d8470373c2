"""What a verb prints: results for machines or for people, and errors."""

import json
import logging
from dataclasses import asdict, is_dataclass
from typing import Any

import click

from potluck.contract import logs
from potluck.contract.errors import PotluckError
from potluck.contract.secrets import masked


def print_result(result: Any, text: str, *, as_json: bool) -> None:
    """Print a result for machines, or a text for people."""
    if as_json:
        click.echo(json.dumps(jsonable(result), default=str, indent=1))
    else:
        say(text)


def say(text: str, *, err: bool = False) -> None:
    """Print a text for people, in which names and cells of files may stand."""
    click.echo(printable(text), err=err)


def printable(text: str) -> str:
    """Write out what a terminal would obey, such as escape codes: `\\x1b`."""
    return "".join(map(printable_character, text))


def printable_character(character: str) -> str:
    if character.isprintable() or character in "\n\t":
        return character
    return character.encode("unicode_escape").decode()


def jsonable(result: Any) -> Any:
    """Turn dataclasses, also those in lists and dictionaries, into dictionaries."""
    if is_dataclass(result) and not isinstance(result, type):
        return asdict(result)
    if isinstance(result, list):
        return [jsonable(item) for item in result]
    if isinstance(result, dict):
        return {name: jsonable(item) for name, item in result.items()}
    return result


def print_error(error: PotluckError, *, as_json: bool) -> None:
    """Print an error on standard error, or log it where a verb logs."""
    message = masked(str(error))
    if logs.is_set_up():
        logging.getLogger("potluck").error(message)
    elif as_json:
        click.echo(json.dumps({"error": type(error).__name__, "message": message}), err=True)
    else:
        say(f"potluck: {message}", err=True)
