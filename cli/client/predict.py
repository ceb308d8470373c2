"""The verb predict: predictions of a running server."""

import json
from pathlib import Path

import click

from cli.client.calls import LONGEST_SHOWN, call_server, print_document, url_option, url_part
from cli.options import common_options
from potluck.contract.errors import UsageError


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
    """Ask the server for SERVICE's prediction of one JSON record, or of each row of a file or of
    standard input (-).

    A file holds CSV with a header, JSON lines, or a JSON array of records. Each row is answered by
    one JSON line, in its place: a row that is refused stops no other. What became of the rows is
    said on standard error; the exit code is 1 if any was refused.
    """
    if source.lstrip().startswith("{"):
        if to is not None:
            raise UsageError(
                "--to takes the answers to a file of rows; the answer to one record is printed"
            )
        body = call_server(f"{url}/predict/{url_part(service)}", checked_record(source))
        print_document(body, as_json=as_json)
        return
    from cli.client.predict_rows import RowsRequest, predict_rows

    request = RowsRequest(
        service=service,
        source=source,
        url=url,
        to=to,
        missing=frozenset(missing),
        only_known=only_known,
        encoding=encoding,
    )
    predict_rows(request, as_json=as_json)


def checked_record(text: str) -> bytes:
    """The record as the server takes it.

    Raises:
        UsageError: it is not a JSON object; a shell often takes the quotes away.
    """
    try:
        json.loads(text)
    except (ValueError, RecursionError) as error:
        where = str(error)
        if isinstance(error, json.JSONDecodeError):
            where = f"{error.msg} at character {error.pos + 1}"
        raise UsageError(
            """expected a JSON record such as '{"area": 8450, "town": "Ames"}', in single """
            f"quotes, got {text[:LONGEST_SHOWN]} ({where})"
        ) from None
    # Bytes of the command line that are not UTF-8 go to the server as they came.
    return text.encode(errors="surrogateescape")
