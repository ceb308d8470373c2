"""What a precomputed service looks up: one feature view, which the nightly run fills."""

from feast import FeatureService, FeatureStore
from feast.infra.online_stores.helpers import _mmh3

from potluck.contract.errors import DefinitionError
from potluck.contract.fields import DType, Field
from potluck.contract.publication import PUBLISHED_ALWAYS, SLOTS, Publication, slot_view
from potluck.stores.definitions.object_checks import check_served, check_service
from potluck.stores.definitions.registered_objects import registered_entity, registered_view
from potluck.stores.definitions.tags import NO_TAGS, check_tags, read_field

KEY_DTYPES: dict[str, DType] = {"INT64": "int64", "INT32": "int32", "STRING": "string"}


def read_publication(store: FeatureStore, service: FeatureService) -> Publication:
    """Read the one view that a precomputed service looks up.

    Raises:
        MissingStepError: the registry lacks the view or its entity.
        DefinitionError: the service has more views than one, or the view lacks what a publication
            holds.
    """
    check_service(service)
    names = [projection.name for projection in service.feature_view_projections]
    if len(names) != 1:
        raise DefinitionError(
            f"precomputed service {service.name} needs exactly one feature view; it has {names}"
        )
    view = registered_view(store, names[0], service.name)
    check_served(view)
    check_tags(f"feature view {view.name}", view.tags or {}, NO_TAGS)
    features = tuple(read_field(view.name, field, "online") for field in view.features)
    missing = sorted(set(PUBLISHED_ALWAYS) - {field.name for field in features})
    if missing or len(view.join_keys) != 1:
        raise DefinitionError(
            f"view {view.name} of {service.name} needs one join key and the features "
            f"{', '.join(PUBLISHED_ALWAYS)}; it has the keys {list(view.join_keys)} and lacks "
            f"{missing}"
        )
    field_ids: dict[str, tuple[str, ...]] = {}
    for slot in SLOTS:
        stored_as = slot_view(view.name, slot)
        field_ids[slot] = tuple(field_id(stored_as, field.name) for field in features)
    return Publication(
        service=service.name,
        view=view.name,
        key=read_key(store, view.join_keys[0]),
        features=features,
        field_ids=field_ids,
        source=view.batch_source.name,
    )


def read_key(store: FeatureStore, join_key: str) -> Field:
    entity = registered_entity(store, join_key)
    dtype = KEY_DTYPES.get(entity.value_type.name)
    if dtype is None:
        raise DefinitionError(
            f"entity {entity.name} has the value type {entity.value_type.name}; expected "
            f"{', '.join(KEY_DTYPES)}"
        )
    return Field(name=join_key, dtype=dtype, source="key", required=True)


def field_id(view: str, feature: str) -> str:
    """Return, in hex, the hash field under which Feast keeps a view's feature."""
    return str(_mmh3(f"{view}:{feature}").hex())
