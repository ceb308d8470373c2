"""What new definitions take away from the champions of a home: `apply` refuses it, unless
`--breaking` is given."""

from collections.abc import Iterable, Iterator

from feast import FeatureStore, FeatureView

from potluck.contract.champion import Champion
from potluck.contract.errors import Refused
from potluck.contract.features import FeatureContract, LookupView
from potluck.contract.fields import Field
from potluck.contract.publication import Publication
from potluck.stores.definitions.feature_contract import Definition
from potluck.stores.definitions.publications import KEY_DTYPES
from potluck.stores.definitions.tags import DTYPES


def breaking_changes(store: FeatureStore, champions: Iterable[Champion]) -> list[str]:
    """Tell what the definitions of a store no longer give to a champion, a sentence each."""
    views = {view.name: view for view in store.list_feature_views()}
    keys: dict[str, str | None] = {}
    for entity in store.list_entities():
        keys[entity.join_key] = KEY_DTYPES.get(entity.value_type.name)
    sources = {source.name for source in store.list_data_sources()}
    found = []
    for champion in champions:
        lost = faults(champion.contract, views, keys, sources)
        found += [f"{champion.name}: {fault}" for fault in lost]
    return found


def faults(
    contract: FeatureContract,
    views: dict[str, FeatureView],
    keys: dict[str, str | None],
    sources: set[str],
) -> Iterator[str]:
    """Compare what a champion reads with what is defined now.

    Args:
        views: the new definitions' views by name.
        keys: join key -> its type; None where Potluck does not support it.
        sources: names of the new definitions' sources.

    Returns:
        A sentence for each difference.
    """
    types = {key.name: key.dtype for key in contract.keys}
    fields = {field.name: field for field in contract.online}
    for wanted in contract.views:
        yield from view_faults(wanted, views.get(wanted.name), fields)
        if wanted.name not in views:
            continue
        for key in wanted.join_keys:
            if key in keys and keys[key] != types[key]:
                yield f"the key {key} of view {wanted.name} was {types[key]} and is {keys[key]}"
    for publication in contract.publications:
        yield from publication_faults(publication, views.get(publication.view), keys)
        if contract.population not in sources:
            yield f"its population, the source {contract.population}, is gone"


def view_faults(
    wanted: LookupView, view: FeatureView | None, fields: dict[str, Field]
) -> Iterator[str]:
    if view is None:
        yield f"view {wanted.name} is gone"
        return
    if not view.online:
        yield f"view {wanted.name} is no longer online"
    if set(view.join_keys) != set(wanted.join_keys):  # in whatever order: Feast sorts them
        yield (
            f"view {wanted.name} had the join keys {', '.join(wanted.join_keys)} and has "
            f"{', '.join(view.join_keys)}"
        )
    ttl = int(view.ttl.total_seconds()) if view.ttl else 0
    if ttl != wanted.ttl_seconds:
        was = wanted.ttl_seconds
        yield f"view {wanted.name} had a ttl of {was} s and has {ttl} s (0: none is too old)"
    yield from field_faults(view, [fields[name] for name in wanted.features])


def publication_faults(
    wanted: Publication, view: FeatureView | None, keys: dict[str, str | None]
) -> Iterator[str]:
    if view is None:
        yield f"view {wanted.view} of {wanted.service} is gone"
        return
    if tuple(view.join_keys) != (wanted.key.name,):
        join_keys = ", ".join(view.join_keys)
        yield f"view {wanted.view} had the join key {wanted.key.name} and has {join_keys}"
    elif keys[wanted.key.name] != wanted.key.dtype:
        yield f"the key {wanted.key.name} was {wanted.key.dtype} and is {keys[wanted.key.name]}"
    yield from field_faults(view, wanted.features)


def field_faults(view: FeatureView, fields: Iterable[Field]) -> Iterator[str]:
    held = {field.name: DTYPES.get(str(field.dtype)) for field in view.features}
    for field in fields:
        if field.name not in held:
            yield f"{view.name}.{field.name} is gone"
        elif held[field.name] != field.dtype:
            yield f"{view.name}.{field.name} was {field.dtype} and is {held[field.name]}"


def refuse_breaking_changes(broken: list[str]) -> None:
    """Refuse definitions with breaking changes.

    Raises:
        Refused: a champion would lose what it reads.
    """
    if broken:
        raise Refused(
            f"these definitions take away what champions read: {'; '.join(broken)}. Define the new "
            "beside the old until another version is promoted, or apply with --breaking"
        )


def orphans(definitions: dict[str, Definition], champions: Iterable[Champion]) -> dict[str, str]:
    """Return the services that are served and no longer defined, with the version that answers."""
    served = {champion.contract.service: champion.model_version for champion in champions}
    return {name: version for name, version in served.items() if name not in definitions}
