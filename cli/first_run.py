"""From an empty home to published predictions, verb by verb.

`make demo` and the first `make up` begin with it.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from cli.main import run_command
from cli.output import say
from potluck.contract.settings import load_settings
from potluck.scoring.releases import Releases
from potluck.stores.definitions.repo import project_name
from potluck.stores.ingest.sources import SCHEMA_FILE

Environment = dict[str, str]


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A raw file; else synthetic.",
)
def first_run(data: Path | None) -> None:
    """Fill the home, once: what broke off is taken up again, what is there already is not trained
    again.
    """
    settings = load_settings()
    done = settings.home / "first_run.done"
    if not done.exists():
        fill_home(dict(os.environ), data, trained=Releases(settings.releases).services())
        done.touch()


def fill_home(environment: Environment, data: Path | None, trained: Sequence[str] = ()) -> None:
    """Ingest, apply, materialize, train and score, as far as it is not done.

    Args:
        environment: names the home and the repo.
        trained: models that are trained already.
    """
    if not holds_sources(environment):
        ingest_data(environment, data)
    applied = json.loads(capture_verb(environment, "apply", "--json"))
    run_verb(environment, "materialize")
    for service in sorted(set(applied["models"]) - set(trained)):
        run_verb(environment, "train", service)
    if applied["precomputed"]:
        run_verb(environment, "nightly")


def holds_sources(environment: Environment) -> bool:
    """Whether the home holds the repo's sources.

    They may be somebody's own, and ingesting would replace them.
    """
    settings = load_settings(
        home=environment.get("POTLUCK_HOME"), repo=environment.get("POTLUCK_REPO")
    )
    files = settings.data_folder(project_name(settings.repo)).rglob("*.parquet")
    # `apply` makes the folders of histories, which hold a schema and no rows yet.
    return any(file.is_file() and file.name != SCHEMA_FILE for file in files)


def ingest_data(environment: Environment, data: Path | None) -> None:
    words = [] if data is None else [str(data)]
    try:
        run_verb(environment, "ingest", *words)
    except SystemExit:
        if data is None:
            advice = "give it: `make … DATA=FILE`, or --data FILE"
            say(f"potluck: if the repo's ingest.py needs a file, {advice}", err=True)
        raise


def run_verb(environment: Environment, *words: str) -> None:
    """Run one verb as a user would, and show it.

    Raises:
        SystemExit: it failed; the exit code is the verb's.
    """
    command = show_command(words)
    ended = subprocess.run(command, env=environment, check=False)
    if ended.returncode != 0:
        raise SystemExit(ended.returncode)


def capture_verb(environment: Environment, *words: str) -> str:
    """Run one verb like `run_verb`.

    Returns:
        What it printed on standard output.

    Raises:
        SystemExit: it failed; the exit code is the verb's.
    """
    command = show_command(words)
    ended = subprocess.run(command, env=environment, check=False, stdout=subprocess.PIPE, text=True)
    click.echo(ended.stdout, nl=False)
    if ended.returncode != 0:
        raise SystemExit(ended.returncode)
    return ended.stdout


def show_command(words: Sequence[str]) -> list[str]:
    """Print a verb as a user would type it.

    Returns:
        The command that runs it.
    """
    click.secho(f"\n$ potluck {' '.join(words)}", bold=True)
    return [sys.executable, "-m", "cli.main", *words]


if __name__ == "__main__":
    run_command(first_run)
