"""The verb nightly: the population is scored and published."""

import logging
import signal
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.options import as_of_option, check_as_of, common_options
from cli.output import print_error, print_result
from cli.progress import rows_progress
from cli.startup import prepare_libraries, settings_for
from potluck.contract import logs

if TYPE_CHECKING:
    from batch.summary import RunSummary

logger = logging.getLogger("potluck.nightly")


@click.command("nightly")
@as_of_option
@click.option(
    "--resume",
    is_flag=True,
    help="Go on with the last run, if it came to no end, at its as-of date.",
)
@click.option(
    "--force", metavar="REASON", help="Publish although a check says no; the reason is recorded."
)
@click.option("--rollback", is_flag=True, help="Have readers read the run before, at once.")
@click.option(
    "--log", "logged", is_flag=True, help="Tell it as lines of a log, as `schedule` does."
)
@common_options
def nightly_verb(
    as_of: datetime | None,
    resume: bool,
    force: str | None,
    rollback: bool,
    logged: bool,
    repo: Path | None,
    as_json: bool,
) -> None:
    """Score the population with the champions and publish the predictions.

    Exit codes: 0 done or already done, 1 failed, 65 refused by a check, 75 another run holds the
    lease.
    """
    if rollback and (as_of or resume or force):
        raise click.UsageError("--rollback takes none of --as-of, --resume, --force")
    check_as_of(as_of, force)
    settings = settings_for(repo)
    if logged:
        logs.set_up(settings)
    prepare_libraries(settings)
    # An exit in place of a sudden end unwinds the run, which gives its lease back.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    from batch.nightly import roll_back, run_nightly

    if rollback:
        night = roll_back(settings)
    else:
        with rows_progress() as progress:
            night = run_nightly(settings, as_of, progress, resume=resume, force=force)
    if logged:
        for run in night.runs:
            logger.info(run_line(run))
    elif night.runs or not night.errors:
        print_result(night.runs, "\n".join(map(run_text, night.runs)), as_json=as_json)
    # The first error ends the verb, and is printed where every verb's error is.
    for error in night.errors[1:]:
        print_error(error, as_json=as_json)
    if night.errors:
        raise night.errors[0]


def run_line(run: "RunSummary") -> str:
    """What `run_text` says, on one line."""
    return "; ".join(line.strip() for line in run_text(run).splitlines())


def run_text(run: "RunSummary") -> str:
    """What became of a run, for people."""
    scored = f"{run.rows} predictions of {run.scored_by} version {run.model_version}"
    lines = [
        f"{run.status}: {run.service}, {scored}",
        f"  run {run.run_id}, as of {run.as_of.isoformat()}",
    ]
    if run.seconds:
        steps = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in run.seconds.items())
        lines.append(f"  {steps}; {run.rows_per_second:,.0f} rows/s")
    if run.account is not None:
        lines.append(f"  {run.account.text()}")
    if run.resumed_shards:
        lines.append(f"  {run.resumed_shards} shards were scored already")
    if run.pruned:
        lines.append(f"  predictions of {run.pruned} former entities deleted")
    lines += [f"  note: {note}" for note in run.notes]
    if run.forced:
        lines.append(f"  forced: {run.forced}")
    return "\n".join(lines)
