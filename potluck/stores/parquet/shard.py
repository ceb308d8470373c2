"""A range of keys that the nightly run reads and scores at once."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Shard:
    """Entities whose keys lie in a range, both ends included."""

    number: int
    rows: int
    first: int | str
    last: int | str
