"""`make demo` shows what there is: an entity that is known, else the refusal, and never a trace."""

import datetime
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.demo.service_calls import show_services
from potluck.contract.errors import PotluckError
from potluck.contract.redis_format import entity_key
from potluck.contract.settings import Settings
from potluck.redis.embedded import client

STRANGERS = pa.table(
    {"flower_id": [987654321, 987654322], "sepal_length": [5.1, 4.9], "sepal_width": [3.5, None]}
)


@pytest.fixture
def settings(iris: Any, tmp_path: Path) -> Settings:
    """A home with iris's champions and data of its own."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home/releases").symlink_to(iris.settings.releases)
    shutil.copytree(iris.settings.data_folder("iris"), tmp_path / "home/data/iris")
    return Settings(home=tmp_path / "home", repo=iris.repo.path)


@pytest.fixture
def forgotten(iris: Any) -> Iterator[Any]:
    """The population's first entity, which the store does not know for a while."""
    entity = iris.population()[0]["flower_id"]
    redis = client(iris.settings)
    key = entity_key("iris", ["flower_id"], [entity], ["int64"])
    kept = redis.dump(key)
    redis.delete(key)
    yield entity
    redis.restore(key, 0, kept, replace=True)


def replace_source(settings: Settings, name: str, table: pa.Table) -> None:
    pq.write_table(table, settings.data_folder("iris") / f"{name}.parquet", coerce_timestamps="us")


def test_each_service_is_called_and_says_where_its_features_came_from(
    iris: Any, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    show_services(settings, iris.url)
    said = capsys.readouterr().out
    for head in (
        "POST /predict/iris_realtime",
        "POST /predict/iris_hybrid",
        "GET /lookup/iris_batch/{flower_id}",
    ):
        assert said.count(head) == 1
    assert said.count('"prediction"') == 3
    assert "looked up in the online store: petal_length, petal_width" in said
    assert "refused" not in said


def test_where_the_first_entity_is_not_in_the_store_another_one_is_shown(
    iris: Any, settings: Settings, forgotten: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    show_services(settings, iris.url)
    said = capsys.readouterr().out
    assert said.count('"prediction"') == 3
    assert "1 row(s) before were refused: ENTITY_NOT_FOUND" in said


def test_where_no_entity_is_known_the_refusal_is_shown_and_the_rest_goes_on(
    iris: Any, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    replace_source(settings, "population", STRANGERS)
    with pytest.raises(PotluckError, match="iris_hybrid, iris_batch answered none"):
        show_services(settings, iris.url)
    said = capsys.readouterr().out
    assert said.count("ENTITY_NOT_FOUND: ") == 2
    assert said.count('"prediction"') == 1


def test_values_that_json_does_not_have_end_in_a_refusal_and_no_trace(
    iris: Any, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = pa.table(
        {
            "flower_id": [1, 2],
            "sepal_length": [datetime.datetime(1939, 9, 1)] * 2,
            "sepal_width": [b"\xff"] * 2,
        }
    )
    replace_source(settings, "population", odd)
    with pytest.raises(PotluckError):
        show_services(settings, iris.url)
    assert "SCHEMA_VALIDATION" in capsys.readouterr().out


def test_without_a_population_the_labels_rows_are_sent(
    iris: Any, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    (settings.data_folder("iris") / "population.parquet").unlink()
    show_services(settings, iris.url)
    assert capsys.readouterr().out.count('"prediction"') == 3


def test_without_any_rows_it_is_said(
    iris: Any, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(settings.data_folder("iris"))
    with pytest.raises(PotluckError):
        show_services(settings, iris.url)
    assert (
        capsys.readouterr().out.count("no source of the home holds the fields that it takes") == 3
    )


def demo(*words: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "cli.demo", *words]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, cwd=folder, check=False
    )


@pytest.fixture
def plain_repo(tmp_path: Path) -> Path:
    """A repo of a realtime service alone, whose data is a file."""
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "feature_store.yaml").write_text(
        (Path(__file__).parents[2] / "examples/iris/feature_store.yaml")
        .read_text()
        .replace("iris", "plain")
    )
    (folder / "definitions.py").write_text(DEFINITIONS)
    (folder / "ingest.py").write_text(INGEST)
    return folder


DEFINITIONS = """
from feast import FeatureService, Field, FileSource, RequestSource
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float64

from potluck.contract.settings import source_path

sizes = FileSource(
    name="sizes", path=source_path("plain", "sizes"), timestamp_field="event_timestamp"
)
width = Field(name="width", dtype=Float64, tags={"required": "true"})
asked = RequestSource(name="asked", schema=[width])


@on_demand_feature_view(mode="python", sources=[asked], schema=[Field(name="area", dtype=Float64)])
def areas(inputs):
    return {"area": [None if width is None else width * width for width in inputs["width"]]}


TAGS = {"label": "sizes.price", "objective": "regression"}
plain_realtime = FeatureService(name="plain_realtime", features=[areas], tags=TAGS)
"""

INGEST = """
import datetime

import pyarrow as pa

from potluck.contract.errors import UsageError


def ingest(files, rows, seed):
    if not files:
        raise UsageError("expected the file of sizes, got none")
    widths = [float(line) for line in files[0].read_text().split()]
    start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    days = [start + datetime.timedelta(days=day) for day in range(len(widths))]
    prices = [width * 3 for width in widths]
    return {"sizes": pa.table({"width": widths, "price": prices, "event_timestamp": days})}
"""


def test_a_repo_with_one_realtime_service_over_a_file_is_shown(
    plain_repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POTLUCK_HOME", str(tmp_path / "homes"))
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:9")
    data = tmp_path / "sizes.txt"
    data.write_text("\n".join(str(n / 10) for n in range(300)))
    ended = demo("--repo", str(plain_repo), "--data", str(data), folder=tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "POST /predict/plain_realtime" in ended.stdout
    assert "potluck nightly" not in ended.stdout


def test_a_repo_that_needs_a_file_and_gets_none_says_so(
    plain_repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POTLUCK_HOME", str(tmp_path / "homes"))
    ended = demo("--repo", str(plain_repo), folder=tmp_path)
    assert ended.returncode == 2
    assert "expected the file of sizes, got none" in ended.stderr
    assert "DATA=FILE" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_repo_that_is_none_ends_without_a_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POTLUCK_HOME", str(tmp_path / "homes"))
    ended = demo("--repo", str(tmp_path), folder=tmp_path)
    assert ended.returncode == 2
    assert "feature_store.yaml" in ended.stderr
    assert "Traceback" not in ended.stderr
