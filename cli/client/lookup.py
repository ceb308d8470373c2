"""The verb lookup: published predictions of entities."""

import json
from pathlib import Path

import click

from cli.client.calls import call_server, print_document, url_option, url_part
from cli.options import common_options
from potluck.contract.errors import DataError


@click.command("lookup")
@click.argument("service")
@click.argument("entity_ids", metavar="ID...", nargs=-1, required=True)
@url_option
@common_options
def lookup_verb(
    service: str, entity_ids: tuple[str, ...], url: str, repo: Path | None, as_json: bool
) -> None:
    """Ask the server for last night's prediction of one entity, or of several (up to 1000)."""
    address = f"{url}/lookup/{url_part(service)}"
    if len(entity_ids) == 1:
        print_document(call_server(f"{address}/{url_part(entity_ids[0])}"), as_json=as_json)
        return
    body = call_server(address, json.dumps({"ids": entity_ids}).encode())
    print_document(body, as_json=as_json)
    if body["errors"]:
        raise DataError(
            f"{len(body['errors'])} of {len(entity_ids)} ids have no prediction; see errors"
        )
