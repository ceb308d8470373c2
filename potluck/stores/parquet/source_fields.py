"""What the nightly run reads of one source: the latest record of each entity, as the champion's
contract wants it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from potluck.contract.champion import Champion
from potluck.contract.errors import DefinitionError, Refused
from potluck.contract.features import FeatureContract, LookupView
from potluck.contract.fields import Field
from potluck.contract.moments import EARLIEST, LATEST
from potluck.stores.parquet.shard import Shard
from potluck.stores.parquet.source import HELD_AS, ParquetSource
from potluck.stores.parquet.sql import moment, quoted, utc

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView
    from feast.data_source import DataSource

LAST_RUN_STAYS = "the last published run stays"


@dataclass(frozen=True)
class Part:
    """Fields that come from one source."""

    source: ParquetSource
    key: str
    columns: tuple[tuple[Field, str], ...]
    """Each field, and its column in the source."""
    owner: str
    """Whom to name where a column does not hold what was declared."""
    until: datetime
    since: datetime | None = None
    """The values of older records count as missing, though their entities are known; None lets
    every age through."""

    @property
    def visible(self) -> str:
        """Whether a record counts; unknown where it has no timestamp."""
        time = self.source.time
        in_range = f"{time} >= {moment(EARLIEST)} AND {time} < {moment(LATEST)}"
        return f"({in_range} AND {time} <= {moment(self.until)})"

    def read(self, connection: duckdb.DuckDBPyConnection, shard: Shard) -> pa.Table:
        """The latest visible record of each of the shard's entities.

        Returns:
            `k`, the fields, numbered (`c0`, `c1`, ...) as they may bear any name, and where values
            may be too old
            `fresh`: whether they are not. To join and sort wide rows takes DuckDB longer than to
                find them.
        """
        columns = {f"c{place}": column for place, (_, column) in enumerate(self.columns)}
        where = f"{quoted(self.key)} BETWEEN $first AND $last AND {self.visible}"
        dated = {} if self.since is None else {"t": self.source.timestamp}
        query = self.source.latest([self.key], {"k": self.key, **columns, **dated}, where)
        # Only the comparison leaves DuckDB: the timestamps themselves are of no use later.
        if self.since is not None:
            fresh = f"{utc('t')} >= {moment(self.since)} AS fresh"
            query = f"SELECT * EXCLUDE (t), {fresh} FROM ({query})"
        bounds = {"first": shard.first, "last": shard.last}
        return connection.execute(query, bounds).to_arrow_table()

    def check(self, connection: duckdb.DuckDBPyConnection, key: Field) -> None:
        """Compare what is wanted with the files.

        Raises:
            DataError: a column is not there, or the key is of another type.
        """
        columns = [column for _, column in self.columns]
        self.source.check(connection, [self.key, *columns])
        self.source.check_key(connection, self.key, key.dtype)


@dataclass(frozen=True)
class ViewPart(Part):
    """Looked-up fields of one feature view, as a champion's contract wants them."""

    wanted_by: str = ""
    changed: frozenset[str] = frozenset()
    """Fields that the view does not declare any more as the champion knows them."""
    way_out: str = ""

    def check(self, connection: duckdb.DuckDBPyConnection, key: Field) -> None:
        """As `Part.check`.

        Raises:
            Refused: the source does not hold any more what the champion looks up.
        """
        held = self.source.types(connection)
        for field, column in self.columns:
            if column not in held:
                raise self.lacks(field, f"has no column {column} any more")
            if field.name in self.changed and held[column] not in HELD_AS[field.dtype]:
                raise self.lacks(field, f"holds {column} as {held[column]} now")
        super().check(connection, key)

    def lacks(self, field: Field, found: str) -> Refused:
        """Why the champion does not get this field."""
        wanted = f"{self.wanted_by} looks up {field.name} ({field.dtype}) in view {self.owner}"
        return Refused(f"{wanted}, and its source {self.source.name} {found}; {self.way_out}")


def own_part(store: "FeatureStore", contract: FeatureContract, name: str, as_of: datetime) -> Part:
    """The request fields, from the population's latest rows."""
    from potluck.stores.parquet.offline_reads import data_source

    columns = tuple((field, field.name) for field in contract.request)
    return Part(local(data_source(store, name)), contract.keys[0].name, columns, name, as_of)


def view_part(
    store: "FeatureStore", champion: Champion, view: LookupView, as_of: datetime
) -> ViewPart:
    """The looked-up fields of one feature view.

    Which they are, and how long they hold, says the contract, as it does to the server; the
    registry says only in which columns of which source they are found.

    Raises:
        Refused: the registry no longer has the view, or has it over another entity.
    """
    from potluck.stores.parquet.offline_reads import file_columns

    declared = declared_view(store, champion, view)
    contract = champion.contract
    key = contract.keys[0].name
    column = file_columns(declared.batch_source)
    fields = [field for field in contract.online if field.name in view.features]
    columns = tuple((field, column.get(field.name, field.name)) for field in fields)
    since = as_of - timedelta(seconds=view.ttl_seconds) if view.ttl_seconds else None
    return ViewPart(
        source=local(declared.batch_source),
        key=column.get(key, key),
        columns=columns,
        owner=view.name,
        until=as_of,
        since=since,
        wanted_by=reader(champion),
        changed=changed_fields(declared, fields),
        way_out=way_out(champion),
    )


def declared_view(store: "FeatureStore", champion: Champion, view: LookupView) -> "FeatureView":
    from feast.errors import FeatureViewNotFoundException

    try:
        declared = store.get_feature_view(view.name)
    except FeatureViewNotFoundException:
        raise Refused(
            f"{reader(champion)} looks up {', '.join(view.features)} in view {view.name}, which "
            f"the registry does not hold any more; {way_out(champion)}"
        ) from None
    if tuple(declared.join_keys) != view.join_keys:
        raise Refused(
            f"{reader(champion)} looks up view {view.name} by {', '.join(view.join_keys)}, and it "
            f"is declared by {', '.join(declared.join_keys) or 'no key'} now; {way_out(champion)}"
        )
    return declared


def changed_fields(declared: "FeatureView", fields: Sequence[Field]) -> frozenset[str]:
    """Those that the view does not declare any more, or declares as another type."""
    from potluck.stores.definitions.tags import DTYPES

    held = {feature.name: DTYPES.get(str(feature.dtype)) for feature in declared.features}
    return frozenset(field.name for field in fields if held.get(field.name) != field.dtype)


def reader(champion: Champion) -> str:
    return f"champion version {champion.model_version} of {champion.contract.service}"


def way_out(champion: Champion) -> str:
    train = f"potluck train {champion.contract.service} --promote"
    another = f"train and promote a model without it (`{train}`)"
    return f"put it back, or {another}; {LAST_RUN_STAYS}"


def local(source: "DataSource") -> ParquetSource:
    from potluck.stores.parquet.offline_reads import parquet_source

    found = parquet_source(source)
    if found is None:
        raise DefinitionError(
            f"source {source.name} can't be read by the nightly run: expected a FileSource of "
            f"parquet on a mounted disk, got {type(source).__name__}"
        )
    return found
