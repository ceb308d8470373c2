"""Whether a Feast object uses an option: the questions that the tables of `supported` ask."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from feast import BatchFeatureView, FeatureView, FileSource
from feast.data_format import ParquetFormat
from feast.feature_view import DUMMY_ENTITY_NAME
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.version_utils import normalize_version_string


def has(*names: str) -> Callable[[Any], bool]:
    """Whether an object has any of these attributes, and not empty."""
    return lambda thing: any(getattr(thing, name, None) for name in names)


def is_versioned(view: Any) -> bool:
    version = getattr(view, "version", None) or "latest"
    return bool(normalize_version_string(version) != "latest")


def is_disabled(view: Any) -> bool:
    return not getattr(view, "enabled", True)


def has_own_entities(view: OnDemandFeatureView) -> bool:
    return any(name != DUMMY_ENTITY_NAME for name in view.entities or ())


def has_no_entity(view: FeatureView) -> bool:
    return not [name for name in view.entities if name != DUMMY_ENTITY_NAME]


def has_odd_ttl(view: FeatureView) -> bool:
    ttl = view.ttl or timedelta(0)
    return ttl < timedelta(0) or bool(ttl % timedelta(seconds=1))


def has_mode(view: FeatureView) -> bool:
    """A batch view has a mode of its own accord, which means nothing without a function."""
    return view.mode is not None and not isinstance(view, BatchFeatureView)


def is_python(view: OnDemandFeatureView) -> bool:
    return str(getattr(view.mode, "value", view.mode)) == "python"


def is_remote(source: FileSource) -> bool:
    return "://" in str(source.path).removeprefix("file://")


def is_relative(source: FileSource) -> bool:
    return not Path(str(source.path).removeprefix("file://")).is_absolute()


def is_not_parquet(source: FileSource) -> bool:
    return not isinstance(source.file_format, ParquetFormat | None)
