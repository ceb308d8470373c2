"""The worker's side of the inference log: bounded, counted, and never in a request's way."""

import asyncio
import os
from pathlib import Path

import pytest
from disks import no_file_grows

from potluck.contract.settings import Settings
from potluck.inference_log.counts import read_counts
from potluck.inference_log.frames import read_frames
from potluck.inference_log.layout import LogLayout, segments_of
from potluck.inference_log.rows import LoggedRow
from serving.log import recorder as recorder_module
from serving.log.recorder import NoRecorder, SegmentRecorder, recorder_for


def row(request_id: str, text: str = "x") -> LoggedRow:
    return LoggedRow(
        "shop", None, "1", "precomputed", request_id, None, 1.5, 0.01, {"id": text + request_id}
    )


@pytest.fixture
def layout(tmp_path: Path) -> LogLayout:
    return LogLayout(tmp_path)


def written(layout: LogLayout) -> list[str]:
    """The request ids in the segments."""
    (folder,) = layout.worker_folders()
    frames = [frame for path in segments_of(folder) for frame in read_frames(path.read_bytes())]
    return [each.request_id for frame in frames for each in frame.rows]


def counts(layout: LogLayout) -> tuple[int, int]:
    """Answered, dropped."""
    (folder,) = layout.worker_folders()
    found = read_counts(folder)
    return found.answered, found.dropped


async def record(recorder: SegmentRecorder, *rows: LoggedRow) -> None:
    """Record rows, and end."""
    recorder.start()
    for each in rows:
        recorder.add(each)
    await recorder.close()


def test_what_was_answered_before_the_end_is_written(layout: LogLayout) -> None:
    ids = [str(number) for number in range(200)]
    recorder = SegmentRecorder(layout, disk_bytes=1 << 30)
    asyncio.run(record(recorder, *map(row, ids)))
    assert written(layout) == ids
    assert counts(layout) == (200, 0)


def test_a_row_waits_for_no_other(layout: LogLayout) -> None:
    async def answer_one() -> list[str]:
        recorder = SegmentRecorder(layout, disk_bytes=1 << 30)
        recorder.start()
        recorder.add(row("a"))
        while not layout.worker_folders() or not written(layout):
            await asyncio.sleep(0.01)
        found = written(layout)
        await recorder.close()
        return found

    assert asyncio.run(asyncio.wait_for(answer_one(), 30)) == ["a"]


def test_more_than_memory_holds_is_dropped_and_counted(
    layout: LogLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "MEMORY_BYTES", 50_000)
    recorder = SegmentRecorder(layout, disk_bytes=1 << 30)

    async def answer_all() -> None:
        for number in range(640):  # nobody writes yet
            recorder.add(row(str(number), "x" * 200))
        recorder.start()
        await recorder.close()

    asyncio.run(answer_all())
    answered, dropped = counts(layout)
    assert answered == 640
    assert 0 < len(written(layout)) == 640 - dropped < 640
    assert written(layout) == [str(number) for number in range(640 - dropped)]


def test_a_disk_that_is_full_for_a_while_costs_no_row(
    layout: LogLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.log.writer.RETRY_SECONDS", 0.01)
    recorder = SegmentRecorder(layout, disk_bytes=1 << 30)

    async def answer_all() -> None:
        recorder.start()
        with no_file_grows():
            for number in range(100):
                recorder.add(row(str(number)))
            recorder.seal()
            while not recorder.thread.failure:
                await asyncio.sleep(0.01)
        await recorder.close()

    asyncio.run(answer_all())
    assert written(layout) == [str(number) for number in range(100)]
    assert counts(layout) == (100, 0)


def test_a_disk_that_stays_full_ends_no_server_and_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.log.writer.RETRY_SECONDS", 0.01)
    (tmp_path / "inferences").write_text("in the way")
    recorder = SegmentRecorder(LogLayout(tmp_path), disk_bytes=1 << 30)
    asyncio.run(record(recorder, row("a"), row("b")))
    assert (recorder.counts.answered, recorder.counts.dropped) == (2, 2)
    assert "Not a directory" in recorder.thread.failure or "File exists" in recorder.thread.failure


def test_segments_that_nobody_decodes_are_bounded(
    layout: LogLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.log.writer.LOOK_SECONDS", 0.0)
    recorder = SegmentRecorder(layout, disk_bytes=20_000)
    asyncio.run(record(recorder, *(row(str(number), "x" * 100) for number in range(640))))
    answered, dropped = counts(layout)
    assert answered == 640
    assert dropped > 0
    assert len(written(layout)) == 640 - dropped
    (folder,) = layout.worker_folders()
    assert sum(path.stat().st_size for path in segments_of(folder)) < 40_000


def test_a_row_that_can_not_be_packed_is_dropped_with_its_frame_and_counted(
    layout: LogLayout,
) -> None:
    wrong = row("b")._replace(record={"id": object()})  # type: ignore[dict-item]
    recorder = SegmentRecorder(layout, disk_bytes=1 << 30)

    async def answer_all() -> None:
        recorder.start()
        recorder.add(wrong)
        recorder.seal()
        recorder.add(row("c"))
        await recorder.close()

    asyncio.run(answer_all())
    assert written(layout) == ["c"]
    assert counts(layout) == (2, 1)


def test_what_segments_hold_is_for_the_owner_alone(layout: LogLayout) -> None:
    recorder = SegmentRecorder(layout, disk_bytes=1 << 30)
    asyncio.run(record(recorder, row("a")))
    (folder,) = layout.worker_folders()
    assert os.stat(folder).st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.iterdir())


def test_the_log_is_on_unless_it_is_switched_off(tmp_path: Path) -> None:
    assert isinstance(recorder_for(Settings(home=tmp_path)), SegmentRecorder)
    assert isinstance(recorder_for(Settings(home=tmp_path, inference_log=False)), NoRecorder)
