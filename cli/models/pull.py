"""The verb pull: champions of MLflow's registry are laid down under the home."""

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from cli.options import common_options
from cli.output import print_error, print_result
from cli.startup import prepare_libraries, settings_for
from potluck.contract import logs
from potluck.contract.errors import PotluckError
from potluck.contract.secrets import masked
from potluck.contract.settings import Settings

if TYPE_CHECKING:
    from training.pull import Follower, Pulled

logger = logging.getLogger("potluck.pull")


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

    Those of the repo's project and of the projects that the home serves already; without a repo, of
    every project. What can't be taken is named, the others are laid down, and the exit code is 1.
    """
    settings = settings_for(repo, mlflow_projects=",".join(projects) or None)
    prepare_libraries(settings)
    if every is not None:
        pull_for_ever(settings, every)
    from training.pull import pull_champions

    pull = pull_champions(settings)
    if pull.pulled:
        print_result(pull.pulled, pulled_text(pull.pulled), as_json=as_json)
    # The first error ends the verb, and is printed where every verb's error is.
    for error in pull.errors[1:]:
        print_error(error, as_json=as_json)
    if pull.errors:
        raise pull.errors[0]


def pull_for_ever(settings: Settings, every: float) -> NoReturn:
    """Pull again and again, and log what changes.

    An error is logged once, and again only after a pull without it.

    Args:
        every: seconds between two pulls.
    """
    from training.pull import Follower

    logs.set_up(settings)
    logs.adopt("mlflow")
    follower, logged = Follower(settings), set[str]()
    while True:
        errors = log_one_pull(follower)
        for text in sorted(errors - logged):
            logger.error("%s; looking again every %g s", masked(text), every)
        logged = errors
        time.sleep(every)


def log_one_pull(follower: "Follower") -> set[str]:
    """Pull once and log what changed.

    Returns:
        The errors.
    """
    try:
        pull = follower.pull()
    except (PotluckError, OSError) as error:
        return {str(error)}
    if any(each.changed for each in pull.pulled):
        logger.info(pulled_text(pull.pulled).replace("\n", "; "))
    return set(map(str, pull.errors))


def pulled_text(pulled: "Sequence[Pulled]") -> str:
    return "\n".join(
        f"{each.service} version {each.model_version}{pull_note(each)}" for each in pulled
    )


def pull_note(pulled: "Pulled") -> str:
    if pulled.retired:
        return " (retired: nothing answers for it here any more)"
    return " (new)" if pulled.changed else ""
