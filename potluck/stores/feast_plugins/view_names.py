"""What a feature view is called in Redis."""

from feast import FeatureView, RepoConfig
from feast.infra.online_stores.helpers import _mmh3, compute_versioned_name

from potluck.contract.redis_format import pushed_field, timestamp_field


def name_in_redis(view: FeatureView, config: RepoConfig) -> str:
    return str(compute_versioned_name(view, config.registry.enable_online_feature_view_versioning))


def view_fields(view: FeatureView, config: RepoConfig) -> list[bytes]:
    """The hash fields of a view: its timestamp's, its mark of a push, and its features'."""
    name = name_in_redis(view, config)
    return [*own_fields(name), *(_mmh3(f"{name}:{feature.name}") for feature in view.features)]


def own_fields(name: str) -> list[bytes]:
    """The hash fields that a view of this name has in Redis beside its features."""
    return [timestamp_field(name).encode(), pushed_field(name).encode()]
