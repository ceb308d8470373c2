"""Pruning touches the entities of its own project and view alone."""

import struct

import numpy as np
import pytest

from potluck.contract.redis_format import entity_key
from potluck.redis.key_scan import glob_escaped, project_of
from potluck.stores.feast_plugins.prune import is_among, sorted_hashes


@pytest.mark.parametrize("project", ["house", "warehouse", "a"])
@pytest.mark.parametrize(
    "entity", [(["Id"], [91], ["int64"]), (["a", "b"], ["house", 5], ["string", "int32"])]
)
def test_the_project_is_read_from_behind_the_key(
    project: str, entity: tuple[list[str], list[object], list[str]]
) -> None:
    names, values, dtypes = entity
    name = entity_key(project, names, values, dtypes)  # type: ignore[arg-type]
    assert project_of(name, len(names)) == project


def test_bytes_that_mean_something_in_a_pattern_are_escaped() -> None:
    assert glob_escaped(b"a*b[c]" + struct.pack("<I", 63)) == b"a\\*b\\[c\\]\\?\x00\x00\x00"


def test_a_hash_is_found_among_the_known_ones_wherever_it_lies() -> None:
    known = sorted_hashes([np.array([7, 3], np.uint64), np.array([5, 3], np.uint64)])
    asked = np.array([9, 3, 1, 7, 4, 5], np.uint64)
    assert known.tolist() == [3, 5, 7]
    assert is_among(asked, known).tolist() == [False, True, False, True, False, True]
    assert not is_among(asked, sorted_hashes([])).any()
