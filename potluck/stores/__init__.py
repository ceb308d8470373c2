"""Feast's side: plug-ins named in `feature_store.yaml`, and what is read from its registry."""
