"""A trial of each on-demand function at `apply`, so that a fault that any row would show is shown
then."""

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from feast.on_demand_feature_view import OnDemandFeatureView

from potluck.contract.errors import DefinitionError
from potluck.contract.fields import DType
from potluck.stores.definitions.on_demand import (
    function_source,
    function_tree,
    looked_up_fields,
    request_fields,
)
from potluck.stores.definitions.tags import dtype_of

Columns = dict[str, list[Any]]

MADE_UP: Mapping[DType, tuple[Any, Any]] = {
    "int64": (1, 7),
    "int32": (1, 7),
    "float64": (1.0, 2.5),
    "string": ("hello world", ""),
    "bool": (True, False),
}
"""Two values of each type; the first is what Feast itself tries a function with, and refuses it if
it fails."""

TAKEN: Mapping[DType, tuple[type, ...]] = {
    "int64": (int, np.integer),
    "int32": (int, np.integer),
    "float64": (int, float, np.integer, np.floating),
    "string": (str,),
    "bool": (bool, np.bool_),
}
ROWS = 3


def try_functions(views: Iterable[OnDemandFeatureView]) -> list[str]:
    """Run every function on a few made-up rows, and where all that it takes is missing.

    Returns:
        A sentence for each that fails where everything is missing, which may be what its author
        wants.

    Raises:
        DefinitionError: a function does not give what its view declares.
    """
    return [told for view in views for told in try_function(view)]


def try_function(view: OnDemandFeatureView) -> list[str]:
    code = compiled(view)
    inputs = inputs_of(view)
    first: Columns = {name: [MADE_UP[dtype][0]] for name, dtype in inputs.items()}
    mixed: Columns = {name: [*MADE_UP[dtype], None] for name, dtype in inputs.items()}
    missing: Columns = {name: [None] * ROWS for name in inputs}
    failed = attempt(view, code, first, 1)
    if failed is not None:
        raise DefinitionError(
            f"on-demand view {view.name} fails with {described(failed)} on made-up values "
            f"({shown(first)}); a function gets lists, and gives None for what it can't read"
        )
    check_inferred(view, code, first)
    attempt(view, code, mixed, ROWS)  # may fail: what the values mean is the author's
    failed = attempt(view, code, missing, ROWS)
    if failed is None:
        return []
    warning = (
        f"on-demand view {view.name} fails with {described(failed)} where all its inputs are "
        "missing (None); a request for such a row will fail: give None for what can't be computed"
    )
    return [warning]


def attempt(
    view: OnDemandFeatureView, code: Callable[[Columns], Any], columns: Columns, rows: int
) -> Exception | None:
    """The exception that a function raised, or None after its outputs were found to be as
    declared."""
    try:
        outputs = code(copied(columns))
    except Exception as error:
        return error
    check_outputs(view, outputs, rows)
    return None


def check_inferred(
    view: OnDemandFeatureView, code: Callable[[Columns], Any], first: Columns
) -> None:
    """Feast infers a type from the first value: a whole number is no Float64, and None is
    nothing."""
    outputs = code(copied(first))
    for field in view.features:
        value = outputs[field.name][0]
        dtype = dtype_of(view.name, field)
        whole = dtype == "float64" and not isinstance(value, float)
        if value is None or whole:
            raise DefinitionError(
                f"on-demand view {view.name}, {field.name}: expected a value of type {dtype} on "
                f"made-up values ({shown(first)}), by which Feast tells its type; got {value!r}"
            )


def check_outputs(view: OnDemandFeatureView, outputs: Any, rows: int) -> None:
    declared = {field.name: dtype_of(view.name, field) for field in view.features}
    owner = f"on-demand view {view.name}"
    if not isinstance(outputs, Mapping):
        raise DefinitionError(
            f"{owner} gives {type(outputs).__name__}; expected a dict of name to list, of "
            f"{', '.join(declared)}"
        )
    lacking = [name for name in declared if name not in outputs]
    if lacking:
        raise DefinitionError(
            f"{owner} declares {', '.join(lacking)} and does not give it; "
            f"it gives {', '.join(map(str, outputs)) or 'nothing'}"
        )
    more = [str(name) for name in outputs if name not in declared]
    if more:
        raise DefinitionError(
            f"{owner} gives {', '.join(more)}, which its schema does not declare; declare it, or "
            "leave it out"
        )
    for name, dtype in declared.items():
        check_values(f"{owner}, {name}", outputs[name], dtype, rows)


def check_values(owner: str, values: Any, dtype: DType, rows: int) -> None:
    if not isinstance(values, list):
        raise DefinitionError(
            f"{owner}: expected a list with a value for each row, got {type(values).__name__}"
        )
    if len(values) != rows:
        raise DefinitionError(
            f"{owner}: expected a value for each of {rows} rows, got {len(values)}"
        )
    wrong = next((value for value in values if not fits(value, dtype)), None)
    if wrong is not None:
        raise DefinitionError(
            f"{owner} is declared {dtype}; on made-up values it gives {wrong!r}, a "
            f"{type(wrong).__name__}"
        )


def fits(value: Any, dtype: DType) -> bool:
    if value is None:
        return True
    if isinstance(value, bool | np.bool_) and dtype != "bool":
        return False
    return isinstance(value, TAKEN[dtype])


def inputs_of(view: OnDemandFeatureView) -> dict[str, DType]:
    """Return the types of what the function may ask for, by name."""
    taken = [*request_fields(view), *looked_up_fields(view)]
    return {field.name: dtype_of(owner, field) for owner, field in taken}


def copied(columns: Columns) -> Columns:
    """Copy the lists, as a function may change those that it gets."""
    return {name: list(values) for name, values in columns.items()}


def compiled(view: OnDemandFeatureView) -> Callable[[Columns], Any]:
    """Define the function as a bundle will: from its text, without decorator and surroundings."""
    namespace: dict[str, Any] = {}
    try:
        code = compile(function_source(view), view.name, "exec")
        exec(code, namespace)  # noqa: S102 - the repo's own text
    except Exception as error:
        raise DefinitionError(
            f"on-demand view {view.name} can't be defined: {described(error)}"
        ) from None
    function: Callable[[Columns], Any] = namespace[function_tree(view).name]
    return function


def described(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def shown(columns: Columns) -> str:
    """Show the first three columns in a message."""
    told = [f"{name}={values}" for name, values in itertools.islice(columns.items(), 3)]
    if len(columns) > 3:
        told.append("…")
    return ", ".join(told)
