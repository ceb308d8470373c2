"""The log on object storage: two homes, one bucket, and a server that may be away."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from s3_server import SECRET, S3Server, hanging

from monitoring.decode.decoder import Decoder, open_decoder
from monitoring.decode.limit import EXIT_CODE
from monitoring.erase import erase_rows
from monitoring.parts import part_files
from monitoring.query import ask, open_log
from monitoring.reconcile import reconcile
from monitoring.retention import remove_old
from potluck.contract.errors import UsageError
from potluck.contract.secrets import masked
from potluck.contract.settings import Settings
from potluck.inference_log.counts import WorkerCounts
from potluck.inference_log.frames import make_frame, pack_rows
from potluck.inference_log.layout import LogLayout, segments_bytes
from potluck.inference_log.rows import LoggedRow
from potluck.inference_log.segments import SegmentWriter

DAY, NEXT_DAY = 1_790_000_000.0, 1_790_100_000.0
FOLLOW = "import monitoring.decode.follow as f; f.PASS_SECONDS = 1.0; f.main()"


@pytest.fixture
def s3() -> Iterator[S3Server]:
    server = S3Server()
    server.start()
    yield server
    server.end()


@pytest.fixture
def homes(s3: S3Server, tmp_path: Path) -> list[Settings]:
    """Two that log to one bucket."""
    return [Settings(home=tmp_path / name, inference_log_url=s3.url) for name in ("one", "two")]


def write(settings: Settings, *ids: str, at: float = DAY) -> None:
    """Answer rows as a worker that then ends."""
    counts = WorkerCounts()
    writer = SegmentWriter(LogLayout(settings.home), counts)
    rows = [
        LoggedRow("shop", None, "1", "precomputed", each, None, at, 0.01, {"id": each})
        for each in ids
    ]
    counts.add_answered(len(rows))
    packed = pack_rows([row.as_tuple() for row in rows])
    writer.append(make_frame(packed, counts.answered, counts.dropped))
    writer.close()


def answer(settings: Settings, *ids: str, at: float = DAY) -> Decoder:
    """Answer rows, and decode them."""
    write(settings, *ids, at=at)
    decoder = open_decoder(settings)
    decoder.decode_all()
    return decoder


def logged(settings: Settings) -> list[str]:
    connection = open_log(part_files(settings))
    return [row[0] for row in ask(connection, "select request_id from log order by 1").rows]


def adds_up(settings: Settings) -> bool:
    decoder = open_decoder(settings)
    return reconcile(decoder.layout, decoder.parts).adds_up


def test_both_homes_see_the_rows_of_both_and_a_tail_grows(homes: list[Settings]) -> None:
    one, two = homes
    answer(one, "a")
    answer(two, "b")
    decoder = answer(one, "c")
    assert logged(one) == logged(two) == ["a", "b", "c"]
    assert len(decoder.parts.own()) == 1
    assert len(decoder.parts.all()) == 2
    assert adds_up(one)
    assert adds_up(two)


def test_an_entity_is_erased_from_the_files_of_its_own_home(homes: list[Settings]) -> None:
    one, two = homes
    answer(one, "a", "b")
    answer(two, "a")
    assert erase_rows(one, "id", "a").rows == 1
    assert logged(one) == ["a", "b"]
    assert erase_rows(two, "id", "a").rows == 1
    assert logged(two) == ["b"]
    assert adds_up(one)
    assert adds_up(two)


def test_old_days_of_the_own_home_are_removed(homes: list[Settings]) -> None:
    one, two = homes
    answer(two, "other", at=DAY)
    answer(one, "old", at=DAY)
    decoder = answer(one, "new", at=NEXT_DAY)
    today: date = datetime.fromtimestamp(NEXT_DAY, UTC).date()
    keeps_today = one.model_copy(update={"keep_inferences_days": 1})
    assert remove_old(decoder, keeps_today, today) == []
    keeps_one_file = one.model_copy(update={"keep_inferences_bytes": 1})
    assert len(remove_old(decoder, keeps_one_file, today)) == 1
    assert logged(one) == ["new", "other"]
    assert adds_up(one)


def test_a_file_that_is_half_made_never_replaces_a_whole_one(
    homes: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = homes[0]
    answer(one, "a")

    def fail_halfway(table: Any, sink: Any, **others: Any) -> None:
        sink.write(b"PAR1")
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(pq, "write_table", fail_halfway)
        with pytest.raises(MemoryError):
            answer(one, "b")
    assert logged(one) == ["a"]
    open_decoder(one).decode_all()
    assert logged(one) == ["a", "b"]


def test_a_server_that_is_away_leaves_the_segments_and_is_caught_up(
    s3: S3Server, homes: list[Settings]
) -> None:
    s3.end()
    with pytest.raises(OSError, match="connect"):
        answer(homes[0], "a")
    assert segments_bytes(LogLayout(homes[0].home)) > 0
    s3.start()
    open_decoder(homes[0]).decode_all()
    assert logged(homes[0]) == ["a"]
    assert adds_up(homes[0])


def test_a_server_that_hangs_ends_the_decoder_s_process_and_the_next_one_catches_up(
    s3: S3Server, homes: list[Settings]
) -> None:
    one = homes[0]
    write(one, "a")
    s3.end()
    names = {"POTLUCK_HOME": str(one.home), "POTLUCK_INFERENCE_LOG_URL": s3.url}
    command = [sys.executable, "-c", FOLLOW]
    with hanging(s3.port):
        ended = subprocess.run(
            command,
            env={**os.environ, **names},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert ended.returncode == EXIT_CODE
    assert "the log's storage hangs; the segments stay" in ended.stderr
    assert SECRET not in ended.stderr
    assert segments_bytes(LogLayout(one.home)) > 0
    s3.start()
    open_decoder(one).decode_all()
    assert logged(one) == ["a"]


@pytest.mark.parametrize(
    "url",
    [
        f"s3://key:{SECRET}@bucket/log?no_such_option=1",
        f"s3://key:{SECRET}/more@bucket/log",
        f"nowhere://key:{SECRET}@bucket/log",
    ],
)
def test_a_wrong_place_is_told_without_its_password(url: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as raised:
        part_files(Settings(home=tmp_path, inference_log_url=url))
    told = masked(str(raised.value), {"POTLUCK_INFERENCE_LOG_URL": url})
    assert "POTLUCK_INFERENCE_LOG_URL" in told
    assert SECRET not in told
