"""What the champions of a home were promised, against new definitions: `apply` breaks none without
being told to."""

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
    """What the definitions of a store no longer give to a champion, a sentence each."""
    views = {view.name: view for view in store.list_feature_views()}
    keys = {
        entity.join_key: KEY_DTYPES.get(entity.value_type.name) for entity in store.list_entities()
    }
    sources = {source.name for source in store.list_data_sources()}
    return [
        f"{champion.name}: {fault}"
        for champion in champions
        for fault in faults(champion.contract, views, dict(keys), sources)
    ]


def faults(
    contract: FeatureContract,
    views: dict[str, FeatureView],
    keys: dict[str, str | None],
    sources: set[str],
) -> Iterator[str]:
    types = {key.name: key.dtype for key in contract.keys}
    fields = {field.name: field for field in contract.online}
    for wanted in contract.views:
        yield from view_faults(wanted, views.get(wanted.name), fields)
        for key in wanted.join_keys:
            if wanted.name in views and key in keys and keys[key] != types[key]:
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
    """
    Raises:
        Refused: a champion would lose what it reads.
    """
    if broken:
        raise Refused(
            f"these definitions take away what champions read: {'; '.join(broken)}. Define the new "
            "beside the old until another version is promoted, or apply with --breaking"
        )


def orphans(definitions: dict[str, Definition], champions: Iterable[Champion]) -> dict[str, str]:
    """Services that are served and no longer defined, and by which version."""
    return {
        c.contract.service: c.model_version
        for c in champions
        if c.contract.service not in definitions
    }
