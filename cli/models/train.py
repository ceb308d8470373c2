"""The verb train."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.models.training_text import training_text
from cli.options import as_of_option, check_as_of, common_options, now_or
from cli.output import print_result
from cli.progress import progress_bar
from cli.startup import prepare_libraries, settings_for

if TYPE_CHECKING:
    from potluck.contract.features import SplitKind


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
    help="Which fifth to measure on: the latest rows, rows drawn at random, or all rows of some "
    "entities.  [default: the service's tag split, or time]",
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
    """Train SERVICE's model, measure it on rows that it did not see, register it and lay it
    down.
    """
    check_as_of(as_of, force)
    settings = settings_for(repo)
    prepare_libraries(settings)
    from training.progress import Meter
    from training.train import TrainingPlan, train

    plan = TrainingPlan(service, now_or(as_of), seed, promote, parameters, split, force)
    with progress_bar(Meter.WHOLE, f"training {service}") as progress:
        trained = train(settings, plan, progress)
    print_result(trained, training_text(plan, trained), as_json=as_json)
