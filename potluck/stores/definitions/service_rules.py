"""Rules that Potluck adds to Feast's, over the whole of a service."""

from collections import Counter
from collections.abc import Iterable

from feast import FeatureService

from potluck.contract.errors import DefinitionError
from potluck.contract.features import FeatureContract
from potluck.contract.publication import PREDICTION, Publication, published_row
from potluck.stores.definitions.tags import PRECOMPUTED_TAGS, check_tags


def check_contract(contract: FeatureContract) -> None:
    owner = contract.service
    refuse_repeated(owner, "input", [field.name for field in contract.keys + contract.inputs])
    refuse_repeated(owner, "model column", [column.name for column in contract.columns])
    refuse_repeated(owner, "on-demand function", [function.name for function in contract.functions])
    if not contract.columns:
        raise DefinitionError(f"{owner} has no feature: a feature service is its model's signature")
    if contract.label in {field.name for field in contract.fields}:
        raise DefinitionError(
            f"{owner} would learn from its own label {contract.label}; take it out of the features"
        )
    if contract.population is not None and not contract.keys:
        raise DefinitionError(
            f"{owner} looks nothing up, and so no entity of the source {contract.population} can "
            "be scored by night; take out the tag population, or add a feature view"
        )
    for publication in contract.publications:
        check_publication(contract, publication)


def check_publication(contract: FeatureContract, publication: Publication) -> None:
    """Hold a precomputed service against the model that fills it."""
    owner, view = contract.service, f"view {publication.view} of {publication.service}"
    if contract.population is None:
        raise DefinitionError(
            f"{owner} scores {publication.service} and so needs the tag population: the source "
            "with one row per entity"
        )
    if len(contract.keys) != 1:
        raise DefinitionError(
            f"{owner} scores {publication.service} and so needs exactly one join key; "
            f"it has {', '.join(key.name for key in contract.keys)}; "
            "make one text key of them, or serve it without a night"
        )
    key = contract.keys[0]
    if (key.name, key.dtype) != (publication.key.name, publication.key.dtype):
        raise DefinitionError(
            f"{view}: expected the join key of {owner}, {key.name} ({key.dtype}); "
            f"got {publication.key.name} ({publication.key.dtype}); give both the same entity"
        )
    check_published_fields(view, contract, publication)


def check_published_fields(view: str, contract: FeatureContract, publication: Publication) -> None:
    dtypes = {field.name: field.dtype for field in publication.features}
    regression = contract.objective == "regression"
    # Labels of classes may be of any type.
    prediction = "float64" if regression else dtypes[PREDICTION]
    wanted = published_row(prediction, with_probabilities=not regression)
    for name, dtype in dtypes.items():
        if name not in wanted:
            others = sorted(set(wanted) - {PREDICTION})
            raise DefinitionError(
                f"{view}: the nightly run fills no field {name} of a {contract.objective}; "
                f"expected {PREDICTION}, {', '.join(others)}"
            )
        if dtype != wanted[name]:
            raise DefinitionError(f"{view}: expected {name} to be {wanted[name]}, got {dtype}")


def refuse_repeated(owner: str, kind: str, names: Iterable[str]) -> None:
    repeated = sorted(name for name, count in Counter(names).items() if count > 1)
    if repeated:
        raise DefinitionError(f"{owner} has more than one {kind} called {repeated[0]}; rename one")


def check_scored_by(precomputed: Iterable[FeatureService], models: set[str]) -> None:
    for service in precomputed:
        check_tags(f"feature service {service.name}", service.tags, PRECOMPUTED_TAGS)
        if service.tags["scored_by"] not in models:
            known = ", ".join(sorted(models))
            expected = f"one of {known}" if known else "and none is defined"
            raise DefinitionError(
                f"{service.name} is scored_by {service.tags['scored_by']!r}; "
                f"expected a service with a model, {expected}"
            )


def check_one_filler(publications: Iterable[Publication]) -> None:
    """Refuse a view that two services fill: two runs would take turns with its slots."""
    found: dict[str, str] = {}
    for publication in sorted(publications, key=lambda each: each.service):
        other = found.setdefault(publication.view, publication.service)
        if other != publication.service:
            raise DefinitionError(
                f"{other} and {publication.service} are both filled into view {publication.view}; "
                "give each a view of its own"
            )
