"""What a stranger must know before he trusts a model."""

from collections import Counter
from collections.abc import Iterable, Sequence

from potluck.contract.features import FeatureContract
from training.dataset import Gathered
from training.measure import Measured
from training.metrics import no_better
from training.missing import empty_columns

RARE = 20
"""Rows of a class below which neither its model nor its figures say much."""
SHOWN = 8


def training_warnings(
    contract: FeatureContract, gathered: Gathered, measured: Measured
) -> list[str]:
    """One sentence each; none where nothing is strange."""
    found = [
        few_kept(gathered),
        empty(contract, gathered),
        rare(contract, gathered),
        unheard(measured),
        one_sided(contract, measured),
        useless(measured),
    ]
    return [sentence for sentence in found if sentence]


def few_kept(gathered: Gathered) -> str:
    account, labelled = gathered.account, gathered.labelled
    if 2 * account.kept >= labelled:
        return ""
    return (
        f"only {account.kept} of {labelled} labelled rows were trained on; the account of {account.table} says why: "
        "correct the data, or take a later --as-of"
    )


def empty(contract: FeatureContract, gathered: Gathered) -> str:
    names = empty_columns(contract, gathered.dataset)
    return (
        f"missing in every training row, so that nothing is learnt from it: {first_names(names)}"
        if names
        else ""
    )


def rare(contract: FeatureContract, gathered: Gathered) -> str:
    if contract.objective == "regression":
        return ""
    counts = Counter(gathered.dataset.labels)
    found = [f"{label!r} ({counts[label]})" for label in sorted(counts) if counts[label] < RARE]
    return (
        f"classes of fewer than {RARE} rows, too few to learn or to measure: {first_names(found)}"
        if found
        else ""
    )


def unheard(measured: Measured) -> str:
    found = [f"{label!r} ({count})" for label, count in measured.unheard.items()]
    if not found:
        return ""
    return (
        f"{sum(measured.unheard.values())} rows were not measured, as no row to learn from has their class: "
        f"{first_names(found)}; the served model, refitted on all rows, knows it"
    )


def one_sided(contract: FeatureContract, measured: Measured) -> str:
    if contract.objective != "binary" or "roc_auc" in measured.metrics:
        return ""
    return f"all {len(measured.test)} rows to measure on are of one class: roc_auc and pr_auc can't be told"


def useless(measured: Measured) -> str:
    worse = no_better(measured.metrics, measured.baseline)
    return (
        f"no better than the baseline, which knows no feature, in {first_names(worse)}"
        if worse
        else ""
    )


def first_names(names: Sequence[str] | Iterable[str]) -> str:
    names = [*names]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
