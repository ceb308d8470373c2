"""Every state file and key carries its format; without one it is the first, and a newer one is
refused."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from batch.profile import PROFILE, Profile
from batch.runs import MANIFEST, Manifest, Runs
from cli.backup import BACKUP, Backup
from cli.nights import RECORD, Record, read_record
from potluck.contract.errors import BundleError, NewerFormat, PotluckError
from potluck.contract.feed import FEED, Feed, read_feed
from potluck.contract.formats import NEWEST
from potluck.contract.publication import POINTER, Pointer, read_pointer
from potluck.scoring.releases import RELEASE, Release, Releases

THEN = datetime(2026, 1, 1, tzinfo=UTC)
MANIFEST_OF_A_RUN = Manifest("s", "m", "1", "digest", "run", THEN, THEN)
STATES: dict[str, tuple[TypeAdapter[Any], Any]] = {
    "pointer": (POINTER, Pointer("a", "run", THEN, "1", 3)),
    "feed": (FEED, Feed(THEN, {"view": ("feature",)})),
    "champion": (RELEASE, Release("s", "digest", "1")),
    "manifest": (MANIFEST, MANIFEST_OF_A_RUN),
    "profile": (PROFILE, Profile("run", 3, 0.0, 1.0, (), {})),
    "schedule": (RECORD, Record(THEN)),
    "backup": (BACKUP, Backup("0.1.0", THEN, "/home", {}, [])),
}


def written(name: str, **changes: Any) -> bytes:
    adapter, state = STATES[name]
    return json.dumps({**json.loads(adapter.dump_json(state)), **changes}).encode()


@pytest.mark.parametrize("name", STATES)
def test_what_is_written_carries_its_format(name: str) -> None:
    assert json.loads(written(name))["format"] == NEWEST


@pytest.mark.parametrize("name", STATES)
def test_what_was_written_before_there_was_one_is_read(name: str) -> None:
    adapter, state = STATES[name]
    former = json.loads(written(name))
    del former["format"]
    assert adapter.validate_json(json.dumps(former)) == state


@pytest.mark.parametrize("name", STATES)
def test_a_field_that_nobody_knows_is_passed_over(name: str) -> None:
    adapter, state = STATES[name]
    assert adapter.validate_json(written(name, of_a_newer_minor={"a": [1]})) == state


@pytest.mark.parametrize("name", STATES)
def test_a_newer_format_is_refused_in_one_sentence(name: str) -> None:
    with pytest.raises(
        NewerFormat, match="found format 2, which a newer Potluck wrote; upgrade Potluck"
    ):
        STATES[name][0].validate_json(written(name, format=NEWEST + 1))


def read_champion(folder: Path) -> object:
    (folder / "champions").mkdir()
    (folder / "champions" / "s.json").write_bytes(written("champion", format=2))
    return Releases(folder).champion("s")


def read_manifest(folder: Path) -> object:
    path = folder / "runs" / "s" / "run" / "manifest.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(written("manifest", format=2))
    return Runs(folder, "s").folder("run").read()


def read_schedule(folder: Path) -> object:
    (folder / "schedule.json").write_bytes(written("schedule", format=2))
    return read_record(folder / "schedule.json")


@pytest.mark.parametrize(
    ("read", "error"),
    [
        (read_champion, BundleError),
        (read_manifest, NewerFormat),
        (read_schedule, NewerFormat),
        (lambda _: read_pointer(written("pointer", format=2)), NewerFormat),
    ],
)
def test_no_reader_takes_a_newer_state_for_a_damaged_one(
    tmp_path: Path, read: Callable[[Path], object], error: type[PotluckError]
) -> None:
    with pytest.raises(error, match="upgrade Potluck"):
        read(tmp_path)


def test_a_feed_of_a_newer_version_tells_a_server_nothing() -> None:
    assert read_feed(written("feed", format=2)) is None
    assert read_feed(written("feed")) is not None


def test_a_receipt_carries_its_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from potluck.scoring import check

    folder, receipts = tmp_path / "bundle", tmp_path / "receipts"
    monkeypatch.setattr(check, "verify_manifest", lambda _: ())
    monkeypatch.setattr(check, "bundle_digest", lambda _: "d" * 64)
    monkeypatch.setattr(check, "check_in_child", lambda _: 3)
    check.admit(folder, receipts)
    (receipt,) = receipts.iterdir()
    assert json.loads(receipt.read_bytes())["format"] == NEWEST
