"""Since when the feature store knows an entity: the date of its first record, whatever the record
holds.

A point-in-time join does not tell an entity without a record from one whose values are missing, and
a service answers the two differently.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from feast import FeatureStore, FeatureView

from potluck.contract.features import FeatureContract
from potluck.contract.fields import Field
from potluck.contract.moments import EARLIEST, LATEST
from potluck.stores.parquet.arrow_types import cast
from potluck.stores.parquet.connection import connected
from potluck.stores.parquet.offline_reads import ROW, TIME, file_columns, parquet_source, read_rows
from potluck.stores.parquet.source import ParquetSource
from potluck.stores.parquet.sql import moment, quoted

FIRST = "potluck_first"
Mask = npt.NDArray[np.bool_]


def join_keys(contract: FeatureContract) -> list[tuple[str, ...]]:
    """The entities that a service looks up, each by its join keys."""
    return list(dict.fromkeys(view.join_keys for view in contract.views))


def policy_of_keys(contract: FeatureContract, keys: tuple[str, ...]) -> str:
    """What an unknown entity means: one view that refuses is enough."""
    policies = {view.unknown for view in contract.views if view.join_keys == keys}
    return "refuse" if "refuse" in policies else "missing"


def first_records(
    store: FeatureStore, contract: FeatureContract, keys: tuple[str, ...]
) -> pa.Table:
    """Entities of these join keys, and when any of the service's views first held a record of
    each."""
    fields = [field for field in contract.keys if field.name in keys]
    names = [field.name for field in fields]
    tables = []
    for looked_up in contract.views:
        if looked_up.join_keys == keys:
            view = store.get_feature_view(looked_up.name)
            tables.append(first_of_view(store, view, fields))
    found = pa.concat_tables(tables)
    return found.group_by(names).aggregate([(FIRST, "min")]).rename_columns([*names, FIRST])


def first_of_view(store: FeatureStore, view: FeatureView, keys: Sequence[Field]) -> pa.Table:
    names = [key.name for key in keys]
    local = parquet_source(view.batch_source)
    if local is None:
        rows = read_rows(store, view.batch_source, keys)
        return rows.group_by(names).aggregate([(TIME, "min")]).rename_columns([*names, FIRST])
    in_file = file_columns(view.batch_source)
    columns = [in_file.get(name, name) for name in names]
    with connected(local) as connection:
        local.check(connection, columns)
        table = connection.execute(first_query(local, columns)).to_arrow_table()
    source = view.batch_source.name
    typed = [cast(table[f"k{place}"], key, source) for place, key in enumerate(keys)]
    firsts = table[FIRST].cast(pa.timestamp("us", tz="UTC"))
    return pa.table([*typed, firsts], names=[*names, FIRST])


def first_query(source: ParquetSource, keys: Sequence[str]) -> str:
    """The date of every entity's first record, with its keys as `k0`, `k1`, ...

    Args:
        keys: columns of the source.
    """
    columns = [quoted(key) for key in keys]
    chosen = ", ".join(f"{column} AS k{place}" for place, column in enumerate(columns))
    within = f"{source.time} >= {moment(EARLIEST)} AND {source.time} < {moment(LATEST)}"
    rows = f"{source.scan} WHERE {within} GROUP BY {', '.join(columns)}"
    return f"SELECT {chosen}, min({source.time}) AS {FIRST} FROM {rows}"


def unknown(rows: pa.Table, firsts: pa.Table) -> Mask:
    """Which rows name an entity that had no record yet at their time.

    Args:
        rows: `event_timestamp` and the join keys of `firsts`, among others.
    """
    met = with_first(rows, firsts)
    return ~mask_of(pc.less_equal(met[FIRST], met[TIME]))


def too_early(rows: pa.Table, firsts: pa.Table) -> Mask:
    """Which rows name an entity whose records are all dated after them."""
    met = with_first(rows, firsts)
    return mask_of(pc.greater(met[FIRST], met[TIME]))


def with_first(rows: pa.Table, firsts: pa.Table) -> pa.Table:
    """Keys and time of the rows, in their order, beside the date of the entity's first record."""
    names = [name for name in firsts.column_names if name != FIRST]
    # A join keeps no order: the rows are numbered, and sorted again.
    numbers = pa.array(range(rows.num_rows), pa.int64())
    numbered = rows.select([*names, TIME]).append_column(ROW, numbers)
    return numbered.join(firsts, names, join_type="left outer").sort_by(ROW)


def mask_of(values: pa.ChunkedArray) -> Mask:
    """Null is false."""
    return np.asarray(pc.fill_null(values, False).to_numpy(), dtype=np.bool_)
