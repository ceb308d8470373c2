"""What became of the rows of a view's source when the view was written."""

from feast import FeatureStore, FeatureView

from potluck.contract.accounting import Account, account
from potluck.contract.errors import DataError
from potluck.stores.feast_plugins.session import OLDER, REJECTED, Session, WrittenRows
from potluck.stores.parquet.census import Census, RowCounter
from potluck.stores.parquet.offline_reads import file_columns, parquet_source


def account_of_view(
    store: FeatureStore, view: FeatureView, told: WrittenRows, session: Session
) -> Account:
    """What became of the source's rows; where it can't be counted, of the records that Feast made
    of them.

    Raises:
        DataError: the source is no longer the one that was written.
    """
    table = f"{view.name} (source {view.batch_source.name})"
    census = census_of(store, view, session)
    if census is None:
        return account(table, told.came, told.reasons())
    left_out = [*census.left_out, *told.reasons((OLDER, REJECTED))]
    found = account(table, census.came, left_out)
    if found.kept != told.written:
        raise DataError(
            f"source {view.batch_source.name} of view {view.name} changed while it was read: "
            f"expected {found.kept} entities to be written, got {told.written}; run `potluck "
            "materialize` again"
        )
    return found


def census_of(store: FeatureStore, view: FeatureView, session: Session) -> Census | None:
    source = parquet_source(view.batch_source)
    if source is None or view.name not in session.straight or session.horizon is None:
        return None
    column = file_columns(view.batch_source)
    counter = RowCounter(source, {key: column.get(key, key) for key in view.join_keys})
    return counter.census(
        session.horizon, getattr(store.config.offline_store, "memory_limit", None)
    )
