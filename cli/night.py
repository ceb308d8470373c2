"""Verbs about the nightly run: nightly, export."""

import signal
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.output import answer, as_of_option, common_options, prepare_libraries, settings_for, steps_progress, tell

if TYPE_CHECKING:
    from batch.summary import RunSummary


@click.command("nightly")
@as_of_option
@click.option("--resume", is_flag=True, help="Go on with the last run, if it came to no end, at its as-of date.")
@click.option("--force", metavar="REASON", help="Publish although a threshold does not hold; the reason is recorded.")
@click.option("--rollback", is_flag=True, help="Have readers read the run before, at once.")
@common_options
def nightly_verb(
    as_of: datetime | None, resume: bool, force: str | None, rollback: bool, repo: Path | None, as_json: bool
) -> None:
    """Score the population with the champions and publish the predictions.

    Exit codes: 0 done or already done, 1 failed, 65 refused by a check, 75 another run holds the lease.
    """
    if rollback and (as_of or resume or force):
        raise click.UsageError("--rollback takes none of --as-of, --resume, --force")
    settings = settings_for(repo)
    prepare_libraries(settings)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # unwinds, so that the lease is given back
    from batch.nightly import roll_back, run_nightly

    with steps_progress() as progress:
        night = roll_back(settings) if rollback else run_nightly(settings, as_of, progress, resume, force)
    if night.runs or not night.errors:
        answer(as_json, night.runs, "\n".join(map(run_text, night.runs)))
    for error in night.errors[1:]:
        tell(error, as_json)
    if night.errors:
        raise night.errors[0]


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
    return "\n".join([*lines, *([f"  forced: {run.forced}"] if run.forced else [])])


@click.command("export")
@click.argument("service")
@click.option("--to", required=True, type=click.Path(path_type=Path), help="A .csv or .parquet file, replaced whole.")
@click.option("--name", default="prediction", show_default=True, help="Name of the column of predictions.")
@click.option("--keys", type=click.Path(path_type=Path, exists=True), help="A CSV whose key column chooses the rows.")
@common_options
def export_verb(service: str, to: Path, name: str, keys: Path | None, repo: Path | None, as_json: bool) -> None:
    """Write the published run of SERVICE to a file; for a contest, name the column and choose the keys as it wants."""
    settings = settings_for(repo)
    prepare_libraries(settings)
    from batch.export import export_run

    rows = export_run(settings, service, to, name, keys)
    answer(as_json, {"file": str(to), "rows": rows}, f"wrote {rows} predictions of {service} to {to}")
