"""Rows to the server in batches, answers back in their order."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence

from cli.client.calls import Document, Refusal, call_server
from cli.client.records import Row, Unreadable
from potluck.contract.accounting import SHOWN, Account, LeftOut, account
from potluck.contract.errors import PotluckError

MOST_ROWS = 1000
MOST_BYTES = 4 << 20
"""The server's limits of one call, in docs/http-contract.md."""
BUSY_TRIES, BUSY_SECONDS = 6, 0.5
"""Attempts at a busy server, and the pause after the first one; each pause is twice the last."""
UNREADABLE = "UNREADABLE"
WHOLE_BATCH = frozenset({"SCHEMA_VALIDATION", "BODY_TOO_LARGE", "BATCH_TOO_LARGE"})
"""Codes that refuse a batch for what some row of it holds."""


class AnswerCounts:
    """Counts answers, and remembers the first rows of each reason."""

    def __init__(self) -> None:
        self.came = 0
        self.refused: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}

    def add(self, answer: Document) -> None:
        self.came += 1
        code = answer.get("error_code")
        if code is None:
            return
        self.refused[code] += 1
        examples = self.examples.setdefault(code, [])
        if len(examples) < SHOWN:
            examples.append(f"row {answer['row']}")

    def account(self, table: str) -> Account:
        reasons = [
            LeftOut(code, count, tuple(self.examples[code]))
            for code, count in self.refused.most_common()
        ]
        return account(table, self.came, reasons)


def stream_answers(url: str, rows: Iterator[Row]) -> Iterator[Document]:
    """Yield an answer for each row, in their order, each with its number in the input, from 1.

    Raises:
        ServiceUnreachable: the server does not answer.
        Refusal: it knows no such service.
    """
    number = 0
    for batch in batches(rows):
        records = [row for row in batch if not isinstance(row, Unreadable)]
        answers = iter(ask(url, records))
        for row in batch:
            number += 1
            answer = unreadable_answer(row) if isinstance(row, Unreadable) else next(answers)
            yield {"row": number, **answer}


def batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    """As many rows as one call takes.

    Where the rows come to an error, those before it are a batch too; then the error is raised.
    """
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


def ask(url: str, records: Sequence[bytes]) -> list[Document]:
    """Ask for the answers to some records; where one spoils the whole call, ask for its halves."""
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
            return ask(url, records[:middle]) + ask(url, records[middle:])
        return [refusal.body] * len(records)


def ask_patiently(url: str, body: bytes) -> Document:
    """Ask, and ask again for a while where the server says that it is busy."""
    for turn in range(BUSY_TRIES):
        try:
            return call_server(url, body)
        except Refusal as refusal:
            if refusal.error_code != "OVERLOADED" or turn == BUSY_TRIES - 1:
                raise
            time.sleep(BUSY_SECONDS * 2**turn)
    raise AssertionError("the last turn answers or raises")


def row_answers(body: Document, count: int) -> list[Document]:
    """Take a batch's answer apart, row by row.

    Raises:
        ValueError: the server did not answer every row.
    """
    answers: list[Document] = [{"prediction": value} for value in body["predictions"]]
    if len(answers) != count:
        raise ValueError(f"the server answered {len(answers)} rows for {count}")
    # The order of a row's fields is that of its line of JSON.
    if "probabilities" in body:
        for answer, probabilities in zip(answers, body["probabilities"], strict=True):
            answer["probabilities"] = probabilities
    for answer, served_by in zip(answers, body["served_by"], strict=True):
        answer.update(served_by=served_by, model_version=body["model_version"])
    for note in body.get("notes", ()):
        answers[note["row"]].update(without_row(note))
    for error in body["errors"]:
        answers[error["row"]] = without_row(error)
    return answers


def without_row(document: Document) -> Document:
    """A note or an error without the row's place in its batch."""
    return {name: value for name, value in document.items() if name != "row"}


def unreadable_answer(row: Unreadable) -> Document:
    return {"error_code": UNREADABLE, "message": row.reason, "details": []}
