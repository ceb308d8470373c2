"""Consistent copies of the parts of a home, while everything runs: what a backup is made of.

<backup>/
  backup.json              format, version, time, the home, what is not in it; sha256 of every file
  home/                    as in the home: releases, data, runs, databases, inferences
  home/redis/appendonly.aof   the embedded Redis at one moment

Order matters. Redis is copied before the files that its pointers name, champions before bundles,
MLflow's database before its artifacts: what a copy names lies in the backup.
"""

import contextlib
import fnmatch
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from monitoring.catch_up import caught_up
from potluck.contract.errors import ServiceUnreachable
from potluck.contract.lock import exclusive, shared
from potluck.contract.settings import Settings
from potluck.inference_log.layout import LogLayout
from potluck.redis.client import REDIS_ERRORS
from potluck.redis.embedded import client, ensure_redis
from potluck.scoring.releases import Releases
from potluck.stores.ingest.sources import LOCK_FILE

LOGGED = (
    "inferences/parquet",
    "inferences/decoded.json",
    "inferences/server_id",
    "inferences/salt",
)
"""Of the inference log; the workers' segments belong to the servers that run."""
POINTING = ("releases/champions", "feast.db", "mlflow.db", "schedule.json", *LOGGED)
POINTED_TO = ("releases", "mlartifacts", "runs", "data")
LEFT_OUT = (".potluck-*", ".staging-*", ".history-*", ".staged", ".lock", LOCK_FILE)
"""What is being written, and locks."""
DATABASES = "*.db"
SNAPSHOT_SECONDS = 600.0
STEP_SECONDS = 0.05
REDIS_FILE = Path("redis") / "appendonly.aof"


def copy_home(settings: Settings, target: Path) -> None:
    """Copy all that a home holds into an empty folder.

    Raises:
        Locked: an `ingest` is at work.
        ServiceUnreachable: the home's Redis can't be copied.
        OSError: a file can't be copied.
    """
    if settings.uses_embedded_redis and (settings.home / "redis").is_dir():
        copy_redis(settings, target / REDIS_FILE)
    with contextlib.ExitStack() as locks:
        locks.enter_context(shared(Releases(settings.releases).lock))  # keeps `gc` off
        for folder in sorted(settings.home.glob("data/*/")):
            busy = "`potluck ingest` is at work; make the backup when it is done"
            locks.enter_context(exclusive(folder / LOCK_FILE, busy))
        if LogLayout(settings.home).folder.is_dir():
            locks.enter_context(caught_up(settings))
        for name in (*POINTING, *POINTED_TO):
            copy_tree(settings.home / name, target / name)


def copy_redis(settings: Settings, to: Path) -> None:
    """Have the home's Redis write a snapshot, and keep that as its append-only file.

    Redis reads a snapshot at the head of such a file.
    """
    ensure_redis(settings)
    redis = client(settings)
    snapshot = settings.home / "redis" / "dump.rdb"
    try:
        wait_for_snapshot(settings)
        # SCHEDULE: a rewrite of the append-only file that begins meanwhile delays the snapshot, in
        # place of an error.
        redis.execute_command("BGSAVE", "SCHEDULE")  # type: ignore[no-untyped-call]
        wait_for_snapshot(settings)
    except REDIS_ERRORS as error:
        raise ServiceUnreachable(f"the home's Redis can't be copied: {error}") from None
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(snapshot, to)
    snapshot.unlink()


def wait_for_snapshot(settings: Settings) -> None:
    """Wait until Redis writes neither a snapshot nor its append-only file.

    Raises:
        ServiceUnreachable: the snapshot failed, or takes too long.
    """
    deadline = time.monotonic() + SNAPSHOT_SECONDS
    while time.monotonic() < deadline:
        state: dict[str, Any] = client(settings).info("persistence")  # type: ignore[assignment]
        writes = state["rdb_bgsave_in_progress"] or state["aof_rewrite_in_progress"]
        if not writes and not state.get("aof_rewrite_scheduled", 0):
            if state["rdb_last_bgsave_status"] == "ok":
                return
            break
        time.sleep(STEP_SECONDS)
    log = settings.home / "redis" / "redis.log"
    raise ServiceUnreachable(f"the home's Redis could not write its snapshot; {log} says why")


def copy_tree(source: Path, target: Path) -> None:
    """Copy a file or a folder.

    What is in the copy already is left as it is; what is deleted meanwhile was not needed.
    """
    for path in [source] if source.is_file() else files_to_copy(source):
        to = target / path.relative_to(source)
        if to.exists():
            continue
        to.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            copy_file(path, to)


def files_to_copy(folder: Path) -> Iterator[Path]:
    """The files of a folder, and of those in it."""
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if any(fnmatch.fnmatch(path.name, pattern) for pattern in LEFT_OUT):
            continue
        if path.is_dir():
            yield from files_to_copy(path)
        elif path.is_file():
            yield path


def copy_file(path: Path, to: Path) -> None:
    if fnmatch.fnmatch(path.name, DATABASES):
        copy_database(path, to)
    else:
        shutil.copy2(path, to)


def copy_database(path: Path, to: Path) -> None:
    """Copy a SQLite database as of one moment, while others write into it."""
    source = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=30)
    with contextlib.closing(source), contextlib.closing(sqlite3.connect(to)) as copy:
        source.backup(copy)


def not_in_backup(settings: Settings) -> Iterator[str]:
    """What a home uses and a backup of it does not hold."""
    if not settings.uses_embedded_redis:
        yield "Redis (REDIS_URL)"
    if settings.tracking_uri != settings.local_tracking_uri:
        yield "MLflow (MLFLOW_TRACKING_URI)"
    if settings.feast_registry_url and str(settings.home) not in settings.feast_registry_url:
        yield "Feast's registry (FEAST_REGISTRY_URL)"
