"""Names that all of Feast, DuckDB, LightGBM, JSON and Python can hold."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from potluck.contract.errors import UsageError

RESERVED = frozenset(
    {
        "event_timestamp",
        "created_timestamp",
        "row_id",
        "prediction",
        "probabilities",
        "model_version",
        "run_id",
    }
)
"""Columns that sources and predictions have by themselves."""


MOST_SHOWN = 30


def to_project_name(text: str) -> str:
    """Make a name for a project and its services: letters, digits and underscores, a letter first.

    Feast takes hyphens too, but not all functions and files that are named after the project can
    have them.

    Raises:
        UsageError: nothing is left of the text.
    """
    decomposed = unicodedata.normalize("NFKD", text.replace("ß", "ss"))
    plain = decomposed.encode("ascii", "ignore").decode()  # é is e and an accent, which goes
    found = re.sub(r"[^A-Za-z0-9]+", "_", plain).strip("_").lower()
    if not found:
        raise UsageError(
            f"expected a name with letters or digits, got {text!r}; give one with --name"
        )
    return found if found[0].isalpha() else f"data_{found}"


def column_names(headers: Iterable[str]) -> dict[str, str]:
    """Name the columns: name in the file -> name in the repo.

    DuckDB does not tell upper from lower case, LightGBM turns spaces into underscores, and Feast
    writes a colon between view and feature.
    """
    names: dict[str, str] = {}
    taken = set(RESERVED)
    for place, header in enumerate(headers, start=1):
        plain = re.sub(r"\W+", "_", header).strip("_") or f"column_{place}"
        name, number = plain, 2
        while name.lower() in taken:
            name, number = f"{plain}_{number}", number + 1
        taken.add(name.lower())
        names[header] = name
    return names


def find_column(flag: str, wanted: str, names: dict[str, str]) -> str:
    """Find a column that the user named, as the file or as the repo calls it.

    Returns:
        The file's name of it.

    Raises:
        UsageError: there is no such column.
    """
    if wanted in names:
        return wanted
    for header, name in names.items():
        if name == wanted:
            return header
    close = get_close_matches(wanted, names, n=1)
    hint = f"; did you mean {close[0]}?" if close else "."
    found = name_some_columns(list(names))
    raise UsageError(f"{flag}: expected a column of the file, got {wanted!r}{hint} It has {found}")


def name_some_columns(names: Sequence[str]) -> str:
    """List the first names, and say how many more there are."""
    more = f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else ""
    return ", ".join(names[:MOST_SHOWN]) + more
