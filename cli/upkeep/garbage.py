"""What of a home nobody needs any more, by the settings; and what can't be decided on.

What is younger than `POTLUCK_GC_MIN_AGE_HOURS` is never waste: a promotion may be under way. What no
command can make again (the history of predictions) is waste only where a setting says so.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from batch.runs import Manifest, RunFolder, Runs
from cli.upkeep.references import Named
from potluck.contract.settings import Settings
from potluck.scoring.releases import Releases

RUN_FILE = re.compile(r"(\d{8}T\d{6}\.\d{6})Z\.parquet")
STAGING = (".potluck-*", ".staging-*", ".history-*")
"""Of this version's writers, and of earlier ones'."""


@dataclass(frozen=True)
class Waste:
    """A file or a folder to be deleted."""

    kind: str
    path: Path
    why: str
    size: int
    """Bytes."""


class Wasted:
    """Looks through a home."""

    def __init__(self, settings: Settings, named: Named, now: datetime) -> None:
        self.settings, self.named, self.now = settings, named, now
        self.young = now - timedelta(hours=settings.gc_min_age_hours)

    def find(self) -> list[Waste]:
        """All of it; bundles come before the receipts that go with them."""
        bundles = list(self.bundles())
        gone = {each.path.name for each in bundles}
        rest = (self.receipts(gone), self.runs(), self.history(), self.logs(), self.leftovers())
        return [*bundles, *(each for found in rest for each in found)]

    def bundles(self) -> Iterator[Waste]:
        """Bundles that nobody names; none while it is not known who is named."""
        if self.named.doubts:
            return
        for path in folders(Releases(self.settings.releases).bundles):
            if path.name not in self.named.digests:
                yield from self.old(
                    "bundle", path, "no champion, alias, run or publication names it"
                )

    def receipts(self, gone: set[str]) -> Iterator[Waste]:
        releases = Releases(self.settings.releases)
        lies = {path.name[:32] for path in folders(releases.bundles) if path.name not in gone}
        for path in sorted(releases.receipts.glob("*.json")):
            if path.name.split("-")[0] not in lies:
                yield from self.old("receipt", path, "its bundle is gone")

    def runs(self) -> Iterator[Waste]:
        """Folders of nightly runs beyond the number that is kept; those that are published stay."""
        for service in folders(self.settings.home / "runs"):
            ended = [each for each in Runs(self.settings.home, service.name).all() if is_over(each)]
            keep = self.settings.keep_runs
            for folder, manifest in ended[:-keep] if self.named.knows_runs else []:
                if manifest.run_id not in self.named.run_ids:
                    yield from self.old("run", folder.path, f"{keep} later runs are kept")

    def history(self) -> Iterator[Waste]:
        """Files of runs that are older than the history is to reach back; published ones stay."""
        days = self.settings.keep_history_days
        if days is None or not self.named.knows_runs:
            return
        for path in sorted(self.settings.home.glob("data/*/*.parquet/*.parquet")):
            dated = RUN_FILE.fullmatch(path.name)
            if dated is None:
                continue
            as_of = datetime.strptime(dated[1], "%Y%m%dT%H%M%S.%f").replace(tzinfo=UTC)
            if as_of < self.now - timedelta(days=days) and as_of not in self.named.as_ofs:
                yield from self.old("history", path, f"its as-of date is over {days} days ago")

    def logs(self) -> Iterator[Waste]:
        days = self.settings.keep_logs_days
        for path in sorted((self.settings.home / "logs").glob("*.log")):
            if days is not None and changed(path) < self.now - timedelta(days=days):
                yield from self.old("log", path, f"it is over {days} days old")

    def leftovers(self) -> Iterator[Waste]:
        """What killed writers left; and sources that an `ingest` replaced, where a setting says so."""
        releases = Releases(self.settings.releases)
        places = [releases.bundles, releases.receipts, releases.champions, self.settings.home]
        places += [
            *self.settings.home.glob("runs/*/*"),
            *self.settings.home.glob("data/*/*.parquet/"),
        ]
        for place in places:
            for path in (found for pattern in STAGING for found in place.glob(pattern)):
                yield from self.old("leftover", path, "a writer that was killed left it")
        days = self.settings.keep_replaced_days
        for path in self.settings.home.glob("data/*/.replaced"):
            if days is not None and changed(path) < self.now - timedelta(days=days):
                yield from self.old("replaced", path, f"replaced over {days} days ago")

    def old(self, kind: str, path: Path, why: str) -> Iterator[Waste]:
        """As waste, unless it is young."""
        if changed(path) < self.young:
            yield Waste(kind, path, why, size_of(path))


def is_over(run: tuple[RunFolder, Manifest]) -> bool:
    return run[1].status != "running"


def folders(parent: Path) -> list[Path]:
    """Those that are no leftovers."""
    if not parent.is_dir():
        return []
    return sorted(path for path in parent.iterdir() if path.is_dir() and path.name[0] != ".")


def changed(path: Path) -> datetime:
    """When a file or a folder was changed last; a bundle that is laid down again counts as changed."""
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except FileNotFoundError:  # somebody else deleted it meanwhile
        return datetime.max.replace(tzinfo=UTC)


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if file.is_file())
