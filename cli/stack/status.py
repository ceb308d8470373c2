"""Verbs about a home on this machine: status, env."""

import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from cli.nightly.schedule_status import schedule_status, schedule_text
from cli.options import common_options
from cli.output import print_result
from cli.stack.running import left_behind, pids_by_part, process_states, running_supervisor
from cli.startup import settings_for
from potluck.contract.home import is_open_to_others
from potluck.contract.settings import Settings
from potluck.redis.embedded import answers
from potluck.scoring.releases import Releases


@click.command("status")
@common_options
def status_verb(repo: Path | None, as_json: bool) -> None:
    """What this home holds and what runs for it."""
    settings = settings_for(repo)
    found = home_status(settings)
    open_to_others = is_open_to_others(settings.home)
    print_result(found, status_text(found, open_to_others=open_to_others), as_json=as_json)


def home_status(settings: Settings) -> dict[str, Any]:
    pid = running_supervisor(settings)
    stack = f"up (process {pid})" if pid else "down"
    redis = "answers" if answers(settings) else "does not answer"
    releases = Releases(settings.releases)
    return {
        "home": str(settings.home),
        "repo": str(settings.repo),
        "redis": redis,
        "stack": stack,
        "processes": process_states(settings),
        "orphans": pids_by_part(left_behind(settings)),
        "nightly": schedule_status(settings, datetime.now(UTC)),
        "champions": {
            service: releases.champion(service).model_version for service in releases.services()
        },
    }


def status_text(found: dict[str, Any], *, open_to_others: bool) -> str:
    """The same for people."""
    home = found["home"]
    if open_to_others:
        home += " (other users of this machine may enter it; `chmod 700` keeps them out)"
    lines = [
        f"home: {home}",
        f"repo: {found['repo']}",
        f"redis: {found['redis']}",
        f"stack: {found['stack']}",
        f"nightly: {schedule_text(found['nightly'])}",
    ]
    for name, state in found["processes"].items():
        lines.append(f"  {name}: {state.text()}")
    for part, pids in found["orphans"].items():
        killed = f"{part} of an `up` that was killed goes on (process {pids})"
        lines.append(f"  {killed}; `potluck down` stops it")
    lines.append("champions:")
    for service, version in found["champions"].items():
        lines.append(f"  {service}: version {version}")
    if not found["champions"]:
        lines.append("  none; run `potluck train SERVICE`")
    return "\n".join(lines)


@click.command("env")
@common_options
def env_verb(repo: Path | None, as_json: bool) -> None:
    """Print what makes plain `feast` and `mlflow` see this home: eval "$(potluck env)"."""
    variables = settings_for(repo).variables()
    exports = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    print_result(variables, "\n".join(exports), as_json=as_json)
