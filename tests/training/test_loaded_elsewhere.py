"""`mlflow.pyfunc.load_model` takes raw rows with text, as pandas holds them; it answers as HTTP."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

LOADED = """
import json, sys
import mlflow, pandas as pd
uri, service, folder, key, population, records, fields, options = sys.argv[1:]
mlflow.set_tracking_uri(uri)
options = json.loads(options)
dated = pd.read_parquet(f"{folder}/{records}.parquet").sort_values("event_timestamp")
latest = dated.groupby(key).tail(1)
rows = pd.read_parquet(f"{folder}/{population}.parquet").sort_values(key, ignore_index=True)
latest = latest[[key, *(name for name in latest if name in json.loads(fields))]]
rows = rows[[key, *(name for name in rows if name in json.loads(fields) and name not in latest)]]
frame = rows.merge(latest, on=key, how="left")
for name in options.get("drop", []):
    frame = frame.drop(columns=name)
for name in options.get("category", []):
    frame[name] = frame[name].astype("category")
model = mlflow.pyfunc.load_model(f"models:/{service}@champion")
answered = pd.DataFrame(model.predict(frame, params=options.get("params")))
print("FOUND" + json.dumps({
    "keys": frame[key].tolist(), "dtypes": sorted({str(kind) for kind in frame.dtypes}),
    "answered": {str(name): answered[name].tolist() for name in answered},
}))
"""
SOURCES = {
    "houses": ("house_prices", "listings", "assessor"),
    "iris": ("iris", "population", "petals"),
}


def loaded(stack: Any, **options: Any) -> dict[str, Any]:
    """The champion's answers for every entity's raw row, loaded by MLflow in another process."""
    project, population, records = SOURCES[stack.repo.name]
    contract = stack.get(f"/services/{stack.repo.hybrid}").json()
    # Other tests promote past MLflow: its champion is the one that is served from here on.
    promoted = stack.verb("promote", stack.repo.hybrid, contract["model_version"])
    assert promoted.returncode == 0, promoted.stderr
    fields = [
        field["name"] for field in contract["fields"] if field["source"] in ("request", "online")
    ]
    where = (
        stack.settings.tracking_uri,
        stack.repo.hybrid,
        str(stack.settings.data_folder(project)),
    )
    words = (contract["entity"][0], population, records, json.dumps(fields), json.dumps(options))
    return dict(json.loads(stack.python(LOADED, *where, *words).split("FOUND")[1]))


def over_http(stack: Any, keys: list[Any]) -> dict[str, list[Any]]:
    key = stack.get(f"/services/{stack.repo.hybrid}").json()["entity"][0]
    rows = {row[key]: row for row in stack.population()}
    answers: dict[str, list[Any]] = {"predictions": [], "probabilities": []}
    for start in range(0, len(keys), 1000):
        records = [rows[entity] for entity in keys[start : start + 1000]]
        body = stack.post(
            f"/predict/{stack.repo.hybrid}/batch", {"dataframe_records": records}
        ).json()
        assert body["errors"] == []
        for name, values in answers.items():
            values += body.get(name, [])
    return answers


def test_a_regression_gives_the_bits_of_http_from_text_gaps_and_categories(houses: Any) -> None:
    found = loaded(houses, category=["Neighborhood", "Foundation"])
    assert {"category", "object", "float64", "int64"} <= set(found["dtypes"])
    assert found["answered"]["0"] == over_http(houses, found["keys"])["predictions"]


def test_classes_give_the_bits_of_http_with_their_probabilities(iris: Any) -> None:
    found = loaded(iris)
    told = over_http(iris, found["keys"])
    assert found["answered"]["prediction"] == told["predictions"]
    for label in ("setosa", "versicolor", "virginica"):
        shares = [row[label] for row in told["probabilities"]]
        assert found["answered"][f"probability_{label}"] == shares


def test_the_moment_is_a_parameter(houses: Any) -> None:
    """`YrSold` and `MoSold` stand for the request's time where they are missing."""
    one, other = (
        loaded(houses, drop=["YrSold", "MoSold"], params={"request_time": text})["answered"]["0"]
        for text in ("2007-01-15", "2010-07-15")
    )
    assert one != other


MISTAKES = """
import sys
import mlflow, pandas as pd
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model(f"models:/{sys.argv[2]}@champion")
frame = pd.DataFrame(model.input_example)
wrong = {
    "unknown": frame.assign(Neighbourhood="x"),
    "absent": frame.drop(columns="LotArea"),
    "text": frame.assign(LotArea="large"),
    "fraction": frame.assign(YearBuilt=2003.5),
    "gap": frame.assign(Neighborhood=None),
}
for name, rows in wrong.items():
    try:
        model.predict(rows)
    except Exception as error:
        print(f"{name}: {type(error).__name__}: {error}")
"""


def test_mistakes_are_told_by_column(houses: Any) -> None:
    said = houses.python(MISTAKES, houses.settings.tracking_uri, houses.repo.hybrid).splitlines()
    told = dict(line.split(": DataError: ", 1) for line in said if ": DataError: " in line)
    assert "got also Neighbourhood" in told["unknown"]
    assert "requires the columns LotArea" in told["absent"]
    assert "column LotArea, row 0: expected a whole number" in told["text"]
    assert "got str 'large'" in told["text"]
    assert "column YearBuilt, row 0: expected a whole number" in told["fraction"]
    assert "column Neighborhood: expected a text" in told["gap"]


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        ("csv", "sepal_length,sepal_width,petal_length,petal_width\n5,,1.4,0.2\n6.1,3,,\n"),
        (
            "json",
            json.dumps(
                {
                    "inputs": [
                        {"sepal_length": 5, "petal_length": 1.4, "petal_width": 0.2},
                        {"sepal_length": 6.1},
                    ]
                }
            ),
        ),
    ],
)
def test_mlflows_own_command_scores_a_file(
    iris: Any, tmp_path: Path, suffix: str, content: str
) -> None:
    path = tmp_path / f"rows.{suffix}"
    path.write_text(content)
    uri = f"models:/{iris.repo.hybrid}@champion"
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "models",
        "predict",
        "-m",
        uri,
        "-i",
        str(path),
        "-t",
        suffix,
    ]
    ended = subprocess.run(
        [*command, "--env-manager", "local"],
        env={**iris.environment, "MLFLOW_TRACKING_URI": iris.settings.tracking_uri},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr
    rows = json.loads(ended.stdout)["predictions"]
    assert rows[0]["prediction"] == "setosa"
    assert set(rows[0]) == {
        "prediction",
        "probability_setosa",
        "probability_versicolor",
        "probability_virginica",
    }
