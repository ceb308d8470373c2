"""Verbs about models: train, pull."""

import logging
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from cli.output import (
    answer,
    as_of_option,
    common_options,
    masked,
    now_or,
    prepare_libraries,
    progress_bar,
    settings_for,
)
from cli.training_text import training_text
from potluck.contract import logs
from potluck.contract.errors import PotluckError
from potluck.contract.settings import Settings

if TYPE_CHECKING:
    from potluck.contract.features import SplitKind
    from training.registry import Pulled

logger = logging.getLogger("potluck.pull")


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

    if every is not None:
        follow(settings, every)
    pulled = pull_champions(settings)
    answer(as_json, pulled, "\n".join(map(pull_text, pulled)))


def follow(settings: Settings, every: float) -> NoReturn:
    """Pull again and again, and log what changes."""
    from training.registry import pull_champions

    logs.set_up(settings)
    logs.adopt("mlflow")
    while True:
        try:
            for pulled in pull_champions(settings):
                if pulled.changed:
                    logger.info(pull_text(pulled))
        except PotluckError as error:
            logger.warning("%s; looking again in %g s", masked(str(error)), every)
        time.sleep(every)


def pull_text(pulled: "Pulled") -> str:
    note = pull_note(pulled.changed, pulled.retired)
    return f"{pulled.service} version {pulled.model_version}{note}"


def pull_note(changed: bool, retired: bool) -> str:
    if retired:
        return " (retired: nothing answers for it here any more)"
    return " (new)" if changed else ""
