"""Who brings which column: the request, or the store by id."""

from collections.abc import Mapping
from dataclasses import replace

from potluck.contract.errors import UsageError
from scaffold.decider import Decider
from scaffold.features import varies_within
from scaffold.plan import ColumnChoice
from scaffold.table import ColumnProfile

STABLE = 0.01  # of the ids may have several values, by mistakes
GUESS = "a guess: --request names the columns that a request brings"


def split_features(
    features: Mapping[str, ColumnChoice], repeating_key: ColumnProfile | None, decider: Decider
) -> dict[str, ColumnChoice]:
    """Each column to learn from as part of the request or of the record; at least one of either.

    Raises:
        UsageError: --request names a column that is left out, or all of them.
    """
    usable = {header: choice for header, choice in features.items() if choice.role != "left out"}
    if decider.wishes.request:
        requested, reason = (
            requested_columns(features, usable, decider),
            {"request": "--request", "record": "not in --request"},
        )
    elif repeating_key is not None:
        requested, reason = by_change(usable, repeating_key)
    else:
        requested, reason = (
            first_half(usable),
            {"request": "the first half", "record": "the second half"},
        )
        decider.notes.append(f"who brings which column is {GUESS}; here the first half")
    found = dict(features)
    for header, choice in usable.items():
        role = "request" if header in requested else "record"
        reasons = [reason[role], *([choice.reason] if choice.reason else [])]
        found[header] = replace(choice, role=role, reason="; ".join(reasons))  # type: ignore[arg-type]
    return found


def requested_columns(
    features: Mapping[str, ColumnChoice], usable: Mapping[str, ColumnChoice], decider: Decider
) -> set[str]:
    requested = decider.headers("--request", decider.wishes.request)
    for header in requested:
        if header not in features:
            raise UsageError(
                f"--request: {header} is the label, the key or the time; expected columns to learn from"
            )
        if header not in usable:
            raise UsageError(f"--request: {header} is left out ({features[header].reason})")
    if requested >= set(usable):
        raise UsageError("--request names every column; leave at least one that the store looks up")
    return requested


def by_change(
    usable: Mapping[str, ColumnChoice], key: ColumnProfile
) -> tuple[set[str], dict[str, str]]:
    """What changes from row to row of an id comes with the request, what stays is on record."""
    changing = {
        header
        for header, choice in usable.items()
        if varies_within(choice.profile, key.values) > STABLE
    }
    if not changing or len(changing) == len(usable):
        told = f"all columns {'change' if changing else 'stay the same'} within an id, so by half: {GUESS}"
        return first_half(usable), {"request": told, "record": told}
    return changing, {
        "request": f"changes within a {key.name}",
        "record": f"the same in all rows of a {key.name}",
    }


def first_half(usable: Mapping[str, ColumnChoice]) -> set[str]:
    headers = list(usable)
    return set(headers[: (len(headers) + 1) // 2])
