"""The `.env` file of the working directory, before it is read."""

from pathlib import Path

from potluck.contract.errors import UsageError


def check_env_file(path: Path) -> None:
    """See that every line of a `.env` file is understood: one that is not would be passed over.

    Raises:
        UsageError: it is no text, or a line is no `NAME=value`.
    """
    if not path.is_file():
        return
    from dotenv.parser import parse_stream

    try:
        with path.open(encoding="utf-8") as file:
            wrong = [binding.original.line for binding in parse_stream(file) if binding.error]
    except UnicodeDecodeError:
        raise UsageError(
            f"expected text in UTF-8 in {path.absolute()}, found something else"
        ) from None
    if wrong:
        raise UsageError(
            f"expected NAME=value, found something else at line {wrong[0]} of {path.absolute()}"
        )
