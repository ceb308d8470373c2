"""Feast's Redis online store, pointed at the home's Redis and impatient with one that is gone.

Named in `feature_store.yaml` as `online_store: {type: potluck.stores.online.PotluckOnlineStore}`. Feast owns the wire
format; what differs from stock is where the connection comes from, how long it is waited for, and that the view of
a precomputed service is read from the slot that the nightly run published (see `potluck.contract.publication`).
"""

from typing import Any

from feast import FeatureView, RepoConfig
from feast.infra.online_stores.helpers import _mmh3
from feast.infra.online_stores.redis import RedisOnlineStore, RedisOnlineStoreConfig
from pydantic import Field, StrictStr

from potluck.contract.publication import pointer_key, read_pointer, slot_view
from potluck.contract.redis_format import timestamp_field
from potluck.contract.settings import load_settings
from potluck.stores.embedded_redis import ensure_redis
from potluck.stores.redis_client import AsyncRedisClient, RedisClient, async_redis_client, redis_client

SOCKET_SECONDS = 30.0


def online_store_url() -> str:
    return load_settings().online_store_url


class PotluckOnlineStoreConfig(RedisOnlineStoreConfig):  # type: ignore[misc]
    """Stock options, with the connection taken from the settings."""

    type: StrictStr = "potluck.stores.online.PotluckOnlineStore"
    connection_string: StrictStr = Field(default_factory=online_store_url)
    """A `REDIS_URL`: TLS, ACL, unix sockets, Sentinel and Cluster included."""
    skip_dedup: bool = True
    """Feast's own check drops a corrected row that carries the timestamp of the wrong one, without a word."""


class PotluckOnlineStore(RedisOnlineStore):  # type: ignore[misc]
    """`RedisOnlineStore` with a URL for a connection string, and published slots resolved at read."""

    _client: RedisClient | None = None
    _client_async: AsyncRedisClient | None = None
    _project: str | None = None

    def _get_client(self, online_store_config: RedisOnlineStoreConfig) -> RedisClient:
        if self._client is None:
            ensure_redis(load_settings())
            self._client = redis_client(online_store_config.connection_string, **TIMEOUTS)
        return self._client

    async def _get_client_async(self, online_store_config: RedisOnlineStoreConfig) -> AsyncRedisClient:
        if self._client_async is None:
            ensure_redis(load_settings())
            self._client_async = async_redis_client(online_store_config.connection_string, **TIMEOUTS)
        return self._client_async

    def online_read(self, config: RepoConfig, *args: Any, **kwargs: Any) -> Any:
        self._connect(config)
        return super().online_read(config, *args, **kwargs)

    async def online_read_async(self, config: RepoConfig, *args: Any, **kwargs: Any) -> Any:
        self._connect(config)
        return await super().online_read_async(config, *args, **kwargs)

    def _read_features_per_fv(self, config: RepoConfig, *args: Any, **kwargs: Any) -> None:
        self._connect(config)
        super()._read_features_per_fv(config, *args, **kwargs)

    async def _read_features_per_fv_async(self, config: RepoConfig, *args: Any, **kwargs: Any) -> None:
        self._connect(config)
        await super()._read_features_per_fv_async(config, *args, **kwargs)

    def _connect(self, config: RepoConfig) -> None:
        """Keep what the next method needs to find a pointer: Feast hands it no configuration."""
        self._project = config.project
        self._get_client(config.online_store)

    def _generate_hset_keys_for_features(
        self,
        feature_view: FeatureView,
        requested_features: list[str] | None = None,
        fv_name_override: str | None = None,
    ) -> tuple[list[str], list[str | bytes]]:
        names, fields = super()._generate_hset_keys_for_features(feature_view, requested_features, fv_name_override)
        slot = self._published_view(fv_name_override or feature_view.name)
        if slot is None:
            return names, fields
        return names, [*(_mmh3(f"{slot}:{name}") for name in names[:-1]), timestamp_field(slot)]

    def _published_view(self, view: str) -> str | None:
        """The slot's view name where a nightly run published this view, else None."""
        if self._client is None or self._project is None:
            return None
        stored = self._client.execute_command("GET", pointer_key(self._project, view))  # type: ignore[no-untyped-call]
        pointer = read_pointer(stored)
        return None if pointer is None else slot_view(view, pointer.slot)


TIMEOUTS: dict[str, Any] = {"socket_timeout": SOCKET_SECONDS, "socket_connect_timeout": 2.0}
