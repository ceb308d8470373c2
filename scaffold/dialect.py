"""Find how a text file is written: encoding, delimiter, decimals.

The whole file is looked at, and what it can't tell is asked and never guessed in silence.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

from potluck.contract.errors import DataError, UsageError

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
SAMPLE_ROWS = 500
CONSISTENT = 0.98  # share of rows with as many cells as the header

NUMBERLIKE = re.compile(r"[+-]?[0-9][0-9.,]*|[+-]?[.,][0-9]+")
COMMA_DECIMALS = re.compile(r".*[0-9],([0-9]{1,2}|[0-9]{4,})|[+-]?,[0-9]+|.*\.[0-9]{3},[0-9]+")
COMMA_GROUPS = re.compile(r".*,[0-9]{3}(\.[0-9]*|,[0-9]{3}.*)")
COMMA_UNCLEAR = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")
POINT_GROUPS = re.compile(r".*\.[0-9]{3}(,[0-9]*|\.[0-9]{3}.*)")

OTHER_FILES = {
    b"PK\x03\x04": "a zip or Excel file: save the sheet as CSV",
    b"\x1f\x8b": "a gzip file: unpack it first",
    b"\xd0\xcf\x11\xe0": "an old Excel file: save the sheet as CSV",
    b"{": "JSON: turn it into CSV or parquet first",
}


def is_parquet(path: Path) -> bool:
    """Say whether a file is parquet.

    Raises:
        DataError: it can't be read, is empty, or is of a kind that can't be read.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):  # it may have no end, or no writer
        raise DataError(
            f"expected a CSV, TSV or parquet file at {path}, got a device, a pipe or a socket"
        )
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise DataError(
            f"expected a CSV, TSV or parquet file at {path}, but it can't be read: {error.strerror}"
        ) from None
    if not start:
        raise DataError(f"{path} is empty; expected a CSV, TSV or parquet file")
    for magic, what in OTHER_FILES.items():
        if start.startswith(magic):
            raise DataError(f"expected a CSV, TSV or parquet file, {path} looks like {what}")
    return start == b"PAR1"


def find_encoding(path: Path) -> str:
    """Find the encoding: UTF-8 or UTF-16 where the bytes are valid, else cp1252 or latin-1.

    cp1252 reads most files that are called latin-1 alike.
    """
    raw = path.read_bytes()
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    for encoding in ("utf-8", "cp1252"):
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        # UTF-16 without a byte order mark: each second byte of ASCII letters is zero.
        return "utf-16-le" if "\0" in text else encoding
    return "latin-1"


def sample_text(path: Path, encoding: str) -> str:
    """Read the first lines.

    Raises:
        UsageError: the file has another encoding.
    """
    # utf-8-sig drops the byte order mark that Excel writes.
    codec = "utf-8-sig" if encoding == "utf-8" else encoding
    try:
        with path.open(encoding=codec, newline="") as file:
            return "".join(islice(file, SAMPLE_ROWS))
    except (UnicodeError, LookupError) as error:
        raise UsageError(f"--encoding: {path} can't be read as {encoding}: {error}") from None


def find_delimiter(path: Path, text: str) -> str:
    """Find the character that cuts every row into as many cells as the header.

    Of several such characters, the one that cuts into the most cells.

    Raises:
        DataError: there is no such character.
    """
    widths = {delimiter: width(text, delimiter) for delimiter in DELIMITERS}
    best = max(widths, key=lambda delimiter: widths[delimiter])
    if widths[best] < 2:
        names = ", ".join(DELIMITERS.values())
        raise DataError(
            f"{path}: expected a header and rows of as many cells, divided by one of {names}; "
            "found no such; name the character with --delimiter"
        )
    return best


def width(text: str, delimiter: str) -> int:
    """Count the cells of a row; 0 where rows differ from the header."""
    try:
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if row]
    except csv.Error:
        return 0
    if not rows:
        return 0
    header, *others = rows
    alike = sum(len(row) == len(header) for row in others)
    return len(header) if alike >= CONSISTENT * len(others) else 0


def check_header(path: Path, text: str, delimiter: str) -> None:
    """Refuse a first row that holds values: they would become names of columns.

    Raises:
        DataError: more than half of its cells are numbers.
    """
    header = next((row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if row), [])
    numbers = [cell for cell in header if NUMBERLIKE.fullmatch(cell.strip())]
    if len(numbers) > len(header) / 2:
        raise DataError(
            f"{path}: expected a header with the columns' names in the first row, "
            f"got {', '.join(header[:5])}"
        )


def find_separators(
    columns: Iterable[Sequence[str]], decimal: str | None
) -> tuple[str, str] | None:
    """Find the decimal mark, and what stands between groups of three digits.

    Args:
        columns: different texts of each column, without those that mean a missing value.
        decimal: the mark that the user named.

    Returns:
        None where the texts can't tell.
    """
    texts = list[str]()
    for column in columns:
        if all(map(NUMBERLIKE.fullmatch, column)):
            texts += column
    comma_groups = any(map(COMMA_GROUPS.fullmatch, texts))
    point_groups = any(map(POINT_GROUPS.fullmatch, texts))
    unclear = any(map(COMMA_UNCLEAR.fullmatch, texts))
    if decimal is None and not comma_groups:
        if any(map(COMMA_DECIMALS.fullmatch, texts)):
            decimal = ","
        elif unclear:
            return None
    if decimal == ",":
        return ",", "." if point_groups else ""
    return ".", "," if comma_groups or unclear else ""
