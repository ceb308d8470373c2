"""Feast's registry -> the definition of every service that has a model."""

import itertools

from feast import FeatureStore

from potluck.contract.errors import DefinitionError
from potluck.contract.publication import Publication
from potluck.stores.definitions.feature_contract import Definition, ServiceReader
from potluck.stores.definitions.publications import read_publication
from potluck.stores.definitions.registered_objects import applied_services
from potluck.stores.definitions.service_rules import check_one_filler, check_scored_by


def read_definitions(store: FeatureStore) -> dict[str, Definition]:
    """Derive every service with a model from the applied registry.

    Returns:
        Service -> definition.

    Raises:
        MissingStepError: nothing was applied.
        DefinitionError: a definition breaks one of the rules that Potluck adds to Feast's.
    """
    services = applied_services(store).values()
    precomputed = [service for service in services if "scored_by" in service.tags]
    models = [service for service in services if "scored_by" not in service.tags]
    check_scored_by(precomputed, {service.name for service in models})
    filled: dict[str, list[Publication]] = {model.name: [] for model in models}
    for service in precomputed:
        filled[service.tags["scored_by"]].append(read_publication(store, service))
    check_one_filler(itertools.chain.from_iterable(filled.values()))
    definitions = {}
    for model in models:
        reader = ServiceReader(store, model)
        definitions[model.name] = reader.definition(tuple(filled[model.name]))
    return definitions


def definition_of(store: FeatureStore, service: str) -> Definition:
    """Return the definition of one service with a model.

    Raises:
        MissingStepError, DefinitionError: as `read_definitions`, and where there is no such
            service.
    """
    definitions = read_definitions(store)
    if service not in definitions:
        names = ", ".join(sorted(definitions))
        raise DefinitionError(
            f"expected a feature service with a model, one of {names}; got {service}"
        )
    return definitions[service]
