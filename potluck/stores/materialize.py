"""Fill the online store from the data: every view except the predictions, whatever the registry believes was done."""

import contextlib
import io
import warnings
from dataclasses import dataclass
from datetime import datetime

from feast import FeatureStore, FeatureView

from potluck.contract.errors import DataError, PotluckError
from potluck.contract.settings import Settings
from potluck.stores.definitions import read_definitions, read_key
from potluck.stores.embedded_redis import client, ensure_redis
from potluck.stores.offline import EPOCH, present, read_latest
from potluck.stores.prune import present_keys, prune_view


@dataclass(frozen=True)
class Materialized:
    """One view in the online store."""

    view: str
    entities: int
    pruned: int
    """Entities that were online and are no longer in the data."""


def materialize(settings: Settings, store: FeatureStore, as_of: datetime) -> list[Materialized]:
    """Write the latest record of every entity dated up to `as_of`, and delete those of entities that are gone.

    Raises:
        MissingStepError: nothing was applied, or a source's file is not there.
        DataError: Feast can't read a source or write the store.
    """
    ensure_redis(settings)
    published = {p.view for d in read_definitions(store).values() for p in d.contract.publications}
    views = [view for view in store.list_feature_views() if view.online and view.name not in published]
    for view in views:
        present(view.batch_source)
    try:
        write_views(store, [view.name for view in views], as_of)
        return [prune(settings, store, view, as_of) for view in views]
    except PotluckError:
        raise
    except Exception as error:
        raise DataError(f"Feast could not fill the online store: {type(error).__name__}: {error}") from error


def write_views(store: FeatureStore, names: list[str], as_of: datetime) -> None:
    with warnings.catch_warnings(action="ignore"), contextlib.redirect_stdout(io.StringIO()):
        if names:
            store.materialize(EPOCH, as_of, feature_views=names)


def prune(settings: Settings, store: FeatureStore, view: FeatureView, as_of: datetime) -> Materialized:
    keys = [read_key(store, name) for name in view.join_keys]
    rows = read_latest(store, view.batch_source, keys, [], as_of).to_pylist()
    present = present_keys(store.project, keys, rows)
    return Materialized(view.name, len(present), prune_view(client(settings), store, view, keys, present))
