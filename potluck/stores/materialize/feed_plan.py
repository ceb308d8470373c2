"""What each view writes, compared with what the champions read: they must not read stale values.

A champion was trained on the definitions of its day. A feature that a view no longer declares is
written on for as long as its column is in the source and a champion reads it. Where that can't be,
the feature is unfed: what is stored of it would look fresh beside the view's new timestamps, so it
is taken out, and who reads it is told.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

from feast import FeatureView, Field
from feast.types import Bool, Float64, Int32, Int64, String

from potluck.contract.champion import Champion
from potluck.contract.errors import Refused
from potluck.contract.features import FeatureContract, LookupView
from potluck.contract.fields import DType
from potluck.stores.definitions.tags import DTYPES
from potluck.stores.feast_plugins.batch_engine import is_plain
from potluck.stores.feast_plugins.view_columns import join_key_types
from potluck.stores.feast_plugins.view_names import own_fields
from potluck.stores.parquet.connection import connected
from potluck.stores.parquet.offline_reads import file_columns, parquet_source
from potluck.stores.parquet.source import HELD_AS

FEAST_TYPES: Mapping[DType, Any] = {
    "int64": Int64,
    "int32": Int32,
    "float64": Float64,
    "string": String,
    "bool": Bool,
}


@dataclass(frozen=True)
class Unfed:
    """A feature that a champion looks up, and that no longer reaches the online store."""

    view: str
    feature: str
    service: str
    model_version: str
    why: str

    def text(self) -> str:
        reads = f"champion {self.service} version {self.model_version} reads"
        return (
            f"no longer fed: {self.view}:{self.feature}, which {reads}: {self.why}; "
            "train and promote a version without it, or bring the column back"
        )


@dataclass(frozen=True)
class Feeding:
    """What one view writes."""

    name: str
    view: FeatureView | None
    """With the features that are written; None where the registry no longer fills the view."""
    unfed: tuple[Unfed, ...] = ()
    join_keys: tuple[str, ...] = ()
    forgotten: tuple[bytes, ...] = ()
    """Hash fields to be taken out of every entity with these join keys."""


@dataclass(frozen=True)
class LookedUpFeature:
    """One feature that a champion looks up."""

    champion: Champion
    feature: str
    field: bytes
    dtype: DType


def plan_feed(
    views: Sequence[FeatureView], champions: Sequence[Champion], *, extends: bool
) -> list[Feeding]:
    """What to write of every view, so that the champions get what they read.

    Args:
        views: those that the registry has filled.
        extends: whether the batch engine can write features that a view does not declare.
    """
    known = {view.name: view for view in views}
    wanted: dict[str, list[LookedUpFeature]] = {name: [] for name in known}
    lost = []
    for champion in champions:
        for lookup in champion.contract.views:
            why = why_lost(known.get(lookup.name), lookup, champion.contract)
            if why:
                lost.append(lost_view(champion, lookup, why))
            else:
                wanted[lookup.name] += wanted_of(champion, lookup)
    kept = [feeding(view, wanted[view.name], extends=extends) for view in views]
    return [*kept, *lost]


def wanted_of(champion: Champion, lookup: LookupView) -> Iterator[LookedUpFeature]:
    dtypes = {field.name: field.dtype for field in champion.contract.online}
    for feature, field in zip(lookup.features, lookup.field_ids, strict=True):
        yield LookedUpFeature(champion, feature, bytes.fromhex(field), dtypes[feature])


def why_lost(view: FeatureView | None, lookup: LookupView, contract: FeatureContract) -> str | None:
    """Why a champion's entities are not those that a view writes."""
    if view is None:
        return "the registry has no such online view"
    has = join_key_types(view)
    needs = {key.name: key.dtype for key in contract.keys if key.name in lookup.join_keys}
    if has == needs:
        return None
    return f"the view's join keys are {has}, and it reads {needs}"


def lost_view(champion: Champion, lookup: LookupView, why: str) -> Feeding:
    """Nothing of the view is fed, its timestamp included."""
    service, version = champion.contract.service, champion.model_version
    unfed = [Unfed(lookup.name, feature, service, version, why) for feature in lookup.features]
    return Feeding(
        name=lookup.name,
        view=None,
        unfed=tuple(unfed),
        join_keys=lookup.join_keys,
        forgotten=(*own_fields(lookup.name), *map(bytes.fromhex, lookup.field_ids)),
    )


def feeding(view: FeatureView, wanted: Sequence[LookedUpFeature], *, extends: bool) -> Feeding:
    """A view's own features, and those that champions read besides or as another type."""
    written = {feature.name: feature for feature in view.features}
    unfed: list[Unfed] = []
    forgotten = []
    for feature, readers in readers_of(wanted).items():
        declared = declared_dtype(written.get(feature))
        stored = stored_dtype(declared, readers)
        why = None
        if stored != declared:
            why = why_not(view, feature, stored, extends=extends)
        if why:
            written.pop(feature, None)
            forgotten.append(readers[0].field)
            unfed += [unfed_of(view, reader, why) for reader in readers]
            continue
        if stored != declared:
            written[feature] = Field(name=feature, dtype=FEAST_TYPES[stored])
        for reader in readers:
            if reader.dtype != stored:
                read = f"it is stored as {stored}, and read as {reader.dtype}"
                unfed.append(unfed_of(view, reader, read))
    fed = copy(view)
    fed.current_version_number = view.current_version_number  # Feast's copy leaves it behind
    fed.features = list(written.values())
    return Feeding(
        name=view.name,
        view=fed,
        unfed=tuple(unfed),
        join_keys=tuple(view.join_keys),
        forgotten=tuple(forgotten),
    )


def readers_of(wanted: Sequence[LookedUpFeature]) -> dict[str, list[LookedUpFeature]]:
    """Feature -> who reads it."""
    readers: dict[str, list[LookedUpFeature]] = {}
    for each in wanted:
        readers.setdefault(each.feature, []).append(each)
    return readers


def declared_dtype(feature: Field | None) -> DType | None:
    """The type that the view declares; None where it declares none, or one that we don't know."""
    return DTYPES.get(str(feature.dtype)) if feature else None


def stored_dtype(declared: DType | None, readers: Sequence[LookedUpFeature]) -> DType:
    """The type to write: the declared one if anybody reads it, else the first reader's."""
    for reader in readers:
        if reader.dtype == declared:
            return reader.dtype
    return readers[0].dtype


def unfed_of(view: FeatureView, wanted: LookedUpFeature, why: str) -> Unfed:
    champion = wanted.champion
    return Unfed(view.name, wanted.feature, champion.contract.service, champion.model_version, why)


def why_not(view: FeatureView, feature: str, dtype: DType, *, extends: bool) -> str | None:
    """Why a feature can't be written as a champion reads it; None where it can."""
    source = parquet_source(view.batch_source)
    if source is None or not extends or not is_plain(view):
        return (
            "the view does not declare it as it was, "
            "and only local parquet and Potluck's batch_engine go further"
        )
    column = file_columns(view.batch_source).get(feature, feature)
    with connected(source) as connection:
        held = source.types(connection).get(column)
        if held is None:
            return f"source {source.name} has no column {column}"
        if held not in HELD_AS[dtype]:
            return f"column {column} of source {source.name} is {held} now, and it reads {dtype}"
        if dtype in ("int64", "int32") and source.has_fractions(connection, column):
            return (
                f"column {column} of source {source.name} holds fractions now, and it reads {dtype}"
            )
    return None


def refuse_unfed(unfed: Sequence[Unfed]) -> None:
    """
    Raises:
        Refused: a champion would read stale or missing values.
    """
    if unfed:
        told = "\n  ".join(each.text() for each in unfed)
        raise Refused(
            f"nothing was written: a champion reads what would no longer be fed\n  {told}\n"
            "or write all the same with --force REASON: "
            "the stored values are taken out, and read as missing"
        )
