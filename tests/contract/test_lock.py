"""One holder at a time, however the one before ended."""

from pathlib import Path

import pytest

from potluck.contract.errors import Locked
from potluck.contract.lock import exclusive


def test_a_second_holder_is_told_who_is_busy(tmp_path: Path) -> None:
    path = tmp_path / "home" / "locks" / "up.lock"  # the folders are made
    told = r"potluck up runs already .*up\.lock"
    with (
        exclusive(path, "first"),
        pytest.raises(Locked, match=told),
        exclusive(path, "potluck up runs already"),
    ):
        raise AssertionError("two hold it")


def test_the_lock_is_given_back_also_after_an_error(tmp_path: Path) -> None:
    path = tmp_path / "up.lock"
    for _ in range(2):  # the second finds the folder and the file
        with pytest.raises(ZeroDivisionError), exclusive(path, "busy"):
            raise ZeroDivisionError
    with exclusive(path, "busy") as file:
        assert not file.closed


def test_a_holder_finds_what_the_one_before_wrote(tmp_path: Path) -> None:
    for line in ("one", "two"):
        with exclusive(tmp_path / "up.lock", "busy") as file:
            file.write(f"{line}\n")
    assert (tmp_path / "up.lock").read_text() == "one\ntwo\n"
