"""The short forms for `definitions.py` make plain Feast objects, whatever the columns are
called."""

import json
from pathlib import Path
from typing import Any

import pytest
from feast import Entity, Field, RequestSource, ValueType
from feast.types import Bool, Float64, Int64, String
from tiny_repo import apply_one, write_repo

from potluck.stores.apply.trial import try_functions
from potluck.stores.definitions.declare import parquet, pass_through, predictions
from potluck.stores.definitions.on_demand import check_on_demand, function_source, function_tree

ODD = (
    "1st a",
    "it's",
    'a "quoted" one',
    "back\\slash",
    "tab\there",
    "line\nbreak",
    "für",
    "class",
    "x}{y",
    "%s",
)


def request(*names: str, name: str = "visit") -> RequestSource:
    return RequestSource(name=name, schema=[Field(name=each, dtype=Int64) for each in names])


def test_a_pass_through_puts_out_every_field_as_it_came() -> None:
    view = pass_through(request("a", "b"))
    assert view.name == "visit_columns"
    assert [(field.name, field.dtype) for field in view.features] == [("a", Int64), ("b", Int64)]
    assert view.feature_transformation.udf({"a": [1, None], "b": [2, 3]}) == {
        "a": [1, None],
        "b": [2, 3],
    }


def test_a_pass_through_takes_any_name_of_a_column() -> None:
    view = pass_through(request(*ODD))
    check_on_demand(view)
    assert try_functions([view]) == []
    scope: dict[str, Any] = {}
    exec(function_source(view), scope)
    columns = {name: [place, None] for place, name in enumerate(ODD)}
    assert scope["visit_columns"](dict(columns)) == columns


@pytest.mark.parametrize("name", ["1st-visit", "class", "my visit", "visit.today"])
def test_a_pass_through_takes_any_name_of_a_view(name: str) -> None:
    view = pass_through(request("a"), name)
    assert view.name == name
    assert function_tree(view).name.isidentifier()
    assert try_functions([view]) == []


def test_a_pass_through_leaves_the_tags_with_the_request() -> None:
    tagged = RequestSource(
        name="visit", schema=[Field(name="a", dtype=Int64, tags={"required": "true"})]
    )
    assert pass_through(tagged).features[0].tags == {}
    assert tagged.schema[0].tags == {"required": "true"}


@pytest.mark.parametrize(
    ("label", "names"),
    [
        (Float64, ["prediction", "model_version", "run_id"]),
        (Bool, ["prediction", "probabilities", "model_version", "run_id"]),
        (String, ["prediction", "probabilities", "model_version", "run_id"]),
    ],
)
def test_predictions_have_probabilities_where_the_label_is_a_class(
    label: Any, names: list[str]
) -> None:
    view = predictions(
        "pumps", Entity(name="pump", join_keys=["pump_id"], value_type=ValueType.INT64), label
    )
    assert [field.name for field in view.features] == names
    assert view.features[0].dtype == label
    assert (view.name, view.batch_source.name, view.online) == (
        "pump_predictions",
        "pump_predictions",
        True,
    )


def test_a_source_lies_where_ingest_writes_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("POTLUCK_HOME", str(tmp_path))
    source = parquet("pumps", "records")
    assert (source.path, source.timestamp_field) == (
        f"{tmp_path}/data/pumps/records.parquet",
        "event_timestamp",
    )


def test_odd_names_are_applied(tmp_path: Path) -> None:
    odd = ", ".join(f"Field(name={name!r}, dtype=Int64)" for name in ODD)
    changed = (
        'Field(name="temperature", dtype=Float64)',
        f'Field(name="temperature", dtype=Float64), {odd}',
    )
    ended = apply_one(write_repo(tmp_path / "repo", changed), "--json")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["models"]["t_realtime"] == 2 + len(ODD)
