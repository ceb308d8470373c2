"""Writing whole or not at all: nothing half-written is read, and nothing is left behind, even by a
killed writer."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from disks import fill, no_file_grows

from potluck.contract import files
from potluck.contract.files import STAGED, replacing, staging_folder, sweep, write_whole

KILLED_WHILE_WRITING = """
import os, signal, sys
from pathlib import Path
from potluck.contract.files import replacing, staging_folder
folder = Path(sys.argv[1])
with staging_folder(folder) as made, replacing(folder / "file") as staging:
    (made / "part").write_text("half")
    staging.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_whole_with_its_mode(tmp_path: Path) -> None:
    write_whole(tmp_path / "folder" / "file", b"first")
    write_whole(tmp_path / "folder" / "file", b"second", mode=0o600)
    assert (tmp_path / "folder" / "file").read_bytes() == b"second"
    assert (tmp_path / "folder" / "file").stat().st_mode & 0o777 == 0o600
    assert names(tmp_path / "folder") == ["file"]


def test_what_fails_leaves_the_former_file_and_nothing_else(tmp_path: Path) -> None:
    write_whole(tmp_path / "file", b"first")
    with pytest.raises(OSError, match="File too large"), no_file_grows():
        write_whole(tmp_path / "file", b"second")
    assert (tmp_path / "file").read_bytes() == b"first"
    assert names(tmp_path) == ["file"]


def test_a_full_disk_leaves_the_former_file_and_nothing_else(small_disk: Path) -> None:
    write_whole(small_disk / "file", b"first")
    filler = fill(small_disk)
    with pytest.raises(OSError, match="No space left"):
        write_whole(small_disk / "file", b"second" * 10_000)
    assert (small_disk / "file").read_bytes() == b"first"
    assert names(small_disk) == ["file", "filler"]
    filler.unlink()
    write_whole(small_disk / "file", b"second")
    assert (small_disk / "file").read_bytes() == b"second"


def test_an_error_in_the_block_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "file") as staging:
        staging.write_text((tmp_path / "missing").read_text())
    with pytest.raises(FileNotFoundError), staging_folder(tmp_path) as folder:
        (folder / "part").write_text((tmp_path / "missing").read_text())
    assert names(tmp_path) == []


def test_what_a_killed_writer_left_goes_with_the_next_write(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED_WHILE_WRITING, str(tmp_path)]
    assert subprocess.run(command).returncode == -signal.SIGKILL
    assert len(list(tmp_path.glob(STAGED))) == 2
    write_whole(tmp_path / "file", b"whole")
    assert names(tmp_path) == ["file"]


def test_what_another_writer_is_at_work_on_stays(tmp_path: Path) -> None:
    with replacing(tmp_path / "slow") as slow, staging_folder(tmp_path) as folder:
        slow.write_text("slow")
        write_whole(tmp_path / "quick", b"quick")
        sweep(tmp_path)
        assert slow.exists()
        assert folder.exists()
    assert names(tmp_path) == ["quick", "slow"]


def test_many_writers_into_one_folder_all_succeed(tmp_path: Path) -> None:
    """Each sweeps while others begin."""
    failed: list[BaseException] = []

    def write(number: int) -> None:
        try:
            for turn in range(100):
                write_whole(tmp_path / f"{number}", f"{turn}".encode())
        except BaseException as error:
            failed.append(error)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert failed == []
    assert {(tmp_path / name).read_text() for name in names(tmp_path)} == {"99"}
    assert len(names(tmp_path)) == 4


def test_files_of_others_are_not_swept(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / f"{STAGED[:-1]}pipe")  # opened without waiting for its writer
    for name in ("file", ".hidden", ".staging-x"):
        (tmp_path / name).write_text("somebody's")
    sweep(tmp_path)
    assert names(tmp_path) == [".hidden", ".staging-x", "file"]


def test_what_is_swept_before_it_is_locked_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another writer looks through the folder just when a file or folder was made."""
    flock, swept = files.fcntl.flock, list[str]()

    def late(handle: int, kind: int) -> None:
        if kind == files.fcntl.LOCK_SH and not swept:
            swept.extend(path.name for path in tmp_path.glob(STAGED))
            monkeypatch.setattr(files.fcntl, "flock", flock)
            sweep(tmp_path)
            monkeypatch.setattr(files.fcntl, "flock", late)
        flock(handle, kind)

    monkeypatch.setattr(files.fcntl, "flock", late)
    write_whole(tmp_path / "file", b"whole")
    assert len(swept) == 1
    swept.clear()
    with staging_folder(tmp_path) as folder:
        (folder / "part").write_text("there")
    assert len(swept) == 1
    assert names(tmp_path) == ["file"]
