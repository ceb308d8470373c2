"""A home that was moved: absolute paths of artifacts in its MLflow database are corrected."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from potluck.contract.errors import ServiceUnreachable
from potluck.contract.settings import Settings

ARTIFACTS = "mlartifacts"
COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
"""Where MLflow keeps URIs of artifacts; an older MLflow has not all of them."""
BUSY_SECONDS = 20.0

RENAME = """
UPDATE {table} SET {column} = :new || substr({column}, length(:old) + 1)
WHERE {column} = :old OR substr({column}, 1, length(:old) + 1) = :old || '/'
"""


def artifact_location(settings: Settings) -> str:
    """Return the URI of the folder in which a home's own MLflow keeps artifacts."""
    return (settings.home / ARTIFACTS).as_uri()


def follow_home(settings: Settings) -> list[str]:
    """Correct the paths in the database of a moved or copied home.

    Returns:
        The former places, as URIs; empty where the home was not moved.

    Raises:
        ServiceUnreachable: the database can't be changed.
    """
    path = settings.home / "mlflow.db"
    if settings.tracking_uri != settings.local_tracking_uri or not path.is_file():
        return []
    if not (settings.home / ARTIFACTS).is_dir():
        return []
    new = artifact_location(settings)
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as database, database:
            former = list(former_places(database, new))
            for old in former:
                for table, column in artifact_columns(database):
                    query = RENAME.format(table=table, column=column)
                    database.execute(query, {"old": old, "new": new})
    except sqlite3.Error as error:
        raise ServiceUnreachable(
            f"the home {settings.home} was moved, and MLflow's database {path} can't be told of "
            f"it: {error}"
        ) from None
    return former


def former_places(database: sqlite3.Connection, new: str) -> Iterator[str]:
    """Find the former folders of this home's artifacts; not those that somebody else chose."""
    if ("experiments", "artifact_location") not in set(artifact_columns(database)):
        return  # MLflow has not made its tables yet
    query = "SELECT DISTINCT artifact_location FROM experiments"
    for (location,) in database.execute(query).fetchall():
        is_ours = str(location).startswith("file://") and Path(str(location)).name == ARTIFACTS
        if is_ours and location != new:
            yield str(location)


def artifact_columns(database: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    """Find those of `COLUMNS` that this MLflow's database has."""
    for table, column in COLUMNS:
        rows = database.execute(f"PRAGMA table_info({table})").fetchall()
        if column in {row[1] for row in rows}:
            yield table, column
