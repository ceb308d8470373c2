"""MLflow holds what was trained, on what, and how well, and its model is loaded without us."""

import json
from typing import Any

import pytest

READ = """
import json, os, sys
import mlflow, pandas as pd
mlflow.set_tracking_uri(sys.argv[1])
client = mlflow.MlflowClient()
version = client.get_model_version(sys.argv[2], "1")
run = client.get_run(version.run_id)
pictures = [file.path for file in client.list_artifacts(version.run_id)]
folder = mlflow.artifacts.download_artifacts(f"models:/{sys.argv[2]}/1")
loaded = mlflow.pyfunc.load_model(f"models:/{sys.argv[2]}/1")
signature = loaded.metadata.signature
predicted = loaded.predict(pd.DataFrame(loaded.input_example))
inputs = [
    [each.dataset.name, each.dataset.digest, [tag.value for tag in each.tags]]
    for each in run.inputs.dataset_inputs
]
print("FOUND" + json.dumps({
    "params": run.data.params, "metrics": run.data.metrics, "tags": run.data.tags,
    "pictures": pictures,
    "inputs": inputs,
    "aliases": client.get_registered_model(sys.argv[2]).aliases,
    "registered": client.get_registered_model(sys.argv[2]).tags,
    "files": sorted(os.listdir(folder)),
    "flavours": sorted(loaded.metadata.flavors),
    "example": loaded.input_example,
    "predicted": pd.DataFrame(predicted).to_numpy().tolist(),
    "columns": {spec.name: [spec.type.name, spec.required] for spec in signature.inputs},
    "parameters": [spec.name for spec in signature.params],
    "trees": mlflow.lightgbm.load_model(f"models:/{sys.argv[2]}/1").num_trees(),
}))
"""


@pytest.fixture(scope="module")
def found(houses: Any) -> dict[str, Any]:
    out = houses.python(READ, houses.settings.tracking_uri, houses.repo.hybrid)
    return dict(json.loads(out.split("FOUND")[1]))


def test_the_run_holds_parameters_metrics_and_a_picture(houses: Any, found: dict[str, Any]) -> None:
    assert {"num_iterations", "learning_rate", "seed", "as_of", "transform"} <= set(found["params"])
    assert {"rmse", "mae", "rmsle", "r2"} <= set(found["metrics"])
    assert "feature_importance.png" in found["pictures"]


def test_the_store_brings_what_the_request_alone_lacks(houses: Any, found: dict[str, Any]) -> None:
    """On the latest fifth, which neither model saw, the hybrid is better."""
    alone = json.loads(
        houses.python(READ, houses.settings.tracking_uri, houses.repo.realtime).split("FOUND")[1]
    )
    for name in ("rmsle", "mae", "rmse"):
        assert found["metrics"][name] < alone["metrics"][name]
    assert found["metrics"]["r2"] > alone["metrics"]["r2"]


def test_the_run_says_what_the_model_was_made_of(houses: Any, found: dict[str, Any]) -> None:
    tags = {
        name.removeprefix("potluck."): value
        for name, value in found["tags"].items()
        if name.startswith("potluck.")
    }
    assert {"feature_service", "registry_hash", "data_hash", "lock_hash", "as_of"} <= set(tags)
    ((name, digest, context),) = found["inputs"]
    assert name == "sales"
    assert tags["data_hash"].startswith(digest)
    assert context == ["training"]


def test_the_artifact_is_the_bundle_and_holds_no_pickle(houses: Any, found: dict[str, Any]) -> None:
    bundle = {"contract.json", "functions.py", "model.txt", "golden.json", "MANIFEST.json"}
    assert bundle <= set(found["files"])
    assert not [name for name in found["files"] if name.endswith((".pkl", ".pickle", ".joblib"))]


def test_the_first_version_is_champion(houses: Any, found: dict[str, Any]) -> None:
    assert "champion" in found["aliases"]


def test_the_signature_and_the_example_are_those_of_the_raw_columns(
    houses: Any, found: dict[str, Any]
) -> None:
    names = {
        "int64": "long",
        "int32": "integer",
        "float64": "double",
        "string": "string",
        "bool": "boolean",
    }
    fields = houses.get(f"/services/{houses.repo.hybrid}").json()["fields"]
    taken = {field["name"]: field for field in fields if field["source"] in ("request", "online")}
    assert {name: kind for name, (kind, _) in found["columns"].items()} == {
        name: names[field["dtype"]] for name, field in taken.items()
    }
    assert {name for name, (_, required) in found["columns"].items() if required} == {
        name for name, field in taken.items() if field["required"] and field["default"] is None
    }
    assert found["parameters"] == ["request_time"]
    assert all(set(row) == set(taken) for row in found["example"])
    assert any(isinstance(value, str) for value in found["example"][0].values())


def test_others_can_load_it_with_mlflow_alone(houses: Any, found: dict[str, Any]) -> None:
    """As a service, or as the bare booster."""
    assert len(found["predicted"]) == len(found["example"]) > 1
    assert found["flavours"] == ["lightgbm", "python_function"]
    assert found["trees"] > 0


def test_the_registered_model_says_whose_it_is(found: dict[str, Any]) -> None:
    assert found["registered"] == {"potluck.project": "house_prices"}


def test_the_same_plan_gives_the_same_model(iris: Any) -> None:
    """Bit for bit: the model's text, its contract but for nothing, its golden rows."""
    plan = ("--seed", "3", "--as-of", "2026-01-01", "--param", "num_iterations=20", "--json")
    first, again = (
        json.loads(iris.verb("train", iris.repo.realtime, *plan).stdout) for _ in range(2)
    )
    assert first["model_version"] != again["model_version"]
    assert first["digest"] == again["digest"]
    assert first["metrics"] == again["metrics"]
