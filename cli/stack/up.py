"""Verbs that start and stop the stack on one machine: up, down."""

from pathlib import Path

import click

from cli.nightly.cron import Cron
from cli.options import common_options
from cli.output import print_result
from cli.stack.running import pids_by_part, stop_left_behind, stop_supervisor
from cli.stack.supervisor import Supervisor
from cli.startup import settings_for
from potluck.contract import logs
from potluck.redis.embedded import ensure_redis, stop_redis


@click.command("up")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option(
    "--port",
    type=click.IntRange(1, 65534),
    default=8000,
    show_default=True,
    help="MLflow gets the next one.",
)
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True)
@click.option(
    "--nightly",
    help='When to call `potluck nightly`, in cron\'s words and UTC; or "off".  '
    '[default: "0 2 * * *"]',
)
@common_options
def up_verb(
    host: str, port: int, workers: int, nightly: str | None, repo: Path | None, as_json: bool
) -> None:
    """Keep Redis, the server, MLflow's pages and the nightly's schedule running until interrupted
    or `potluck down`.
    """
    settings = settings_for(repo, nightly_cron=nightly)
    logs.set_up(settings)
    if settings.nightly_cron:
        Cron(settings.nightly_cron)  # a wrong one is told before anything starts
    ensure_redis(settings)
    raise SystemExit(Supervisor(settings, host, port, workers).run())


@click.command("down")
@common_options
def down_verb(repo: Path | None, as_json: bool) -> None:
    """Stop what runs for this home; its data stays."""
    settings = settings_for(repo)
    # `up` first: it would start again what is stopped under it. Redis last: the others use it.
    was_up = stop_supervisor(settings)
    orphans = pids_by_part(stop_left_behind(settings))
    stopped = {"server": was_up, "redis": stop_redis(settings)}
    names = [name for name, was_running in stopped.items() if was_running]
    for part, pids in orphans.items():
        names.append(f"{part} of an `up` that was killed (process {pids})")
    text = f"stopped {' and '.join(names)}" if names else "nothing was running"
    print_result({**stopped, "orphans": orphans}, text, as_json=as_json)
