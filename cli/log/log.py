"""The verb log: what was asked and answered, from the inference log."""

from pathlib import Path
from typing import Any

import click

from cli.options import common_options
from cli.output import print_result
from cli.startup import settings_for
from potluck.contract.errors import PotluckError, UsageError
from potluck.contract.settings import Settings

NEWEST_ROWS = 10
SHOWN_COLUMNS = (
    "request_time",
    "service",
    "model_version",
    "served_by",
    "prediction",
    "error_code",
    "latency",
    "request_id",
)


@click.command("log")
@click.option("--sql", help="SQL over the table `log`.")
@click.option("--request", "request_id", help="The rows of one request id.")
@click.option("--entity", metavar="KEY=VALUE", help="The newest rows of one entity, as Id=91.")
@click.option("--service", help="Only the rows of one service.")
@click.option("--limit", type=click.IntRange(min=1), default=NEWEST_ROWS, show_default=True)
@click.option("--reconcile", is_flag=True, help="Account for every row that was answered.")
@click.option("--erase", metavar="KEY=VALUE", help="Erase the rows of one entity for good.")
@common_options
def log_verb(
    sql: str | None,
    request_id: str | None,
    entity: str | None,
    service: str | None,
    limit: int,
    reconcile: bool,
    erase: str | None,
    repo: Path | None,
    as_json: bool,
) -> None:
    """Show what was asked and answered: the newest rows, or those that are asked for."""
    settings = settings_for(repo)
    asked = [sql, request_id, entity, erase, reconcile or None]
    if sum(each is not None for each in asked) > 1:
        raise UsageError(
            "expected at most one of --sql, --request, --entity, --erase and --reconcile"
        )
    if reconcile:
        show_reconciliation(settings, as_json=as_json)
    elif erase is not None:
        erase_entity(settings, erase, as_json=as_json)
    else:
        show_rows(settings, sql, request_id, entity, service, limit, as_json=as_json)


def show_reconciliation(settings: Settings, *, as_json: bool) -> None:
    """Print the account of all rows.

    Raises:
        PotluckError: the files do not hold what was logged.
    """
    from monitoring.catch_up import caught_up
    from monitoring.reconcile import reconcile

    with caught_up(settings) as decoder:
        found = reconcile(decoder.layout, decoder.parts)
    print_result(found, found.text(), as_json=as_json)
    if not found.adds_up:
        raise PotluckError("the inference log does not add up; see the lines above")


def erase_entity(settings: Settings, entity: str, *, as_json: bool) -> None:
    from monitoring.erase import erase_rows

    key, value = key_and_value(entity)
    erased = erase_rows(settings, key, value)
    text = f"erased {erased.rows} rows of {entity} in {erased.files} files"
    print_result(erased, text, as_json=as_json)


def show_rows(
    settings: Settings,
    sql: str | None,
    request_id: str | None,
    entity: str | None,
    service: str | None,
    limit: int,
    *,
    as_json: bool,
) -> None:
    """Print the rows that are asked for."""
    from monitoring import query
    from monitoring.catch_up import caught_up

    with caught_up(settings) as decoder:
        connection = query.open_log(decoder.parts, service)
    if sql is not None:
        found = query.ask(connection, sql)
    elif request_id is not None:
        found = query.by_request(connection, request_id)
        if not found.rows:
            raise PotluckError(f"the inference log holds no request {request_id}")
    elif entity is not None:
        found = query.by_entity(connection, *key_and_value(entity), limit)
    else:
        found = query.newest(connection, limit)
    rows = found.as_dicts()
    columns = found.columns if sql is not None else [*SHOWN_COLUMNS]
    print_result(rows, table_text(rows, columns), as_json=as_json)


def key_and_value(entity: str) -> tuple[str, str]:
    """Read what names an entity.

    Raises:
        UsageError: it is no `KEY=VALUE`.
    """
    key, equals, value = entity.partition("=")
    if not (key and equals and value):
        raise UsageError(f"expected KEY=VALUE, such as Id=91, got {entity!r}")
    return key, value


def table_text(rows: list[dict[str, Any]], columns: list[str]) -> str:
    """Return rows as a table for people."""
    cells = [[text_of(row.get(name)) for name in columns] for row in rows]
    lines = [columns, *cells]
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
    padded = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    return "\n".join(padded)


def text_of(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)
