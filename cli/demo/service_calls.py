"""What `make demo` shows of a running server: a call to each service, and its features' origins."""

import datetime
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from cli.client.calls import Refusal, call_server, url_part
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
    "on-demand": "computed on demand",
}

Row = dict[str, Any]


def show_services(settings: Settings, url: str) -> None:
    """Call each service that has a champion, with rows of the repo's own data.

    Raises:
        PotluckError: a service answered no row; the others were shown.
    """
    contracts = champion_contracts(settings)
    answered = {}
    for contract in sorted(contracts, key=lambda each: len(each.views)):
        rows = first_rows(settings, contract, contracts)
        answered[contract.service] = show_prediction(url, contract, rows)
    for contract in contracts:
        for publication in contract.publications:
            rows = first_rows(settings, contract, contracts)
            answered[publication.service] = show_lookup(url, publication, rows)
    silent = [service for service, shown in answered.items() if not shown]
    if silent:
        names = ", ".join(silent)
        raise PotluckError(
            f"{names} answered none of the rows that were tried; the reasons stand above"
        )


def champion_contracts(settings: Settings) -> list[FeatureContract]:
    releases = Releases(settings.releases)
    contracts = []
    for service in releases.services():
        folder = releases.bundles / releases.champion(service).digest
        contracts.append(read_contract((folder / CONTRACT_FILE).read_bytes()))
    return contracts


def first_rows(
    settings: Settings, contract: FeatureContract, all_contracts: Iterable[FeatureContract]
) -> list[Row]:
    """The first rows of a source that has what the service takes: a population, or else labels."""
    together = [contract, *all_contracts]
    populations = [each.population for each in together if each.population]
    labels = [each.label_source for each in together]
    for source in dict.fromkeys([*populations, *labels]):
        path = settings.data_folder(contract.project) / f"{source}.parquet"
        rows = read_sample(path, contract)
        if rows:
            return rows
    return []


def read_sample(path: Path, contract: FeatureContract) -> list[Row]:
    """Keys and request fields of a source's first rows; none where it lacks a required one."""
    import pyarrow
    import pyarrow.dataset

    wanted = contract.keys + contract.request
    needed = {key.name for key in contract.keys}
    needed |= {field.name for field in wanted if field.must_be_given}
    try:
        source = pyarrow.dataset.dataset(path, format="parquet")
        columns = [field.name for field in wanted if field.name in source.schema.names]
        if not needed <= set(columns):
            return []
        return list(source.head(TRIED, columns=columns).to_pylist())
    except (OSError, pyarrow.ArrowInvalid):
        return []


def show_prediction(url: str, contract: FeatureContract, rows: Sequence[Row]) -> bool:
    """Show a record that the service answers.

    Returns:
        Whether there was one.
    """
    click.secho(f"\nPOST /predict/{contract.service}", bold=True)
    address = f"{url}/predict/{url_part(contract.service)}"
    records, requests = [], []
    for row in rows:
        record = {name: to_json_value(value) for name, value in row.items()}
        records.append(record)
        requests.append((address, json.dumps(record).encode()))
    place = show_first_answer(requests)
    if place is None:
        return False
    show_sources(url, contract.service, records[place])
    return True


def show_lookup(url: str, publication: Publication, rows: Sequence[Row]) -> bool:
    """Show an entity that the published run holds.

    Returns:
        Whether there was one.
    """
    key = publication.key.name
    click.secho(f"\nGET /lookup/{publication.service}/{{{key}}}", bold=True)
    address = f"{url}/lookup/{url_part(publication.service)}"
    entities = [str(to_json_value(row[key])) for row in rows if key in row]
    place = show_first_answer([(f"{address}/{url_part(entity)}", None) for entity in entities])
    if place is None:
        return False
    click.echo("  nothing is sent but the id: last night's run computed it")
    return True


def show_first_answer(requests: Sequence[tuple[str, bytes | None]]) -> int | None:
    """Show the first answer, or why the first request was refused.

    Returns:
        The place of the request that was answered.
    """
    refusals = []
    for place, (address, body) in enumerate(requests):
        try:
            answer = call_server(address, body)
        except Refusal as refusal:
            refusals.append(str(refusal))
            continue
        if refusals:
            click.echo(f"  (the {place} row(s) before were refused: {refusals[0]})")
        click.echo(f"  {json.dumps(answer)}")
        return place
    if refusals:
        click.echo(f"  {refusals[0]}")
    else:
        click.echo("  no source of the home holds the fields that it takes")
    return None


def show_sources(url: str, service: str, record: Row) -> None:
    """Show where each of the service's features came from."""
    fields = call_server(f"{url}/services/{url_part(service)}")["fields"]
    for source, came in SOURCES.items():
        texts = []
        for field in fields:
            name = field["name"]
            if field["source"] == source:
                texts.append(f"{name}={json.dumps(record[name])}" if name in record else name)
        if texts:
            more = f" … and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
            click.echo(f"  {came}: {', '.join(texts[:SHOWN])}{more}")


def to_json_value(value: Any) -> Any:
    """A value of a table as JSON takes it; the server says whether it fits the field."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return str(value)
