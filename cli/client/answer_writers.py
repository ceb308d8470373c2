"""Answers as JSON lines or as a CSV."""

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

from cli.client.calls import Document

Write = Callable[[Document], None]


def writer_for(path: Path, stream: TextIO, probabilities: Sequence[str]) -> Write:
    return csv_writer(stream, probabilities) if path.suffix == ".csv" else json_writer(stream)


def json_writer(stream: TextIO) -> Write:
    """Write each answer as one line of JSON."""

    def write(answer: Document) -> None:
        stream.write(json.dumps(answer) + "\n")

    return write


def csv_writer(stream: TextIO, probabilities: Sequence[str]) -> Write:
    """Write each answer as one row of a CSV.

    Args:
        probabilities: names of the columns for the classes, in the order of an answer's
            probabilities.
    """
    table = csv.writer(stream)
    table.writerow(
        ["row", "prediction", *probabilities, "served_by", "model_version", "error_code", "message"]
    )
    no_shares = [None] * len(probabilities)

    def write(answer: Document) -> None:
        shares = list((answer.get("probabilities") or {}).values()) or no_shares
        table.writerow(
            [
                answer["row"],
                csv_cell(answer.get("prediction")),
                *shares,
                answer.get("served_by"),
                answer.get("model_version"),
                answer.get("error_code"),
                message_of(answer),
            ]
        )

    return write


def csv_cell(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def message_of(answer: Document) -> str | None:
    if "message" not in answer:
        return None
    reasons = [f"{detail['field']}: {detail['reason']}" for detail in answer.get("details", ())]
    return "; ".join([answer["message"], *reasons])
