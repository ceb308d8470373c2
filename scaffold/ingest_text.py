"""The repo's `ingest.py`."""

from collections.abc import Sequence

from potluck.stores.ingest.csv_cells import MISSING, CsvColumn
from scaffold.plan import Choice, Plan
from scaffold.python_text import (
    Expression,
    blocks,
    call,
    comment,
    docstring,
    listed,
    mapping,
    quoted,
    quoted_list,
    set_of,
    statement,
)

ALIKE = """\
# No row has a date, so all have the same two: every record was known a day before its
# label. Replace them by the rows' own when there are some (`dated` below).
SNAPSHOT = datetime(2000, 1, 1, tzinfo=UTC)
LABELLED = datetime(2000, 1, 2, tzinfo=UTC)"""

NUMBERED = """\
# Rows are known by their number in the file, so rows that are appended can't be told
# from those that are there: `ingest --append` is refused, several files at once are not.
APPENDABLE = False"""

ROW_NUMBERS = """\
    numbers = pa.array(range(1, table.num_rows + 1), pa.int64())
    table = table.append_column("row_id", numbers)  # in file order, from 1"""

DATED_ALIKE = '''\
def dated(table: pa.Table, columns: list[str], moment: datetime) -> pa.Table:
    """Some columns, and the date from which on they were known."""
    dates = pa.repeat(pa.scalar(moment, pa.timestamp("us", tz="UTC")), table.num_rows)
    return table.select(columns).append_column("event_timestamp", dates)'''

DATED = '''\
def dated(table: pa.Table, columns: list[str]) -> pa.Table:
    """Some columns, and the date from which on they were known."""
    return table.select(columns).append_column("event_timestamp", table[TIME])'''


def ingest_text(plan: Plan) -> str:
    """From the file to the sources that `definitions.py` names."""
    return (
        "\n\n\n".join(
            [
                blocks([*head(plan), *constants(plan)]).rstrip("\n"),
                function(plan),
                reader(plan),
                DATED if plan.time else DATED_ALIKE,
            ]
        )
        + "\n"
    )


def head(plan: Plan) -> list[str]:
    title = docstring(
        f"{plan.table.path.name} -> the sources of definitions.py.",
        "Written by `potluck init`; yours to edit.",
    )
    standard = ["from collections.abc import Sequence"]
    standard += [] if plan.time else ["from datetime import UTC, datetime"]
    standard += ["from pathlib import Path"]
    source = (
        ("parquet_table", "read_parquet") if plan.table.is_parquet else ("csv_source", "read_csv")
    )
    ours = [
        "from potluck.contract.errors import UsageError",
        "from potluck.stores.csv_cells import CsvColumn",
        f"from potluck.stores.{source[0]} import {source[1]}",
        "from potluck.stores.predictions import predictions_schema",
    ]
    return [title, "\n".join(standard), "\n".join(["import pyarrow as pa", *ours])]


def constants(plan: Plan) -> list[str]:
    label = plan.label.name
    data = statement("DATA = ", call("Path", quoted(str(plan.table.path))))
    return [
        comment("Read where `potluck ingest` names no file.") + "\n" + data,
        *missing(plan),
        comment(
            "Every column of the file; a cell that holds something else is refused by its line."
        )
        + "\n"
        + statement(
            "COLUMNS = ",
            mapping({c.profile.header: declaration(c) for c in plan.choices if c.profile.declared}),
        ),
        *renamed(plan),
        comment(f"What the store looks up by {plan.key.name}.")
        + "\n"
        + columns("RECORD", plan.of("record")),
        comment("What a request brings.") + "\n" + columns("REQUEST", plan.of("request")),
        statement("LABEL = ", quoted(label)),
        *left_out(plan),
        statement("TIME = ", quoted(plan.time.name)) if plan.time else ALIKE,
        keys(plan),
        "" if plan.key.header is not None else NUMBERED,
    ]


def missing(plan: Plan) -> list[str]:
    """The file's marks, where they are others than the usual."""
    marks = plan.table.notation.missing
    if plan.table.is_parquet or marks == MISSING:
        return []
    return [
        comment("Texts that mean a missing value.") + "\n" + statement("MISSING = ", set_of(marks))
    ]


def declaration(choice: Choice) -> Expression:
    """`CsvColumn(...)`, with what is not the default."""
    column, plain = choice.profile.column, CsvColumn("string")
    named: dict[str, Expression] = {}
    if choice.role == "label":
        named["optional"] = "True"  # rows to predict may come without
    if column.missing is not None:
        named["missing"] = call("frozenset", set_of(column.missing))
    if column.format is not None:
        named["format"] = quoted(column.format)
    if column.timezone != plain.timezone:
        named["timezone"] = quoted(column.timezone)
    return call("CsvColumn", quoted(column.dtype), **named)


def renamed(plan: Plan) -> list[str]:
    others = {
        c.profile.header: quoted(c.name)
        for c in plan.choices
        if c.profile.header != c.name and c.profile.declared
    }
    if not others:
        return []
    return [
        comment("Names of the file that stores or models can't hold.")
        + "\n"
        + statement("NAMES = ", mapping(others))
    ]


def columns(name: str, choices: Sequence[Choice]) -> str:
    return statement(f"{name} = ", quoted_list(choice.name for choice in choices))


def left_out(plan: Plan) -> list[str]:
    out = plan.of("left out")
    if not out:
        return []
    return ["\n".join([comment("Left out:"), *(comment(f"- {c.name}: {c.reason}") for c in out)])]


def keys(plan: Plan) -> str:
    """How rows are told apart."""
    told = "Rows of one date that are alike in these columns are one, and the last counts."
    pairs = {"records": quoted_list([plan.key.name]), "observations": identity(plan)}
    return comment(told) + "\n" + statement("KEYS = ", mapping(pairs))


def identity(plan: Plan) -> Expression:
    """The id, or id and request where one id comes twice with one date."""
    alone = len(plan.identity) == 1
    return quoted_list(plan.identity) if alone else listed([quoted(plan.key.name), "*REQUEST"])


def function(plan: Plan) -> str:
    key = quoted(plan.key.name)
    alike = ("", "") if plan.time else (", SNAPSHOT", ", LABELLED")
    entity = plan.key.entity
    steps = [
        "def ingest(",
        "    files: Sequence[Path], rows: int, seed: int",
        ") -> dict[str, pa.Table | pa.Schema]:",
        '    """Sources by name; `rows` and `seed` are for repos that make data to order."""',
        "    if not files and not DATA.is_file():",
        '        raise UsageError(f"expected the data at {DATA}; name it: potluck ingest FILE")',
        "    table = pa.concat_tables([read(path) for path in files or [DATA]])",
    ]
    if renamed(plan):
        steps.append(
            "    table = table.rename_columns([NAMES.get(n, n) for n in table.column_names])"
        )
    if plan.key.header is None:
        steps.append(ROW_NUMBERS)
    schema = call("predictions_schema", key, quoted(plan.key.dtype), quoted(plan.label_dtype))
    sources = mapping(
        {
            "records": f"dated(table, [{key}, *RECORD]{alike[0]})",
            "observations": f"dated(table, [{key}, *REQUEST, LABEL]{alike[1]})",
            f"{entity}_predictions": schema,
        }
    )
    return "\n".join([*steps, statement("return ", sources, indent=4)])


def reader(plan: Plan) -> str:
    table = plan.table
    if table.is_parquet:
        return "def read(path: Path) -> pa.Table:\n    return read_parquet(path, COLUMNS)"
    named: dict[str, Expression] = {}
    if table.delimiter != ",":
        named["delimiter"] = quoted(table.delimiter) if table.delimiter != "\t" else '"\\t"'
    if table.encoding != "utf-8":
        named["encoding"] = quoted(table.encoding)
    if table.notation.decimal != ".":
        named["decimal"] = quoted(table.notation.decimal)
    if table.notation.thousands:
        named["thousands"] = quoted(table.notation.thousands)
    if missing(plan):
        named["missing"] = "MISSING"
    made = call("read_csv", "path", "COLUMNS", **named)
    return "def read(path: Path) -> pa.Table:\n" + statement("return ", made, ".table", indent=4)
