"""Sources held against the definitions at `apply`: are they registered, and does the parquet hold
what is declared?"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from feast import FeatureStore, FeatureView
from feast.infra.offline_stores.file_source import FileSource

from potluck.contract.errors import DataError, DefinitionError, MissingStepError
from potluck.contract.features import FeatureContract
from potluck.contract.fields import DType, Field
from potluck.stores.definitions.feature_contract import Definition
from potluck.stores.definitions.publications import KEY_DTYPES
from potluck.stores.definitions.tags import DTYPES
from potluck.stores.ingest.sources import write_schema
from potluck.stores.parquet.arrow_types import ARROW_TYPES
from potluck.stores.parquet.offline_reads import file_columns, local_path
from potluck.stores.parquet.reader import parquet_files, read_schema

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

    Answers:
        The names of those whose file is not there yet.

    Raises:
        DefinitionError: a label or a population names no source of local parquet.
        DataError: a file lacks a column, or holds another type.
    """
    contracts = [definition.contract for _, definition in sorted(definitions.items())]
    uses = [
        *view_uses(store),
        *(use for contract in contracts for use in tagged_uses(store, contract)),
    ]
    absent: dict[str, None] = {}
    for use in uses:
        try:
            check_use(use)
        except MissingStepError:
            absent[use.source.name] = None
    return list(absent)


def view_uses(store: FeatureStore) -> Iterator[Use]:
    entities = {entity.join_key: entity.value_type.name for entity in store.list_entities()}
    for view in store.list_feature_views():
        keys = [Field(key, KEY_DTYPES[entities[key]], "key") for key in view.join_keys]
        held = [(field.name, DTYPES.get(str(field.dtype))) for field in view.features]
        columns = (*map(key_wanted, keys), *(stored(name, dtype) for name, dtype in held))
        yield Use(
            f"feature view {view.name}", view.batch_source, (*dates(view.batch_source), *columns)
        )


def tagged_uses(store: FeatureStore, contract: FeatureContract) -> Iterator[Use]:
    """What a service wants of the sources that its tags name."""
    rows = (*map(key_wanted, contract.keys), *(row_wanted(field) for field in contract.request))
    owner = f"the label of {contract.service}"
    source = tagged_source(store, owner, contract.label_source)
    yield Use(owner, source, (*dates(source), *rows, label_wanted(contract)))
    if contract.population is not None:
        owner = f"the population of {contract.service}"
        source = tagged_source(store, owner, contract.population)
        yield Use(owner, source, (*dates(source), *rows))


def tagged_source(store: FeatureStore, owner: str, name: str) -> FileSource:
    """A source that a tag names.

    Raises:
        DefinitionError: no such source is registered, or it can't be read as labels and populations
            are.
    """
    known = {source.name: source for source in store.list_data_sources()}
    files = sorted(name for name, source in known.items() if isinstance(source, FileSource))
    if name not in files:
        found = f"a {type(known[name]).__name__}" if name in known else "no such source"
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
    return [
        Wanted(name, "a timestamp", lambda held: any(is_a(held) for is_a in DATES))
        for name in names
        if name
    ]


def key_wanted(key: Field) -> Wanted:
    if key.dtype == "string":
        return Wanted(key.name, "a key of type string", is_text)
    return Wanted(key.name, f"a key of type {key.dtype}", pa.types.is_signed_integer)


def stored(name: str, dtype: DType | None) -> Wanted:
    """A feature, which both the offline join and the online store have to hold alike."""
    if dtype is None:  # no model reads it
        return Wanted(name, "a column", lambda held: True)
    if dtype == "string":
        return Wanted(name, dtype, is_text)
    if dtype == "bool":
        return Wanted(name, dtype, lambda held: pa.types.is_boolean(held) or pa.types.is_null(held))
    return Wanted(name, dtype, lambda held: is_castable(held, dtype) and not is_text(held))


def row_wanted(field: Field) -> Wanted:
    """A request field in the rows of a label or a population."""
    return Wanted(field.name, field.dtype, lambda held: is_castable(held, field.dtype))


def label_wanted(contract: FeatureContract) -> Wanted:
    """A regression's label is a number; a class is of the type that its prediction is published
    in."""
    if contract.objective == "regression":
        return Wanted(contract.label, "a number", lambda held: is_castable(held, "float64"))
    published = {
        f.dtype for p in contract.publications for f in p.features if f.name == "prediction"
    }
    types = published - {"string"}  # as text, a class of any type can be published
    said = f"{', '.join(sorted(types))} as its prediction is declared" if types else "a class"
    return Wanted(contract.label, said, lambda held: is_class(held, types))


def is_class(held: pa.DataType, published: Iterable[str]) -> bool:
    if pa.types.is_nested(held):
        return False
    return all(ARROW_TYPES[dtype] == widened(held) for dtype in published)


def widened(held: pa.DataType) -> pa.DataType:
    """As `ingest` writes it."""
    if pa.types.is_integer(held):
        return pa.int64()
    return pa.float64() if pa.types.is_floating(held) else held


def is_text(held: pa.DataType) -> bool:
    held = held.value_type if pa.types.is_dictionary(held) else held
    return pa.types.is_null(held) or any(is_a(held) for is_a in TEXTS)


def is_castable(held: pa.DataType, dtype: DType) -> bool:
    """Whether Arrow brings one type into the other; a date is no number."""
    if pa.types.is_temporal(held) and dtype != "string":
        return False
    try:
        pa.array([], held).cast(ARROW_TYPES[dtype])
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False
    return True


def check_use(use: Use) -> None:
    """Look into the first file's schema.

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


def make_histories(store: FeatureStore, definitions: dict[str, Definition]) -> None:
    """Make the folder into which the nightly run writes its predictions, where nobody has."""
    publications = [p for d in definitions.values() for p in d.contract.publications]
    for publication in publications:
        view = store.get_feature_view(publication.view)
        folder = Path(local_path(view.batch_source))
        if not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            write_schema(folder, history_schema(view, publication.key))


def history_schema(view: FeatureView, key: Field) -> pa.Schema:
    features = [(field.name, ARROW_TYPES[DTYPES[str(field.dtype)]]) for field in view.features]
    time = (view.batch_source.timestamp_field, pa.timestamp("us", tz="UTC"))
    return pa.schema([(key.name, ARROW_TYPES[key.dtype]), time, *features])
