"""Fill the online store from the data: every view except the predictions, whatever the registry believes was done."""

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from feast import FeatureStore, FeatureView

from potluck.contract.errors import DataError, DefinitionError, PotluckError
from potluck.contract.settings import Settings
from potluck.stores.definitions import read_definitions
from potluck.stores.embedded_redis import client, ensure_redis
from potluck.stores.offline import present
from potluck.stores.online import PotluckOnlineStore
from potluck.stores.parquet import EPOCH
from potluck.stores.prune import prune_view, sorted_hashes
from potluck.stores.view_names import name_in_redis
from potluck.stores.view_writer import Session, Written

Progress = Callable[[str, int, int | None], None]
"""Told the view, how many of its rows are done, and of how many if that is known."""


@dataclass(frozen=True)
class Materialized:
    """One view in the online store."""

    view: str
    entities: int
    """Entities in the data."""
    written: int
    skipped_older: int
    """Rows that stayed out because the online store holds a newer one."""
    skipped_future: int
    """Rows that stayed out because they are dated after the as-of date."""
    rejected: int
    """Rows whose key holds something else than a hash in Redis."""
    pruned: int
    """Entities that were online and are no longer in the data."""
    examples: dict[str, list[str]] = field(default_factory=dict)
    """The first few entities of those that stayed out, by reason: older, future, rejected."""


def materialize(
    settings: Settings, store: FeatureStore, as_of: datetime, progress: Progress | None = None
) -> list[Materialized]:
    """Write the latest record of every entity dated up to `as_of`, and delete those of entities that are gone.

    Raises:
        MissingStepError: nothing was applied, or a source's file is not there.
        DataError: Feast can't read a source or write the store.
        ServiceUnreachable: Redis failed midway; run it again.
    """
    ensure_redis(settings)
    published = {p.view for d in read_definitions(store).values() for p in d.contract.publications}
    views = [view for view in store.list_feature_views() if view.online and view.name not in published]
    for view in views:
        present(view.batch_source)
    try:
        with following(store, Session(as_of, progress)) as session:
            write_views(store, [view.name for view in views], as_of)
        return [prune(settings, store, view, session) for view in views]
    except PotluckError:
        raise
    except Exception as error:
        raise DataError(f"Feast could not fill the online store: {type(error).__name__}: {error}") from error


@contextlib.contextmanager
def following(store: FeatureStore, session: Session) -> Iterator[Session]:
    """Let the store's online store tell a session of every row.

    Raises:
        DefinitionError: the repo names another online store.
    """
    online = store._get_provider().online_store
    if not isinstance(online, PotluckOnlineStore):
        raise DefinitionError(
            f"expected online_store: {{type: potluck.stores.online.PotluckOnlineStore}} in feature_store.yaml, "
            f"got {type(online).__name__}"
        )
    online.session = session
    try:
        yield session
    finally:
        online.session = None


def write_views(store: FeatureStore, names: list[str], as_of: datetime) -> None:
    with warnings.catch_warnings(action="ignore"), contextlib.redirect_stdout(io.StringIO()):
        if names:
            store.materialize(EPOCH, as_of, feature_views=names)


def prune(settings: Settings, store: FeatureStore, view: FeatureView, session: Session) -> Materialized:
    name = name_in_redis(view, store.config)
    told = session.written.get(name, Written(name))
    known = sorted_hashes(session.keys.pop(name, []))
    return Materialized(
        view=view.name,
        entities=len(known),
        written=told.written,
        skipped_older=told.older,
        skipped_future=told.future,
        rejected=told.rejected,
        pruned=prune_view(client(settings), store, view, known, session.progress),
        examples=told.examples,
    )
