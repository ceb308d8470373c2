"""The body of a batch, `{name: [...]}`: its rows are counted and cut, then parsed one by one.

A body of ordinary size is validated in one step. Parsing 8 MiB would hold the event loop up for as
long as a second, and no thread helps, since the parser keeps Python's lock. So a larger body, and
one with a row that does not fit, is looked through in slices, then read row by row, and other
requests have their turn in between.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from pydantic import ValidationError
from pydantic_core import CoreSchema, SchemaValidator, core_schema, from_json

from potluck.contract.errors import BatchTooLarge, Detail, SchemaValidation
from serving.bodies.json_structure import (
    COMMA,
    LARGEST_RECORD,
    LIST,
    MOST_VALUES,
    STEPS,
    Marks,
    Structure,
    is_light,
)
from serving.bodies.malformed import not_json
from serving.loop.turns import Turns

MOST_ROWS = 1000
WHITE_SPACE = b" \t\r\n"
BLANKS = bytes(code if code == ord("\n") else ord(" ") for code in range(256))
"""For `bytes.translate`: what is blanked keeps its lines and columns."""

Row = TypeVar("Row")
ReadRow = Callable[[bytes], Row | SchemaValidation]


class Piece(NamedTuple):
    """The text of a row: `text[start:end]`, white space included."""

    start: int
    end: int
    first: bool
    """Whether it is the first of its list."""


@dataclass
class JsonList:
    """A list, or an object, that stands in the outermost object."""

    is_list: bool
    start: int
    """Behind its bracket."""
    end: int
    """Where its closing bracket stands."""
    commas: list[int] = field(default_factory=list)

    def rows(self, text: bytes) -> Iterator[Piece]:
        edges = [self.start - 1, *self.commas, self.end]
        if not self.commas and not text[self.start : self.end].strip(WHITE_SPACE):
            return
        for place, edge in enumerate(edges[:-1]):
            yield Piece(edge + 1, edges[place + 1], place == 0)


class BatchBody(NamedTuple, Generic[Row]):
    """A body that was read."""

    rows: list[Row | SchemaValidation]
    others: dict[str, Any]
    """What stands beside the rows, not checked yet."""


class BatchReader(Generic[Row]):
    """Reads batches of one kind of row.

    Args:
        name: of the list.
        form: what the body must be, for people.
        beside: names that may stand beside the list.
        row: the schema of rows that need no second look.
        read: one row from its text, or why it is none; where that is no JSON it raises ValueError,
            in the parser's words.
    """

    def __init__(
        self,
        name: str,
        form: str,
        row: CoreSchema,
        read: "ReadRow[Row]",
        beside: frozenset[str] = frozenset(),
    ) -> None:
        self.name, self.form, self.read_row, self.beside = name, form, read, beside
        self.read_at_once = SchemaValidator(batch_of(name, row, beside)).validate_json

    async def read(self, body: bytes, turns: Turns) -> BatchBody[Row]:
        """Read a body, each row checked by itself.

        Raises:
            BatchTooLarge: there are more than `MOST_ROWS`.
            SchemaValidation: malformed JSON, or something else than an object with just this list.
        """
        if is_light(body):
            try:
                found = self.read_at_once(body)
                return BatchBody(found.pop(self.name), found)
            except ValidationError:
                pass
        async with turns:
            return await self.read_in_turns(body, turns)

    async def read_in_turns(self, body: bytes, turns: Turns) -> BatchBody[Row]:
        lists = await found_lists(body, turns)
        await turns.others()
        others = self.check_envelope(body, lists)
        rows: list[Row | SchemaValidation] = []
        for each in lists:
            rows.clear()  # of two lists under one name the last one counts
            for piece in each.rows(body):
                await turns.over()
                try:
                    rows.append(self.checked(body[piece.start : piece.end].strip(WHITE_SPACE)))
                except ValueError:
                    await turns.others()
                    raise await self.malformed(body, in_place(body, lists, piece), turns) from None
        if others is None:
            await turns.others()
            raise await self.malformed(body, blanked(body, lists, len(body)), turns)
        return BatchBody(rows, others)

    def check_envelope(self, body: bytes, lists: list[JsonList]) -> dict[str, Any] | None:
        """See what stands around the rows.

        Returns:
            What stands beside them; None where that is malformed. A row may be, too.

        Raises:
            SchemaValidation: it is something else than an object with just this list.
        """
        envelope = without_rows(body, lists)
        if not is_light(envelope):
            raise self.other_form()
        try:
            found = from_json(envelope)
        except ValueError:
            return None
        is_object = isinstance(found, dict) and all(each.is_list for each in lists)
        if not is_object or found.pop(self.name, None) != [] or found.keys() - self.beside:
            raise self.other_form()
        return dict(found)

    def checked(self, text: bytes) -> Row | SchemaValidation:
        """One row, or why it does not fit.

        Raises:
            ValueError: it is no JSON.
        """
        return self.read_row(text) if is_light(text) else too_heavy()

    async def malformed(self, body: bytes, shown: bytes, turns: Turns) -> SchemaValidation:
        """The error of a body that is no JSON.

        Args:
            shown: of the body what the parser needs to see, each byte at its place.
        """
        await turns.others()
        try:
            from_json(shown)
            said = ""
        except ValueError as error:
            said = str(error)
        if "EOF" in said and len(shown) < len(body):
            said = ""  # it ends where it was cut: that place tells nothing of the body
        return not_json(body, said, f"one JSON object, {self.form}")

    def other_form(self) -> SchemaValidation:
        beside = f" beside {', '.join(sorted(self.beside))}" if self.beside else ""
        return SchemaValidation(
            "the batch has another form than expected",
            (Detail(self.name, f"expected {self.form} and nothing else{beside}"),),
        )


def batch_of(name: str, row: CoreSchema, beside: frozenset[str]) -> CoreSchema:
    """The body of a batch of such rows; the first row that does not fit ends it."""
    rows = core_schema.list_schema(row, max_length=MOST_ROWS, fail_fast=True)
    other = core_schema.typed_dict_field(core_schema.any_schema(), required=False)
    fields = {**dict.fromkeys(beside, other), name: core_schema.typed_dict_field(rows)}
    return core_schema.typed_dict_schema(fields, extra_behavior="forbid")


async def found_lists(body: bytes, turns: Turns) -> list[JsonList]:
    """What stands in the outermost object, and where its commas are.

    Raises:
        BatchTooLarge: more than `MOST_ROWS` rows.
    """
    structure, lists, count = Structure(body), list[JsonList](), 0
    while structure.more:
        for place, code, depth in of_lists(structure.next_slice()):
            if code == COMMA:
                lists[-1].commas.append(place)
            elif depth == 2:
                lists.append(JsonList(code == LIST, place + 1, len(body)))
            else:
                lists[-1].end = place
            count += code == COMMA or depth == 2
            if count > MOST_ROWS:
                most = f"one call takes at most {MOST_ROWS} rows"
                raise BatchTooLarge(f"{most}, this one has more; send several calls")
        await turns.over()
    return lists


def of_lists(marks: Marks) -> Iterator[tuple[int, int, int]]:
    """What begins a list of the outermost object, divides it or ends it: place, code, depth."""
    steps = STEPS[marks.codes]
    inside = (marks.depths == 2) & (steps >= 0)
    chosen = np.flatnonzero(inside | ((marks.depths == 1) & (steps < 0)))
    for place in chosen:
        yield int(marks.places[place]), int(marks.codes[place]), int(marks.depths[place])


def without_rows(body: bytes, lists: list[JsonList]) -> bytes:
    """The body with its lists empty."""
    parts, start = [], 0
    for each in lists:
        parts.append(body[start : each.start])
        start = each.end
    return b"".join([*parts, body[start:]]).strip(WHITE_SPACE)


def blanked(body: bytes, lists: list[JsonList], end: int) -> bytes:
    """The body up to `end`, each byte at its place, and a 0 instead of all the rows of a list."""
    parts, start = [], 0
    for each in lists:
        parts += [
            body[start : min(each.start, end)],
            as_one_row(body[each.start : min(each.end, end)]),
        ]
        start = each.end
    return b"".join([*parts, body[start:end]])


def as_one_row(rows: bytes) -> bytes:
    bare = rows.lstrip(WHITE_SPACE)
    return rows[: len(rows) - len(bare)] + b"0" + bare[1:].translate(BLANKS) if bare else rows


def in_place(body: bytes, lists: list[JsonList], piece: Piece) -> bytes:
    """The body up to what divides a row from the next, with the rows before it blanked."""
    start = piece.start if piece.first else piece.start - 1  # with the comma before it
    return blanked(body, lists, start) + body[start : piece.end + 1]


def too_heavy() -> SchemaValidation:
    """The error of a record, or a row, that is not even parsed."""
    most = f"{LARGEST_RECORD} bytes and {MOST_VALUES} values"
    reason = f"expected at most {most}, got more; send fewer"
    return SchemaValidation(f"the record can't be read: {reason}", (Detail("", reason),))
