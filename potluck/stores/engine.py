"""Named in `feature_store.yaml`: the batch engine."""

from potluck.stores.feast_plugins.batch_engine import PotluckEngine, PotluckEngineConfig

__all__ = ["PotluckEngine", "PotluckEngineConfig"]
