"""What `make demo` shows of a running server: a call to each service, and where features come from."""

import datetime
import json
import math
import urllib.parse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from cli.calls import Refusal, call
from potluck.contract.errors import PotluckError
from potluck.contract.features import FeatureContract, read_contract
from potluck.contract.publication import Publication
from potluck.contract.settings import Settings
from potluck.scoring.bundle import CONTRACT_FILE
from potluck.scoring.releases import Releases

SHOWN = 8
TRIED = 50
"""Rows that are sent until one is answered: not every entity need be in the online store."""
SOURCES = {
    "key": "sent as the key",
    "request": "sent in the request",
    "online": "looked up in the online store",
}

Row = dict[str, Any]


def show_services(settings: Settings, url: str) -> None:
    """Call each service that has a champion, with rows of the repo's own data.

    Raises:
        PotluckError: a service answered no row; the others were shown.
    """
    contracts = champions(settings)
    answered = {}
    for contract in sorted(contracts, key=lambda each: len(each.views)):
        answered[contract.service] = show_prediction(
            url, contract, first_rows(settings, contract, contracts)
        )
    for contract in contracts:
        for publication in contract.publications:
            rows = first_rows(settings, contract, contracts)
            answered[publication.service] = show_lookup(url, publication, rows)
    silent = [service for service, shown in answered.items() if not shown]
    if silent:
        raise PotluckError(
            f"{', '.join(silent)} answered none of the rows that were tried; the reasons stand above"
        )


def champions(settings: Settings) -> list[FeatureContract]:
    releases = Releases(settings.releases)
    folders = [
        releases.bundles / releases.champion(service).digest for service in releases.services()
    ]
    return [read_contract((folder / CONTRACT_FILE).read_bytes()) for folder in folders]


def first_rows(
    settings: Settings, contract: FeatureContract, all_contracts: Iterable[FeatureContract]
) -> list[Row]:
    """The first rows of a source that has what the service takes: a population, or else labels."""
    together = [contract, *all_contracts]
    populations = [each.population for each in together if each.population]
    labels = [each.label_source for each in together]
    for source in dict.fromkeys([*populations, *labels]):
        rows = read_rows(settings.data_folder(contract.project) / f"{source}.parquet", contract)
        if rows:
            return rows
    return []


def read_rows(path: Path, contract: FeatureContract) -> list[Row]:
    """Keys and request fields of a source's first rows; none where it lacks a required one."""
    import pyarrow
    import pyarrow.dataset

    wanted = contract.keys + contract.request
    needed = {field.name for field in wanted if field.required and field.default is None}
    needed |= {key.name for key in contract.keys}
    try:
        source = pyarrow.dataset.dataset(path, format="parquet")
        columns = [field.name for field in wanted if field.name in source.schema.names]
        if not needed <= set(columns):
            return []
        return list(source.head(TRIED, columns=columns).to_pylist())
    except (OSError, pyarrow.ArrowInvalid):
        return []


def show_prediction(url: str, contract: FeatureContract, rows: Sequence[Row]) -> bool:
    """Show a record that the service answers. Answers whether there was one."""
    click.secho(f"\nPOST /predict/{contract.service}", bold=True)
    records = [{name: sendable(value) for name, value in row.items()} for row in rows]
    address = f"{url}/predict/{quoted(contract.service)}"
    place = show_first_answer([(address, json.dumps(record).encode()) for record in records])
    if place is not None:
        show_sources(url, contract.service, records[place])
    return place is not None


def show_lookup(url: str, publication: Publication, rows: Sequence[Row]) -> bool:
    """Show an entity that the published run holds. Answers whether there was one."""
    click.secho(f"\nGET /lookup/{publication.service}/{{{publication.key.name}}}", bold=True)
    entities = [row[publication.key.name] for row in rows if publication.key.name in row]
    address = f"{url}/lookup/{quoted(publication.service)}"
    place = show_first_answer([(f"{address}/{quoted(entity)}", None) for entity in entities])
    if place is not None:
        click.echo("  nothing is sent but the id: last night's run computed it")
    return place is not None


def show_first_answer(requests: Sequence[tuple[str, bytes | None]]) -> int | None:
    """Show the first answer and say which request got it; else why the first one was refused."""
    refusals = []
    for place, (address, body) in enumerate(requests):
        try:
            answer = call(address, body)
        except Refusal as refusal:
            refusals.append(str(refusal))
            continue
        if refusals:
            click.echo(f"  (the {place} row(s) before were refused: {refusals[0]})")
        click.echo(f"  {json.dumps(answer)}")
        return place
    click.echo(
        f"  {refusals[0]}" if refusals else "  no source of the home holds the fields that it takes"
    )
    return None


def show_sources(url: str, service: str, record: Row) -> None:
    """Where each of the service's features came from."""
    described = call(f"{url}/services/{quoted(service)}")["fields"]
    for source in ("key", "request", "online", "on-demand"):
        names = [field["name"] for field in described if field["source"] == source]
        if names:
            shown = [
                f"{name}={json.dumps(record[name])}" if name in record else name for name in names
            ]
            more = f" … and {len(shown) - SHOWN} more" if len(shown) > SHOWN else ""
            click.echo(
                f"  {SOURCES.get(source, 'computed on demand')}: {', '.join(shown[:SHOWN])}{more}"
            )


def sendable(value: Any) -> Any:
    """A value of a table as JSON takes it; the server says whether it fits the field."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, datetime.date):
        return value.isoformat()
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def quoted(part: Any) -> str:
    return urllib.parse.quote(str(sendable(part)), safe="")
