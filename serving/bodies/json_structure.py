"""The brackets and commas of JSON text, found by numpy in slices, before anything is parsed.

Of malformed text the findings mean nothing; whoever cuts by them has every piece parsed.
"""

from typing import Any, NamedTuple

import numpy as np

LARGEST_RECORD = 1 << 20
"""Bytes of one record, alone or as a row of a batch."""
MOST_VALUES = 1 << 13
"""So many values, those within others included, are parsed in a few milliseconds."""
UNCOUNTED_BYTES = 1 << 16
"""Counting the values of a shorter text is not worth its cost: it is parsed within 20 ms."""
SLICE_BYTES = 1 << 16
QUOTE, BACKSLASH, COMMA, LIST = b'"\\,['
STEPS = np.zeros(256, np.int8)
STEPS[list(b"[{")] = 1
STEPS[list(b"]}")] = -1
SPECIAL = STEPS != 0
SPECIAL[[QUOTE, COMMA]] = True

Numbers = np.ndarray[Any, np.dtype[Any]]


class Marks(NamedTuple):
    """The brackets and commas of a slice that stand outside of texts."""

    places: Numbers
    """Where in the whole text."""
    codes: Numbers
    depths: Numbers
    """How many brackets are open behind it."""


class Structure:
    """Looks through text from its beginning, slice by slice."""

    def __init__(self, text: bytes) -> None:
        self.codes = np.frombuffer(text, np.uint8)
        self.start = self.depth = 0
        self.in_text = self.escaped = False

    @property
    def more(self) -> bool:
        return self.start < len(self.codes)

    def next_slice(self) -> Marks:
        """What the next `SLICE_BYTES` hold."""
        codes = self.codes[self.start : self.start + SLICE_BYTES]
        places = np.flatnonzero(SPECIAL[codes])
        found = codes[places]
        quotes = found == QUOTE
        escaped = self.escaped_places(codes)
        if len(escaped):
            plain = np.ones(len(codes) + 1, bool)
            plain[escaped] = False
            quotes &= plain[places]
        # A running exclusive or: whether an odd number of quotes came so far.
        in_text = np.logical_xor.accumulate(quotes) ^ self.in_text
        outside = np.flatnonzero(~in_text & (found != QUOTE))
        if len(in_text):
            self.in_text = bool(in_text[-1])
        marks = self.marks(places[outside], found[outside])
        self.start += len(codes)
        return marks

    def escaped_places(self, codes: Numbers) -> Numbers:
        """The bytes behind a backslash that is not escaped itself: of a run, every other one."""
        runs = np.flatnonzero(codes == BACKSLASH)
        if self.escaped:
            runs = np.concatenate([[-1], runs])  # the slice before ended with it
        if not len(runs):
            return runs
        begins = np.diff(runs, prepend=runs[0] - 2) != 1
        order = runs - np.maximum.accumulate(np.where(begins, runs, runs[0]))
        escaped: Numbers = runs[order % 2 == 0] + 1
        self.escaped = bool(escaped[-1] == len(codes))
        return escaped

    def marks(self, places: Numbers, codes: Numbers) -> Marks:
        depths = self.depth + np.cumsum(STEPS[codes], dtype=np.int32)
        if len(depths):
            self.depth = int(depths[-1])
        return Marks(places + self.start, codes, depths)


def is_light(text: bytes) -> bool:
    """Whether text may be parsed in one step: it is short, or has not too many bytes and values."""
    if len(text) <= UNCOUNTED_BYTES:
        return True
    if len(text) > LARGEST_RECORD:
        return False
    # Most texts have not so many commas and brackets even if those within texts are counted.
    return sum(map(text.count, (b",", b"[", b"{"))) < MOST_VALUES or has_few_values(text)


def has_few_values(text: bytes) -> bool:
    """Whether there are at most `MOST_VALUES`: one, and one for each comma and opening bracket."""
    structure, found = Structure(text), 1
    while structure.more and found <= MOST_VALUES:
        codes = structure.next_slice().codes
        found += int(np.count_nonzero((codes == COMMA) | (STEPS[codes] > 0)))
    return found <= MOST_VALUES
