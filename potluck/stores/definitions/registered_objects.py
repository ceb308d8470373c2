"""Objects of the registry by name.

The registry may hold nothing yet. It may also have lost an object that another one needs: Feast's
own calls delete any object without a look at the others.
"""

from feast import Entity, FeatureService, FeatureStore, FeatureView
from feast.errors import FeatureViewNotFoundException

from potluck.contract.errors import MissingStepError


def applied_services(store: FeatureStore) -> dict[str, FeatureService]:
    """Return the feature services of the registry by name.

    Raises:
        MissingStepError: the project was never applied.
    """
    services = {service.name: service for service in store.list_feature_services()}
    if not services:
        raise MissingStepError(
            f"the registry holds no feature service of project {store.project}; run `potluck "
            "apply` first"
        )
    return services


def registered_view(store: FeatureStore, name: str, service: str) -> FeatureView:
    """Return a stored view of the registry.

    Args:
        service: the feature service that reads it.

    Raises:
        MissingStepError: the registry does not hold it.
    """
    try:
        return store.get_feature_view(name)
    except FeatureViewNotFoundException:
        raise MissingStepError(
            f"feature service {service} reads the view {name}, which the registry of project "
            f"{store.project} does not hold; run `potluck apply` again"
        ) from None


def registered_entity(store: FeatureStore, join_key: str) -> Entity:
    """Return the first entity of the registry that has this join key.

    Raises:
        MissingStepError: the registry holds none.
    """
    for entity in store.list_entities():
        if entity.join_key == join_key:
            return entity
    raise MissingStepError(
        f"the registry of project {store.project} holds no entity with the join key {join_key}; "
        "run `potluck apply` again"
    )
