"""The history of published runs: a folder of parquet files, one for each as-of date."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import FileSource

from batch.history import History
from batch.profile import profile_of
from potluck.contract.errors import DataError, MissingStepError
from potluck.contract.fields import Field
from potluck.contract.publication import Pointer, Publication
from potluck.stores.ingest.sources import write_parquet, write_schema

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
    write_schema(tmp_path / "history.parquet", SCHEMA)
    return Store(tmp_path / "history.parquet")


def pointer(as_of: datetime, run_id: str, rows: int = 1) -> Pointer:
    return Pointer("a", run_id, as_of, "3", rows)


def scored(*values: float | None) -> pa.Table:
    return pa.table(
        {
            "shop_id": pa.array(range(1, len(values) + 1), pa.int64()),
            "prediction": pa.array(values, pa.float64()),
            "probabilities": pa.nulls(len(values), pa.string()),
            "failure": pa.array(
                [None if value is not None else "no weight" for value in values], pa.string()
            ),
        }
    )


def keep(store: Any, as_of: datetime, run_id: str, *values: float | None) -> None:
    tables, profile = (
        [scored(*values)],
        profile_of(run_id, np.array([v for v in values if v is not None])),
    )
    History(store, PUBLICATION).write(tables, pointer(as_of, run_id, len(values)), profile)


def kept(store: Any) -> list[tuple[int, datetime, float, str, str]]:
    return [tuple(row.values()) for row in pq.read_table(store.path).to_pylist()]  # type: ignore[misc]


def test_a_run_is_kept_row_by_row(store: Any) -> None:
    keep(store, JUNE, "first", 10.0, 20.0)
    assert kept(store) == [(1, JUNE, 10.0, "first", "3"), (2, JUNE, 20.0, "first", "3")]


def test_a_row_without_a_prediction_is_not_kept(store: Any) -> None:
    keep(store, JUNE, "first", 10.0, None)
    assert kept(store) == [(1, JUNE, 10.0, "first", "3")]


def test_shards_follow_each_other(store: Any) -> None:
    History(store, PUBLICATION).write(
        iter([scored(10.0), scored(11.0)]),
        pointer(JUNE, "first"),
        profile_of("first", np.array([10.0, 11.0])),
    )
    assert [row[2] for row in kept(store)] == [10.0, 11.0]


def test_another_date_is_kept_beside_it(store: Any) -> None:
    keep(store, JUNE, "first", 10.0)
    keep(store, JULY, "second", 11.0)
    assert kept(store) == [(1, JUNE, 10.0, "first", "3"), (1, JULY, 11.0, "second", "3")]


def test_the_same_date_again_takes_the_place_of_its_run(store: Any) -> None:
    keep(store, JUNE, "first", 10.0, 20.0)
    keep(store, JULY, "second", 11.0)
    keep(store, JUNE, "corrected", 12.0)
    assert kept(store) == [(1, JUNE, 12.0, "corrected", "3"), (1, JULY, 11.0, "second", "3")]


def test_types_stay_those_of_the_declared_source(store: Any) -> None:
    keep(store, JUNE, "first", 10.0)
    assert pq.read_table(store.path).schema.equals(SCHEMA)


def test_nothing_but_runs_is_left_in_the_folder(store: Any) -> None:
    keep(store, JUNE, "first", 10.0)
    files = sorted(path.name for path in store.path.iterdir())
    assert files == ["20260601T000000.000000Z.parquet", "schema.parquet"]
    assert (store.path / files[0]).stat().st_mode & 0o777 == 0o644


def test_a_run_that_can_not_be_written_leaves_the_history_as_it_was(store: Any) -> None:
    keep(store, JUNE, "first", 10.0)

    def broken() -> Any:
        yield scored(11.0)
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        History(store, PUBLICATION).write(
            broken(), pointer(JUNE, "second"), profile_of("second", np.array([11.0]))
        )
    assert kept(store) == [(1, JUNE, 10.0, "first", "3")]
    assert len(list(store.path.iterdir())) == 2


def test_the_shape_of_a_run_is_kept_with_it(store: Any) -> None:
    keep(store, JUNE, "first", 10.0, 20.0)
    history = History(store, PUBLICATION)
    assert history.profile(pointer(JUNE, "first")) == profile_of("first", np.array([10.0, 20.0]))
    assert history.profile(pointer(JUNE, "another")) is None
    assert history.profile(pointer(JULY, "first")) is None


def test_a_damaged_file_has_no_shape(store: Any) -> None:
    keep(store, JUNE, "first", 10.0)
    (store.path / "20260601T000000.000000Z.parquet").write_bytes(b"PAR1")
    assert History(store, PUBLICATION).profile(pointer(JUNE, "first")) is None


def test_a_published_run_is_read_back(store: Any) -> None:
    keep(store, JUNE, "first", 10.0)
    history = History(store, PUBLICATION)
    assert history.read(pointer(JUNE, "first"), ["shop_id", "prediction"]).to_pydict() == {
        "shop_id": [1],
        "prediction": [10.0],
    }
    for gone in (pointer(JUNE, "another"), pointer(JULY, "first")):
        with pytest.raises(MissingStepError, match="is not in the history"):
            history.read(gone, ["shop_id"])


def test_a_history_that_was_never_ingested_says_which_step_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingStepError, match="run `potluck ingest` first"):
        History(Store(tmp_path / "history.parquet"), PUBLICATION)  # type: ignore[arg-type]


def test_the_single_file_of_an_earlier_version_moves_into_the_folder(tmp_path: Path) -> None:
    path = tmp_path / "history.parquet"
    row = {"shop_id": 1, "at": JUNE, "prediction": 10.0, "run_id": "first", "model_version": "3"}
    write_parquet(path, pa.Table.from_pylist([row], SCHEMA))
    with pytest.raises(MissingStepError, match="run `potluck ingest` first"):
        History(Store(path), PUBLICATION)  # type: ignore[arg-type]
    write_schema(path, SCHEMA)
    keep(Store(path), JULY, "second", 11.0)
    assert sorted(row[2] for row in kept(Store(path))) == [10.0, 11.0]


def test_a_history_of_other_columns_is_refused(tmp_path: Path) -> None:
    write_schema(tmp_path / "history.parquet", SCHEMA.remove(3))
    with pytest.raises(DataError, match="run_id"):
        History(Store(tmp_path / "history.parquet"), PUBLICATION)  # type: ignore[arg-type]
