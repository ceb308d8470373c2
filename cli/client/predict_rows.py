"""`potluck predict` with a file or standard input: rows in, answers out, and an account of both."""

import codecs
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from cli.client.batch_calls import Tally, Write, answers, json_writer, writer_for
from cli.client.calls import call, quoted
from cli.client.records import Reading, read_rows
from cli.files import check_destination, replaced
from cli.output import answer, progress_bar, say
from potluck.contract.accounting import Account
from potluck.contract.errors import DataError, UsageError
from potluck.scoring.transform import probability_column

STDIN = "-"
SUFFIXES = (".csv", ".jsonl")
TAKEN = ("key", "request", "online")


@dataclass(frozen=True)
class Wanted:
    """What `potluck predict` was asked for."""

    service: str
    source: str
    url: str
    to: Path | None = None
    missing: frozenset[str] = frozenset()
    only_known: bool = False
    encoding: str = "utf-8"


def predict_rows(wanted: Wanted, *, as_json: bool = False) -> None:
    """Send every row, write every answer, and account for them.

    Raises:
        UsageError: the file, the place for the answers, the encoding or the service is none.
        DataError: some rows were refused, or the rest of the file can't be read.
        ServiceUnreachable: the server does not answer.
    """
    check(wanted)
    contract = service_contract(wanted)
    tally = Tally()
    try:
        stream_answers(wanted, contract, tally)
    except BrokenPipeError:  # whoever read the answers has enough of them
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except (UnicodeError, OSError) as error:
        raise DataError(f"{wanted.source} can't be read: {error}") from error
    finally:
        if tally.came:  # also where it came to an end before the last row
            tell(wanted, tally, as_json=as_json)
    refused = tally.refused.total()
    if refused:
        raise DataError(f"{refused} of {tally.came} rows were refused; each answer says why")


def check(wanted: Wanted) -> None:
    if wanted.to is not None:
        check_destination(wanted.to, SUFFIXES)
    if wanted.source != STDIN and not Path(wanted.source).is_file():
        raise UsageError(
            'expected a JSON record such as {"area": 8450}, the name of a file, or - for standard input; '
            f"there is no file {wanted.source}"
        )
    try:
        codecs.lookup(wanted.encoding)
    except LookupError:
        raise UsageError(
            f"expected an encoding such as utf-8 or cp1252, got {wanted.encoding}"
        ) from None


def service_contract(wanted: Wanted) -> dict[str, Any]:
    """What the server says that the service takes.

    Raises:
        Refusal: it knows no such service.
        UsageError: the service is a precomputed one.
    """
    contract = call(f"{wanted.url}/services/{quoted(wanted.service)}")
    if contract["served_by"] == "precomputed":
        raise UsageError(
            f"{wanted.service} is precomputed: ask `potluck lookup {wanted.service} ID`"
        )
    return contract


def stream_answers(wanted: Wanted, contract: dict[str, Any], tally: Tally) -> None:
    dtypes = {
        field["name"]: field["dtype"] for field in contract["fields"] if field["source"] in TAKEN
    }
    reading = Reading(dtypes, wanted.missing, wanted.encoding, wanted.only_known, wanted.service)
    url = f"{wanted.url}/predict/{quoted(wanted.service)}/batch"
    progressing = progress_bar(None, wanted.service)
    with (
        opened(wanted.source) as stream,
        writing(wanted, contract) as write,
        progressing as progress,
    ):
        for each in answers(url, read_rows(stream, reading)):
            write(each)
            tally.add(each)
            progress(1)
    if reading.dropped:
        say(
            f"left out, as {wanted.service} does not take them: {', '.join(sorted(reading.dropped))}",
            err=True,
        )


@contextmanager
def opened(source: str) -> Iterator[BinaryIO]:
    if source == STDIN:
        yield sys.stdin.buffer
        return
    with Path(source).open("rb") as stream:
        yield stream


@contextmanager
def writing(wanted: Wanted, contract: dict[str, Any]) -> Iterator[Write]:
    """Where answers go: standard output, or a file that takes its place at the end."""
    if wanted.to is None:
        yield json_writer(sys.stdout)
        sys.stdout.flush()
        return
    names = [probability_column(label) for label in contract["classes"]]
    with ExitStack() as stack:
        staging = stack.enter_context(replaced(wanted.to))
        stream = stack.enter_context(staging.open("w", newline="", encoding="utf-8"))
        yield writer_for(wanted.to, stream, names)


def tell(wanted: Wanted, tally: Tally, *, as_json: bool) -> None:
    """The account: on standard error, or as the one document on standard output that --json promises with --to."""
    name = "standard input" if wanted.source == STDIN else wanted.source
    told = tally.account(name)
    if as_json and wanted.to is not None:
        answer(True, {"file": str(wanted.to), "rows": told.kept, "accounts": [asdict(told)]}, "")
    else:
        say(account_text(told), err=True)


def account_text(told: Account) -> str:
    refused = told.came - told.kept
    line = f"{told.table}: {told.came} rows came = {told.kept} answered + {refused} refused"
    reasons = "; ".join(each.text() for each in told.left_out)
    return f"{line}: {reasons}" if reasons else line
