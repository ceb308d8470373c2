"""A home is made for its owner alone, and one that is there keeps its mode."""

from pathlib import Path

import pytest

from potluck.contract.home import is_open_to_others, make_home


def mode_of(folder: Path) -> int:
    return folder.stat().st_mode & 0o777


def test_a_home_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    home = tmp_path / "deep" / "below" / "home"
    make_home(home)
    assert mode_of(home) == 0o700
    assert not is_open_to_others(home)


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o705, 0o701])
def test_a_home_that_is_there_keeps_its_mode_and_is_seen_to_be_open(
    tmp_path: Path, mode: int
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(mode)
    make_home(home)
    assert mode_of(home) == mode
    assert is_open_to_others(home) is True


def test_a_home_that_is_not_there_is_open_to_nobody(tmp_path: Path) -> None:
    assert is_open_to_others(tmp_path / "none") is False
