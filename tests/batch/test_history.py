"""The history of published runs: one parquet file, one run for each as-of date."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import FileSource

from batch.history import history_table, read_history, write_history
from batch.score import Scores
from potluck.contract.errors import DataError, MissingStepError
from potluck.contract.features import Field, Publication
from potluck.contract.publication import Pointer
from potluck.stores.sources import write_parquet

JUNE, JULY = datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)
PUBLICATION = Publication(
    service="price_batch",
    view="prices",
    key=Field("shop_id", "int64", "key", required=True),
    features=(
        Field("prediction", "float64", "online"),
        Field("run_id", "string", "online"),
        Field("model_version", "string", "online"),
    ),
    field_ids={},
    source="history",
)
SCHEMA = pa.schema(
    [
        ("shop_id", pa.int64()),
        ("at", pa.timestamp("us", tz="UTC")),
        ("prediction", pa.float64()),
        ("run_id", pa.string()),
        ("model_version", pa.string()),
    ]
)


@dataclass(frozen=True)
class Store:
    """As much of a feature store as the history asks: a real source by its name."""

    path: Path

    def get_data_source(self, name: str) -> FileSource:
        return FileSource(name=name, path=str(self.path), timestamp_field="at")


@pytest.fixture
def store(tmp_path: Path) -> Any:
    """What `potluck ingest` leaves: the schema, and no row."""
    write_parquet(tmp_path / "history.parquet", SCHEMA.empty_table())
    return Store(tmp_path / "history.parquet")


def scores(as_of: datetime, *values: float) -> Scores:
    return Scores(as_of, len(values), list(range(1, len(values) + 1)), list(values), None, [])


def pointer(run: Scores, run_id: str) -> Pointer:
    return Pointer("a", run_id, run.as_of, "3", len(run.keys))


def keep(store: Any, run: Scores, run_id: str) -> None:
    write_history(store, PUBLICATION, run, pointer(run, run_id))


def kept(store: Any) -> list[tuple[int, datetime, float, str, str]]:
    return [tuple(row.values()) for row in pq.read_table(store.path).to_pylist()]  # type: ignore[misc]


def test_a_run_is_kept_row_by_row(store: Any) -> None:
    keep(store, scores(JUNE, 10.0, 20.0), "first")
    assert kept(store) == [(1, JUNE, 10.0, "first", "3"), (2, JUNE, 20.0, "first", "3")]


def test_another_date_is_kept_beside_it(store: Any) -> None:
    keep(store, scores(JUNE, 10.0), "first")
    keep(store, scores(JULY, 11.0), "second")
    assert kept(store) == [(1, JUNE, 10.0, "first", "3"), (1, JULY, 11.0, "second", "3")]


def test_the_same_date_again_takes_the_place_of_its_run(store: Any) -> None:
    keep(store, scores(JUNE, 10.0, 20.0), "first")
    keep(store, scores(JULY, 11.0), "second")
    keep(store, scores(JUNE, 12.0), "corrected")
    assert sorted(kept(store)) == [(1, JUNE, 12.0, "corrected", "3"), (1, JULY, 11.0, "second", "3")]


def test_the_same_run_twice_is_kept_once(store: Any) -> None:
    for _ in range(2):
        keep(store, scores(JUNE, 10.0, 20.0), "first")
    assert len(kept(store)) == 2


def test_types_stay_those_of_the_declared_source(store: Any) -> None:
    keep(store, scores(JUNE, 10.0), "first")
    assert pq.read_schema(store.path).equals(SCHEMA)


def test_nothing_but_the_history_is_left_in_the_folder(store: Any) -> None:
    keep(store, scores(JUNE, 10.0), "first")
    assert [path.name for path in store.path.parent.iterdir()] == ["history.parquet"]
    assert store.path.stat().st_mode & 0o777 == 0o644


def test_a_run_that_can_not_be_written_leaves_the_history_as_it_was(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(store, scores(JUNE, 10.0), "first")

    def full(*_: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("batch.history.write_parquet", full)
    with pytest.raises(OSError, match="no space"):
        keep(store, scores(JULY, 11.0), "second")
    assert kept(store) == [(1, JUNE, 10.0, "first", "3")]
    assert [path.name for path in store.path.parent.iterdir()] == ["history.parquet"]


def test_a_history_that_was_never_ingested_says_which_step_is_missing(store: Any) -> None:
    store.path.unlink()
    with pytest.raises(MissingStepError, match="run `potluck ingest` first"):
        keep(store, scores(JUNE, 10.0), "first")


def test_a_history_of_other_columns_is_refused(store: Any) -> None:
    write_parquet(store.path, SCHEMA.remove(3).empty_table())
    with pytest.raises(DataError, match="run_id"):
        keep(store, scores(JUNE, 10.0), "first")


def test_a_table_holds_just_what_the_view_declares() -> None:
    run = scores(JUNE, 10.0)
    assert history_table(PUBLICATION, run, pointer(run, "first"), "at").schema.equals(SCHEMA)


def test_reading_takes_the_asked_columns_alone(store: Any) -> None:
    keep(store, scores(JUNE, 10.0), "first")
    wanted = pa.schema([("shop_id", pa.int64()), ("prediction", pa.float64())])
    assert read_history(store.path, wanted).to_pydict() == {"shop_id": [1], "prediction": [10.0]}
