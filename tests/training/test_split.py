"""Which rows are learnt from, and which are measured on."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from potluck.contract.errors import DataError, UsageError
from training.split import RowSplit, SplitKind, Splittable, split, windows

FIRST = datetime(2024, 1, 1, tzinfo=UTC)
KINDS: tuple[SplitKind, ...] = ("time", "random", "key")


def rows(
    count: int = 100, *, days: Sequence[int] | None = None, labels: Sequence[Any] = ()
) -> Splittable:
    """One a day, each of one of ten shops."""
    times = [FIRST + timedelta(days=day) for day in days or range(count)]
    shops = pa.table({"shop": [number % 10 for number in range(len(times))]})
    return Splittable("labels", times, shops, list(labels) or [0.0] * len(times), bool(labels))


def everything(found: RowSplit) -> list[int]:
    return sorted([*found.learn.tolist(), *found.test.tolist()])


@pytest.mark.parametrize("kind", KINDS)
def test_every_row_is_on_one_side(kind: SplitKind) -> None:
    found = split(rows(), kind, seed=0)
    assert everything(found) == list(range(100))
    assert len(found.test) == 20


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_split(kind: SplitKind) -> None:
    first, again = (split(rows(), kind, seed=3) for _ in range(2))
    assert first.test.tolist() == again.test.tolist()


@pytest.mark.parametrize("kind", ["random", "key"])
def test_another_seed_gives_another_split(kind: SplitKind) -> None:
    found = {tuple(split(rows(), kind, seed=seed).test.tolist()) for seed in range(5)}
    assert len(found) > 1


def test_by_time_no_moment_lies_on_both_sides() -> None:
    found = split(rows(days=[0] * 10 + [1] * 80 + [2] * 10), "time", seed=0)
    assert len(found.learn) == 10


def test_by_time_labels_of_one_timestamp_are_told_to_be_split_at_random() -> None:
    with pytest.raises(DataError, match=r"same timestamp.* --split random"):
        split(rows(days=[0] * 100), "time", seed=0)


def test_by_key_an_entity_lies_on_one_side_whole() -> None:
    table = rows()
    found = split(table, "key", seed=0)
    shops = np.array(table.entities["shop"].to_pylist())
    assert not set(shops[found.learn]) & set(shops[found.test])


def test_by_key_without_a_key_is_a_usage_error() -> None:
    table = rows()
    with pytest.raises(UsageError, match=r"needs a join key.* --split random"):
        split(Splittable("labels", table.times, pa.table({}), table.labels, False), "key", seed=0)


def test_by_key_of_a_single_entity_is_refused() -> None:
    table = rows()
    one = pa.table({"shop": [1] * 100})
    with pytest.raises(DataError, match="of one entity"):
        split(Splittable("labels", table.times, one, table.labels, False), "key", seed=0)


def test_at_random_a_rare_class_is_measured_too() -> None:
    found = split(rows(labels=["common"] * 90 + ["rare"] * 10), "random", seed=0)
    assert sum(place >= 90 for place in found.test.tolist()) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_windows_lie_within_the_rows_and_hold_back_others_than_they_learn_from(
    kind: SplitKind,
) -> None:
    found = windows(rows(), kind, seed=0)
    assert len(found) == 3
    for each in found:
        assert not set(each.learn.tolist()) & set(each.test.tolist())
        assert set(everything(each)) <= set(range(100))


def test_windows_over_time_hold_back_what_comes_later() -> None:
    for each in windows(rows(), "time", seed=0):
        assert each.learn.max() < each.test.min()


def test_windows_of_one_timestamp_are_drawn_at_random() -> None:
    assert len(windows(rows(days=[0] * 50), "time", seed=0)) == 3


def test_of_many_rows_one_window_is_enough() -> None:
    assert len(windows(rows(6000), "time", seed=0)) == 1
