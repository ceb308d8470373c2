"""A worker's segments and counters: what a full disk, and a killed worker, leave."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from disks import fill, no_file_grows

from potluck.inference_log.counts import Counts, WorkerCounts, is_alive, read_counts
from potluck.inference_log.frames import make_frame, pack_rows, read_frames
from potluck.inference_log.layout import LogLayout, segments_bytes, segments_of
from potluck.inference_log.rows import LoggedRow
from potluck.inference_log.segments import SEGMENT_BYTES, SegmentWriter

ONE = LoggedRow("shop", None, "1", "precomputed", "a", None, 1.5, 0.01, {"id": 7}).as_tuple()
FRAME = make_frame(pack_rows([ONE]), 1, 0)

KILLED = """
import os, signal, sys
from pathlib import Path
from potluck.inference_log.counts import WorkerCounts
from potluck.inference_log.layout import LogLayout
from potluck.inference_log.segments import SegmentWriter
counts = WorkerCounts()
counts.add_answered(3)
writer = SegmentWriter(LogLayout(Path(sys.argv[1])), counts)
writer.append(b"x")
counts.add_answered(4)
counts.add_dropped(2)
print("counted", flush=True)
signal.pause()
"""


@pytest.fixture
def layout(tmp_path: Path) -> LogLayout:
    return LogLayout(tmp_path)


@pytest.fixture
def writer(layout: LogLayout) -> SegmentWriter:
    return SegmentWriter(layout, WorkerCounts())


def frames_of(layout: LogLayout) -> int:
    (folder,) = layout.worker_folders()
    return sum(len([*read_frames(path.read_bytes())]) for path in segments_of(folder))


def test_a_killed_worker_leaves_its_last_count_and_is_not_alive(layout: LogLayout) -> None:
    command = [sys.executable, "-c", KILLED, str(layout.folder.parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"counted\n"
        (folder,) = layout.worker_folders()
        assert is_alive(folder)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert not is_alive(folder)
    assert read_counts(folder) == Counts(7, 2)


def test_a_worker_that_ended_is_not_alive(layout: LogLayout, writer: SegmentWriter) -> None:
    writer.append(FRAME)
    (folder,) = layout.worker_folders()
    assert is_alive(folder)
    writer.close()
    assert not is_alive(folder)


def test_a_full_disk_takes_no_part_of_a_frame(layout: LogLayout, writer: SegmentWriter) -> None:
    writer.append(FRAME)
    with no_file_grows(), pytest.raises(OSError, match=r"too large|wrote"):
        writer.append(FRAME)
    writer.append(FRAME)
    assert frames_of(layout) == 2


def test_a_real_full_disk_takes_no_part_of_a_frame(small_disk: Path) -> None:
    layout = LogLayout(small_disk)
    writer = SegmentWriter(layout, WorkerCounts())
    writer.append(FRAME)
    filler = fill(small_disk)
    long = make_frame(pack_rows([("x" * 10_000,)]), 2, 0)
    with pytest.raises(OSError, match=r"No space|wrote"):
        writer.append(long)
    (folder,) = layout.worker_folders()
    assert segments_of(folder)[0].stat().st_size == len(FRAME)
    filler.unlink()
    writer.append(long)
    assert segments_of(folder)[0].stat().st_size == len(FRAME) + len(long)
    writer.close()


def test_a_folder_that_can_not_be_made_leaves_nothing_and_is_tried_again(
    layout: LogLayout, writer: SegmentWriter
) -> None:
    with no_file_grows(), pytest.raises(OSError, match="too large"):
        writer.append(FRAME)
    assert list(layout.workers.iterdir()) == []
    writer.append(FRAME)
    assert frames_of(layout) == 1


def test_a_large_segment_is_closed_and_another_begun(
    layout: LogLayout, writer: SegmentWriter
) -> None:
    large = make_frame(pack_rows([("x" * SEGMENT_BYTES,)]), 1, 0)
    writer.append(large)
    writer.append(FRAME)
    (folder,) = layout.worker_folders()
    assert [path.stat().st_size for path in segments_of(folder)] == [len(large), len(FRAME)]
    assert segments_bytes(layout) == len(large) + len(FRAME)
