"""From an empty home to published predictions, verb by verb: what `make demo` and the first `make up` begin with."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from cli.main import run
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
    """Fill the home, once: what broke off is taken up again, what is there already is not trained again."""
    settings = load_settings()
    done = settings.home / "first_run.done"
    if not done.exists():
        fill_home(dict(os.environ), data, trained=Releases(settings.releases).services())
        done.touch()


def fill_home(environment: Environment, data: Path | None, trained: Sequence[str] = ()) -> None:
    """Ingest, apply, materialize, train every model that is not trained yet, score what is precomputed."""
    if not ingested(environment):
        ingest(environment, data)
    applied = json.loads(captured(environment, "apply", "--json"))
    verb(environment, "materialize")
    for service in sorted(set(applied["models"]) - set(trained)):
        verb(environment, "train", service)
    if applied["precomputed"]:
        verb(environment, "nightly")


def ingest(environment: Environment, data: Path | None) -> None:
    try:
        verb(environment, "ingest", *([str(data)] if data else []))
    except SystemExit:
        if data is None:
            told = (
                "if the repo's ingest.py needs a file, give it: `make … DATA=FILE`, or --data FILE"
            )
            say(f"potluck: {told}", err=True)
        raise


def ingested(environment: Environment) -> bool:
    """Whether the home holds the repo's sources: they may be somebody's own, and ingesting would replace them."""
    settings = load_settings(
        home=environment.get("POTLUCK_HOME"), repo=environment.get("POTLUCK_REPO")
    )
    files = settings.data_folder(project_name(settings.repo)).rglob("*.parquet")
    return any(
        file.is_file() and file.name != SCHEMA_FILE for file in files
    )  # `apply` makes the histories


def verb(environment: Environment, *words: str) -> None:
    """Run one verb as a user would, and show it; ends with its exit code where it fails."""
    click.secho(f"\n$ potluck {' '.join(words)}", bold=True)
    ended = subprocess.run([sys.executable, "-m", "cli.main", *words], env=environment, check=False)
    if ended.returncode != 0:
        raise SystemExit(ended.returncode)


def captured(environment: Environment, *words: str) -> str:
    click.secho(f"\n$ potluck {' '.join(words)}", bold=True)
    command = [sys.executable, "-m", "cli.main", *words]
    ended = subprocess.run(command, env=environment, check=False, stdout=subprocess.PIPE, text=True)
    click.echo(ended.stdout, nl=False)
    if ended.returncode != 0:
        raise SystemExit(ended.returncode)
    return ended.stdout


if __name__ == "__main__":
    run(first_run)
