"""A frame is read whole or not at all."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from potluck.inference_log.frames import DamagedSegment, make_frame, pack_rows, read_frames
from potluck.inference_log.rows import LoggedRow

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False),
    st.text(max_size=20),
)
REPLIES = st.lists(st.lists(st.none() | st.binary(max_size=12), max_size=4), max_size=2)


def row(request_id: str, **others: Any) -> LoggedRow:
    return LoggedRow(
        "shop", None, "1", "precomputed", request_id, None, 1.5, 0.01, {"id": 7}, **others
    )


def segment(*groups: list[LoggedRow]) -> bytes:
    """A frame for each group."""
    answered, frames = 0, b""
    for group in groups:
        answered += len(group)
        frames += make_frame(pack_rows([each.as_tuple() for each in group]), answered, 0)
    return frames


@given(record=st.dictionaries(st.text(max_size=8), VALUES), replies=REPLIES, prediction=VALUES)
def test_a_row_comes_back_as_it_was(record: Any, replies: Any, prediction: Any) -> None:
    written = row("a", replies=replies, prediction=prediction)._replace(record=record)
    (frame,) = read_frames(segment([written]))
    assert frame.rows == [written]


def test_a_segment_that_is_cut_anywhere_holds_the_frames_before_the_cut() -> None:
    groups = [[row("a"), row("b")], [row("c")], [row("d")]]
    whole = segment(*groups)
    ends = [len(segment(*groups[:count])) for count in range(len(groups) + 1)]
    for cut in range(len(whole) + 1):
        frames = [*read_frames(whole[:cut])]
        assert len(frames) == sum(end <= cut for end in ends[1:])
        assert [frame.end for frame in frames] == ends[1 : len(frames) + 1]


def test_reading_goes_on_behind_a_frame() -> None:
    whole = segment([row("a")], [row("b")])
    first, _ = read_frames(whole)
    (second,) = read_frames(whole, first.end)
    assert [each.request_id for each in second.rows] == ["b"]
    assert (second.answered, second.dropped) == (2, 0)


def test_a_changed_byte_is_told() -> None:
    whole = bytearray(segment([row("a")], [row("b")]))
    for place in (0, 15, 40):
        changed = whole.copy()
        changed[place] ^= 1
        with pytest.raises(DamagedSegment):
            list(read_frames(bytes(changed)))


def test_what_is_no_plain_value_can_not_be_packed() -> None:
    with pytest.raises(ValueError, match="unmarshallable"):
        pack_rows([(object(),)])
