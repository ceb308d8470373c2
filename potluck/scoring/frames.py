"""A user's table -> the columns that a model scores, in the types of its contract.

The table may be a pandas DataFrame. pandas is not imported for it: a DataFrame and its columns are
asked for what they hold. Integers that a gap made floats are integers again; NaN, None, `pd.NA` and
NaT are missing values.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from potluck.contract.errors import DataError
from potluck.contract.features import FeatureContract
from potluck.contract.fields import LARGEST_OF, DType, Field
from potluck.scoring.vectors import NumberVector

EXPECTED: dict[DType, str] = {
    "int64": "a whole number (int64, up to 2^53)",
    "int32": "a whole number (int32)",
    "float64": "a finite number (float64)",
    "string": "a text (string)",
    "bool": "true or false (bool)",
}
PLAIN: dict[DType, frozenset[type]] = {
    "string": frozenset({str, type(None)}),
    "bool": frozenset({bool, type(None)}),
}
"""Types that need no look at each value."""

NAMES_OF_MISSING = frozenset({"NAType", "NaTType"})
MOST_NAMED = 10
LONGEST_VALUE = 40


@dataclass(frozen=True)
class Table:
    """Columns by name, of as many rows."""

    columns: Mapping[str, Sequence[Any]]
    height: int


def read_table(data: Any) -> Table:
    """A DataFrame, a dict of columns, one record, or a list of records.

    Raises:
        DataError: it is something else, a column's name comes twice, or its columns differ in
            height.
    """
    if hasattr(data, "columns"):
        return table_of_frame(data)
    if isinstance(data, Mapping):
        return table_of_mapping(data)
    if isinstance(data, Sequence) and all(isinstance(record, Mapping) for record in data):
        names = dict.fromkeys(name for record in data for name in record)
        columns = {name: [record.get(name) for record in data] for name in names}
        return Table(columns, len(data))
    raise DataError(
        f"expected a DataFrame, a list of records or a dict of columns, got {type(data).__name__}"
    )


def table_of_frame(frame: Any) -> Table:
    names = [*frame.columns]
    twice = [name for place, name in enumerate(names) if name in names[:place]]
    if twice:
        raise DataError(f"expected each column once, got {first_of(twice)} more than once")
    return Table({name: frame[name] for name in names}, len(frame))


def table_of_mapping(data: Mapping[str, Any]) -> Table:
    if all(is_scalar(value) for value in data.values()):
        return Table({name: [value] for name, value in data.items()}, 1)
    lone = [name for name, value in data.items() if is_scalar(value)]
    heights = {name: len(values) for name, values in data.items() if name not in lone}
    if lone or len(set(heights.values())) > 1:
        raise DataError(
            "expected a dict of columns of one length, or one record; got "
            + first_of([f"{name}: {heights.get(name, 'a single value')}" for name in data])
        )
    return Table(data, next(iter(heights.values())))


def is_scalar(value: Any) -> bool:
    return isinstance(value, str | bytes) or not hasattr(value, "__len__")


def contract_columns(contract: FeatureContract, table: Table) -> dict[str, Sequence[Any]]:
    """The inputs of a contract; a column that the table lacks is missing in every row.

    Join keys may be among the table's columns: they are left aside, as nothing is looked up.

    Raises:
        DataError: a column is unknown, a required one is absent or has gaps, or a value has another
            type.
    """
    check_names(contract, table)
    columns = {}
    for field in contract.inputs:
        given = table.columns.get(field.name)
        columns[field.name] = [None] * table.height if given is None else typed_column(field, given)
    for field in contract.inputs:
        if field.must_be_given:
            check_complete(field, columns[field.name])
    return columns


def check_names(contract: FeatureContract, table: Table) -> None:
    computed = {output.name for function in contract.functions for output in function.outputs}
    taken = {field.name for field in contract.keys + contract.inputs}
    unknown = [name for name in table.columns if name not in taken]
    if unknown:
        sent = [name for name in unknown if name in computed]
        also = f" ({first_of(sent)}: computed on demand, it can't be sent)" if sent else ""
        raise DataError(
            f"expected only columns that {contract.service} takes, got also "
            f"{first_of(unknown)}{also}; leave them out. It takes: "
            f"{', '.join(field.name for field in contract.inputs)}"
        )
    absent = [
        field.name
        for field in contract.inputs
        if field.must_be_given and field.name not in table.columns
    ]
    if absent:
        raise DataError(
            f"{contract.service} requires the columns {first_of(absent)}, and the table lacks them"
        )


def check_complete(field: Field, column: Sequence[Any]) -> None:
    gaps = [row for row, value in enumerate(column) if value is None]
    if gaps:
        raise DataError(
            f"column {field.name}: expected {EXPECTED[field.dtype]} in every row, since it is "
            f"required; missing in {len(gaps)} of {len(column)}: row {first_of(gaps)}"
        )


def typed_column(field: Field, given: Any) -> Sequence[Any]:
    """A column in its declared type, None (or NaN in a vector) where it is missing.

    Raises:
        DataError: a value has another type; the message names column and row.
    """
    dtype = getattr(given, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.kind in "iuf" and field.dtype not in PLAIN:
        vector = number_vector(field, np.asarray(given))
        if vector is not None:
            return vector
    values = given.tolist() if hasattr(given, "tolist") else [*given]
    if field.dtype in PLAIN and PLAIN[field.dtype].issuperset(map(type, values)):
        return values
    return [typed_value(field, value, row) for row, value in enumerate(values)]


def number_vector(field: Field, numbers: "np.ndarray[Any, Any]") -> NumberVector | None:
    """All numbers at once; None where one of them does not fit, so that each is looked at."""
    known = numbers[~np.isnan(numbers)] if numbers.dtype.kind == "f" else numbers
    if field.dtype in LARGEST_OF:
        bound = LARGEST_OF[field.dtype]
        fits = ((known >= -bound) & (known <= bound)).all() and (np.trunc(known) == known).all()
    else:
        fits = np.isfinite(known).all()
    return NumberVector(numbers.astype(np.float64), field.dtype) if fits else None


def typed_value(field: Field, value: Any, row: int) -> Any:
    if is_blank(value):
        return None
    made = CONVERTERS[field.dtype](value)
    if made is None:
        came = f"{type(value).__name__} {value!r:.{LONGEST_VALUE}}"
        raise DataError(
            f"column {field.name}, row {row}: expected {EXPECTED[field.dtype]}, got {came}"
        )
    return made


def is_blank(value: Any) -> bool:
    """None, NaN, `pd.NA`, NaT."""
    if value is None or type(value).__name__ in NAMES_OF_MISSING:
        return True
    return isinstance(value, float | np.floating) and bool(value != value)


def as_whole_number(value: Any, bound: int) -> int | None:
    """An int, a numpy integer, or a float such as 65.0; True is no number."""
    if isinstance(value, bool | np.bool_) or not isinstance(
        value, int | float | np.integer | np.floating
    ):
        return None
    if isinstance(value, float | np.floating) and not float(value).is_integer():
        return None
    number = int(value)
    return number if -bound <= number <= bound else None


def finite_number(value: Any) -> float | None:
    if isinstance(value, bool | np.bool_) or not isinstance(
        value, int | float | np.integer | np.floating
    ):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if np.isfinite(number) else None


def text(value: Any) -> str | None:
    return str(value) if isinstance(value, str) else None


def truth(value: Any) -> bool | None:
    return bool(value) if isinstance(value, bool | np.bool_) else None


CONVERTERS: dict[DType, Callable[[Any], Any]] = {
    "int64": lambda value: as_whole_number(value, LARGEST_OF["int64"]),
    "int32": lambda value: as_whole_number(value, LARGEST_OF["int32"]),
    "float64": finite_number,
    "string": text,
    "bool": truth,
}
"""A value in the declared type; None where it is of another."""


def first_of(items: Sequence[Any]) -> str:
    first = ", ".join(map(str, items[:MOST_NAMED]))
    return first if len(items) <= MOST_NAMED else f"{first} and {len(items) - MOST_NAMED} more"
