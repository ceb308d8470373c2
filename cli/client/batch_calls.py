"""Rows to the server in batches, answers back in their order."""

import csv
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

from cli.client.calls import Refusal, call
from cli.client.records import Row, Unreadable
from potluck.contract.accounting import SHOWN, Account, LeftOut, account
from potluck.contract.errors import PotluckError

Answer = dict[str, Any]
Write = Callable[[Answer], None]

MOST_ROWS = 1000
MOST_BYTES = 4 << 20
BUSY_TRIES, BUSY_SECONDS = 6, 0.5
UNREADABLE = "UNREADABLE"
WHOLE_BATCH = frozenset({"SCHEMA_VALIDATION", "BODY_TOO_LARGE", "BATCH_TOO_LARGE"})
"""Codes that refuse a batch for what some row of it holds."""


class Tally:
    """Counts answers, and remembers the first rows of each reason."""

    def __init__(self) -> None:
        self.came = 0
        self.refused: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}

    def add(self, answer: Answer) -> None:
        self.came += 1
        code = answer.get("error_code")
        if code is None:
            return
        self.refused[code] += 1
        named = self.examples.setdefault(code, [])
        if len(named) < SHOWN:
            named.append(f"row {answer['row']}")

    def account(self, table: str) -> Account:
        reasons = [
            LeftOut(code, count, tuple(self.examples[code]))
            for code, count in self.refused.most_common()
        ]
        return account(table, self.came, reasons)


def answers(url: str, rows: Iterator[Row]) -> Iterator[Answer]:
    """An answer for each row, in their order, each with its number in the input, from 1.

    Raises:
        ServiceUnreachable: the server does not answer.
        Refusal: it knows no such service.
    """
    number = 0
    for batch in batches(rows):
        asked = iter(ask(url, [row for row in batch if not isinstance(row, Unreadable)]))
        for row in batch:
            number += 1
            answer = unreadable(row) if isinstance(row, Unreadable) else next(asked)
            yield {"row": number, **answer}


def batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    """As many rows as one call takes; what was read before the rest could not be is a batch too."""
    batch: list[Row] = []
    size, failure = 0, None
    try:
        for row in rows:
            length = 0 if isinstance(row, Unreadable) else len(row)
            if len(batch) == MOST_ROWS or (batch and size + length > MOST_BYTES):
                yield batch
                batch, size = [], 0
            batch.append(row)
            size += length
    except (PotluckError, OSError, UnicodeError) as error:
        failure = error
    if batch:
        yield batch
    if failure is not None:
        raise failure


def ask(url: str, records: Sequence[bytes]) -> list[Answer]:
    """The answers to some records; where one spoils the whole call, the halves are asked."""
    if not records:
        return []
    body = b'{"dataframe_records":[' + b",".join(records) + b"]}"
    try:
        return row_answers(ask_patiently(url, body), len(records))
    except Refusal as refusal:
        if refusal.error_code == "SERVICE_NOT_FOUND":
            raise
        if refusal.error_code in WHOLE_BATCH and len(records) > 1:
            middle = len(records) // 2
            return [*chain(ask(url, records[:middle]), ask(url, records[middle:]))]
        return [refusal.body] * len(records)


def ask_patiently(url: str, body: bytes) -> Answer:
    """Ask, and ask again for a while where the server says that it is busy."""
    for turn in range(BUSY_TRIES):
        try:
            return call(url, body)
        except Refusal as refusal:
            if refusal.error_code != "OVERLOADED" or turn == BUSY_TRIES - 1:
                raise
            time.sleep(BUSY_SECONDS * 2**turn)
    raise AssertionError("the last turn answers or raises")


def row_answers(body: Answer, count: int) -> list[Answer]:
    """A batch's answer, row by row."""
    found: list[Answer] = [{"prediction": value} for value in body["predictions"]]
    if len(found) != count:
        raise ValueError(f"the server answered {len(found)} rows for {count}")
    for answer, shares, served in zip(
        found, body.get("probabilities", found), body["served_by"], strict=True
    ):
        if "probabilities" in body:
            answer["probabilities"] = shares
        answer.update(served_by=served, model_version=body["model_version"])
    for note in body.get("notes", ()):
        found[note["row"]].update({name: value for name, value in note.items() if name != "row"})
    for error in body["errors"]:
        found[error["row"]] = {name: value for name, value in error.items() if name != "row"}
    return found


def unreadable(row: Unreadable) -> Answer:
    return {"error_code": UNREADABLE, "message": row.reason, "details": []}


def json_writer(stream: TextIO) -> Write:
    """Writes one JSON line an answer."""

    def write(answer: Answer) -> None:
        stream.write(json.dumps(answer) + "\n")

    return write


def csv_writer(stream: TextIO, probabilities: Sequence[str]) -> Write:
    """Writes one line of a CSV an answer.

    Args:
        probabilities: names of the columns for the classes, in the order of an answer's probabilities.
    """
    table = csv.writer(stream)
    table.writerow(
        ["row", "prediction", *probabilities, "served_by", "model_version", "error_code", "message"]
    )

    def write(answer: Answer) -> None:
        shares = [*(answer.get("probabilities") or {}).values()] or [None] * len(probabilities)
        told = [answer.get(name) for name in ("served_by", "model_version", "error_code")]
        table.writerow(
            [answer["row"], csv_cell(answer.get("prediction")), *shares, *told, message_of(answer)]
        )

    return write


def csv_cell(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def message_of(answer: Answer) -> str | None:
    if "message" not in answer:
        return None
    reasons = [f"{detail['field']}: {detail['reason']}" for detail in answer.get("details", ())]
    return "; ".join([answer["message"], *reasons])


def writer_for(path: Path, stream: TextIO, probabilities: Sequence[str]) -> Write:
    return csv_writer(stream, probabilities) if path.suffix == ".csv" else json_writer(stream)
