"""Tables as strangers bring them, and what `potluck init` makes of them."""

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from scaffold.decide import decide
from scaffold.plan import Plan
from scaffold.table import Table, read_table
from scaffold.wishes import Wishes, nobody_asked

Columns: TypeAlias = Mapping[str, Sequence[object]]
Write: TypeAlias = Callable[..., Path]
Look: TypeAlias = Callable[..., Table]
Make: TypeAlias = Callable[..., Plan]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write columns as a CSV file."""

    def write_file(columns: Columns, *, delimiter: str = ",", encoding: str = "utf-8") -> Path:
        path = tmp_path / "data.csv"
        with path.open("w", newline="", encoding=encoding) as file:
            out = csv.writer(file, delimiter=delimiter)
            out.writerow(columns)
            out.writerows(zip(*columns.values(), strict=True))
        return path

    return write_file


@pytest.fixture
def look(write: Write) -> Look:
    """What is found in columns, with some wishes."""

    def look_at(columns: Columns, *, delimiter: str = ",", encoding: str = "utf-8", **wishes: Any) -> Table:
        path = write(columns, delimiter=delimiter, encoding=encoding)
        return read_table(path, Wishes(**wishes), nobody_asked)

    return look_at


@pytest.fixture
def make(write: Write) -> Make:
    """The plan for columns, with some wishes, where nobody can be asked."""

    def plan(columns: Columns, **wishes: Any) -> Plan:
        wished = Wishes(**{"label": "y", **wishes})
        return decide(read_table(write(columns), wished, nobody_asked), wished, "some", nobody_asked)

    return plan
