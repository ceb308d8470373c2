"""`potluck predict` with a file or standard input: rows in, answers out, and an account of both."""

import codecs
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from cli.client.answer_writers import Write, json_writer, writer_for
from cli.client.batch_calls import AnswerCounts, stream_answers
from cli.client.calls import Document, call_server, url_part
from cli.client.records import RowFormat
from cli.client.row_files import stream_rows
from cli.files import check_destination, replace_file
from cli.output import print_result, say
from cli.progress import progress_bar
from potluck.contract.accounting import Account
from potluck.contract.errors import DataError, UsageError
from potluck.scoring.transform import probability_column

STDIN = "-"
SUFFIXES = (".csv", ".jsonl")
TAKEN = ("key", "request", "online")
"""Sources of fields that a record may hold: one that is looked up may be given as well."""


@dataclass(frozen=True)
class RowsRequest:
    """What `potluck predict` was asked for."""

    service: str
    source: str
    url: str
    to: Path | None = None
    missing: frozenset[str] = frozenset()
    only_known: bool = False
    encoding: str = "utf-8"


def predict_rows(request: RowsRequest, *, as_json: bool = False) -> None:
    """Send every row, write every answer, and account for them.

    Raises:
        UsageError: the file, the place for the answers or the encoding can't be used, or the
            service is a precomputed one.
        DataError: some rows were refused, or the rest of the file can't be read.
        Refusal: the server knows no such service.
        ServiceUnreachable: the server does not answer.
    """
    check_request(request)
    described = describe_service(request)
    counts = AnswerCounts()
    try:
        write_answers(request, described, counts)
    except BrokenPipeError:
        # Whoever read the answers has enough of them. Python would write what is left to the pipe
        # when it ends, and fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except (UnicodeError, OSError) as error:
        raise DataError(f"{request.source} can't be read: {error}") from error
    finally:
        if counts.came:  # also where it came to an end before the last row
            print_account(request, counts, as_json=as_json)
    refused = counts.refused.total()
    if refused:
        raise DataError(f"{refused} of {counts.came} rows were refused; each answer says why")


def check_request(request: RowsRequest) -> None:
    """
    Raises:
        UsageError: the file, the place for the answers or the encoding can't be used.
    """
    if request.to is not None:
        check_destination(request.to, SUFFIXES)
    if request.source != STDIN and not Path(request.source).is_file():
        raise UsageError(
            'expected a JSON record such as {"area": 8450}, the name of a file, or - for standard '
            f"input; there is no file {request.source}"
        )
    try:
        codecs.lookup(request.encoding)
    except LookupError:
        raise UsageError(
            f"expected an encoding such as utf-8 or cp1252, got {request.encoding}"
        ) from None


def describe_service(request: RowsRequest) -> Document:
    """Ask the server what the service takes.

    Raises:
        Refusal: it knows no such service.
        UsageError: the service is a precomputed one.
    """
    described = call_server(f"{request.url}/services/{url_part(request.service)}")
    if described["served_by"] == "precomputed":
        raise UsageError(
            f"{request.service} is precomputed: ask `potluck lookup {request.service} ID`"
        )
    return described


def write_answers(request: RowsRequest, described: Document, counts: AnswerCounts) -> None:
    taken = [field for field in described["fields"] if field["source"] in TAKEN]
    row_format = RowFormat(
        dtypes={field["name"]: field["dtype"] for field in taken},
        missing=request.missing,
        encoding=request.encoding,
        only_known=request.only_known,
        service=request.service,
    )
    url = f"{request.url}/predict/{url_part(request.service)}/batch"
    with (
        open_source(request.source) as stream,
        open_writer(request.to, described["classes"]) as write,
        progress_bar(None, request.service) as progress,
    ):
        for answer in stream_answers(url, stream_rows(stream, row_format)):
            write(answer)
            counts.add(answer)
            progress(1)
    if row_format.dropped:
        names = ", ".join(sorted(row_format.dropped))
        say(f"left out, as {request.service} does not take them: {names}", err=True)


@contextmanager
def open_source(source: str) -> Iterator[BinaryIO]:
    if source == STDIN:
        yield sys.stdin.buffer
        return
    with Path(source).open("rb") as stream:
        yield stream


@contextmanager
def open_writer(to: Path | None, classes: list[str]) -> Iterator[Write]:
    """Write to standard output, or to a file that takes its place at the end."""
    if to is None:
        yield json_writer(sys.stdout)
        sys.stdout.flush()
        return
    names = [probability_column(label) for label in classes]
    with (
        replace_file(to) as staging,
        staging.open("w", newline="", encoding="utf-8") as stream,
    ):
        yield writer_for(to, stream, names)


def print_account(request: RowsRequest, counts: AnswerCounts, *, as_json: bool) -> None:
    """Print the account on standard error.

    With --json and --to it is the one document on standard output that --json promises.
    """
    name = "standard input" if request.source == STDIN else request.source
    account = counts.account(name)
    if as_json and request.to is not None:
        document = {
            "file": str(request.to),
            "rows": account.kept,
            "accounts": [asdict(account)],
        }
        print_result(document, "", as_json=True)
    else:
        say(account_text(account), err=True)


def account_text(account: Account) -> str:
    refused = account.came - account.kept
    line = (
        f"{account.table}: {account.came} rows came = {account.kept} answered + {refused} refused"
    )
    reasons = "; ".join(each.text() for each in account.left_out)
    return f"{line}: {reasons}" if reasons else line
