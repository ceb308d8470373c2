"""The verb export: the published run becomes a file."""

from pathlib import Path

import click

from cli.files import check_destination, replace_file
from cli.options import common_options
from cli.output import print_result
from cli.startup import prepare_libraries, settings_for
from potluck.contract.errors import UsageError

EXPORTED = (".csv", ".parquet")


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
    """Write the published run of SERVICE to a file; for a contest, name the column and choose the
    keys as it wants.

    The file holds the key and the prediction, and with --details also one column probability_CLASS
    for each class, model_version, run_id and as_of.
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
    with replace_file(to) as staging:
        write_table(table, staging)
    text = f"wrote {table.num_rows} predictions of {service} to {to}"
    twice = count_repeated_keys(table) if keys is not None else {}
    if twice:
        some_keys = first_few(list(twice))
        text += f"\n  {len(twice)} keys come more than once, as {keys} has them: {some_keys}"
    found = {
        "file": str(to),
        "rows": table.num_rows,
        "columns": table.column_names,
        "repeated_keys": len(twice),
    }
    print_result(found, text, as_json=as_json)
