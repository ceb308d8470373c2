"""The three classes that `feature_store.yaml` names: online store, offline store and batch
engine."""
