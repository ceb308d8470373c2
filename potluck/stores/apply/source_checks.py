"""Sources held against the definitions at `apply`: are they registered, and does the parquet hold
what is declared?"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa
from feast import FeatureStore
from feast.infra.offline_stores.file_source import FileSource

from potluck.contract.errors import DataError, DefinitionError, MissingStepError
from potluck.contract.features import FeatureContract
from potluck.contract.fields import DType, Field
from potluck.contract.publication import PREDICTION
from potluck.stores.definitions.feature_contract import Definition
from potluck.stores.definitions.publications import KEY_DTYPES
from potluck.stores.definitions.tags import DTYPES
from potluck.stores.parquet.arrow_types import ARROW_TYPES
from potluck.stores.parquet.offline_reads import file_columns, local_path
from potluck.stores.parquet.source import parquet_files, read_schema

Fits = Callable[[pa.DataType], bool]

TEXTS: tuple[Fits, ...] = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_string_view,
)
DATES: tuple[Fits, ...] = (pa.types.is_timestamp, pa.types.is_date)


@dataclass(frozen=True)
class Wanted:
    """A column of a source, and what it has to hold."""

    name: str
    said: str
    """What was expected, for people."""
    fits: Fits


@dataclass(frozen=True)
class Use:
    """What somebody wants of a source."""

    owner: str
    source: FileSource
    columns: tuple[Wanted, ...]


def check_declared_sources(store: FeatureStore, definitions: dict[str, Definition]) -> list[str]:
    """Hold every source against what is declared of it.

    Returns:
        The names of those whose file is not there yet.

    Raises:
        DefinitionError: a label or a population names no source of local parquet.
        DataError: a file lacks a column, or holds another type.
    """
    contracts = [definition.contract for _, definition in sorted(definitions.items())]
    uses = list(view_uses(store))
    for contract in contracts:
        uses += tagged_uses(store, contract)
    absent: dict[str, None] = {}  # a set that keeps its order
    for use in uses:
        try:
            check_use(use)
        except MissingStepError:
            absent[use.source.name] = None
    return list(absent)


def view_uses(store: FeatureStore) -> Iterator[Use]:
    entities = {entity.join_key: entity.value_type.name for entity in store.list_entities()}
    for view in store.list_feature_views():
        wanted = dates(view.batch_source)
        for name in view.join_keys:
            wanted.append(key_wanted(Field(name, KEY_DTYPES[entities[name]], "key")))
        for feature in view.features:
            wanted.append(feature_wanted(feature.name, DTYPES.get(str(feature.dtype))))
        yield Use(f"feature view {view.name}", view.batch_source, tuple(wanted))


def tagged_uses(store: FeatureStore, contract: FeatureContract) -> Iterator[Use]:
    """Yield what a service wants of the sources that its tags name."""
    rows = (*map(key_wanted, contract.keys), *map(request_field_wanted, contract.request))
    owner = f"the label of {contract.service}"
    source = tagged_source(store, owner, contract.label_source)
    yield Use(owner, source, (*dates(source), *rows, label_wanted(contract)))
    if contract.population is not None:
        owner = f"the population of {contract.service}"
        source = tagged_source(store, owner, contract.population)
        yield Use(owner, source, (*dates(source), *rows))


def tagged_source(store: FeatureStore, owner: str, name: str) -> FileSource:
    """Return the source that a tag names.

    Raises:
        DefinitionError: no such source is registered, or it can't be read as labels and populations
            are.
    """
    known = {source.name: source for source in store.list_data_sources()}
    files = sorted(source.name for source in known.values() if isinstance(source, FileSource))
    if name not in files:
        found = "no such source"
        if name in known:
            found = f"a {type(known[name]).__name__}"
        raise DefinitionError(
            f"{owner} is tagged with the source {name}: expected a FileSource that a name in "
            f"definitions.py holds, any of {', '.join(files) or 'none'}; got {found}"
        )
    if known[name].field_mapping:
        raise DefinitionError(
            f"{owner} is tagged with the source {name}, which has a field_mapping; only a feature "
            "view's source may have one: have ingest.py rename the columns"
        )
    return known[name]


def dates(source: FileSource) -> list[Wanted]:
    names = [source.timestamp_field, source.created_timestamp_column]
    return [Wanted(name, "a timestamp", is_date) for name in names if name]


def key_wanted(key: Field) -> Wanted:
    if key.dtype == "string":
        return Wanted(key.name, "a key of type string", is_text)
    return Wanted(key.name, f"a key of type {key.dtype}", pa.types.is_signed_integer)


def feature_wanted(name: str, dtype: DType | None) -> Wanted:
    """A feature, which both the offline join and the online store have to hold alike."""
    if dtype is None:  # no model reads it
        return Wanted(name, "a column", lambda held: True)
    if dtype == "string":
        return Wanted(name, dtype, is_text)
    if dtype == "bool":
        return Wanted(name, dtype, is_boolean)
    return Wanted(name, dtype, lambda held: is_castable(held, dtype) and not is_text(held))


def request_field_wanted(field: Field) -> Wanted:
    """A request field in the rows of a label or a population."""
    return Wanted(field.name, field.dtype, lambda held: is_castable(held, field.dtype))


def label_wanted(contract: FeatureContract) -> Wanted:
    """A regression's label is a number; a class is of the type that its prediction is published
    in."""
    if contract.objective == "regression":
        return Wanted(contract.label, "a number", lambda held: is_castable(held, "float64"))
    types: set[DType] = set()
    for publication in contract.publications:
        dtypes = {field.name: field.dtype for field in publication.features}
        types.add(dtypes[PREDICTION])
    types.discard("string")  # as text, a class of any type can be published
    said = "a class"
    if types:
        said = f"{', '.join(sorted(types))} as its prediction is declared"
    return Wanted(contract.label, said, lambda held: is_class(held, types))


def is_class(held: pa.DataType, published: Iterable[str]) -> bool:
    if pa.types.is_nested(held):
        return False
    return all(ARROW_TYPES[dtype] == widened(held) for dtype in published)


def widened(held: pa.DataType) -> pa.DataType:
    """Return the type as which `ingest` writes it."""
    if pa.types.is_integer(held):
        return pa.int64()
    if pa.types.is_floating(held):
        return pa.float64()
    return held


def is_date(held: pa.DataType) -> bool:
    return any(is_a(held) for is_a in DATES)


def is_boolean(held: pa.DataType) -> bool:
    return bool(pa.types.is_boolean(held) or pa.types.is_null(held))


def is_text(held: pa.DataType) -> bool:
    """Tell whether a column can hold text, dictionary-encoded or not."""
    if pa.types.is_dictionary(held):
        held = held.value_type
    return pa.types.is_null(held) or any(is_a(held) for is_a in TEXTS)


def is_castable(held: pa.DataType, dtype: DType) -> bool:
    """Tell whether Arrow can cast one type to the other; a date is no number."""
    if pa.types.is_temporal(held) and dtype != "string":
        return False
    try:
        pa.array([], held).cast(ARROW_TYPES[dtype])
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False
    return True


def check_use(use: Use) -> None:
    """Compare the schema of the source's first file with what is wanted.

    Raises:
        MissingStepError: there is no file yet.
        DataError: it is no parquet, lacks a column or holds another type.
    """
    file = parquet_files(use.source.name, local_path(use.source))[0]
    column = file_columns(use.source)
    owner = f"{use.owner}, source {use.source.name} ({file})"
    again = "correct the definition, or ingest.py and `potluck ingest` again"
    schema = read_schema(use.source.name, file)
    for wanted in use.columns:
        name = column.get(wanted.name, wanted.name)
        if name not in schema.names:
            raise DataError(
                f"{owner}: expected the column {name}, got {', '.join(schema.names)}; {again}"
            )
        held = schema.field(name).type
        if not wanted.fits(held):
            raise DataError(f"{owner}, column {name}: expected {wanted.said}, got {held}; {again}")
