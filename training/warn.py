"""What one must know before one trusts a model."""

from collections import Counter
from collections.abc import Sequence

from potluck.contract.features import FeatureContract
from training.dataset import Gathered
from training.measure import Measured
from training.metrics import no_better
from training.missing import empty_columns

RARE = 20
"""A class of fewer rows can hardly be learnt, and its figures say little."""
SHOWN = 8


def training_warnings(
    contract: FeatureContract, gathered: Gathered, measured: Measured
) -> list[str]:
    """Write a sentence for each thing that is strange about a model and its rows."""
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
        f"only {account.kept} of {labelled} labelled rows were trained on; the account of "
        f"{account.table} says why: correct the data, or take a later --as-of"
    )


def empty(contract: FeatureContract, gathered: Gathered) -> str:
    names = empty_columns(contract, gathered.dataset)
    if not names:
        return ""
    return f"missing in every training row, so that nothing is learnt from it: {first_names(names)}"


def rare(contract: FeatureContract, gathered: Gathered) -> str:
    if contract.objective == "regression":
        return ""
    counts = Counter(gathered.dataset.labels)
    found = [f"{label!r} ({counts[label]})" for label in sorted(counts) if counts[label] < RARE]
    if not found:
        return ""
    told = f"classes of fewer than {RARE} rows, too few to learn or to measure"
    return f"{told}: {first_names(found)}"


def unheard(measured: Measured) -> str:
    found = [f"{label!r} ({count})" for label, count in measured.unheard.items()]
    if not found:
        return ""
    rows = sum(measured.unheard.values())
    return (
        f"{rows} rows were not measured, as no row to learn from has their class: "
        f"{first_names(found)}; the served model, refitted on all rows, knows it"
    )


def one_sided(contract: FeatureContract, measured: Measured) -> str:
    if contract.objective != "binary" or "roc_auc" in measured.metrics:
        return ""
    rows = len(measured.test)
    return f"all {rows} rows to measure on are of one class: roc_auc and pr_auc can't be told"


def useless(measured: Measured) -> str:
    worse = no_better(measured.metrics, measured.baseline)
    if not worse:
        return ""
    return f"no better than the baseline, which knows no feature, in {first_names(worse)}"


def first_names(names: Sequence[str]) -> str:
    """List the first names, and say how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
