"""Verbs about models: train, pull."""

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.output import answer, as_of_option, common_options, now_or, prepare_libraries, progress_bar, settings_for
from potluck.contract.errors import PotluckError

if TYPE_CHECKING:
    from training.train import Plan, Trained


class Parameter(click.ParamType[tuple[str, Any]]):
    """`name=value`, the value a number where it reads as one."""

    name = "name=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Any]:
        name, equals, text = str(value).partition("=")
        if not (name and equals and text):
            self.fail(f"expected name=value, as in learning_rate=0.05, got {value!r}", param, ctx)
        return name, number_or_text(text)


def number_or_text(text: str) -> int | float | str:
    kinds: tuple[Callable[[str], int | float], ...] = (int, float)
    for kind in kinds:
        try:
            return kind(text)
        except ValueError:
            continue
    return text


@click.command("train")
@click.argument("service")
@click.option("--promote", is_flag=True, help="Make the new version champion; the first one always is.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of every random choice.")
@click.option("--param", "parameters", type=Parameter(), multiple=True, help="A LightGBM parameter; may be repeated.")
@as_of_option
@common_options
def train_verb(
    service: str,
    promote: bool,
    seed: int,
    parameters: tuple[tuple[str, Any], ...],
    as_of: datetime | None,
    repo: Path | None,
    as_json: bool,
) -> None:
    """Train SERVICE's model, measure it on its latest fifth, register it and lay it down."""
    settings = settings_for(repo)
    prepare_libraries(settings)
    from training.train import Plan, train

    plan = Plan(service, now_or(as_of), seed, promote, dict(parameters))
    with progress_bar(2 * plan.iterations, f"training {service}") as progress:
        trained = train(settings, plan, progress)
    answer(as_json, trained, training_text(plan, trained))


def training_text(plan: "Plan", trained: "Trained") -> str:
    metrics = ", ".join(f"{name} {value:.5g}" for name, value in trained.metrics.items())
    return (
        f"trained {trained.service} version {trained.model_version} ({trained.alias}), data up to {plan.as_of:%F}\n"
        f"  {metrics}\n"
        f"  measured on the {trained.test_rows} latest rows with a model of the {trained.train_rows} before; "
        "refitted on all of them"
    )


@click.command("pull")
@click.option("--every", type=click.FloatRange(min=1), default=None, help="Go on, looking again after so many seconds.")
@common_options
def pull_verb(every: float | None, repo: Path | None, as_json: bool) -> None:
    """Lay down the champions of MLflow's registry under the home, where the server finds them."""
    settings = settings_for(repo)
    prepare_libraries(settings)
    from training.registry import pull_champions

    while True:
        try:
            pulled = pull_champions(settings)
            lines = [f"{p.service} version {p.model_version}{pull_note(p.changed, p.retired)}" for p in pulled]
            if every is None or any(p.changed for p in pulled):
                answer(as_json, pulled, "\n".join(lines))
        except PotluckError as error:
            if every is None:
                raise
            click.echo(f"potluck: {error}; looking again in {every:g} s", err=True)
        if every is None:
            return
        time.sleep(every)


def pull_note(changed: bool, retired: bool) -> str:
    if retired:
        return " (retired: nothing answers for it here any more)"
    return " (new)" if changed else ""
