"""The row builder's work for a few rows at a time: what can be known when a bundle goes live is
known then.

The plan gives what `RowBuilder` and `Model.score` give, to the bit. It looks nothing up by name,
and it remembers: a value of a column, or the bytes that stand for it in the online store, becomes a
cell of the scorer by way of the same encoder once, and is found under itself the next time.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import getitem
from typing import Any

from potluck.contract.features import FeatureContract
from potluck.contract.fields import REQUEST_TIME, Field
from potluck.contract.redis_format import Scalar, value_reader
from potluck.scoring.encoders import Encoder, Mark
from potluck.scoring.model import Model
from potluck.scoring.picker import picker
from potluck.scoring.remembered import Remembered
from potluck.scoring.transform import Predictions

Record = Mapping[str, Any]
Stored = Sequence[bytes | None]
"""Serialized values in the order of the contract's online fields; None for a missing one."""
Marks = list[tuple[Mark, str]]


@dataclass(frozen=True)
class Outcome:
    """A scored batch."""

    predictions: Predictions
    marks: dict[int, Marks]
    """Row -> what is worth a note: the mark and its column."""


class RowMarks:
    """Collects the marks of one row while its values become cells.

    All columns of a plan share one. They are asked by `map(getitem, ...)`, which can carry back
    nothing but cells: so a value that deserves a mark is noted here at the same time. The plan
    takes the marks after each row, before the next row's values are looked up.
    """

    def __init__(self) -> None:
        self.noted: Marks = []

    def note(self, encoder: Encoder) -> None:
        self.noted.append((encoder.mark, encoder.name))

    def take(self) -> Marks:
        """Return what was noted since the last time, and begin anew."""
        taken, self.noted = self.noted, []
        return taken


class Cells(Remembered):
    """A column's values -> cells.

    A cell is kept only where its value deserves no mark: a kept one is found without coming here,
    so its mark would be noted once instead of in each row.
    """

    def __init__(
        self,
        encoder: Encoder,
        read: Callable[[Any], Scalar],
        cell: Callable[[float], bytes],
        row_marks: RowMarks,
    ) -> None:
        super().__init__(read)
        self.encoder, self.cell, self.row_marks = encoder, cell, row_marks

    def __missing__(self, key: Any) -> bytes:
        number, marked = self.encoder.one(self.make(key))
        if marked:
            self.row_marks.note(self.encoder)
            return self.cell(number)
        cell: bytes = self.keep(key, self.cell(number))
        return cell


class KnownColumns(dict[str, Sequence[Any]]):
    """The inputs of some records by name, each made a column when somebody asks for it."""

    def __init__(
        self,
        inputs: "InputPlaces",
        records: Sequence[Record],
        stored: Sequence[Stored],
        now: datetime,
    ) -> None:
        super().__init__()
        self.inputs, self.records, self.stored, self.now = inputs, records, stored, now

    def __missing__(self, name: str) -> list[Any]:
        place = self.inputs.places.get(name)
        if place is None:
            column = [record.get(name) for record in self.records]
        else:
            value_of = self.inputs.values_of[place]
            column = [value_of[known[place]] for known in self.stored]
        field = self.inputs.defaults.get(name)
        if field is not None:
            default = field.default_at(self.now)
            column = [default if value is None else value for value in column]
        self[name] = column
        return column


class InputPlaces:
    """Where a contract's inputs come from."""

    def __init__(self, contract: FeatureContract) -> None:
        self.places = {field.name: place for place, field in enumerate(contract.online)}
        self.values_of = [Remembered(value_reader(field)) for field in contract.online]
        self.defaults = {
            field.name: field for field in contract.inputs if field.default is not None
        }


class Plan:
    """Bound once to a model. Not for several threads at once."""

    def __init__(self, model: Model) -> None:
        self.model = model
        names = [column.name for column in model.contract.columns]
        direct = direct_fields(model.contract)
        self.inputs = InputPlaces(model.contract)
        self.computed = [name for name in names if name not in direct]
        self.direct = picker(
            [place for place, field in enumerate(model.contract.online) if field.name in direct]
        )
        self.order = [names.index(name) for name in (*direct, *self.computed)]
        self.row_marks = RowMarks()
        self.cells = [self._cells(place, direct.get(names[place])) for place in self.order]

    def _cells(self, place: int, direct: Field | None) -> Cells:
        model = self.model
        read = itself if direct is None else stored_or_default(direct)
        return Cells(model.encoder_of(place), read, model.cell_maker(place), self.row_marks)

    def score(self, records: Sequence[Record], stored: Sequence[Stored], now: datetime) -> Outcome:
        """Score records with what the online store holds for each.

        Args:
            records: the request's fields by name.
            stored: for each record its serialized values.
            now: the requests' time, for defaults that stand for a part of it.

        Raises:
            DataError: an on-demand function failed, or a value is not of its declared type.
            DamagedValueError: stored bytes are no value of a field's declared type.
        """
        row_marks = self.row_marks
        row_marks.take()  # a batch that failed half-way leaves its last row's marks behind
        cells: list[bytes] = []
        marks: dict[int, Marks] = {}
        for row, (known, computed) in enumerate(
            zip(stored, self.computed_rows(records, stored, now), strict=True)
        ):
            cells += self.cells_of((*self.direct(known), *computed))
            if row_marks.noted:
                marks[row] = row_marks.take()
        predictions = self.model.predict_cells(b"".join(cells), len(records), self.order)
        return Outcome(predictions, marks)

    def computed_rows(
        self, records: Sequence[Record], stored: Sequence[Stored], now: datetime
    ) -> Iterable[Sequence[Any]]:
        """The columns that are no stored field, row by row."""
        known = KnownColumns(self.inputs, records, stored, now)
        known.update(self.model.run_functions(known, len(records)))
        if not self.computed:
            return [()] * len(records)
        return zip(*(known[name] for name in self.computed), strict=True)

    def cells_of(self, values: Sequence[Any]) -> list[bytes]:
        """The cell of each column's value, all but the first time by one look-up.

        What deserves a mark is noted in `row_marks`.
        """
        try:
            return [*map(getitem, self.cells, values)]
        except TypeError:
            for cells, value in zip(self.cells, values, strict=True):
                cells.encoder.one(cells.make(value))  # says which column holds what can be no value
            raise


def direct_fields(contract: FeatureContract) -> dict[str, Field]:
    """Looked-up fields that are columns as they are: their cells can be known by the stored
    bytes."""
    computed = {out.name for function in contract.functions for out in function.outputs}
    names = {column.name for column in contract.columns} - computed
    return {f.name: f for f in contract.online if f.name in names and f.default not in REQUEST_TIME}


def stored_or_default(field: Field) -> Callable[[bytes | None], Scalar]:
    read = value_reader(field)

    def value(stored: bytes | None) -> Scalar:
        found = read(stored)
        return field.default if found is None else found

    return value


def itself(value: Any) -> Any:
    return value
