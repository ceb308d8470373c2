"""`potluck gc` deletes what nobody names, and nothing that it can't decide on."""

import json
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cli.upkeep.gc import collect_garbage
from potluck.contract.errors import Locked
from potluck.contract.lock import shared
from potluck.contract.manifest import write_manifest
from potluck.contract.settings import Settings
from potluck.redis.embedded import ensure_redis, stop_redis
from potluck.scoring.bundle import BUNDLE_FILES
from potluck.scoring.releases import Release, Releases

NOW = datetime.now(UTC)
LONG_AGO = (NOW - timedelta(days=400)).timestamp()


@pytest.fixture
def home(iris: Any, tmp_path: Path) -> Iterator[Path]:
    """A home as it was built, with a Redis of its own; all of it is a year old."""
    home = tmp_path / "home"
    shutil.copytree(iris.as_built, home)
    for path in home.rglob("*"):
        age(path)
    yield home
    stop_redis(Settings(home=home))


def age(path: Path) -> None:
    os.utime(path, (LONG_AGO, LONG_AGO))


def settings(home: Path, **given: Any) -> Settings:
    return Settings(home=home, repo=Path("examples/iris"), **given)


def another_bundle(releases: Releases, service: str) -> Path:
    """A bundle like the champion's, under a digest that nobody names."""
    made = releases.bundles / "made"
    shutil.copytree(releases.bundles / releases.champion(service).digest, made)
    golden = made / "golden.json"
    golden.write_text(golden.read_text() + "\n")
    target = releases.bundles / write_manifest(made, BUNDLE_FILES)
    made.rename(target)
    (releases.receipts / f"{target.name[:32]}-0123456789abcdef.json").write_text("{}")
    for path in (target, *releases.receipts.iterdir()):
        age(path)
    return target


def kinds(found: dict[str, Any]) -> list[str]:
    return [each["kind"] for each in found["waste"]]


def test_only_a_bundle_that_nobody_names_goes_and_its_receipt_with_it(
    iris: Any, home: Path
) -> None:
    releases = Releases(home / "releases")
    there = {path.name for path in releases.bundles.iterdir()}
    nobodys = another_bundle(releases, iris.repo.hybrid)
    seen = collect_garbage(settings(home), NOW, dry_run=True)
    assert nobodys.is_dir()
    found = collect_garbage(settings(home), NOW, dry_run=False)
    assert {**seen, "dry_run": False} == found
    assert found["undecided"] == []
    assert kinds(found) == ["bundle", "receipt"]
    assert found["waste"][0]["path"] == str(nobodys)
    assert found["bytes"] > 1000
    assert {path.name for path in releases.bundles.iterdir()} == there
    for service in releases.services():
        releases.open(releases.champion(service))
    assert collect_garbage(settings(home), NOW, dry_run=False)["waste"] == []


def test_the_bundle_of_an_alias_stays_and_goes_with_it(iris: Any, home: Path) -> None:
    """A real-time service's, which no run and no publication names."""
    service = iris.repo.realtime
    releases = Releases(home / "releases")
    aliased = releases.bundles / releases.champion(service).digest
    releases.promote(Release(service, another_bundle(releases, service).name, "9"))
    assert kinds(collect_garbage(settings(home), NOW, dry_run=True)) == []

    from training.registry import CHAMPION, Registry

    Registry(settings(home)).unpoint(service, CHAMPION)
    found = collect_garbage(settings(home), NOW, dry_run=True)
    assert [each["path"] for each in found["waste"] if each["kind"] == "bundle"] == [str(aliased)]


def test_what_a_run_or_a_publication_names_stays(iris: Any, home: Path) -> None:
    service = iris.repo.hybrid
    releases = Releases(home / "releases")
    former = releases.champion(service).digest
    releases.promote(Release(service, another_bundle(releases, service).name, "9"))

    from training.registry import CHAMPION, Registry

    Registry(settings(home)).unpoint(service, CHAMPION)
    found = collect_garbage(settings(home, keep_runs=1), NOW, dry_run=False)
    assert "bundle" not in kinds(found)
    assert (releases.bundles / former).is_dir()


def test_a_young_bundle_stays_as_does_one_that_is_laid_down_again(iris: Any, home: Path) -> None:
    releases = Releases(home / "releases")
    bundle = another_bundle(releases, iris.repo.hybrid)
    hour = timedelta(hours=1)
    os.utime(bundle, ((NOW - 23 * hour).timestamp(),) * 2)
    assert kinds(collect_garbage(settings(home), NOW, dry_run=True)) == []
    assert kinds(collect_garbage(settings(home), NOW + 2 * hour, dry_run=True)) == [
        "bundle",
        "receipt",
    ]
    source = home / "source"
    shutil.copytree(bundle, source)
    releases.lay_down(source)
    assert "bundle" not in kinds(collect_garbage(settings(home), NOW + 2 * hour, dry_run=True))


@pytest.mark.parametrize(
    ("away", "said"),
    [
        ({"mlflow_tracking_uri": "http://127.0.0.1:9"}, "MLflow at http://127.0.0.1:9"),
        ({"redis_url": "redis://127.0.0.1:9"}, "online store does not answer"),
    ],
)
def test_who_does_not_answer_is_told_and_everything_that_he_may_name_stays(
    iris: Any, home: Path, away: dict[str, str], said: str
) -> None:
    releases = Releases(home / "releases")
    bundle = another_bundle(releases, iris.repo.hybrid)
    keeping = settings(home, keep_history_days=1, keep_runs=1, **away)
    found = collect_garbage(keeping, NOW, dry_run=False)
    assert said in " ".join(found["undecided"])
    assert bundle.is_dir()
    assert kinds(found) == []


def test_a_champion_file_or_manifest_that_can_not_be_read_keeps_all_bundles(
    iris: Any, home: Path
) -> None:
    releases = Releases(home / "releases")
    bundle = another_bundle(releases, iris.repo.hybrid)
    champion = releases.champions / f"{iris.repo.realtime}.json"
    whole = champion.read_bytes()
    champion.write_bytes(whole[:20])
    found = collect_garbage(settings(home), NOW, dry_run=False)
    assert f"the champion file of {iris.repo.realtime} can't be read" in found["undecided"][0]
    champion.write_bytes(whole)
    manifest = next(home.glob("runs/*/*/manifest.json"))
    manifest.write_text("{")
    assert str(manifest) in " ".join(
        collect_garbage(settings(home), NOW, dry_run=False)["undecided"]
    )
    assert bundle.is_dir()


def earlier_runs(home: Path, service: str, count: int) -> list[Path]:
    """Copies of the last run's folder under names of their own."""
    last = next((home / "runs" / service).iterdir())
    made = []
    for number in range(count):
        folder = last.with_name(f"earlier-{number}")
        shutil.copytree(last, folder)
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest |= {"run_id": folder.name, "started_at": f"2020-01-0{number + 1}T00:00:00Z"}
        (folder / "manifest.json").write_text(json.dumps(manifest))
        age(folder)
        made.append(folder)
    return made


def test_runs_beyond_the_number_that_is_kept_go(iris: Any, home: Path) -> None:
    earlier = earlier_runs(home, iris.repo.batch, 3)
    assert kinds(collect_garbage(settings(home), NOW, dry_run=False)) == []
    found = collect_garbage(settings(home, keep_runs=2), NOW, dry_run=False)
    assert [each["path"] for each in found["waste"]] == [str(path) for path in earlier[:2]]
    assert [path.exists() for path in earlier] == [False, False, True]


def test_history_is_kept_for_ever_unless_a_setting_says_otherwise(home: Path) -> None:
    published = next(home.glob("data/iris/*.parquet/2026*Z.parquet"))
    old = published.with_name("20200101T000000.000000Z.parquet")
    shutil.copy(published, old)
    age(old)
    assert kinds(collect_garbage(settings(home), NOW, dry_run=False)) == []
    later = NOW + timedelta(days=3650)
    found = collect_garbage(settings(home, keep_history_days=30), later, dry_run=False)
    assert [each["path"] for each in found["waste"] if each["kind"] == "history"] == [str(old)]
    assert published.exists(), "it is read by `export` and by the next night"


def test_traces_and_leftovers_go_and_young_ones_stay(home: Path) -> None:
    (home / "logs").mkdir(exist_ok=True)
    old, young = home / "logs" / "old.log", home / "logs" / "young.log"
    left = home / "releases" / "bundles" / ".staging-killed"
    left.mkdir()
    (left / "model.txt").write_text("half")
    for path in (old, young):
        path.write_text("trace")
    for path in (old, left):
        age(path)
    found = collect_garbage(settings(home), NOW, dry_run=False)
    assert sorted(kinds(found)) == ["leftover", "log"]
    assert [path.exists() for path in (old, young, left)] == [False, True, False]


def test_replaced_sources_stay_until_a_setting_says_otherwise(home: Path) -> None:
    replaced = home / "data" / "iris" / ".replaced"
    replaced.mkdir(exist_ok=True)
    age(replaced)
    assert kinds(collect_garbage(settings(home), NOW, dry_run=False)) == []
    found = collect_garbage(settings(home, keep_replaced_days=30), NOW, dry_run=False)
    assert kinds(found) == ["replaced"]
    assert not replaced.exists()


def test_it_does_not_run_while_a_bundle_is_laid_down(home: Path) -> None:
    with shared(Releases(home / "releases").lock), pytest.raises(Locked):
        collect_garbage(settings(home), NOW, dry_run=False)
    collect_garbage(settings(home), NOW, dry_run=True)


def test_the_verb_tells_what_it_did(iris: Any, home: Path) -> None:
    bundle = another_bundle(Releases(home / "releases"), iris.repo.hybrid)
    ensure_redis(settings(home))

    from dataclasses import replace

    stack = replace(iris, home=home)
    dry = stack.verb("gc", "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert f"bundle {bundle}: no champion" in dry.stdout
    assert "would delete 2 files and folders" in dry.stdout
    told = json.loads(stack.verb("gc", "--json").stdout)
    assert kinds(told) == ["bundle", "receipt"]
    assert stack.verb("gc").stdout == "nothing to delete\n"
