"""Questions to the log, in SQL: the table `log` holds every logged row."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from monitoring.parts import PartFiles, concat
from potluck.contract.errors import MissingStepError, UsageError

FOOTERS_AT_ONCE = 16

NEWEST_ROWS = """
select * from log order by request_time desc, request_id, row limit {limit}
"""


@dataclass(frozen=True)
class Found:
    """The rows of an answer."""

    columns: list[str]
    rows: list[tuple[Any, ...]]

    def as_dicts(self) -> list[dict[str, Any]]:
        """Return each row by column name."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def open_log(parts: PartFiles, service: str | None = None) -> duckdb.DuckDBPyConnection:
    """Open a connection in which the table `log` stands for the log's files.

    Args:
        service: only the rows of one; its columns are then its own alone.

    Raises:
        MissingStepError: nothing was logged yet.
    """
    paths = sorted(parts.paths(service))
    if not paths:
        of = f" of {service}" if service else ""
        raise MissingStepError(
            f"the inference log holds no row{of} yet; run `potluck serve` and ask a service"
        )
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    if parts.is_local:
        listed = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
        connection.execute(
            f"create view log as select * from read_parquet([{listed}], union_by_name = true)"  # noqa: S608
        )
    else:
        connection.register("log", remote_table(parts, paths))
    return connection


def remote_table(parts: PartFiles, paths: Sequence[str]) -> ds.Dataset:
    """Return files of object storage as one dataset; a column that a file lacks is null there."""

    def empty_table(path: str) -> pa.Table:
        with parts.files.open_input_file(path) as file:
            return pq.read_schema(file).remove_metadata().empty_table()

    # Each one is a wait for the storage.
    with ThreadPoolExecutor(FOOTERS_AT_ONCE) as readers:
        schema = concat(list(readers.map(empty_table, paths))).schema
    return ds.dataset(list(paths), schema=schema, filesystem=parts.files, format="parquet")


def ask(connection: duckdb.DuckDBPyConnection, sql: str, values: Sequence[Any] = ()) -> Found:
    """Ask the log.

    Raises:
        UsageError: it is no SQL that the log can answer.
    """
    try:
        cursor = connection.execute(sql, list(values))
        columns = [column[0] for column in cursor.description or []]
        return Found(columns, cursor.fetchall())
    except duckdb.Error as error:
        raise UsageError(f"the log can't answer this SQL: {str(error).splitlines()[0]}") from None


def newest(connection: duckdb.DuckDBPyConnection, limit: int) -> Found:
    """Return the newest rows."""
    return ask(connection, NEWEST_ROWS.format(limit=int(limit)))


def by_request(connection: duckdb.DuckDBPyConnection, request_id: str) -> Found:
    """Return the rows of a request, in their order."""
    return ask(connection, "select * from log where request_id = ? order by row", [request_id])


def by_entity(connection: duckdb.DuckDBPyConnection, key: str, value: str, limit: int) -> Found:
    """Return the newest rows of an entity.

    Raises:
        UsageError: no logged service has such a key.
    """
    column = f"key_{key}"
    if column not in ask(connection, "select * from log limit 0").columns:
        raise UsageError(f"expected a join key of a logged service, got {key}")
    quoted = '"' + column.replace('"', '""') + '"'
    sql = (
        f"select * from log where {quoted}::varchar = ? "  # noqa: S608
        "order by request_time desc, request_id, row limit ?"
    )
    return ask(connection, sql, [value, limit])
