"""Named in `feature_store.yaml`: the offline store."""

from potluck.stores.feast_plugins.offline_store import (
    PotluckOfflineStore,
    PotluckOfflineStoreConfig,
)

__all__ = ["PotluckOfflineStore", "PotluckOfflineStoreConfig"]
