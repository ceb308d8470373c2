"""Verbs about the stack on one machine: up, down, status, env."""

import shlex
from pathlib import Path
from typing import Any

import click

from cli.nightly.cron import Cron
from cli.nightly.schedule import schedule_status, schedule_text, utc_now
from cli.output import answer, common_options, settings_for
from cli.stack.supervisor import (
    Supervisor,
    by_part,
    orphans,
    part_states,
    running_supervisor,
    stop_orphans,
    stop_supervisor,
)
from potluck.contract import logs
from potluck.contract.home import is_open_to_others
from potluck.contract.settings import Settings
from potluck.redis.embedded import answers, ensure_redis, stop_redis
from potluck.scoring.releases import Releases


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
    help='When to call `potluck nightly`, in cron\'s words and UTC; or "off".  [default: "0 2 * * *"]',
)
@common_options
def up_verb(
    host: str, port: int, workers: int, nightly: str | None, repo: Path | None, as_json: bool
) -> None:
    """Keep Redis, the server, MLflow's pages and the nightly's schedule running until interrupted or `potluck down`."""
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
    was_up = stop_supervisor(settings)
    left_behind = by_part(stop_orphans(settings))
    stopped = {"server": was_up, "redis": stop_redis(settings)}
    names = [name for name, was_running in stopped.items() if was_running]
    for part, pids in left_behind.items():
        names.append(f"{part} of an `up` that was killed (process {pids})")
    text = f"stopped {' and '.join(names)}" if names else "nothing was running"
    answer(as_json, {**stopped, "orphans": left_behind}, text)


@click.command("status")
@common_options
def status_verb(repo: Path | None, as_json: bool) -> None:
    """What this home holds and what runs for it."""
    settings = settings_for(repo)
    found = home_status(settings)
    shown = {**found, "nightly": schedule_text(found["nightly"])}
    if is_open_to_others(settings.home):
        shown["home"] += " (other users of this machine may enter it; `chmod 700` keeps them out)"
    apart = ("champions", "processes", "orphans")
    lines = [f"{name}: {value}" for name, value in shown.items() if name not in apart]
    lines += [f"  {name}: {state.text()}" for name, state in found["processes"].items()]
    for part, pids in found["orphans"].items():
        killed = f"{part} of an `up` that was killed goes on (process {pids})"
        lines.append(f"  {killed}; `potluck down` stops it")
    champions = [
        f"  {service}: version {version}" for service, version in found["champions"].items()
    ]
    answer(
        as_json,
        found,
        "\n".join([*lines, "champions:", *(champions or ["  none; run `potluck train SERVICE`"])]),
    )


def home_status(settings: Settings) -> dict[str, Any]:
    releases = Releases(settings.releases)
    pid = running_supervisor(settings)
    return {
        "home": str(settings.home),
        "repo": str(settings.repo),
        "redis": "answers" if answers(settings) else "does not answer",
        "stack": f"up (process {pid})" if pid else "down",
        "processes": part_states(settings),
        "orphans": by_part(orphans(settings)),
        "nightly": schedule_status(settings, utc_now()),
        "champions": {
            service: releases.champion(service).model_version for service in releases.services()
        },
    }


@click.command("env")
@common_options
def env_verb(repo: Path | None, as_json: bool) -> None:
    """Print what makes plain `feast` and `mlflow` see this home: eval "$(potluck env)"."""
    variables = settings_for(repo).variables()
    answer(
        as_json,
        variables,
        "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items()),
    )
