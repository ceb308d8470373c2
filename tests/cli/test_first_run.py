"""What the first `make up` takes for a home that was filled already."""

from pathlib import Path

import pyarrow as pa
import pytest

from cli.first_run import holds_sources
from potluck.stores.ingest.sources import write_sources


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    repo = tmp_path / "repo"
    repo.mkdir()
    (repo / "feature_store.yaml").write_text("project: pumps")
    return {"POTLUCK_HOME": str(tmp_path / "home"), "POTLUCK_REPO": str(repo)}


def test_a_history_that_apply_made_is_no_ingested_data(environment: dict[str, str]) -> None:
    assert not holds_sources(environment)
    data = Path(environment["POTLUCK_HOME"]) / "data" / "pumps"
    write_sources(data, {"predictions": pa.schema([("pump_id", pa.int64())])})
    assert not holds_sources(environment)
    write_sources(data, {"records": pa.table({"pump_id": [1]})})
    assert holds_sources(environment)
