"""What `potluck train` says to people."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training.train import Trained, TrainingPlan

POOR_RECALL = 0.5
FEW_ROWS = 20
SHOWN_CLASSES = 8


def training_text(plan: "TrainingPlan", trained: "Trained") -> str:
    """A line for the version, then what it was made of, how well it does and what is strange."""
    from training.missing import shares_text

    head = f"trained {trained.service} version {trained.model_version} ({trained.alias}), data up to {plan.as_of:%F}"
    lines = [account.text() for account in trained.accounts]
    lines += shares_text(trained.looked_up).splitlines()
    lines += [
        choice_text(trained),
        metrics_text(trained.metrics, trained.baseline),
        measured_text(trained),
    ]
    lines += champion_lines(trained)
    lines += class_lines(trained)
    lines += [f"warning: {sentence}" for sentence in trained.warnings]
    lines += [f"forced: {trained.forced}"] if trained.forced is not None else []
    return "\n".join([head, *(f"  {line}" for line in lines)])


def choice_text(trained: "Trained") -> str:
    choice = trained.choice
    head = f"parameters of {choice.candidate}, {choice.parameters['num_iterations']} iterations"
    if not choice.errors:
        return f"{head}: there was nothing to compare them on"
    others = ", ".join(
        f"{name} {error:.5g}" for name, error in choice.errors.items() if name != choice.candidate
    )
    best = choice.errors[choice.candidate]
    return (
        f"{head}: {choice.measure} {best:.5g} on rows held back from those to learn from ({others})"
    )


def metrics_text(metrics: Mapping[str, float], baseline: Mapping[str, float]) -> str:
    """Each metric beside that of the best constant."""
    told = [
        f"{name} {value:.5g}" + (f" (baseline {baseline[name]:.5g})" if name in baseline else "")
        for name, value in metrics.items()
    ]
    return ", ".join(told)


def measured_text(trained: "Trained") -> str:
    test, learnt = trained.test_rows, trained.train_rows
    how = {
        "time": f"the {test} latest rows with a model of the {learnt} before",
        "random": f"{test} rows drawn at random with a model of the {learnt} others",
        "key": f"{test} rows of some entities with a model of the {learnt} rows of the others",
    }
    return f"measured on {how[trained.split]}; refitted on all of them"


def champion_lines(trained: "Trained") -> list[str]:
    champion = trained.champion
    if champion is None:
        return []
    head = f"champion of before, version {champion.model_version}"
    if champion.reason:
        return [f"{head}: {champion.reason}"]
    metrics = ", ".join(f"{name} {value:.5g}" for name, value in champion.metrics.items())
    seen = (
        f"; it may have learnt from {champion.seen} of them, which flatters it"
        if champion.seen
        else ""
    )
    return [f"{head}, on {champion.rows} of the same rows: {metrics}{seen}"]


def class_lines(trained: "Trained") -> list[str]:
    """The classes that the model finds rarely, or that are rare themselves."""
    poor = [
        each
        for each in trained.classes
        if each.support + each.learnt_from < FEW_ROWS
        or (each.recall is not None and each.recall < POOR_RECALL)
    ]
    lines = [
        f"class {each.label!r}: precision {share(each.precision)}, recall {share(each.recall)} "
        f"of {each.support} rows; {each.learnt_from} to learn from"
        for each in sorted(poor, key=lambda each: each.recall or 0.0)[:SHOWN_CLASSES]
    ]
    more = (
        [f"and {len(poor) - SHOWN_CLASSES} more classes like these"]
        if len(poor) > SHOWN_CLASSES
        else []
    )
    return lines + more


def share(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"
