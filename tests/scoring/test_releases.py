"""The releases folder: bundles laid down once, champions replaced in one step."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from disks import fill, no_file_grows

from potluck.contract.errors import BundleError, MissingStepError
from potluck.contract.files import STAGED
from potluck.contract.manifest import MANIFEST, bundle_digest, write_manifest
from potluck.scoring.bundle import BUNDLE_FILES, MODEL_FILE
from potluck.scoring.releases import Release, Releases


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path / "releases")


@pytest.fixture
def champion(releases: Releases) -> Release:
    """A champion whose bundle is not there."""
    release = Release("price", "a" * 64, "1")
    releases.promote(release)
    return release


@pytest.fixture(scope="module")
def laid_down_once(parts: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("once")
    parts.write(folder / "bundle")
    return folder / "releases", Releases(folder / "releases").lay_down(folder / "bundle")


@pytest.fixture
def laid_down(releases: Releases, laid_down_once: tuple[Path, str]) -> Release:
    """A champion with its bundle and receipt."""
    folder, digest = laid_down_once
    shutil.copytree(folder, releases.bundles.parent)
    release = Release("price", digest, "1")
    releases.promote(release)
    return release


def files_below(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def test_a_bundle_is_laid_down_under_its_digest_whole(releases: Releases, bundle: Path) -> None:
    (bundle / "MLmodel").write_text("MLflow's own")
    digest = releases.lay_down(bundle)
    assert digest == bundle_digest(bundle)
    assert {path.name for path in (releases.bundles / digest).iterdir()} == {
        *BUNDLE_FILES,
        MANIFEST,
    }
    assert [path.name for path in releases.bundles.iterdir()] == [digest]


def test_laying_down_again_changes_nothing(
    releases: Releases, laid_down: Release, bundle: Path
) -> None:
    before = {path: path.stat().st_mtime_ns for path in files_below(releases.bundles)}
    assert releases.lay_down(bundle) == laid_down.digest
    assert {path: path.stat().st_mtime_ns for path in files_below(releases.bundles)} == before


def test_two_who_lay_down_the_same_bundle_at_once_both_succeed(
    releases: Releases, bundle: Path
) -> None:
    """The watcher and a training may meet."""
    with ThreadPoolExecutor(2) as pool:
        assert len(set(pool.map(releases.lay_down, [bundle, bundle]))) == 1


def test_laying_down_again_heals_a_damaged_copy(
    releases: Releases, laid_down: Release, bundle: Path
) -> None:
    (releases.bundles / laid_down.digest / MODEL_FILE).write_bytes(b"damaged")
    assert releases.lay_down(bundle) == laid_down.digest
    releases.open(laid_down)


def test_a_changed_bundle_leaves_nothing_behind(releases: Releases, bundle: Path) -> None:
    (bundle / MODEL_FILE).write_bytes(b"tree")
    with pytest.raises(BundleError, match="is changed"):
        releases.lay_down(bundle)
    assert list(files_below(releases.bundles.parent)) == []


def test_a_bundle_that_fails_its_check_leaves_nothing_behind(
    releases: Releases, bundle: Path
) -> None:
    text = (bundle / MODEL_FILE).read_bytes()
    (bundle / MODEL_FILE).write_bytes(text[: len(text) // 2])
    write_manifest(bundle, BUNDLE_FILES)
    with pytest.raises(BundleError, match="was refused"):
        releases.lay_down(bundle)
    assert list(releases.bundles.iterdir()) == []
    assert not releases.receipts.exists()


def test_a_service_without_a_champion_says_which_step_is_missing(releases: Releases) -> None:
    assert releases.services() == []
    with pytest.raises(MissingStepError, match="potluck train price"):
        releases.champion("price")


def test_a_promoted_release_is_the_champion(releases: Releases, champion: Release) -> None:
    assert releases.champion("price") == champion
    assert releases.services() == ["price"]


def test_services_have_champions_of_their_own(releases: Releases, champion: Release) -> None:
    other = replace(champion, service="rent", model_version="7")
    releases.promote(other)
    assert releases.champion("price") == champion
    assert releases.champion("rent") == other
    assert releases.services() == ["price", "rent"]


def test_whoever_reads_during_a_promotion_sees_one_champion_or_the_other(
    releases: Releases,
) -> None:
    names = [Release("price", digit * 64, digit) for digit in "ab"]
    releases.promote(names[0])

    def promote_often() -> None:
        for turn in range(150):
            releases.promote(names[turn % 2])

    with ThreadPoolExecutor(1) as pool:
        promoting = pool.submit(promote_often)
        seen = {releases.champion("price")}
        while not promoting.done():
            seen.add(releases.champion("price"))
        promoting.result()
    assert seen <= set(names)
    assert [path.name for path in releases.champions.iterdir()] == ["price.json"]


def test_the_stamp_changes_with_a_champion_and_only_then(
    releases: Releases, champion: Release
) -> None:
    before = releases.stamp()
    assert releases.stamp() == before
    releases.promote(replace(champion, model_version="2"))
    assert releases.stamp() != before


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b'{"service": "price"}', b"\xff"])
def test_a_damaged_champion_file_says_what_to_do(
    releases: Releases, champion: Release, text: bytes
) -> None:
    (releases.champions / "price.json").write_bytes(text)
    with pytest.raises(BundleError, match="potluck pull"):
        releases.champion("price")


def test_a_champion_opens_and_scores(releases: Releases, laid_down: Release, parts: Any) -> None:
    scored = releases.open(laid_down).score(parts.inputs, parts.times)
    assert scored.raw.tobytes() == parts.open().score(parts.inputs, parts.times).raw.tobytes()


def test_a_bundle_without_a_receipt_is_checked_when_it_opens(
    releases: Releases, laid_down: Release
) -> None:
    for receipt in releases.receipts.iterdir():
        receipt.unlink()
    releases.open(laid_down)
    assert len(list(releases.receipts.iterdir())) == 1


def test_a_bundle_that_is_gone_is_refused(releases: Releases, laid_down: Release) -> None:
    with pytest.raises(BundleError, match=MANIFEST):
        releases.open(replace(laid_down, digest="0" * 64))


def test_a_bundle_changed_where_it_lies_is_refused(releases: Releases, laid_down: Release) -> None:
    (releases.bundles / laid_down.digest / MODEL_FILE).write_bytes(b"tree")
    with pytest.raises(BundleError, match="is changed"):
        releases.open(laid_down)


def test_a_bundle_repacked_where_it_lies_is_refused(releases: Releases, laid_down: Release) -> None:
    folder = releases.bundles / laid_down.digest
    functions = folder / "functions.py"
    functions.write_text(functions.read_text() + "\n# one more line\n")
    write_manifest(folder, BUNDLE_FILES)
    with pytest.raises(BundleError, match="manifest"):
        releases.open(laid_down)


def test_a_bundle_of_another_service_is_refused(releases: Releases, laid_down: Release) -> None:
    with pytest.raises(BundleError, match="the champion of rent is a bundle of price"):
        releases.open(replace(laid_down, service="rent"))


def test_a_server_under_another_user_can_read_what_is_laid_down(
    releases: Releases, laid_down: Release
) -> None:
    readable = [path for path in releases.bundles.parent.rglob("*") if path.stat().st_mode & 0o004]
    assert set(readable) == set(releases.bundles.parent.rglob("*"))


def test_a_retired_service_has_no_champion_and_keeps_its_bundle(
    releases: Releases, laid_down: Release
) -> None:
    before = releases.stamp()
    assert releases.retire("price") == laid_down.model_version
    assert releases.services() == []
    assert releases.stamp() != before
    with pytest.raises(MissingStepError):
        releases.champion("price")
    assert (releases.bundles / laid_down.digest / MODEL_FILE).exists()
    releases.promote(laid_down)
    assert releases.champion("price") == laid_down


def test_retiring_what_is_no_service_does_nothing(releases: Releases, champion: Release) -> None:
    assert releases.retire("rent") is None
    assert releases.retire("../champions/price") is None
    assert releases.services() == ["price"]


def test_a_damaged_champion_file_can_be_retired(releases: Releases, champion: Release) -> None:
    (releases.champions / "price.json").write_bytes(b"{}")
    assert releases.retire("price") is None
    assert releases.services() == []


def test_a_champion_that_goes_while_it_is_looked_at_is_no_error(
    releases: Releases, champion: Release
) -> None:
    def come_and_go() -> None:
        for _ in range(300):
            releases.retire("price")
            releases.promote(champion)

    with ThreadPoolExecutor(1) as pool:
        changing = pool.submit(come_and_go)
        while not changing.done():
            releases.stamp()
        changing.result()
    assert releases.stamp()


def test_the_contract_of_a_champion_is_read_without_its_model(
    releases: Releases, laid_down: Release
) -> None:
    (releases.bundles / laid_down.digest / MODEL_FILE).unlink()
    assert releases.contract(laid_down).service == "price"
    with pytest.raises(BundleError, match="can't be read"):
        releases.contract(replace(laid_down, digest="0" * 64))


KILLED_IN_A_PROMOTION = """
import os, signal, sys
from pathlib import Path
from potluck.contract import files
from potluck.scoring.releases import Release, Releases
files.os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
releases = Releases(Path(sys.argv[1]))
if len(sys.argv) == 3:
    releases.lay_down(Path(sys.argv[2]))
else:
    releases.promote(Release("price", "b" * 64, "2"))
"""


def killed(*arguments: Path) -> None:
    """A promotion, or a laying down, that is killed before its rename."""
    command = [sys.executable, "-c", KILLED_IN_A_PROMOTION, *map(str, arguments)]
    assert subprocess.run(command).returncode == -signal.SIGKILL


def staged_below(folder: Path) -> list[Path]:
    return list(folder.rglob(STAGED))


def test_a_killed_promotion_changes_nothing_and_the_next_one_clears_up(
    releases: Releases, champion: Release
) -> None:
    killed(releases.champions.parent)
    assert releases.champion("price") == champion
    assert releases.services() == ["price"]
    assert len(staged_below(releases.champions)) == 1
    releases.promote(replace(champion, model_version="2"))
    assert releases.champion("price").model_version == "2"
    assert staged_below(releases.champions) == []


def test_a_killed_laying_down_leaves_no_bundle_and_the_next_one_clears_up(
    releases: Releases, bundle: Path
) -> None:
    killed(releases.champions.parent, bundle)
    (left,) = releases.bundles.iterdir()
    assert staged_below(releases.bundles) == [left]
    digest = releases.lay_down(bundle)
    assert [path.name for path in releases.bundles.iterdir()] == [digest]
    assert staged_below(releases.receipts) == []


def test_a_promotion_on_a_full_disk_leaves_the_former_champion(
    releases: Releases, champion: Release
) -> None:
    with pytest.raises(OSError, match="File too large"), no_file_grows():
        releases.promote(replace(champion, model_version="2"))
    assert releases.champion("price") == champion
    assert [path.name for path in releases.champions.iterdir()] == ["price.json"]


def test_laying_down_on_a_full_disk_leaves_nothing_behind(small_disk: Path, bundle: Path) -> None:
    releases = Releases(small_disk / "releases")
    filler = fill(small_disk)
    with pytest.raises(OSError, match="No space left"):
        releases.lay_down(bundle)
    assert list(files_below(releases.bundles)) == []
    filler.unlink()
    assert releases.lay_down(bundle) == bundle_digest(bundle)


def test_what_passes_its_check_opens_though_no_receipt_can_be_written(
    releases: Releases, laid_down: Release, bundle: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.rmtree(releases.receipts)
    releases.receipts.write_text("a file where the folder would be")
    assert releases.open(laid_down).contract.service == "price"
    assert "its receipt can't be written" in caplog.text
    assert releases.lay_down(bundle) == laid_down.digest


def test_what_passes_its_check_opens_on_a_full_disk(
    small_disk: Path, laid_down_once: tuple[Path, str]
) -> None:
    folder, digest = laid_down_once
    shutil.copytree(folder, small_disk / "releases")
    releases = Releases(small_disk / "releases")
    shutil.rmtree(releases.receipts)
    fill(small_disk)
    assert releases.open(Release("price", digest, "1")).contract.service == "price"
    assert list(files_below(releases.receipts)) == []


def test_traces_change_with_the_champion_and_with_its_bundle(
    releases: Releases, laid_down: Release
) -> None:
    model = releases.bundles / laid_down.digest / MODEL_FILE
    before = releases.traces("price")
    assert releases.traces("price") == before
    text = model.read_bytes()
    model.unlink()
    without = releases.traces("price")
    model.write_bytes(text)
    releases.promote(replace(laid_down, model_version="2"))
    assert len({before, without, releases.traces("price")}) == 3
    assert releases.traces("nobody") == ()


def test_a_folder_that_can_not_be_listed_is_an_error_and_not_an_empty_one(
    releases: Releases,
) -> None:
    assert releases.stamp() is None
    assert releases.services() == []
    releases.champions.parent.mkdir()
    releases.champions.write_text("a file")
    with pytest.raises(NotADirectoryError):
        releases.services()
