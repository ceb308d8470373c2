"""Erasing the rows of one entity, as a person may ask for."""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from monitoring.catch_up import caught_up
from monitoring.decode.decoder import Decoder
from monitoring.parts import Part, covered_by
from potluck.contract.settings import Settings


@dataclass(frozen=True)
class Erased:
    """What was erased."""

    rows: int
    files: int


def erase_rows(settings: Settings, key: str, value: str) -> Erased:
    """Erase an entity's rows from the files of this home; each file is replaced at once."""
    with caught_up(settings) as decoder:
        kept = decoder.personal.digest(value) if key in decoder.personal.hashed else value
        counts = [erase_in(decoder, part, f"key_{key}", str(kept)) for part in decoder.parts.own()]
    return Erased(sum(counts), sum(count > 0 for count in counts))


def erase_in(decoder: Decoder, part: Part, column: str, value: str) -> int:
    """Erase rows in one file.

    Returns:
        How many.
    """
    parts = decoder.parts
    with parts.files.open_input_file(part.path) as file:
        footer = pq.read_metadata(file)
        table = pq.read_table(file)
    if column not in table.column_names:
        return 0
    is_asked_for = pc.equal(table[column].cast(pa.string()), value).fill_null(False)
    rows: int = pc.sum(is_asked_for).as_py() or 0
    if rows:
        parts.write(part.path, table.filter(pc.invert(is_asked_for)), covered_by(footer))
        parts.tails.pop((part.service, part.day), None)
        decoder.progress.removed += rows
        decoder.progress.save(decoder.layout.decoded)
    return rows
