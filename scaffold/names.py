"""Names as every part of the way can hold them: Feast, DuckDB, LightGBM, JSON and Python."""

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
"""What sources and predictions call their own columns."""


MOST_SHOWN = 30


def to_project_name(text: str) -> str:
    """A name for a project and its services: Feast takes letters, digits and underscores, no underscore first.

    Feast takes hyphens too, but the names of functions and files that are made of it do not all do.

    Raises:
        UsageError: nothing is left of it.
    """
    plain = (
        unicodedata.normalize("NFKD", text.replace("ß", "ss")).encode("ascii", "ignore").decode()
    )
    found = re.sub(r"[^A-Za-z0-9]+", "_", plain).strip("_").lower()
    if not found:
        raise UsageError(
            f"expected a name with letters or digits, got {text!r}; give one with --name"
        )
    return found if found[0].isalpha() else f"data_{found}"


def column_names(headers: Iterable[str]) -> dict[str, str]:
    """A file's name of each column -> its name in the repo.

    DuckDB does not tell upper from lower case, LightGBM turns spaces into underscores, and Feast divides view and
    feature by a colon.
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
    """The file's name of a column that somebody named, in the file's words or in the repo's.

    Raises:
        UsageError: there is none.
    """
    if wanted in names:
        return wanted
    for header, name in names.items():
        if name == wanted:
            return header
    close = get_close_matches(wanted, names, n=1)
    hint = f"; did you mean {close[0]}?" if close else "."
    raise UsageError(
        f"{flag}: expected a column of the file, got {wanted!r}{hint} It has {name_some_columns(list(names))}"
    )


def name_some_columns(names: Sequence[str]) -> str:
    """Some names, and how many more there are."""
    more = f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else ""
    return ", ".join(names[:MOST_SHOWN]) + more
