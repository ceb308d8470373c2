"""How often the columns that the store brings are missing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from potluck.contract.features import FeatureContract
from training.dataset import Dataset

WORTH_TELLING = 0.5
SHOWN = 8


@dataclass(frozen=True)
class MissingShare:
    """One looked-up column in the training rows."""

    view: str
    column: str
    missing: float


def training_shares(contract: FeatureContract, dataset: Dataset) -> list[MissingShare]:
    """Compute the share of rows in which each looked-up column is missing, view by view."""
    columns = dataset.inputs.columns
    return [
        MissingShare(view.name, column, share_missing(columns[column]))
        for view in contract.views
        for column in view.features
    ]


def share_missing(values: Sequence[Any]) -> float:
    if not values:
        return 0.0
    return sum(value is None for value in values) / len(values)


def shares_text(shares: Sequence[MissingShare]) -> str:
    """Write a line for each view: how many columns, and which of them are mostly missing."""
    lines = []
    for view in dict.fromkeys(share.view for share in shares):
        own = [share for share in shares if share.view == view]
        lines.append(f"{view}: {len(own)} columns looked up, {mostly_missing(own)}")
    return "\n".join(lines)


def mostly_missing(shares: Sequence[MissingShare]) -> str:
    worst = [share for share in shares if share.missing > WORTH_TELLING]
    if not worst:
        return "none missing in more than half"
    worst.sort(key=lambda share: -share.missing)
    named = ", ".join(f"{share.column} {share.missing:.1%}" for share in worst[:SHOWN])
    more = f" and {len(worst) - SHOWN} more" if len(worst) > SHOWN else ""
    return f"missing in more than half of the rows: {named}{more}"


def empty_columns(contract: FeatureContract, dataset: Dataset) -> list[str]:
    """Name the inputs that are missing in every row: a model learns nothing from them."""
    columns = dataset.inputs.columns
    return [field.name for field in contract.inputs if share_missing(columns[field.name]) == 1.0]
