"""Calls to a running server."""

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import click

from cli.output import print_result
from potluck.contract.errors import PotluckError, ServiceUnreachable, UsageError

TIMEOUT_SECONDS = 30.0
LONGEST_SHOWN = 200
"""Characters of a text that is not what it should be."""

Document = dict[str, Any]
"""A JSON object that the server answers."""


def check_url(_context: click.Context, _option: click.Parameter, url: str) -> str:
    """
    Raises:
        UsageError: it names no server.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        names_server = bool(parts.hostname) and parts.port != 0
    except ValueError:  # half of an IPv6 address, a port that is not a number
        names_server = False
    if not names_server or parts.scheme not in ("http", "https"):
        raise UsageError(
            "expected --url to name a server, as in http://127.0.0.1:8000; "
            f"got {url[:LONGEST_SHOWN]}"
        )
    return url


url_option = click.option(
    "--url",
    default="http://127.0.0.1:8000",
    envvar="POTLUCK_URL",
    show_default=True,
    callback=check_url,
    help="Where the server listens.",
)


class Refusal(PotluckError):
    """The server answered with an error of the HTTP contract."""

    def __init__(self, message: str, body: Document) -> None:
        super().__init__(message)
        self.body = body
        """`error_code`, `message` and `details`."""

    @property
    def error_code(self) -> str:
        return str(self.body["error_code"])


def call_server(url: str, body: bytes | None = None) -> Document:
    """Send a request: a POST where there is a body, else a GET.

    Raises:
        Refusal: the server refused; the message carries code, message and details.
        ServiceUnreachable: nobody answers there.
    """
    request = urllib.request.Request(url, data=body, headers={"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
            return dict(json.load(response))
    except urllib.error.HTTPError as error:
        raise read_refusal(error) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise ServiceUnreachable(
            f"no Potluck server answers at {url}: {error}; run `potluck serve`"
        ) from None


def read_refusal(error: urllib.error.HTTPError) -> Refusal:
    """Read what the server says; another server may answer there, and say something else."""
    content = error.read()
    try:
        body = json.loads(content)
        reasons = [f"{detail['field']}: {detail['reason']}" for detail in body["details"]]
        text = "; ".join([f"{body['error_code']}: {body['message']}", *reasons])
        return Refusal(text, {name: body[name] for name in ("error_code", "message", "details")})
    except (ValueError, KeyError, TypeError):
        text = f"the server refused with {error.code}: {content[:LONGEST_SHOWN]!r}"
        return Refusal(text, {"error_code": f"HTTP_{error.code}", "message": text, "details": []})


def url_part(text: str) -> str:
    """A name or an id as one part of a URL's path."""
    return urllib.parse.quote(text, safe="")


def print_document(body: Document, *, as_json: bool) -> None:
    """Print an answer of the server: for people, a line for each of its fields."""
    lines = []
    for name, value in body.items():
        text = value if isinstance(value, str) else json.dumps(value)
        lines.append(f"{name}: {text}")
    print_result(body, "\n".join(lines), as_json=as_json)
