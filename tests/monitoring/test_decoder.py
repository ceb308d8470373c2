"""The decoder: every row once, whatever happens between two of its steps."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from disks import no_file_grows

from monitoring.decode.decoder import Decoder, open_decoder
from monitoring.query import ask, open_log
from monitoring.reconcile import Reconciliation, reconcile
from potluck.contract.settings import Settings
from potluck.inference_log.counts import WorkerCounts
from potluck.inference_log.frames import make_frame, pack_rows
from potluck.inference_log.layout import LogLayout, segments_of
from potluck.inference_log.rows import LoggedRow
from potluck.inference_log.segments import SegmentWriter

DAY, NEXT_DAY = 1_790_000_000.0, 1_790_100_000.0


class Worker:
    """A worker that answers look-ups."""

    def __init__(self, home: Path) -> None:
        self.counts = WorkerCounts()
        self.writer = SegmentWriter(LogLayout(home), self.counts)

    def answer(self, *ids: str, service: str = "shop", at: float = DAY, **others: Any) -> None:
        """Answer rows, and write them."""
        rows = [
            LoggedRow(
                service, None, "1", "precomputed", each, None, at, 0.01, {"id": each}, **others
            )
            for each in ids
        ]
        self.counts.add_answered(len(rows))
        self.write(rows)

    def write(self, rows: list[LoggedRow]) -> None:
        packed = pack_rows([row.as_tuple() for row in rows])
        self.writer.append(make_frame(packed, self.counts.answered, self.counts.dropped))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


@pytest.fixture
def worker(settings: Settings) -> Worker:
    return Worker(settings.home)


def logged(settings: Settings) -> list[str]:
    """The request ids in the log."""
    parts = open_decoder(settings).parts
    return [row[0] for row in ask(open_log(parts), "select request_id from log order by 1").rows]


def reconciled(settings: Settings) -> Reconciliation:
    decoder = open_decoder(settings)
    return reconcile(decoder.layout, decoder.parts)


def counts_of(found: Reconciliation) -> tuple[int, int, int, int]:
    return found.answered, found.logged, found.dropped, found.lost


def test_what_a_living_worker_wrote_is_logged_as_it_goes_on(
    settings: Settings, worker: Worker
) -> None:
    decoder = open_decoder(settings)
    worker.answer("a", "b")
    assert decoder.decode_all() == 2
    worker.answer("c")
    assert decoder.decode_all() == 1
    assert decoder.decode_all() == 0
    assert logged(settings) == ["a", "b", "c"]
    assert counts_of(reconciled(settings)) == (3, 3, 0, 0)


def test_a_worker_that_ended_is_summed_up_and_its_folder_removed(
    settings: Settings, worker: Worker
) -> None:
    worker.answer("a", "b")
    worker.counts.add_answered(3)
    worker.counts.add_dropped(1)
    worker.writer.close()
    decoder = open_decoder(settings)
    decoder.decode_all()
    assert decoder.layout.worker_folders() == []
    assert counts_of(reconciled(settings)) == (5, 2, 1, 2)
    assert reconciled(settings).adds_up
    decoder.decode_all()
    assert counts_of(reconciled(settings)) == (5, 2, 1, 2)


def test_rows_go_to_the_files_of_their_service_and_day(settings: Settings, worker: Worker) -> None:
    worker.answer("a", at=DAY)
    worker.answer("b", at=NEXT_DAY)
    worker.answer("c", service="other", at=DAY)
    decoder = open_decoder(settings)
    decoder.decode_all()
    found = {(part.service, part.day) for part in decoder.parts.all()}
    assert found == {("shop", "2026-09-21"), ("shop", "2026-09-22"), ("other", "2026-09-21")}


class Killed(BaseException):
    """What ends the decoder at once."""


@contextmanager
def killed_at(step: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The decoder is killed before it puts its file number `step` in place, or after its last."""
    import potluck.contract.files as files

    replace, steps = files.os.replace, iter(range(1_000))

    def replace_or_die(source: Any, target: Any) -> None:
        if next(steps) == step:
            raise Killed
        replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(files.os, "replace", replace_or_die)
        yield


@pytest.mark.parametrize("step", range(9))
def test_a_decoder_that_is_killed_at_any_step_logs_every_row_once(
    step: int, settings: Settings, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.answer("a", at=DAY)
    worker.answer("b", at=NEXT_DAY)
    worker.answer("c", service="other")
    with killed_at(step, monkeypatch), suppress(Killed):
        open_decoder(settings).decode_all()
    worker.answer("d", at=DAY)
    worker.writer.close()
    open_decoder(settings).decode_all()
    assert logged(settings) == ["a", "b", "c", "d"]
    assert counts_of(reconciled(settings)) == (4, 4, 0, 0)
    assert reconciled(settings).adds_up


def test_a_full_disk_is_caught_up_when_there_is_room(settings: Settings, worker: Worker) -> None:
    decoder = open_decoder(settings)
    worker.answer("a", "b")
    with no_file_grows(), pytest.raises(OSError, match="too large"):
        decoder.decode_all()
    worker.answer("c")
    open_decoder(settings).decode_all()
    assert logged(settings) == ["a", "b", "c"]
    assert reconciled(settings).adds_up


def test_a_damaged_segment_loses_what_is_behind_and_is_counted(
    settings: Settings, worker: Worker
) -> None:
    worker.answer("a")
    (folder,) = LogLayout(settings.home).worker_folders()
    (segment,) = segments_of(folder)
    end = segment.stat().st_size
    worker.answer("b", "c")
    with segment.open("r+b") as file:
        file.seek(end + 30)
        file.write(b"damage")
    worker.writer.close_segment()
    worker.answer("d")
    worker.writer.close()
    open_decoder(settings).decode_all()
    assert logged(settings) == ["a", "d"]
    assert counts_of(reconciled(settings)) == (4, 2, 0, 2)


def test_a_file_grows_to_its_size_and_another_begins(
    settings: Settings, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitoring.parts.ROWS_OF_A_PART", 3)
    decoder = open_decoder(settings)
    for group in (["a", "b"], ["c"], ["d"], ["e"]):
        worker.answer(*group)
        decoder.decode_all()
    rows = [decoder.parts.footer(part.path).num_rows for part in decoder.parts.all()]
    assert rows == [3, 2]
    assert logged(settings) == ["a", "b", "c", "d", "e"]


def test_answers_of_another_type_begin_another_file(settings: Settings, worker: Worker) -> None:
    decoder = open_decoder(settings)
    worker.answer("a", prediction=1.5)
    decoder.decode_all()
    worker.answer("b", prediction="cheap")
    decoder.decode_all()
    assert len(decoder.parts.all()) == 2
    assert logged(settings) == ["a", "b"]


def test_two_homes_that_log_to_one_folder_do_not_meet(tmp_path: Path) -> None:
    shared = str(tmp_path / "shared")
    homes = [Settings(home=tmp_path / name, inference_log_url=shared) for name in ("one", "two")]
    for settings in homes:
        worker = Worker(settings.home)
        worker.answer(settings.home.name)
        worker.writer.close()
        open_decoder(settings).decode_all()
    assert logged(homes[0]) == ["one", "two"]
    for settings in homes:
        assert reconciled(settings).in_files == 1
        assert reconciled(settings).adds_up


def test_fields_that_are_left_out_or_hashed_never_reach_a_file(tmp_path: Path) -> None:
    for name, options in {
        "left": {"inference_leave_out": "id"},
        "hash": {"inference_hash": " id, "},
    }.items():
        settings = Settings(home=tmp_path / name, **options)
        worker = Worker(settings.home)
        worker.answer("secret-person", "secret-person", "another")
        decoder: Decoder = open_decoder(settings)
        decoder.decode_all()
        for part in decoder.parts.all():
            table = decoder.parts.read(part.service, part.day, part.number)
            if name == "left":
                assert "key_id" not in table.column_names
            else:
                one, same, other = table["key_id"].to_pylist()
                assert one == same != other
                assert "secret" not in one
