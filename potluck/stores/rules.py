"""Rules that Potluck adds to Feast's, over the whole of a service."""

from collections import Counter
from collections.abc import Iterable

from feast import FeatureService

from potluck.contract.errors import DefinitionError
from potluck.contract.features import FeatureContract
from potluck.stores.tags import PRECOMPUTED_TAGS, check_tags


def check_contract(contract: FeatureContract) -> None:
    owner = contract.service
    refuse_repeated(owner, "input", [field.name for field in contract.keys + contract.inputs])
    refuse_repeated(owner, "model column", [column.name for column in contract.columns])
    refuse_repeated(owner, "on-demand function", [function.name for function in contract.functions])
    if not contract.columns:
        raise DefinitionError(f"{owner} has no feature: a feature service is its model's signature")
    if contract.label in {field.name for field in contract.fields}:
        raise DefinitionError(f"{owner} would learn from its own label {contract.label}; take it out of the features")
    if contract.publications and contract.population is None:
        raise DefinitionError(
            f"{owner} scores {contract.publications[0].service} and so needs the tag population: "
            "the source with one row per entity"
        )


def refuse_repeated(owner: str, kind: str, names: Iterable[str]) -> None:
    repeated = sorted(name for name, count in Counter(names).items() if count > 1)
    if repeated:
        raise DefinitionError(f"{owner} has more than one {kind} called {repeated[0]}; rename one")


def check_unmapped(owner: str, projections: Iterable[object]) -> None:
    for projection in projections:
        if getattr(projection, "join_key_map", None):
            raise DefinitionError(f"{owner}: join key maps (with_join_key_map) are not supported; name the key alike")


def check_scored_by(precomputed: Iterable[FeatureService], models: set[str]) -> None:
    for service in precomputed:
        check_tags(f"feature service {service.name}", service.tags, PRECOMPUTED_TAGS)
        if service.tags["scored_by"] not in models:
            raise DefinitionError(
                f"{service.name} is scored_by {service.tags['scored_by']!r}; "
                f"expected a service with a model, one of {', '.join(sorted(models))}"
            )
