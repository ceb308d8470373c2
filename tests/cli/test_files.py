"""A file that a verb writes is whole, or as it was before."""

import os
from pathlib import Path

import pytest

from cli.files import check_destination, replace_file
from potluck.contract.errors import DataError, UsageError

SUFFIXES = (".csv", ".parquet")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("run.xlsx", r"ends with \.csv or \.parquet, got run\.xlsx"),
        ("nowhere/run.csv", "a folder that exists, got .*nowhere for run.csv; make it first"),
        ("folder.csv", "the name of a file, got .*folder.csv"),
        ("file.txt/run.csv", "a folder that exists"),
    ],
)
def test_a_place_that_can_not_hold_the_file_is_refused_before_the_work(
    tmp_path: Path, name: str, said: str
) -> None:
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "file.txt").write_text("")
    with pytest.raises(UsageError, match=said):
        check_destination(tmp_path / name, SUFFIXES)


def test_a_new_name_and_that_of_a_file_can_hold_the_file(tmp_path: Path) -> None:
    (tmp_path / "former.csv").write_text("")
    for name in ("new.csv", "new.parquet", "former.csv"):
        check_destination(tmp_path / name, SUFFIXES)


def test_a_device_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "null.csv").symlink_to("/dev/null")
    with pytest.raises(UsageError, match="something else"):
        check_destination(tmp_path / "null.csv", SUFFIXES)


def test_the_file_is_replaced_when_all_went_well(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    path.write_text("former")
    with replace_file(path) as staging:
        staging.write_text("new")
        assert path.read_text() == "former"
    assert path.read_text() == "new"
    assert [each.name for each in tmp_path.iterdir()] == ["run.csv"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_failure_leaves_the_former_file(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    path.write_text("former")
    with pytest.raises(
        DataError, match="No space left on device; what was there before is as it was"
    ):
        fail_while_writing(path)
    assert path.read_text() == "former"
    assert [each.name for each in tmp_path.iterdir()] == ["run.csv"]


def fail_while_writing(path: Path) -> None:
    with replace_file(path) as staging:
        staging.write_text("half")
        with open("/dev/full", "w") as full:
            full.write("x" * 100_000)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "run.csv").write_text("former")
    (tmp_path / "latest.csv").symlink_to("run.csv")
    with replace_file(tmp_path / "latest.csv") as staging:
        staging.write_text("new")
    assert os.readlink(tmp_path / "latest.csv") == "run.csv"
    assert (tmp_path / "run.csv").read_text() == "new"


def test_a_folder_that_takes_no_file_is_told_in_one_sentence() -> None:
    with (
        pytest.raises(DataError, match=r"/proc/run\.csv can't be written"),
        replace_file(Path("/proc/run.csv")),
    ):
        pass
