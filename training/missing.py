"""How often what the store should bring is missing."""

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
    """Every looked-up column with the share of the rows in which it is missing, view by view."""
    columns = dataset.inputs.columns
    return [
        MissingShare(view.name, column, share_missing(columns[column]))
        for view in contract.views
        for column in view.features
    ]


def share_missing(values: Sequence[Any]) -> float:
    return sum(value is None for value in values) / len(values) if values else 0.0


def shares_text(shares: Sequence[MissingShare]) -> str:
    """One line for each view: how many columns, and which of them are mostly missing."""
    lines = []
    for view in dict.fromkeys(share.view for share in shares):
        own = [share for share in shares if share.view == view]
        worst = sorted((s for s in own if s.missing > WORTH_TELLING), key=lambda s: -s.missing)
        named = ", ".join(f"{share.column} {share.missing:.1%}" for share in worst[:SHOWN])
        more = f" and {len(worst) - SHOWN} more" if len(worst) > SHOWN else ""
        told = (
            f"missing in more than half of the rows: {named}{more}"
            if worst
            else "none missing in more than half"
        )
        lines.append(f"{view}: {len(own)} columns looked up, {told}")
    return "\n".join(lines)


def empty_columns(contract: FeatureContract, dataset: Dataset) -> list[str]:
    """Inputs that hold nothing in any row: a model learns nothing from them."""
    columns = dataset.inputs.columns
    return [field.name for field in contract.inputs if share_missing(columns[field.name]) == 1.0]
