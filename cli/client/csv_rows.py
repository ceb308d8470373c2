"""Rows of a CSV with a header, each cell in its field's type."""

import csv
import math
import re
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, TextIO

from cli.client.records import Row, RowFormat, Unreadable, to_record
from potluck.contract.errors import UsageError

DELIMITERS = ",;\t|"
WHOLE_NUMBER = re.compile(r"([+-]?[0-9]+)(\.0*)?")
TRUTH = {"true": True, "false": False, "1": True, "0": False}
NAMED = 10
"""Columns that a message names."""


def csv_rows(text: TextIO, row_format: RowFormat) -> Iterator[Row]:
    """The rows below a header.

    Raises:
        UsageError: the header names a column twice, or one that the service does not take.
    """
    first = text.readline()
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(chain([first], text), delimiter=delimiter)
    header = [name.strip() for name in next(reader)]
    check_columns(header, row_format)
    while True:
        # Not a `for` loop: it would end at the first row that can't be read.
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Unreadable(f"not valid CSV: {error}")
            continue
        if cells:
            yield csv_row(cells, header, row_format)


def csv_row(cells: Sequence[str], header: Sequence[str], row_format: RowFormat) -> Row:
    if len(cells) != len(header):
        return Unreadable(f"expected {len(header)} cells, as the header has, got {len(cells)}")
    record = {}
    for name, cell in zip(header, map(str.strip, cells), strict=True):
        dtype = row_format.dtypes.get(name)
        if dtype is not None and cell and cell not in row_format.missing:
            record[name] = typed_cell(cell, dtype)
    return to_record(record, row_format)


def check_columns(header: Sequence[str], row_format: RowFormat) -> None:
    """
    Raises:
        UsageError: the header names a column twice, or one that the service does not take.
    """
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        names = ", ".join(twice)
        raise UsageError(
            f"expected a header that names each column once, got {names} more than once"
        )
    service, fields = row_format.service, ", ".join(row_format.dtypes)
    not_taken = [name for name in header if name not in row_format.dtypes]
    if len(not_taken) == len(header):
        raise UsageError(
            f"expected a header with fields of {service} ({fields}), got {first_columns(header)}"
        )
    if not_taken and not row_format.only_known:
        raise UsageError(
            f"{service} takes no {first_columns(not_taken)}; --only-known leaves such columns out. "
            f"It takes: {fields}"
        )
    row_format.dropped.update(not_taken)


def first_columns(names: Sequence[str]) -> str:
    text = ", ".join(names[:NAMED])
    if len(names) > NAMED:
        text += f" and {len(names) - NAMED} more"
    return text.encode(errors="replace").decode()  # a name may hold lone surrogates


def typed_cell(text: str, dtype: str) -> Any:
    """A cell's value.

    What does not fit stays text, so that the server refuses the row and names the field.
    """
    if dtype in ("int64", "int32"):
        return whole_number_or_text(text)
    if dtype == "float64":
        return number_or_text(text)
    if dtype == "bool":
        return TRUTH.get(text.lower(), text)
    return text


def whole_number_or_text(text: str) -> int | str:
    whole = WHOLE_NUMBER.fullmatch(text)
    if whole is None:
        return text
    try:
        return int(whole[1])
    except ValueError:  # Python reads no number of more than 4300 digits
        return text


def number_or_text(text: str) -> float | str:
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text
