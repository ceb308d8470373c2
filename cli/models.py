"""Verbs about models: train, pull."""

import logging
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from cli.output import (
    answer,
    as_of_option,
    check_as_of,
    common_options,
    now_or,
    prepare_libraries,
    progress_bar,
    settings_for,
    tell,
)
from cli.training_text import training_text
from potluck.contract import logs
from potluck.contract.errors import PotluckError
from potluck.contract.secrets import masked
from potluck.contract.settings import Settings

if TYPE_CHECKING:
    from potluck.contract.features import SplitKind
    from training.pull import Pulled

logger = logging.getLogger("potluck.pull")


class Parameter(click.ParamType[tuple[str, str]]):
    """`name=value`, both as text: LightGBM's parameters say what each value is."""

    name = "name=value"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        name, equals, text = str(value).partition("=")
        if not (name and equals and text):
            self.fail(f"expected name=value, as in learning_rate=0.05, got {value!r}", param, ctx)
        return name.strip(), text.strip()


@click.command("train")
@click.argument("service")
@click.option(
    "--promote", is_flag=True, help="Make the new version champion; the first one always is."
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of every random choice.",
)
@click.option(
    "--param",
    "parameters",
    type=Parameter(),
    multiple=True,
    help="A LightGBM parameter; may be repeated.",
)
@click.option(
    "--split",
    type=click.Choice(["time", "random", "key"]),
    default=None,
    help="Which fifth to measure on: the latest rows, rows drawn at random, or all rows of some entities.  "
    "[default: the service's tag split, or time]",
)
@click.option(
    "--force",
    metavar="REASON",
    help="Train up to an as-of date in the future; the reason is recorded.",
)
@as_of_option
@common_options
def train_verb(
    service: str,
    promote: bool,
    seed: int,
    parameters: tuple[tuple[str, str], ...],
    split: "SplitKind | None",
    force: str | None,
    as_of: datetime | None,
    repo: Path | None,
    as_json: bool,
) -> None:
    """Train SERVICE's model, measure it on rows that it did not see, register it and lay it down."""
    check_as_of(as_of, force)
    settings = settings_for(repo)
    prepare_libraries(settings)
    from training.progress import Meter
    from training.train import TrainingPlan, train

    plan = TrainingPlan(service, now_or(as_of), seed, promote, parameters, split, force)
    with progress_bar(Meter.WHOLE, f"training {service}") as progress:
        trained = train(settings, plan, progress)
    answer(as_json, trained, training_text(plan, trained))


@click.command("pull")
@click.option(
    "--every",
    type=click.FloatRange(min=1),
    default=None,
    help="Go on, looking again after so many seconds.",
)
@click.option(
    "--project",
    "projects",
    multiple=True,
    help="A Feast project whose models are taken; may be repeated.",
)
@common_options
def pull_verb(
    every: float | None, projects: tuple[str, ...], repo: Path | None, as_json: bool
) -> None:
    """Lay down the champions of MLflow's registry under the home, where the server finds them.

    Those of the repo's project and of the projects that the home serves already; without a repo, of every
    project. What can't be taken is named, the others are laid down, and the exit code is 1.
    """
    settings = settings_for(repo, mlflow_projects=",".join(projects) or None)
    prepare_libraries(settings)
    if every is not None:
        follow(settings, every)
    from training.pull import pull_champions

    pull = pull_champions(settings)
    if pull.pulled:
        answer(as_json, pull.pulled, pulled_text(pull.pulled))
    for error in pull.errors[1:]:
        tell(error, as_json)
    if pull.errors:
        raise pull.errors[0]


def follow(settings: Settings, every: float) -> NoReturn:
    """Pull again and again, and log what changes; an error once, until it is another or none."""
    from training.pull import Follower, Pulled

    logs.set_up(settings)
    logs.adopt("mlflow")
    follower, told = Follower(settings), set[str]()
    while True:
        pulled: list[Pulled] = []
        try:
            pull = follower.pull()
            pulled, errors = pull.pulled, {str(error) for error in pull.errors}
        except (PotluckError, OSError) as error:
            errors = {str(error)}
        if any(each.changed for each in pulled):
            logger.info(pulled_text(pulled).replace("\n", "; "))
        for text in sorted(errors - told):
            logger.error("%s; looking again every %g s", masked(text), every)
        told = errors
        time.sleep(every)


def pulled_text(pulled: "Sequence[Pulled]") -> str:
    return "\n".join(
        f"{each.service} version {each.model_version}{pull_note(each)}" for each in pulled
    )


def pull_note(pulled: "Pulled") -> str:
    if pulled.retired:
        return " (retired: nothing answers for it here any more)"
    return " (new)" if pulled.changed else ""
