"""Decide which columns the request brings, and which the store looks up by id."""

from collections.abc import Mapping
from dataclasses import replace

from potluck.contract.errors import UsageError
from scaffold.decider import Decider
from scaffold.features import varies_within
from scaffold.plan import ColumnChoice
from scaffold.profile import ColumnProfile

STABLE = 0.01  # of the ids may have several values, by mistakes
GUESS = "a guess: --request names the columns that a request brings"


def split_features(
    features: Mapping[str, ColumnChoice], repeating_key: ColumnProfile | None, decider: Decider
) -> dict[str, ColumnChoice]:
    """Give each column to learn from the role `request` or `record`; at least one has each.

    Raises:
        UsageError: --request names a column that is left out, or all of them.
    """
    usable = {header: choice for header, choice in features.items() if choice.role != "left out"}
    if decider.wishes.request:
        requested = requested_columns(features, usable, decider)
        reason = {"request": "--request", "record": "not in --request"}
    elif repeating_key is not None:
        requested, reason = by_change(usable, repeating_key)
    else:
        requested = first_half(usable)
        reason = {"request": "the first half", "record": "the second half"}
        decider.notes.append(f"who brings which column is {GUESS}; here the first half")
    found = dict(features)
    for header, choice in usable.items():
        role = "request" if header in requested else "record"
        reasons = filter(None, [reason[role], choice.reason])
        found[header] = replace(choice, role=role, reason="; ".join(reasons))  # type: ignore[arg-type]
    return found


def requested_columns(
    features: Mapping[str, ColumnChoice], usable: Mapping[str, ColumnChoice], decider: Decider
) -> set[str]:
    requested = decider.find_headers("--request", decider.wishes.request)
    for header in requested:
        if header not in features:
            raise UsageError(
                f"--request: {header} is the label, the key or the time; "
                "expected columns to learn from"
            )
        if header not in usable:
            raise UsageError(f"--request: {header} is left out ({features[header].reason})")
    if requested >= set(usable):
        raise UsageError("--request names every column; leave at least one that the store looks up")
    return requested


def by_change(
    usable: Mapping[str, ColumnChoice], key: ColumnProfile
) -> tuple[set[str], dict[str, str]]:
    """Let the request bring what changes from row to row of an id, and the store what stays."""
    changing = set()
    for header, choice in usable.items():
        if varies_within(choice.profile, key.values) > STABLE:
            changing.add(header)
    if not changing or len(changing) == len(usable):
        what = "change" if changing else "stay the same"
        told = f"all columns {what} within an id, so by half: {GUESS}"
        return first_half(usable), {"request": told, "record": told}
    return changing, {
        "request": f"changes within a {key.name}",
        "record": f"the same in all rows of a {key.name}",
    }


def first_half(usable: Mapping[str, ColumnChoice]) -> set[str]:
    headers = list(usable)
    return set(headers[: (len(headers) + 1) // 2])
