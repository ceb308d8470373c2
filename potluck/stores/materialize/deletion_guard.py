"""Entities that a materialize would take out of the online store: counted before it writes
anything.

A source that was emptied, or replaced by a part of it, looks like one whose entities are gone. So
more than a share of a view's entities go only where somebody says that it is meant.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import numpy as np
import pyarrow as pa
from feast import FeatureStore, FeatureView
from feast.infra.common.materialization_job import MaterializationTask

from potluck.contract.errors import Refused
from potluck.contract.moments import EARLIEST
from potluck.redis.bulk_writer import BulkWriter
from potluck.redis.client import RedisClient
from potluck.redis.key_scan import entity_keys_like, of_project
from potluck.redis.resp_stream import key_hashes
from potluck.stores.feast_plugins.batch_engine import PotluckEngine, is_plain
from potluck.stores.feast_plugins.prune import Hashes, is_among, sorted_hashes
from potluck.stores.feast_plugins.session import Session
from potluck.stores.feast_plugins.view_names import name_in_redis, own_fields
from potluck.stores.feast_plugins.view_writer import is_pushed


@dataclass(frozen=True)
class Leaving:
    """One view's entities in the online store, compared with the data."""

    view: str
    source: str
    gone: int
    """Those that the data does not hold, and that nobody pushed: a materialize deletes them."""
    staying: int
    keys: pa.BinaryArray = field(repr=False)
    """Redis keys of those that are gone."""

    @property
    def share(self) -> float:
        return self.gone / (self.gone + self.staying) if self.gone else 0.0

    def text(self) -> str:
        """For people: which view loses how much."""
        there = self.gone + self.staying
        told = f"{self.gone} of {there} entities ({self.share:.0%}) are not in source {self.source}"
        return f"view {self.view}: {told}"


@dataclass(frozen=True)
class DeletionGuard:
    """Asked before entities are deleted, view by view."""

    client: RedisClient
    store: FeatureStore
    limit: float
    """Share of a view's entities that may go."""

    def check_before(
        self, views: Sequence[FeatureView], as_of: datetime
    ) -> "dict[str, pa.BinaryArray]":
        """Look at the views whose entities can be read without writing them: those without a
        transformation.

        Answers:
            View -> Redis keys of the entities that will go.

        Raises:
            Refused: more entities would go than may; nothing was written.
        """
        found = []
        for view in views:
            if self.can_foretell(view):
                data = partial(self.entities_in_data, view, as_of)
                found.append(self.leaving(view, data))
        self.refuse(found, "nothing was written")
        return {each.view: each.keys for each in found}

    def check_after(self, views: Sequence[FeatureView], session: Session) -> None:
        """Look at the other views, when they are written.

        Raises:
            Refused: more entities would go than may; nothing was deleted.
        """
        found = []
        for view in views:
            if not self.can_foretell(view):
                data = partial(self.entities_written, view, session)
                found.append(self.leaving(view, data))
        self.refuse(found, "all views were written, and nothing was deleted")

    def can_foretell(self, view: FeatureView) -> bool:
        engine = self.store._get_provider().batch_engine
        return isinstance(engine, PotluckEngine) and is_plain(view)

    def entities_in_data(self, view: FeatureView, as_of: datetime) -> Hashes:
        task = MaterializationTask(self.store.project, view, EARLIEST, as_of)
        keys = self.store._get_provider().batch_engine.entity_keys(self.store.registry, task)
        return sorted_hashes(map(key_hashes, keys))

    def entities_written(self, view: FeatureView, session: Session) -> Hashes:
        return sorted_hashes(session.keys.get(name_in_redis(view, self.store.config), []))

    def leaving(self, view: FeatureView, data: Callable[[], Hashes]) -> Leaving:
        """Compare what is online of a view with the entities that the data holds.

        Args:
            data: answers `sorted_hashes` of the Redis keys of those; asked if any entity is online.

        Raises:
            ServiceUnreachable: Redis failed.
        """
        staying = 0
        gone: list[pa.BinaryArray] = []
        present: Hashes | None = None
        project, join_keys = self.store.project, list(view.join_keys)
        own = own_fields(name_in_redis(view, self.store.config))
        with BulkWriter(self.client) as reader:
            for block in entity_keys_like(self.client, project, join_keys):
                if present is None:
                    present = data()
                known = is_among(key_hashes(block), present)
                staying += int(known.sum())
                others = of_project(block.filter(pa.array(~known)), project, len(join_keys))
                if len(others):
                    stamps, marks = reader.read(others, own)
                    # An entity may be there for another view's sake, or as a push left it.
                    of_view = ~np.asarray(stamps.is_null(), bool)
                    written = of_view & ~is_pushed(stamps, marks)
                    gone.append(others.filter(pa.array(written)))
        keys = pa.concat_arrays(gone) if gone else pa.array([], pa.binary())
        return Leaving(view.name, view.batch_source.name, len(keys), staying, keys)

    def refuse(self, found: Sequence[Leaving], done: str) -> None:
        """
        Args:
            done: what was done before, to tell.

        Raises:
            Refused: a view would lose more than may go.
        """
        too_many = [each for each in found if each.share > self.limit]
        if too_many:
            told = "\n  ".join(each.text() for each in too_many)
            raise Refused(
                f"{done}: more entities would be deleted from the online store than "
                f"POTLUCK_MATERIALIZE_MAX_GONE={self.limit:g} allows\n  {told}\n"
                "put the sources right (`potluck ingest --undo` brings back those before the last "
                "ingest), or delete them all the same with --force REASON"
            )
