"""Verbs that ask a running server: predict, lookup."""

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import click

from cli.output import answer, common_options
from potluck.contract.errors import DataError, PotluckError, ServiceUnreachable, UsageError

SECONDS = 30.0
LONGEST_SHOWN = 200


def server_url(_context: click.Context, _option: click.Parameter, url: str) -> str:
    """
    Raises:
        UsageError: it names no server.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        named = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # half of an IPv6 address, a port that is no number
        named = False
    if not named:
        raise UsageError(
            f"expected --url to name a server, as in http://127.0.0.1:8000; got {url[:LONGEST_SHOWN]}"
        )
    return url


url_option = click.option(
    "--url",
    default="http://127.0.0.1:8000",
    envvar="POTLUCK_URL",
    show_default=True,
    callback=server_url,
    help="Where the server listens.",
)


class Refusal(PotluckError):
    """The server answered with an error of the HTTP contract."""

    def __init__(self, message: str, body: dict[str, Any]) -> None:
        super().__init__(message)
        self.body = body
        """`error_code`, `message` and `details`."""

    @property
    def error_code(self) -> str:
        return str(self.body["error_code"])


@click.command("predict")
@click.argument("service")
@click.argument("source", metavar="JSON|FILE|-")
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    help="A .csv or .jsonl file for the answers, replaced whole.",
)
@click.option(
    "--missing",
    multiple=True,
    metavar="TEXT",
    help="A cell of a CSV that means a missing value, say NA.",
)
@click.option("--only-known", is_flag=True, help="Leave out what the service does not take.")
@click.option("--encoding", default="utf-8", show_default=True, help="Of the file.")
@url_option
@common_options
def predict_verb(
    service: str,
    source: str,
    to: Path | None,
    missing: tuple[str, ...],
    only_known: bool,
    encoding: str,
    url: str,
    repo: Path | None,
    as_json: bool,
) -> None:
    """Ask the server for SERVICE's prediction of one JSON record, or of each row of a file or of standard input (-).

    A file holds CSV with a header, JSON lines, or a JSON array of records. Each row is answered by one JSON line, in
    its place: a row that is refused stops no other. What became of the rows is said on standard error; the exit code
    is 1 if any was refused.
    """
    if source.lstrip().startswith("{"):
        if to is not None:
            raise UsageError(
                "--to takes the answers to a file of rows; the answer to one record is printed"
            )
        show(as_json, call(f"{url}/predict/{quoted(service)}", checked_record(source)))
        return
    from cli.client.predict_rows import Wanted, predict_rows

    predict_rows(
        Wanted(service, source, url, to, frozenset(missing), only_known, encoding), as_json=as_json
    )


@click.command("lookup")
@click.argument("service")
@click.argument("entity_ids", metavar="ID...", nargs=-1, required=True)
@url_option
@common_options
def lookup_verb(
    service: str, entity_ids: tuple[str, ...], url: str, repo: Path | None, as_json: bool
) -> None:
    """Ask the server for last night's prediction of one entity, or of several (up to 1000)."""
    if len(entity_ids) == 1:
        show(as_json, call(f"{url}/lookup/{quoted(service)}/{quoted(entity_ids[0])}"))
        return
    body = call(f"{url}/lookup/{quoted(service)}", json.dumps({"ids": entity_ids}).encode())
    show(as_json, body)
    if body["errors"]:
        raise DataError(
            f"{len(body['errors'])} of {len(entity_ids)} ids have no prediction; see errors"
        )


def quoted(part: str) -> str:
    return urllib.parse.quote(part, safe="")


def checked_record(text: str) -> bytes:
    """
    Raises:
        UsageError: it is no JSON object; a shell often takes the quotes away.
    """
    try:
        json.loads(text)
    except (ValueError, RecursionError) as error:
        where = (
            f"{error.msg} at character {error.pos + 1}"
            if isinstance(error, json.JSONDecodeError)
            else str(error)
        )
        raise UsageError(
            """expected a JSON record such as '{"area": 8450, "town": "Ames"}', in single quotes, """
            f"got {text[:LONGEST_SHOWN]} ({where})"
        ) from None
    return text.encode(errors="surrogateescape")


def show(as_json: bool, body: dict[str, Any]) -> None:
    lines = [
        f"{name}: {value if isinstance(value, str) else json.dumps(value)}"
        for name, value in body.items()
    ]
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
        raise refusal(error) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise ServiceUnreachable(
            f"no Potluck server answers at {url}: {error}; run `potluck serve`"
        ) from None


def refusal(error: urllib.error.HTTPError) -> Refusal:
    """What the server says; another server may answer there, and say something else."""
    said = error.read()
    try:
        body = json.loads(said)
        reasons = [f"{detail['field']}: {detail['reason']}" for detail in body["details"]]
        text = "; ".join([f"{body['error_code']}: {body['message']}", *reasons])
        return Refusal(text, {name: body[name] for name in ("error_code", "message", "details")})
    except (ValueError, KeyError, TypeError):
        text = f"the server refused with {error.code}: {said[:LONGEST_SHOWN]!r}"
        return Refusal(text, {"error_code": f"HTTP_{error.code}", "message": text, "details": []})
