"""Feast's Redis online store, pointed at the home's Redis, quicker to write, and honest about what
it reads.

Named in `feature_store.yaml` as `online_store: {type: potluck.stores.online.PotluckOnlineStore}`.
Feast owns the wire format, to the byte. What differs from stock: where the connection comes from
and how long it is waited for; rows are written in bulk, a push leaves a mark, and which row stays
is decided otherwise (see `view_writer`); an unknown entity is not found, a value older than its
view's ttl is none, and one damaged key does not fail its neighbours; the view of a precomputed
service is read from the slot that the nightly run published (see `potluck.contract.publication`).
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from feast import FeatureView, RepoConfig, utils
from feast.infra.online_stores.helpers import _mmh3
from feast.infra.online_stores.redis import RedisOnlineStore, RedisOnlineStoreConfig
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from pydantic import Field, StrictStr

from potluck.redis.bulk_writer import BulkWriter
from potluck.redis.client import AsyncRedisClient, RedisClient
from potluck.redis.key_scan import entity_keys_of
from potluck.stores.feast_plugins.home_redis import online_store_url, open_async_client, open_client
from potluck.stores.feast_plugins.job_rows import BATCH_ROWS
from potluck.stores.feast_plugins.online_read import (
    Asked,
    Row,
    commands_of,
    feature_response,
    readings,
)
from potluck.stores.feast_plugins.online_trips import (
    pointers,
    pointers_async,
    read_many,
    read_many_async,
    read_view,
    read_view_async,
)
from potluck.stores.feast_plugins.proto_rows import ProtoRow, columns_of, has_key, same_features
from potluck.stores.feast_plugins.prune import forget_fields
from potluck.stores.feast_plugins.session import KEYLESS, Session
from potluck.stores.feast_plugins.view_names import name_in_redis, view_fields
from potluck.stores.feast_plugins.view_writer import CLOCK_SKEW, Rules, ViewWriter

Progress = Callable[[int], Any]


# Feast looks for a store's class in the module of its options: both stay in one.
class PotluckOnlineStoreConfig(RedisOnlineStoreConfig):  # type: ignore[misc]
    """Stock options, with the connection taken from the settings."""

    type: StrictStr = "potluck.stores.online.PotluckOnlineStore"
    connection_string: StrictStr = Field(default_factory=online_store_url)
    """A `REDIS_URL`: TLS, ACL, unix sockets, Sentinel and Cluster included."""
    skip_dedup: bool = False
    """Write without looking at what is stored. Else a newer row that was pushed stays (see
    `view_writer`)."""


class PotluckOnlineStore(RedisOnlineStore):  # type: ignore[misc]
    """`RedisOnlineStore` that writes in bulk, and resolves published slots, ttl and unknown
    entities at read."""

    _client: RedisClient | None = None
    _client_async: AsyncRedisClient | None = None
    session: Session | None = None
    """What `potluck materialize` wants to know of the rows that go through."""

    def _get_client(self, online_store_config: RedisOnlineStoreConfig) -> RedisClient:
        if self._client is None:
            self._client = open_client(online_store_config.connection_string)
        return self._client

    async def _get_client_async(
        self, online_store_config: RedisOnlineStoreConfig
    ) -> AsyncRedisClient:
        if self._client_async is None:
            self._client_async = open_async_client(online_store_config.connection_string)
        return self._client_async

    def view_writer(
        self, config: RepoConfig, view: FeatureView, features: Sequence[str], *, pushing: bool
    ) -> ViewWriter:
        """Open a writer of a view's rows, which a push or a materialize brings, with a connection
        of its own.

        Raises:
            ServiceUnreachable: Redis does not answer.
        """
        options = config.online_store
        name = name_in_redis(view, config)
        fields = [_mmh3(f"{name}:{feature}") for feature in features]
        soon = datetime.now(UTC) + CLOCK_SKEW
        horizon = self.session.horizon if self.session else None
        return ViewWriter(
            BulkWriter(self._get_client(options)),
            name,
            fields,
            Rules(pushing, horizon=horizon or soon, believed=soon, check=not options.skip_dedup),
            source="a push" if pushing else f"source {view.batch_source.name}",
            lifetime=options.key_ttl_seconds,
            session=self.session,
        )

    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: list[ProtoRow],
        progress: Progress | None,
    ) -> None:
        """Write rows of protobuf messages.

        Args:
            progress: Feast's compute engines bring one, whether or not anybody looks at it; `push`
                and `write_to_online_store` none. That is how the two are told apart.

        Raises:
            ServiceUnreachable: Redis failed; rows before may be written.
        """
        pushing = progress is None
        for names, rows in same_features(data):
            with self.view_writer(config, table, names, pushing=pushing) as writer:
                for start in range(0, len(rows), BATCH_ROWS):
                    batch = rows[start : start + BATCH_ROWS]
                    keyed = [row for row in batch if has_key(row)]
                    writer.leave_out(KEYLESS, len(batch) - len(keyed))
                    writer.write(*columns_of(config, names, keyed))
                    if progress:
                        progress(len(batch))

    async def online_write_batch_async(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: list[ProtoRow],
        progress: Progress | None,
    ) -> None:
        """The same beside the event loop."""
        await asyncio.to_thread(self.online_write_batch, config, table, data, progress)

    def delete_table(self, config: RepoConfig, table: FeatureView) -> None:
        """Delete a view of every entity of this project; stock's pattern takes `rent` for the end
        of `current`."""
        client = self._get_client(config.online_store)
        forget_fields(client, config.project, table.join_keys, view_fields(table, config))

    def delete_entity_values(self, config: RepoConfig, join_keys: list[str]) -> None:
        """Delete every entity of this project with these join keys."""
        client = self._get_client(config.online_store)
        with BulkWriter(client) as writer:
            for keys in entity_keys_of(client, config.project, join_keys):
                writer.remove(keys)

    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[Row]:
        """Read entities of one view.

        Answers:
            For each its timestamp and features: (None, None) if unknown, (timestamp, None) if older
                than the ttl.
        """
        keys = self._generate_redis_keys_for_entities(config, entity_keys)
        client = self._get_client(config.online_store)
        return read_view(client, config, table, requested_features, keys)

    async def online_read_async(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[Row]:
        """`online_read` for asyncio."""
        keys = self._generate_redis_keys_for_entities(config, entity_keys)
        client = await self._get_client_async(config.online_store)
        return await read_view_async(client, config, table, requested_features, keys)

    def _read_features_per_fv(
        self,
        config: RepoConfig,
        grouped_refs: list[tuple[FeatureView, list[str]]],
        join_key_values: Any,
        entity_name_to_join_key_map: Any,
        online_features_response: Any,
        full_feature_names: bool,
        include_feature_view_version_metadata: bool,
    ) -> None:
        """Read all views of a request in one round trip, after one for the pointers."""
        views = [view for view, _ in grouped_refs]
        client = self._get_client(config.online_store)
        plans = readings(config, grouped_refs, pointers(client, config, views))
        asked = self.entities(config, views, join_key_values, entity_name_to_join_key_map)
        replies = read_many(client, commands_of(plans, asked))
        feature_response(
            online_features_response,
            grouped_refs,
            plans,
            asked,
            replies,
            full_feature_names=full_feature_names,
            include_feature_view_version_metadata=include_feature_view_version_metadata,
        )

    async def _read_features_per_fv_async(
        self,
        config: RepoConfig,
        grouped_refs: list[tuple[FeatureView, list[str]]],
        join_key_values: Any,
        entity_name_to_join_key_map: Any,
        online_features_response: Any,
        full_feature_names: bool,
        include_feature_view_version_metadata: bool,
    ) -> None:
        """`_read_features_per_fv` for asyncio."""
        views = [view for view, _ in grouped_refs]
        client = await self._get_client_async(config.online_store)
        plans = readings(config, grouped_refs, await pointers_async(client, config, views))
        asked = self.entities(config, views, join_key_values, entity_name_to_join_key_map)
        replies = await read_many_async(client, commands_of(plans, asked))
        feature_response(
            online_features_response,
            grouped_refs,
            plans,
            asked,
            replies,
            full_feature_names=full_feature_names,
            include_feature_view_version_metadata=include_feature_view_version_metadata,
        )

    def entities(
        self, config: RepoConfig, views: Sequence[FeatureView], values: Any, names: Any
    ) -> list[Asked]:
        """The entities of a request, as each view keeps them."""
        asked = []
        for view in views:
            found, places, length = utils._get_unique_entities(view, values, names)
            protos = utils._get_entity_key_protos(found)
            keys = self._generate_redis_keys_for_entities(config, protos)
            asked.append((keys, list(places), length))
        return asked
