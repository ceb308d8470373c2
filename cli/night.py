"""Verbs about the nightly run: nightly, export."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.output import answer, as_of_option, common_options, now_or, prepare_libraries, settings_for, steps_progress

if TYPE_CHECKING:
    from batch.nightly import RunSummary


@click.command("nightly")
@as_of_option
@common_options
def nightly_verb(as_of: datetime | None, repo: Path | None, as_json: bool) -> None:
    """Score the population with the champions and publish the predictions."""
    settings = settings_for(repo)
    prepare_libraries(settings)
    from batch.nightly import run_nightly

    with steps_progress() as progress:
        runs = run_nightly(settings, now_or(as_of), progress)
    answer(as_json, runs, "\n".join(map(run_text, runs)))


def run_text(run: "RunSummary") -> str:
    steps = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in run.seconds.items())
    failed = [f"  {run.failed_rows} could not be scored: {'; '.join(run.failures)}"] if run.failed_rows else []
    head = f"published {run.service}: {run.rows} predictions of {run.scored_by} version {run.model_version}"
    return "\n".join([head, f"  run {run.run_id}, as of {run.as_of.isoformat()}", f"  {steps}", *failed])


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
