"""The repo's `ingest.py`."""

from collections.abc import Sequence

from potluck.stores.ingest.csv_cells import MISSING, CsvColumn
from scaffold.plan import ColumnChoice, RepoPlan
from scaffold.python_text import (
    Expression,
    blocks,
    call_of,
    comment,
    commented,
    dict_of,
    docstring,
    list_of,
    list_of_strings,
    set_of,
    statement,
    string_of,
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


def ingest_text(plan: RepoPlan) -> str:
    """Write the module that turns the file into the sources of `definitions.py`."""
    parts = [
        blocks([*ingest_head(plan), *constants(plan)]).rstrip("\n"),
        ingest_function(plan),
        read_function(plan),
        DATED if plan.time else DATED_ALIKE,
    ]
    return "\n\n\n".join(parts) + "\n"


def ingest_head(plan: RepoPlan) -> list[str]:
    title = docstring(
        f"{plan.table.path.name} -> the sources of definitions.py.",
        "Written by `potluck init`; yours to edit.",
    )
    standard = ["from collections.abc import Sequence"]
    if not plan.time:
        standard.append("from datetime import UTC, datetime")
    standard.append("from pathlib import Path")
    read = "from potluck.stores.csv_source import read_csv"
    if plan.table.is_parquet:
        read = "from potluck.stores.parquet_table import read_parquet"
    ours = [
        "from potluck.contract.errors import UsageError",
        "from potluck.stores.csv_cells import CsvColumn",
        read,
        "from potluck.stores.predictions import predictions_schema",
    ]
    return [title, "\n".join(standard), "\n".join(["import pyarrow as pa", *ours])]


def constants(plan: RepoPlan) -> list[str]:
    data = call_of("Path", string_of(str(plan.table.path)))
    declared = [choice for choice in plan.choices if choice.profile.declared]
    columns = dict_of({choice.profile.header: declaration(choice) for choice in declared})
    return [
        commented("Read where `potluck ingest` names no file.", statement("DATA = ", data)),
        *missing_constant(plan),
        commented(
            "Every column of the file; a cell that holds something else is refused by its line.",
            statement("COLUMNS = ", columns),
        ),
        *names_constant(plan),
        commented(
            f"What the store looks up by {plan.key.name}.",
            columns_constant("RECORD", plan.of("record")),
        ),
        commented("What a request brings.", columns_constant("REQUEST", plan.of("request"))),
        statement("LABEL = ", string_of(plan.label.name)),
        *left_out(plan),
        statement("TIME = ", string_of(plan.time.name)) if plan.time else ALIKE,
        keys_constant(plan),
        "" if plan.key.header is not None else NUMBERED,
    ]


def missing_constant(plan: RepoPlan) -> list[str]:
    """Write the file's texts for a missing value, where they are not the usual ones."""
    marks = plan.table.notation.missing
    if plan.table.is_parquet or marks == MISSING:
        return []
    return [commented("Texts that mean a missing value.", statement("MISSING = ", set_of(marks)))]


def declaration(choice: ColumnChoice) -> Expression:
    """Write `CsvColumn(...)`, with the arguments that are not the default."""
    column, plain = choice.profile.column, CsvColumn("string")
    named: dict[str, Expression] = {}
    if choice.role == "label":
        named["optional"] = "True"  # rows to predict may come without
    if column.missing is not None:
        named["missing"] = call_of("frozenset", set_of(column.missing))
    if column.format is not None:
        named["format"] = string_of(column.format)
    if column.timezone != plain.timezone:
        named["timezone"] = string_of(column.timezone)
    return call_of("CsvColumn", string_of(column.dtype), **named)


def names_constant(plan: RepoPlan) -> list[str]:
    others: dict[str, Expression] = {}
    for choice in plan.choices:
        header = choice.profile.header
        if choice.profile.declared and header != choice.name:
            others[header] = string_of(choice.name)
    if not others:
        return []
    told = "Names of the file that stores or models can't hold."
    return [commented(told, statement("NAMES = ", dict_of(others)))]


def columns_constant(name: str, choices: Sequence[ColumnChoice]) -> str:
    return statement(f"{name} = ", list_of_strings(choice.name for choice in choices))


def left_out(plan: RepoPlan) -> list[str]:
    out = plan.of("left out")
    if not out:
        return []
    lines = ["Left out:", *(f"- {choice.name}: {choice.reason}" for choice in out)]
    return ["\n".join(map(comment, lines))]


def keys_constant(plan: RepoPlan) -> str:
    """Write the columns by which rows are told apart."""
    told = "Rows of one date that are alike in these columns are one, and the last counts."
    pairs = {"records": list_of_strings([plan.key.name]), "observations": identity(plan)}
    return commented(told, statement("KEYS = ", dict_of(pairs)))


def identity(plan: RepoPlan) -> Expression:
    """Write the id, or id and request where one id comes twice with one date."""
    if len(plan.identity) == 1:
        return list_of_strings(plan.identity)
    return list_of([string_of(plan.key.name), "*REQUEST"])


def ingest_function(plan: RepoPlan) -> str:
    key = string_of(plan.key.name)
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
    if names_constant(plan):
        steps.append(
            "    table = table.rename_columns([NAMES.get(n, n) for n in table.column_names])"
        )
    if plan.key.header is None:
        steps.append(ROW_NUMBERS)
    schema = call_of(
        "predictions_schema", key, string_of(plan.key.dtype), string_of(plan.label_dtype)
    )
    sources = dict_of(
        {
            "records": f"dated(table, [{key}, *RECORD]{alike[0]})",
            "observations": f"dated(table, [{key}, *REQUEST, LABEL]{alike[1]})",
            f"{entity}_predictions": schema,
        }
    )
    return "\n".join([*steps, statement("return ", sources, indent=4)])


def read_function(plan: RepoPlan) -> str:
    table = plan.table
    if table.is_parquet:
        return "def read(path: Path) -> pa.Table:\n    return read_parquet(path, COLUMNS)"
    named: dict[str, Expression] = {}
    if table.delimiter == "\t":
        named["delimiter"] = '"\\t"'
    elif table.delimiter != ",":
        named["delimiter"] = string_of(table.delimiter)
    if table.encoding != "utf-8":
        named["encoding"] = string_of(table.encoding)
    if table.notation.decimal != ".":
        named["decimal"] = string_of(table.notation.decimal)
    if table.notation.thousands:
        named["thousands"] = string_of(table.notation.thousands)
    if missing_constant(plan):
        named["missing"] = "MISSING"
    made = call_of("read_csv", "path", "COLUMNS", **named)
    return "def read(path: Path) -> pa.Table:\n" + statement("return ", made, ".table", indent=4)
