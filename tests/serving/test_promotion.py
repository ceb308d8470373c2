"""A promoted bundle goes live by itself; a corrupt one is refused while the old one goes on
serving."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from potluck.contract.errors import BundleError
from potluck.contract.manifest import write_manifest
from potluck.scoring.bundle import BUNDLE_FILES
from potluck.scoring.releases import Release, Releases

PATIENCE_SECONDS = 30


@pytest.fixture
def releases(iris: Any) -> Iterator[Releases]:
    """The home's releases; the champion is put back afterwards."""
    releases = Releases(iris.settings.releases)
    champion = releases.champion(iris.repo.hybrid)
    yield releases
    releases.promote(champion)
    wait_for(lambda: version(iris) == champion.model_version)


def version(stack: Any) -> str:
    return str(stack.get(f"/services/{stack.repo.hybrid}").json()["model_version"])


def wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


def refused(stack: Any) -> float:
    lines = stack.get("/metrics").text.splitlines()
    found = [
        line
        for line in lines
        if line.startswith("potluck_bundles_refused_total") and stack.repo.hybrid in line
    ]
    return float(found[0].split()[-1]) if found else 0.0


def smuggle(releases: Releases, stack: Any, spoil: Callable[[Path], None]) -> None:
    """Lay a spoilt copy of the champion's bundle down behind the checks' back, and promote it."""
    champion = releases.champion(stack.repo.hybrid)
    copy = releases.bundles / "spoilt"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(releases.bundles / champion.digest, copy)
    spoil(copy)
    releases.promote(Release(stack.repo.hybrid, copy.name, "spoilt"))


def truncate_model(folder: Path) -> None:
    text = (folder / "model.txt").read_bytes()
    (folder / "model.txt").write_bytes(text[: len(text) // 2])


def change_three_bytes(folder: Path) -> None:
    text = bytearray((folder / "model.txt").read_bytes())
    for place in (len(text) // 4, len(text) // 2, len(text) // 4 * 3):
        text[place] ^= 1
    (folder / "model.txt").write_bytes(bytes(text))


def truncate_model_and_sign(folder: Path) -> None:
    truncate_model(folder)
    write_manifest(folder, BUNDLE_FILES)


def another_contract_and_sign(folder: Path) -> None:
    contract = json.loads((folder / "contract.json").read_text())
    contract["columns"] = contract["columns"][:-1]
    (folder / "contract.json").write_text(json.dumps(contract))
    write_manifest(folder, BUNDLE_FILES)


def no_contract_at_all_and_sign(folder: Path) -> None:
    (folder / "contract.json").write_text('{"service": 5}')
    write_manifest(folder, BUNDLE_FILES)


def no_manifest(folder: Path) -> None:
    (folder / "MANIFEST.json").unlink()


@pytest.mark.parametrize(
    "spoil",
    [
        truncate_model,
        change_three_bytes,
        truncate_model_and_sign,
        another_contract_and_sign,
        no_contract_at_all_and_sign,
        no_manifest,
    ],
)
def test_a_corrupt_bundle_is_refused_and_the_old_one_goes_on(
    iris: Any, releases: Releases, spoil: Callable[[Path], None]
) -> None:
    row = iris.population()[0]
    before = iris.post(f"/predict/{iris.repo.hybrid}", row).json()
    times = refused(iris)
    smuggle(releases, iris, spoil)
    wait_for(lambda: refused(iris) > times)
    after = iris.post(f"/predict/{iris.repo.hybrid}", row).json()
    assert (after["prediction"], after["model_version"]) == (
        before["prediction"],
        before["model_version"],
    )
    assert f"refused the champion of {iris.repo.hybrid}" in (iris.home / "server.log").read_text()


@pytest.mark.parametrize(
    "spoil", [truncate_model, truncate_model_and_sign, another_contract_and_sign]
)
def test_a_corrupt_bundle_is_never_laid_down(
    iris: Any, releases: Releases, tmp_path: Path, spoil: Any
) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(releases.bundles / releases.champion(iris.repo.hybrid).digest, folder)
    spoil(folder)
    before = sorted(releases.bundles.iterdir())
    with pytest.raises(BundleError):
        releases.lay_down(folder)
    assert sorted(releases.bundles.iterdir()) == before


def test_a_later_version_waits_as_challenger_until_it_is_promoted(
    iris: Any, releases: Releases
) -> None:
    first = version(iris)
    trained = json.loads(iris.verb("train", iris.repo.hybrid, "--seed", "7", "--json").stdout)
    assert trained["alias"] == "challenger"
    assert version(iris) == first
    promoted = json.loads(
        iris.verb("train", iris.repo.hybrid, "--seed", "8", "--promote", "--json").stdout
    )
    assert promoted["alias"] == "champion"
    wait_for(lambda: version(iris) == promoted["model_version"])
    row = iris.population()[0]
    assert (
        iris.post(f"/predict/{iris.repo.hybrid}", row).json()["model_version"]
        == promoted["model_version"]
    )
