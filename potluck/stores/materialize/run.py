"""Fill the online store from the data: every view except the predictions, whatever the registry
believes was done."""

import contextlib
import io
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
from feast import FeatureStore, FeatureView

from potluck.contract.accounting import Account
from potluck.contract.champion import Champion
from potluck.contract.errors import (
    DataError,
    DefinitionError,
    PotluckError,
    ServiceUnreachable,
    UsageError,
)
from potluck.contract.feed import Feed, feed_key, read_feed
from potluck.contract.moments import EARLIEST, LATEST
from potluck.contract.settings import Settings
from potluck.redis.client import REDIS_ERRORS
from potluck.redis.embedded import client, ensure_redis
from potluck.stores.definitions.registry import read_definitions
from potluck.stores.feast_plugins.batch_engine import PotluckEngine
from potluck.stores.feast_plugins.online_store import PotluckOnlineStore
from potluck.stores.feast_plugins.prune import forget_fields, prune_view, sorted_hashes
from potluck.stores.feast_plugins.session import (
    FUTURE,
    OLDER,
    REJECTED,
    Progress,
    Session,
    WrittenRows,
)
from potluck.stores.feast_plugins.view_names import name_in_redis
from potluck.stores.materialize.deletion_guard import DeletionGuard
from potluck.stores.materialize.feed_plan import Feeding, Unfed, plan_feed, refuse_unfed
from potluck.stores.materialize.view_account import account_of_view
from potluck.stores.parquet.offline_reads import present

LAST_MOMENT = LATEST - timedelta(microseconds=1)


@dataclass(frozen=True)
class Materialized:
    """One view in the online store."""

    view: str
    entities: int = 0
    """Entities in the data."""
    written: int = 0
    skipped_older: int = 0
    """Rows that stayed out because a newer one was pushed."""
    skipped_future: int = 0
    """Rows dated after the as-of date that came through; those of local parquet are in the
    account."""
    rejected: int = 0
    """Rows whose key holds something else than a hash in Redis."""
    pruned: int = 0
    """Entities that were online and are no longer in the data; those that were pushed stay."""
    examples: dict[str, list[str]] = field(default_factory=dict)
    """The first few entities of those that stayed out, by reason: older, future, rejected, ..."""
    account: Account | None = None
    """The source's rows, accounted for; None where the registry no longer fills the view."""
    unfed: tuple[Unfed, ...] = ()
    """Features that champions read and the view no longer gets."""


def materialize(
    settings: Settings,
    store: FeatureStore,
    as_of: datetime,
    progress: Progress | None = None,
    *,
    champions: Sequence[Champion] = (),
    force: str | None = None,
) -> list[Materialized]:
    """Write the latest record of every entity dated up to `as_of`, and delete those of entities
    that are gone.

    Args:
        champions: models that answer now; they are fed what they read.
        force: why to write although a champion will read missing values, or many entities will go.

    Raises:
        MissingStepError: nothing was applied, or a source's file is not there.
        DataError: Feast can't read a source or write the store.
        ServiceUnreachable: Redis failed midway; run it again.
        UsageError: `as_of` is before all dates that records may bear.
        Refused: a feature that a champion reads can't be fed any longer, or more entities would go
            than `materialize_max_gone`, and there is no `force`; nothing was written.
    """
    if as_of < EARLIEST:
        raise UsageError(
            f"expected an as-of date from {EARLIEST:%Y-%m-%d} on, got {as_of:%Y-%m-%d}"
        )
    as_of = min(as_of, LAST_MOMENT)
    ensure_redis(settings)
    feedings = plan_feed(filled_views(store), champions, extends=extends(store))
    if force is None:
        refuse_unfed([each for feeding in feedings for each in feeding.unfed])
    fed = {feeding.name: feeding.view for feeding in feedings if feeding.view}
    guard = DeletionGuard(client(settings), store, settings.materialize_max_gone)
    try:
        going = guard.check_before(list(fed.values()), as_of) if force is None else {}
        with following(store, Session(as_of, progress, fed)) as session:
            forget_unfed(settings, store, feedings)
            write_views(store, list(fed), as_of)
        # Servers hear of the feed once all of it is there; what is gone is deleted last.
        tell_servers(settings, store, list(fed.values()), as_of)
        if force is None:
            guard.check_after(list(fed.values()), session)
        return [
            finish(settings, store, feeding, session, going.get(feeding.name))
            for feeding in feedings
        ]
    except PotluckError:
        raise
    except Exception as error:
        raise DataError(
            f"Feast could not fill the online store: {type(error).__name__}: {error}"
        ) from error


def filled_views(store: FeatureStore) -> list[FeatureView]:
    """The online views but those that nightly runs fill; the data of each is there."""
    published = set()
    for definition in read_definitions(store).values():
        published |= {publication.view for publication in definition.contract.publications}
    online = [view for view in store.list_feature_views() if view.online]
    views = [view for view in online if view.name not in published]
    for view in views:
        present(view.batch_source)
    return views


def extends(store: FeatureStore) -> bool:
    return isinstance(getattr(store._get_provider(), "batch_engine", None), PotluckEngine)


@contextlib.contextmanager
def following(store: FeatureStore, session: Session) -> Iterator[Session]:
    """Let the store's online store tell a session of every row.

    Raises:
        DefinitionError: the repo names another online store.
    """
    online = store._get_provider().online_store
    if not isinstance(online, PotluckOnlineStore):
        raise DefinitionError(
            f"expected online_store: {{type: potluck.stores.online.PotluckOnlineStore}} in "
            f"feature_store.yaml, got {type(online).__name__}"
        )
    online.session = session
    try:
        yield session
    finally:
        online.session = None


def forget_unfed(settings: Settings, store: FeatureStore, feedings: Sequence[Feeding]) -> None:
    """Take out what would look fresh beside new timestamps, before those are written."""
    for feeding in feedings:
        if feeding.forgotten:
            forget_fields(client(settings), store.project, feeding.join_keys, feeding.forgotten)


def write_views(store: FeatureStore, names: list[str], as_of: datetime) -> None:
    with warnings.catch_warnings(action="ignore"), contextlib.redirect_stdout(io.StringIO()):
        if names:
            store.materialize(EARLIEST, as_of, feature_views=names)


def finish(
    settings: Settings,
    store: FeatureStore,
    feeding: Feeding,
    session: Session,
    going: "pa.BinaryArray | None",
) -> Materialized:
    """Prune a view, and account for its rows.

    Args:
        going: Redis keys of the entities that left the data, where they are known already.
    """
    view = feeding.view
    if view is None:
        return Materialized(feeding.name, unfed=feeding.unfed)
    name = name_in_redis(view, store.config)
    told = session.written.get(name, WrittenRows(name))
    known = sorted_hashes(session.keys.pop(name, []))
    return Materialized(
        view=view.name,
        entities=len(known),
        written=told.written,
        skipped_older=told.left_out[OLDER],
        skipped_future=told.left_out[FUTURE],
        rejected=told.left_out[REJECTED],
        pruned=prune_view(client(settings), store, view, known, session.progress, among=going),
        examples=told.examples,
        account=account_of_view(store, view, told, session),
        unfed=feeding.unfed,
    )


def tell_servers(
    settings: Settings, store: FeatureStore, views: Sequence[FeatureView], as_of: datetime
) -> None:
    """Leave in Redis what was written of each view: a server compares it with what its champions
    read."""
    features = {}
    for view in views:
        names = tuple(feature.name for feature in view.features)
        features[name_in_redis(view, store.config)] = names
    redis = client(settings)
    key = feed_key(store.project)
    written_now = dict.fromkeys(features, datetime.now(UTC))
    try:
        stored: Any = redis.get(key)
        earlier = read_feed(stored)
        # A view that is no longer written keeps its moment: its readers see it grow old.
        written_before = earlier.written_at if earlier else {}
        written_at = {**written_before, **written_now}
        redis.set(key, Feed(as_of, features, written_at).to_json())
    except REDIS_ERRORS as error:
        raise ServiceUnreachable(
            f"all views are written, but Redis went away then ({error}); run again"
        ) from None
