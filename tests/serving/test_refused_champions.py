"""A champion that can't be opened is told once, looked at again later, and taken up when the reason
has passed."""

import contextlib
import logging
import os
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from potluck.contract.manifest import write_manifest
from potluck.scoring import check
from potluck.scoring.bundle import BUNDLE_FILES, GOLDEN_FILE, MODEL_FILE
from potluck.scoring.releases import Release, Releases
from serving.metrics import CHAMPION_REFUSED, REFUSED_BUNDLES
from serving.online.store import OnlineStore
from serving.services.champions import Champions
from serving.services.refused_champions import FIRST_PAUSE, LONGEST_PAUSE, Refusals


class Clock:
    """Seconds that a test lets pass."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def releases(iris: Any, tmp_path: Path) -> Releases:
    """A copy of the home's releases that a test may spoil."""
    shutil.copytree(iris.settings.releases, tmp_path / "releases")
    return Releases(tmp_path / "releases")


@pytest.fixture
def champions(iris: Any, releases: Releases, clock: Clock) -> Champions:
    return Champions(releases, OnlineStore(iris.settings), clock)


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The bundles that were checked in a child process, each time."""
    checked: list[Path] = []
    real = check.check_in_child

    def note(folder: Path) -> int:
        checked.append(folder)
        return real(folder)

    monkeypatch.setattr(check, "check_in_child", note)
    return checked


def bundle_of(releases: Releases, service: str) -> Path:
    return releases.bundles / releases.champion(service).digest


def counted(service: str) -> float:
    return float(REFUSED_BUNDLES.labels(service)._value.get())


def is_refused(service: str) -> bool:
    return bool(CHAMPION_REFUSED.labels(service)._value.get())


def spoilt(releases: Releases, service: str) -> Release:
    """A bundle whose digests hold and whose check does not, promoted."""
    former = releases.champion(service)
    copy = releases.bundles / "copy"
    shutil.copytree(releases.bundles / former.digest, copy)
    (copy / GOLDEN_FILE).write_text("{}")
    digest = write_manifest(copy, BUNDLE_FILES)
    copy.rename(releases.bundles / digest)
    release = Release(service, digest, "spoilt")
    releases.promote(release)
    return release


def test_a_refused_bundle_is_not_checked_every_second(
    iris: Any,
    releases: Releases,
    champions: Champions,
    clock: Clock,
    checks: list[Path],
    caplog: pytest.LogCaptureFixture,
) -> None:
    service = iris.repo.hybrid
    champions.look()
    former, before = champions.live.predictor(service), counted(service)
    spoilt(releases, service)
    pauses = []
    for _ in range(12):
        champions.look()
        done, began = len(checks), clock.now
        while len(checks) == done:
            clock.now += 1
            champions.look()
        pauses.append(clock.now - began)
    assert pauses[:4] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE, 8 * FIRST_PAUSE]
    assert pauses[-1] == LONGEST_PAUSE
    assert champions.live.predictor(service) is former
    assert counted(service) == before + 1
    assert is_refused(service)
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(told) == 1
    assert f"refused the champion of {service}" in told[0]
    assert "goes on serving" in told[0]


def test_another_promotion_ends_the_pause(
    iris: Any, releases: Releases, champions: Champions
) -> None:
    service = iris.repo.hybrid
    healthy = releases.champion(service)
    champions.look()
    release = spoilt(releases, service)
    champions.look()
    assert is_refused(service)
    releases.promote(Release(service, healthy.digest, "2"))
    champions.look()
    assert champions.live.predictor(service).release.model_version == "2"
    assert not is_refused(service)
    before = counted(service)
    releases.promote(release)
    champions.look()
    assert counted(service) == before + 1, "the same bundle promoted again is refused again"


def test_a_refusal_keeps_no_other_service_from_going_live(
    iris: Any, releases: Releases, champions: Champions
) -> None:
    spoilt(releases, iris.repo.hybrid)
    champions.look()
    assert set(champions.live.predictors) == {iris.repo.realtime}
    releases.promote(Release(iris.repo.realtime, releases.champion(iris.repo.realtime).digest, "2"))
    champions.look()
    assert champions.live.predictor(iris.repo.realtime).release.model_version == "2"


def test_a_volume_that_is_still_being_copied_is_taken_up_when_it_is_whole(
    iris: Any, releases: Releases, champions: Champions
) -> None:
    service = iris.repo.hybrid
    model = bundle_of(releases, service) / MODEL_FILE
    text = model.read_bytes()
    model.write_bytes(text[: len(text) // 2])
    champions.look()
    assert service not in champions.live.predictors
    model.write_bytes(text)
    champions.look()
    assert service in champions.live.predictors
    assert not is_refused(service)


def test_too_many_open_files_pass(
    iris: Any, releases: Releases, champions: Champions, clock: Clock
) -> None:
    shutil.rmtree(releases.receipts)
    with no_handle_left():
        champions.look()
        assert champions.live.predictors == {}
    clock.now += LONGEST_PAUSE
    champions.look()
    assert set(champions.live.predictors) == {iris.repo.hybrid, iris.repo.realtime}


def test_a_check_that_found_no_handle_is_made_again(
    iris: Any,
    releases: Releases,
    champions: Champions,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The digests could be read, but no child process could be started."""
    shutil.rmtree(releases.receipts)
    real = check.subprocess.run

    def without_handles(*arguments: Any, **options: Any) -> Any:
        with no_handle_left():
            return real(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(check.subprocess, "run", without_handles)
        champions.look()
    assert champions.live.predictors == {}
    assert is_refused(iris.repo.hybrid)
    clock.now += FIRST_PAUSE
    champions.look()
    assert set(champions.live.predictors) == {iris.repo.hybrid, iris.repo.realtime}


def test_a_check_that_took_too_long_is_made_again(
    iris: Any,
    releases: Releases,
    champions: Champions,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.rmtree(releases.receipts)
    with monkeypatch.context() as patch:
        patch.setattr(check, "CHECK_SECONDS", 0.001)
        champions.look()
    assert champions.live.predictors == {}
    clock.now += FIRST_PAUSE
    champions.look()
    assert iris.repo.hybrid in champions.live.predictors


def test_a_home_that_is_gone_takes_no_service_with_it(
    iris: Any, releases: Releases, champions: Champions, caplog: pytest.LogCaptureFixture
) -> None:
    champions.look()
    served = set(champions.live.predictors)
    away = releases.champions.parent.rename(releases.champions.parent.with_name("away"))
    for _ in range(3):
        champions.look()
    assert set(champions.live.predictors) == served
    assert caplog.text.count("looking for promoted bundles failed") == 1
    away.rename(releases.champions.parent)
    releases.retire(iris.repo.hybrid)
    champions.look()
    assert set(champions.live.predictors) == served - {iris.repo.hybrid}


@contextlib.contextmanager
def no_handle_left() -> Iterator[None]:
    """This process may open nothing more."""
    former = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, former)


def test_an_error_that_nobody_foresaw_keeps_no_other_service_from_going_live(
    iris: Any, releases: Releases, champions: Champions, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Releases.open

    def broken(self: Releases, release: Release) -> Any:
        if release.service == iris.repo.hybrid:
            raise ZeroDivisionError("nobody foresaw this")
        return opened(self, release)

    monkeypatch.setattr(Releases, "open", broken)
    champions.look()
    assert set(champions.live.predictors) == {iris.repo.realtime}
    assert is_refused(iris.repo.hybrid)


def test_a_refusal_for_another_reason_begins_with_a_short_pause() -> None:
    now = [0.0]
    refusals = Refusals(lambda: now[0])
    for _ in range(4):
        refusals.add("shop", "traces", "damaged", "nothing is served")
    assert refusals.of["shop"].pause == FIRST_PAUSE * 8
    refusals.add("shop", "traces", "gone", "nothing is served")
    assert refusals.of["shop"].pause == FIRST_PAUSE
