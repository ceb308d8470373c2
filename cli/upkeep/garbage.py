"""What of a home nobody needs any more, by the settings; and what can't be decided on.

What is younger than `POTLUCK_GC_MIN_AGE_HOURS` always stays: a promotion may be under way. What no
command can make again (the history of predictions) goes only where a setting says so.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from batch.runs import Runs
from cli.upkeep.references import References
from potluck.contract.settings import Settings
from potluck.scoring.releases import Releases

RUN_FILE = re.compile(r"(\d{8}T\d{6}\.\d{6})Z\.parquet")
STAGING = (".potluck-*", ".staging-*", ".history-*")
"""Of this version's writers, and of earlier ones'."""


@dataclass(frozen=True)
class Garbage:
    """A file or a folder to be deleted."""

    kind: str
    path: Path
    why: str
    size: int
    """Bytes."""


class GarbageSearch:
    """Looks through a home."""

    def __init__(self, settings: Settings, references: References, now: datetime) -> None:
        self.settings, self.references, self.now = settings, references, now
        self.releases = Releases(settings.releases)
        self.young = now - timedelta(hours=settings.gc_min_age_hours)

    def find(self) -> list[Garbage]:
        """All of it; bundles come before the receipts that go with them."""
        bundles = list(self.bundles())
        gone = {each.path.name for each in bundles}
        return [
            *bundles,
            *self.receipts(gone),
            *self.runs(),
            *self.history(),
            *self.logs(),
            *self.leftovers(),
            *self.replaced_sources(),
        ]

    def bundles(self) -> Iterator[Garbage]:
        """Bundles that nothing refers to; none as long as somebody could not be asked."""
        if self.references.doubts:
            return
        for path in visible_folders(self.releases.bundles):
            if path.name not in self.references.digests:
                why = "no champion, alias, run or publication names it"
                yield from self.unless_young("bundle", path, why)

    def receipts(self, gone: set[str]) -> Iterator[Garbage]:
        """Receipts of bundles that are gone, or go now."""
        bundles = visible_folders(self.releases.bundles)
        # A receipt's name begins with the first half of its bundle's digest.
        there = {path.name[:32] for path in bundles if path.name not in gone}
        for path in sorted(self.releases.receipts.glob("*.json")):
            if path.name.split("-")[0] not in there:
                yield from self.unless_young("receipt", path, "its bundle is gone")

    def runs(self) -> Iterator[Garbage]:
        """Folders of nightly runs beyond the number that is kept; those that are published stay."""
        if not self.references.knows_published_runs:
            return
        keep = self.settings.keep_runs
        for service in visible_folders(self.settings.home / "runs"):
            runs = Runs(self.settings.home, service.name).all()
            ended = [run for run in runs if run[1].status != "running"]
            for folder, manifest in ended[:-keep]:
                if manifest.run_id not in self.references.run_ids:
                    yield from self.unless_young("run", folder.path, f"{keep} later runs are kept")

    def history(self) -> Iterator[Garbage]:
        """Files of runs that are older than the history is to reach back; published ones stay."""
        days = self.settings.keep_history_days
        if days is None or not self.references.knows_published_runs:
            return
        for path in sorted(self.settings.home.glob("data/*/*.parquet/*.parquet")):
            dated = RUN_FILE.fullmatch(path.name)
            if dated is None:
                continue
            as_of = datetime.strptime(dated[1], "%Y%m%dT%H%M%S.%f").replace(tzinfo=UTC)
            if as_of < self.now - timedelta(days=days) and as_of not in self.references.as_ofs:
                yield from self.unless_young(
                    "history", path, f"its as-of date is over {days} days ago"
                )

    def logs(self) -> Iterator[Garbage]:
        days = self.settings.keep_logs_days
        if days is None:
            return
        for path in sorted((self.settings.home / "logs").glob("*.log")):
            if changed_at(path) < self.now - timedelta(days=days):
                yield from self.unless_young("log", path, f"it is over {days} days old")

    def leftovers(self) -> Iterator[Garbage]:
        """What killed writers left."""
        home, releases = self.settings.home, self.releases
        places = [releases.bundles, releases.receipts, releases.champions, home]
        places += home.glob("runs/*/*")
        places += home.glob("data/*/*.parquet/")
        for place in places:
            for pattern in STAGING:
                for path in place.glob(pattern):
                    yield from self.unless_young(
                        "leftover", path, "a writer that was killed left it"
                    )

    def replaced_sources(self) -> Iterator[Garbage]:
        """Sources that an `ingest` replaced, where a setting says so."""
        days = self.settings.keep_replaced_days
        if days is None:
            return
        for path in self.settings.home.glob("data/*/.replaced"):
            if changed_at(path) < self.now - timedelta(days=days):
                yield from self.unless_young("replaced", path, f"replaced over {days} days ago")

    def unless_young(self, kind: str, path: Path, why: str) -> Iterator[Garbage]:
        if changed_at(path) < self.young:
            yield Garbage(kind, path, why, size_of(path))


def visible_folders(parent: Path) -> list[Path]:
    """Folders in a folder, without leftovers, whose names begin with a dot."""
    if not parent.is_dir():
        return []
    return sorted(path for path in parent.iterdir() if path.is_dir() and path.name[0] != ".")


def changed_at(path: Path) -> datetime:
    """When a file or a folder was changed last.

    A bundle that is laid down again counts as changed.
    """
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except FileNotFoundError:  # somebody else deleted it meanwhile
        return datetime.max.replace(tzinfo=UTC)


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if file.is_file())
