"""Named in `feature_store.yaml`: the online store."""

from potluck.stores.feast_plugins.online_store import PotluckOnlineStore, PotluckOnlineStoreConfig

__all__ = ["PotluckOnlineStore", "PotluckOnlineStoreConfig"]
