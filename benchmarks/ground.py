"""What all rivals of `serving` stand on: one home with its models, the same rows, a stock Feast
repo, the pipelines."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.contenders import Bundle, champion
from benchmarks.home import Data, Home, lay_down
from benchmarks.peers.place import Place
from benchmarks.peers.stock_feast import stock_repo
from benchmarks.progress import print_progress
from benchmarks.traffic import HYBRID, REALTIME, Traffic, population, product_traffic

SERVICES = {HYBRID: "house_price_hybrid", REALTIME: "house_price_realtime"}


@dataclass(frozen=True)
class Ground:
    """A filled home and what was made from it for the peers."""

    home: Home
    bundles: Mapping[str, Bundle]
    """By case."""
    stock_repo: Path
    pipelines: Path

    @cached_property
    def records(self) -> list[dict[str, Any]]:
        return population(self.home, self.bundles[HYBRID].contract)

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """Finished feature rows, as Feast joins them, in the order of `records`."""
        return list(json.loads((self.pipelines / "rows.json").read_bytes()))

    @cached_property
    def traffic(self) -> Traffic:
        hybrid = self.bundles[HYBRID].contract
        realtime = self.bundles[REALTIME].contract
        return product_traffic(hybrid, realtime, self.records)

    def place(self, case: str) -> Place:
        """What a peer serves in a case."""
        pipeline = self.pipelines / SERVICES[case]
        return Place(self.bundles[case].folder, self.stock_repo, pipeline)


def lay_ground(home: Home, data: Data) -> Ground:
    """From ingest to trained champions and a published night, then the peers' own."""
    lay_down(home, data, list(SERVICES.values()))
    home.run("nightly")
    bundles = {case: champion(home, service) for case, service in SERVICES.items()}
    # Stock Feast reads what the nightly run wrote, and the pipelines are learnt through its repo.
    repo = stock_repo(home, bundles[HYBRID].contract)
    pipelines = fit_pipelines(home, repo, list(bundles.values()))
    return Ground(home, bundles, repo, pipelines)


def fit_pipelines(home: Home, repo: Path, bundles: Sequence[Bundle]) -> Path:
    """In a process of its own: Feast, MLflow and scikit-learn are no company for what measures."""
    print_progress("fitting the peers' pipelines")
    target = home.settings.home / "pipelines"
    data = home.settings.data_folder(bundles[0].contract.project)
    folders = [repo, data, target]
    folders += [bundle.folder for bundle in bundles]
    command = [sys.executable, "-m", "benchmarks.peers.pipeline", *map(str, folders)]
    done = subprocess.run(command, env=home.environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"the peers' pipelines could not be fitted:\n{done.stderr[-2000:]}")
    return target
