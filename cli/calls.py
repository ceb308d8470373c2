"""Verbs that ask a running server: predict, lookup."""

import json
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import click

from cli.output import answer, common_options
from potluck.contract.errors import PotluckError, ServiceUnreachable

SECONDS = 30.0
url_option = click.option(
    "--url", default="http://127.0.0.1:8000", envvar="POTLUCK_URL", show_default=True, help="Where the server listens."
)


class Refusal(PotluckError):
    """The server answered with an error of the HTTP contract."""


@click.command("predict")
@click.argument("service")
@click.argument("record", metavar="JSON")
@url_option
@common_options
def predict_verb(service: str, record: str, url: str, repo: Path | None, as_json: bool) -> None:
    """Ask the server for SERVICE's prediction of one JSON record."""
    show(as_json, call(f"{url}/predict/{urllib.parse.quote(service, safe='')}", record.encode()))


@click.command("lookup")
@click.argument("service")
@click.argument("entity_id", metavar="ID")
@url_option
@common_options
def lookup_verb(service: str, entity_id: str, url: str, repo: Path | None, as_json: bool) -> None:
    """Ask the server for last night's prediction of one entity."""
    quoted = [urllib.parse.quote(part, safe="") for part in (service, entity_id)]
    show(as_json, call(f"{url}/lookup/{'/'.join(quoted)}"))


def show(as_json: bool, body: dict[str, Any]) -> None:
    lines = [f"{name}: {value if isinstance(value, str) else json.dumps(value)}" for name, value in body.items()]
    answer(as_json, body, "\n".join(lines))


def call(url: str, body: bytes | None = None) -> dict[str, Any]:
    """Send a request and answer its JSON.

    Raises:
        Refusal: the server refused; the message carries code, message and details.
        ServiceUnreachable: nobody answers there.
    """
    request = urllib.request.Request(url, data=body, headers={"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as response:
            return dict(json.load(response))
    except urllib.error.HTTPError as error:
        raise Refusal(refusal_text(error.read())) from None
    except (urllib.error.URLError, TimeoutError, ValueError) as error:
        raise ServiceUnreachable(f"no Potluck server answers at {url}: {error}; run `potluck serve`") from None


def refusal_text(body: bytes) -> str:
    try:
        said = json.loads(body)
        reasons = [f"{detail['field']}: {detail['reason']}" for detail in said["details"]]
        return "; ".join([f"{said['error_code']}: {said['message']}", *reasons])
    except (ValueError, KeyError, TypeError):
        return f"the server refused with {body[:200]!r}"
