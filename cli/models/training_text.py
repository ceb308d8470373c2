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

    version = f"version {trained.model_version} ({trained.alias})"
    lines = [account.text() for account in trained.accounts]
    lines += shares_text(trained.looked_up).splitlines()
    lines += [
        choice_text(trained),
        metrics_text(trained.metrics, trained.baseline),
        measured_text(trained),
        *champion_lines(trained),
        *class_lines(trained),
    ]
    lines += [f"warning: {sentence}" for sentence in trained.warnings]
    if trained.forced is not None:
        lines.append(f"forced: {trained.forced}")
    head = f"trained {trained.service} {version}, data up to {plan.as_of:%F}"
    return "\n".join([head, *(f"  {line}" for line in lines)])


def choice_text(trained: "Trained") -> str:
    choice = trained.choice
    head = f"parameters of {choice.candidate}, {choice.parameters['num_iterations']} iterations"
    if not choice.errors:
        return f"{head}: there was nothing to compare them on"
    others = ", ".join(
        f"{name} {error:.5g}" for name, error in choice.errors.items() if name != choice.candidate
    )
    best = f"{choice.measure} {choice.errors[choice.candidate]:.5g}"
    return f"{head}: {best} on rows held back from those to learn from ({others})"


def metrics_text(metrics: Mapping[str, float], baseline: Mapping[str, float]) -> str:
    """Each metric beside that of the best constant."""
    texts = []
    for name, value in metrics.items():
        beside = f" (baseline {baseline[name]:.5g})" if name in baseline else ""
        texts.append(f"{name} {value:.5g}{beside}")
    return ", ".join(texts)


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
    line = f"{head}, on {champion.rows} of the same rows: {metrics}"
    if champion.seen:
        line += f"; it may have learnt from {champion.seen} of them, which flatters it"
    return [line]


def class_lines(trained: "Trained") -> list[str]:
    """The classes that the model finds rarely, or that are rare themselves."""
    poor = []
    for each in trained.classes:
        is_rare = each.support + each.learnt_from < FEW_ROWS
        is_missed = each.recall is not None and each.recall < POOR_RECALL
        if is_rare or is_missed:
            poor.append(each)
    poor.sort(key=lambda each: each.recall or 0.0)
    lines = []
    for each in poor[:SHOWN_CLASSES]:
        found = f"precision {share(each.precision)}, recall {share(each.recall)}"
        rows = f"{each.support} rows; {each.learnt_from} to learn from"
        lines.append(f"class {each.label!r}: {found} of {rows}")
    if len(poor) > SHOWN_CLASSES:
        lines.append(f"and {len(poor) - SHOWN_CLASSES} more classes like these")
    return lines


def share(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"
