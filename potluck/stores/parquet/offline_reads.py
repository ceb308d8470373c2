"""What training and the nightly run read from Feast's offline store: labels, population,
point-in-time features."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pyarrow as pa
from feast import FeatureStore
from feast.data_format import ParquetFormat
from feast.data_source import DataSource
from feast.errors import DataSourceObjectNotFoundException
from feast.infra.offline_stores.file_source import FileSource

from potluck.contract.errors import DataError, DefinitionError, PotluckError
from potluck.contract.features import FeatureContract
from potluck.contract.fields import Field
from potluck.contract.moments import EARLIEST, LATEST
from potluck.stores.parquet.arrow_types import ARROW_TYPES, cast
from potluck.stores.parquet.connection import connected
from potluck.stores.parquet.source import LINE, ParquetSource, parquet_files
from potluck.stores.parquet.sql import quoted

ROW = "potluck_row"
RANK = "potluck_rank"
"""Of two rows that are alike, the one of the lower rank counts: created later, then further down in
the file."""
TIME = "event_timestamp"


@dataclass(frozen=True)
class Inputs:
    """Rows ready for the row builder."""

    keys: pa.Table
    """One column a join key."""
    times: list[datetime]
    """Each row's time: the label's, or the as-of date."""
    columns: dict[str, list[Any]]
    """Every input of the contract by name; None is missing."""
    table: pa.Table
    """The same rows as Arrow, for hashing and for the record."""

    def take(self, rows: Sequence[int]) -> "Inputs":
        """Some of the rows, by number."""
        numbers = pa.array(rows, pa.int64())
        columns = {}
        for name, values in self.columns.items():
            columns[name] = [values[row] for row in rows]
        return replace(
            self,
            keys=self.keys.take(numbers),
            times=[self.times[row] for row in rows],
            columns=columns,
            table=self.table.take(numbers),
        )


def data_source(store: FeatureStore, name: str) -> DataSource:
    """A source of the registry, whose file is there.

    Raises:
        DefinitionError: the registry knows no such source.
        MissingStepError: its file was never written.
    """
    try:
        return present(store.get_data_source(name))
    except DataSourceObjectNotFoundException:
        known = sorted(source.name for source in store.list_data_sources())
        raise DefinitionError(
            f"expected the source {name}; the registry holds {', '.join(known) or 'no source'}; "
            "run `potluck apply`, or correct the name"
        ) from None


def present(source: DataSource) -> DataSource:
    if is_local(source):
        parquet_files(source.name, local_path(source))
    return source


def is_local(source: DataSource) -> bool:
    return isinstance(source, FileSource) and "://" not in local_path(source)


def local_path(source: FileSource) -> str:
    return str(source.path).removeprefix("file://")


def parquet_source(source: DataSource) -> ParquetSource | None:
    """The parquet files behind a Feast source, None where it has other ones.

    Raises:
        MissingStepError: there is no file.
    """
    if not is_local(source) or not isinstance(source.file_format, ParquetFormat | None):
        return None
    column = file_columns(source)
    time, created = source.timestamp_field, source.created_timestamp_column
    return ParquetSource(
        name=source.name,
        files=parquet_files(source.name, local_path(source)),
        timestamp=column.get(time, time),
        created=column.get(created, created) or None,  # Feast writes "" for none
    )


def file_columns(source: DataSource) -> dict[str, str]:
    """Name in Feast -> name in the file, where a field mapping renames one."""
    return {new: old for old, new in source.field_mapping.items()}


def read_rows(store: FeatureStore, source: DataSource, fields: Sequence[Field]) -> pa.Table:
    """Every row of a source: the fields in their declared types, `event_timestamp`, a rank and the
    row's number.

    Of a source that is no local parquet, only rows with a date within the range that Feast can
    hold.
    """
    local = parquet_source(source)
    names = [field.name for field in fields]
    table = pulled(store, source, names) if local is None else scanned(local, source, names)
    declared = typed(table, fields, source)
    return declared.append_column(RANK, table[RANK]).append_column(ROW, table[ROW])


def typed(table: pa.Table, fields: Sequence[Field], source: DataSource) -> pa.Table:
    """The declared columns in the declared types, with `event_timestamp` beside them."""
    columns = {field.name: cast(table[field.name], field, source.name) for field in fields}
    times = table[source.timestamp_field].cast(pa.timestamp("us", tz="UTC"), safe=False)
    return pa.table([*columns.values(), times], names=[*columns, TIME])


def scanned(local: ParquetSource, source: DataSource, names: Sequence[str]) -> pa.Table:
    """The columns of local parquet files, as Feast calls them."""
    in_file = file_columns(source)
    columns = [in_file.get(name, name) for name in names]
    pairs = zip(names, columns, strict=True)
    chosen = [f"{quoted(column)} AS {quoted(name)}" for name, column in pairs]
    chosen.append(f"{local.time} AS {quoted(source.timestamp_field)}")
    chosen.append(f"row_number() OVER (ORDER BY {local.later_first}) AS {RANK}")
    chosen.append(f"{LINE} + 1 AS {ROW}")
    query = f"SELECT {', '.join(chosen)} FROM {local.scan}"
    with connected(local) as connection:
        local.check(connection, columns)
        return connection.execute(query).to_arrow_table()


def pulled(store: FeatureStore, source: DataSource, names: Sequence[str]) -> pa.Table:
    """The same by way of Feast's offline store."""
    job = store._get_provider().offline_store.pull_all_from_table_or_query(
        config=store.config,
        data_source=source,
        join_key_columns=[],
        feature_name_columns=list(names),
        timestamp_field=source.timestamp_field,
        start_date=EARLIEST,
        end_date=LATEST,
    )
    table = run(job, source.name)
    numbers = range(1, table.num_rows + 1)
    ranks = pa.array(reversed(numbers), pa.int64())
    return table.append_column(RANK, ranks).append_column(ROW, pa.array(numbers, pa.int64()))


def run(job: Any, source: str) -> pa.Table:
    try:
        with warnings.catch_warnings(action="ignore"):
            return job.to_arrow()
    except PotluckError:
        raise
    except Exception as error:
        raise DataError(
            f"source {source} can't be read as declared: {error}; run `potluck ingest` again"
        ) from error


def point_in_time(store: FeatureStore, contract: FeatureContract, rows: pa.Table) -> Inputs:
    """Join rows (keys, request fields, `event_timestamp`) with what the feature views knew at each
    row's time."""
    for view in contract.views:
        present(store.get_feature_view(view.name).batch_source)
    looked_up = historical_features(store, contract, rows) if contract.views else {}
    columns = {field.name: rows[field.name] for field in contract.request} | looked_up
    keys = rows.select([field.name for field in contract.keys])
    named_keys = dict(zip(keys.column_names, keys.columns, strict=True))
    table = pa.table({**named_keys, **columns, TIME: rows[TIME]})
    plain = {name: column.to_pylist() for name, column in columns.items()}
    return Inputs(keys=keys, times=rows[TIME].to_pylist(), columns=plain, table=table)


def historical_features(
    store: FeatureStore, contract: FeatureContract, rows: pa.Table
) -> dict[str, pa.ChunkedArray]:
    """Feast's point-in-time join; it keeps no order, so a row number goes with it."""
    if not rows.num_rows:
        types = {field.name: ARROW_TYPES[field.dtype] for field in contract.online}
        return {name: pa.chunked_array([[]], dtype) for name, dtype in types.items()}
    keys = [field.name for field in contract.keys]
    numbers = pa.array(range(rows.num_rows), pa.int64())
    numbered = rows.select([*keys, TIME]).append_column(ROW, numbers)
    references = [f"{view.name}:{feature}" for view in contract.views for feature in view.features]
    job = store.get_historical_features(numbered.to_pandas(), references)
    joined = run(job, contract.service).sort_by(ROW)
    if joined.num_rows != rows.num_rows:
        raise DataError(
            f"the point-in-time join of {contract.service} gave {joined.num_rows} rows for "
            f"{rows.num_rows}; expected one each: is there more than one record of an entity with "
            "the same timestamp?"
        )
    return {
        field.name: cast(joined[field.name], field, contract.service) for field in contract.online
    }
