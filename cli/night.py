"""Verbs about the nightly run: nightly, export."""

import logging
import signal
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.files import check_destination, replaced
from cli.output import (
    answer,
    as_of_option,
    check_as_of,
    common_options,
    prepare_libraries,
    settings_for,
    steps_progress,
    tell,
)
from potluck.contract import logs
from potluck.contract.errors import UsageError

if TYPE_CHECKING:
    from batch.summary import RunSummary

logger = logging.getLogger("potluck.nightly")

EXPORTED = (".csv", ".parquet")


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

    Exit codes: 0 done or already done, 1 failed, 65 refused by a check, 75 another run holds the lease.
    """
    if rollback and (as_of or resume or force):
        raise click.UsageError("--rollback takes none of --as-of, --resume, --force")
    check_as_of(as_of, force)
    settings = settings_for(repo)
    if logged:
        logs.set_up(settings)
    prepare_libraries(settings)
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM)
    )  # unwinds, so that the lease is given back
    from batch.nightly import roll_back, run_nightly

    with steps_progress() as progress:
        night = (
            roll_back(settings)
            if rollback
            else run_nightly(settings, as_of, progress, resume=resume, force=force)
        )
    if logged:
        for run in night.runs:
            logger.info(run_line(run))
    elif night.runs or not night.errors:
        answer(as_json, night.runs, "\n".join(map(run_text, night.runs)))
    for error in night.errors[1:]:
        tell(error, as_json)
    if night.errors:
        raise night.errors[0]


def run_line(run: "RunSummary") -> str:
    """What `run_text` says, on one line."""
    return "; ".join(line.strip() for line in run_text(run).splitlines())


def run_text(run: "RunSummary") -> str:
    head = f"{run.status}: {run.service}, {run.rows} predictions of {run.scored_by} version {run.model_version}"
    lines = [head, f"  run {run.run_id}, as of {run.as_of.isoformat()}"]
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
    return "\n".join([*lines, *([f"  forced: {run.forced}"] if run.forced else [])])


@click.command("export")
@click.argument("service")
@click.option(
    "--to",
    required=True,
    type=click.Path(path_type=Path),
    help="A .csv or .parquet file, replaced whole.",
)
@click.option(
    "--name", default="prediction", show_default=True, help="Name of the column of predictions."
)
@click.option(
    "--keys",
    type=click.Path(path_type=Path),
    help="A CSV whose key column chooses and orders the rows.",
)
@click.option(
    "--details", is_flag=True, help="With probabilities, model version, run and as-of date."
)
@common_options
def export_verb(
    service: str,
    to: Path,
    name: str,
    keys: Path | None,
    details: bool,
    repo: Path | None,
    as_json: bool,
) -> None:
    """Write the published run of SERVICE to a file; for a contest, name the column and choose the keys as it wants.

    The file holds the key and the prediction, and with --details also one column probability_CLASS for each class,
    model_version, run_id and as_of.
    """
    check_destination(to, EXPORTED)
    if keys is not None and not keys.is_file():
        raise UsageError(f"expected a CSV file for --keys, got {keys}, which is none")
    settings = settings_for(repo)
    prepare_libraries(settings)
    from batch.export import (
        Export,
        count_repeated_keys,
        first_few,
        read_published_table,
        write_table,
    )

    table = read_published_table(settings, Export(service, name, keys, details))
    with replaced(to) as staging:
        write_table(table, staging)
    twice = count_repeated_keys(table) if keys is not None else {}
    text = f"wrote {table.num_rows} predictions of {service} to {to}"
    if twice:
        text += f"\n  {len(twice)} keys come more than once, as {keys} has them: "
        text += first_few(list(twice))
    told = {
        "file": str(to),
        "rows": table.num_rows,
        "columns": table.column_names,
        "repeated_keys": len(twice),
    }
    answer(as_json, told, text)
