"""On-demand functions: a feature service's own code, run on columns (lists in, lists out)."""

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any

from potluck.contract.errors import BundleError, DataError
from potluck.contract.features import FeatureContract, OnDemandFunction
from potluck.contract.redis_format import DamagedValueError
from potluck.scoring.vectors import Vector

Columns = Mapping[str, Sequence[Any]]
ColumnFunction = Callable[[MutableMapping[str, list[Any]]], Mapping[str, Sequence[Any]]]
BoundFunction = tuple[OnDemandFunction, ColumnFunction]
"""What the contract declares, and its code."""


class OwnColumns(MutableMapping[str, list[Any]]):
    """What a function is given: a column becomes its own when it asks for it, and may be changed
    like any dict's."""

    def __init__(self, names: Sequence[str], columns: Columns) -> None:
        self.names, self.columns = dict.fromkeys(names), columns
        self.own: dict[str, list[Any]] = {}
        self.vectors: dict[int, Vector] = {}
        """Identity of a list that was made of a vector -> the vector."""

    def __getitem__(self, name: str) -> list[Any]:
        if name not in self.own:
            if name not in self.names:
                raise KeyError(name)
            column = self.columns[name]
            self.own[name] = own = list(column)
            if type(column) is not list and isinstance(
                column, Vector
            ):  # the server's are lists, and it is in a hurry
                self.vectors[id(own)] = column
        return self.own[name]

    def given_back(self, values: Sequence[Any]) -> Sequence[Any]:
        """A column that the function answers; the vector itself where it passes one through as it
        was."""
        vector = self.vectors.get(id(values))
        return vector if vector is not None and values == list(vector) else list(values)

    def __setitem__(self, name: str, column: list[Any]) -> None:
        self.names[name] = None
        self.own[name] = column

    def __delitem__(self, name: str) -> None:
        del self.names[name]
        self.own.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self.names))

    def __len__(self) -> int:
        return len(self.names)


def load_functions(source: str, contract: FeatureContract) -> list[BoundFunction]:
    """Execute `functions.py` and bind every function that the contract names.

    Raises:
        BundleError: the text does not compile, or lacks a function.
    """
    namespace: dict[str, Any] = {}
    try:
        exec(compile(source, "functions.py", "exec"), namespace)  # noqa: S102 - the manifest names this text
        return [(function, namespace[function.name]) for function in contract.functions]
    except KeyError as error:
        raise BundleError(
            f"functions.py lacks the on-demand function {error} that the contract names"
        ) from None
    except Exception as error:
        raise BundleError(f"functions.py does not run: {type(error).__name__}: {error}") from None


def cause(error: Exception) -> str:
    """What may be told: the text of most errors holds a value, and a value is never echoed."""
    return (
        f"{type(error).__name__}: {error}" if isinstance(error, NameError) else type(error).__name__
    )


def run_functions(
    functions: Sequence[BoundFunction], inputs: Columns, rows: int
) -> dict[str, Sequence[Any]]:
    """Run every function over the same inputs and return their outputs by name.

    No function sees what another one gave: that is why they do not write into `inputs`.

    Raises:
        DamagedValueError: an input can't be read.
        DataError: a function failed; see `run_function`.
    """
    outputs: dict[str, Sequence[Any]] = {}
    for declared, code in functions:
        outputs.update(run_function(declared, code, inputs, rows))
    return outputs


def run_function(
    function: OnDemandFunction, code: ColumnFunction, inputs: Columns, rows: int
) -> dict[str, Sequence[Any]]:
    """One function over all rows.

    Raises:
        DamagedValueError: what it asked for can't be read.
        DataError: it raised, or gave something else than one list of `rows` values for each
            declared output.
    """
    try:
        own = OwnColumns(function.inputs, inputs)
        given, taken = code(own), own.given_back if own.vectors else list
        outputs: dict[str, Sequence[Any]] = {
            field.name: taken(given[field.name]) for field in function.outputs
        }
    except DamagedValueError:
        raise
    except Exception as error:
        raise DataError(f"on-demand function {function.name} failed: {cause(error)}") from error
    for name, values in outputs.items():
        if len(values) != rows:
            raise DataError(
                f"on-demand function {function.name} gave {len(values)} values of {name} for "
                f"{rows} rows"
            )
    return outputs
