"""Verbs about models: train, pull."""

import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.output import answer, as_of_option, common_options, now_or, prepare_libraries, progress_bar, settings_for
from cli.training_text import training_text
from potluck.contract.errors import PotluckError

if TYPE_CHECKING:
    from potluck.contract.features import SplitKind


class Parameter(click.ParamType[tuple[str, str]]):
    """`name=value`, both as text: LightGBM's parameters say what each value is."""

    name = "name=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        name, equals, text = str(value).partition("=")
        if not (name and equals and text):
            self.fail(f"expected name=value, as in learning_rate=0.05, got {value!r}", param, ctx)
        return name.strip(), text.strip()


@click.command("train")
@click.argument("service")
@click.option("--promote", is_flag=True, help="Make the new version champion; the first one always is.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of every random choice.")
@click.option("--param", "parameters", type=Parameter(), multiple=True, help="A LightGBM parameter; may be repeated.")
@click.option(
    "--split",
    type=click.Choice(["time", "random", "key"]),
    default=None,
    help="Which fifth to measure on: the latest rows, rows drawn at random, or all rows of some entities.  "
    "[default: the service's tag split, or time]",
)
@as_of_option
@common_options
def train_verb(
    service: str,
    promote: bool,
    seed: int,
    parameters: tuple[tuple[str, str], ...],
    split: "SplitKind | None",
    as_of: datetime | None,
    repo: Path | None,
    as_json: bool,
) -> None:
    """Train SERVICE's model, measure it on rows that it did not see, register it and lay it down."""
    settings = settings_for(repo)
    prepare_libraries(settings)
    from training.progress import Meter
    from training.train import Plan, train

    plan = Plan(service, now_or(as_of), seed, promote, parameters, split)
    with progress_bar(Meter.WHOLE, f"training {service}") as progress:
        trained = train(settings, plan, progress)
    answer(as_json, trained, training_text(plan, trained))


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
