"""From an empty home to published predictions, verb by verb: what `make demo` and the first `make up` begin with."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click

from potluck.contract.settings import load_settings
from potluck.scoring.releases import Releases

Environment = dict[str, str]


@click.command()
@click.option(
    "--data", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="A raw file; else synthetic."
)
def first_run(data: Path | None) -> None:
    """Fill the home unless it has a champion already."""
    if not Releases(load_settings().releases).services():
        fill_home(dict(os.environ), data)


def fill_home(environment: Environment, data: Path | None) -> None:
    """Ingest, apply, materialize, train every model, score the population."""
    verb(environment, "ingest", *([str(data)] if data else []))
    applied = json.loads(captured(environment, "apply", "--json"))
    verb(environment, "materialize")
    for service in applied["models"]:
        verb(environment, "train", service)
    verb(environment, "nightly")


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
    first_run()
