"""Feast's registry -> the definition of every service that has a model."""

from feast import FeatureStore

from potluck.contract.errors import DefinitionError
from potluck.stores.definitions.feature_contract import Definition, ServiceReader
from potluck.stores.definitions.publications import read_publication
from potluck.stores.definitions.registered_objects import applied_services
from potluck.stores.definitions.service_rules import check_one_filler, check_scored_by


def read_definitions(store: FeatureStore) -> dict[str, Definition]:
    """Derive every service with a model from the applied registry.

    Raises:
        MissingStepError: nothing was applied.
        DefinitionError: a definition breaks one of the rules that Potluck adds to Feast's.
    """
    services = applied_services(store)
    precomputed = [service for service in services.values() if "scored_by" in service.tags]
    models = [service for service in services.values() if "scored_by" not in service.tags]
    check_scored_by(precomputed, {service.name for service in models})
    publications = [
        (service.tags["scored_by"], read_publication(store, service)) for service in precomputed
    ]
    check_one_filler(publication for _, publication in publications)
    return {
        model.name: ServiceReader(store, model).definition(
            tuple(p for by, p in publications if by == model.name)
        )
        for model in models
    }


def definition_of(store: FeatureStore, service: str) -> Definition:
    """The definition of one service with a model.

    Raises:
        MissingStepError, DefinitionError: as `read_definitions`, and where there is no such
            service.
    """
    definitions = read_definitions(store)
    if service not in definitions:
        raise DefinitionError(
            f"expected a feature service with a model, one of {', '.join(sorted(definitions))}; "
            f"got {service}"
        )
    return definitions[service]
