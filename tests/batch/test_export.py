"""The published run as a file."""

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest


def test_a_submission_file_has_the_contests_ids_and_column(houses: Any, tmp_path: Path) -> None:
    ids = [row["Id"] for row in houses.population()][5:25][::-1]
    keys = tmp_path / "test.csv"
    keys.write_text("MSZoning,Id\n" + "".join(f"RL,{entity}\n" for entity in ids))
    target = tmp_path / "submission.csv"
    ended = houses.verb(
        "export", houses.repo.batch, "--to", str(target), "--name", "SalePrice", "--keys", str(keys)
    )
    assert ended.returncode == 0, ended.stderr
    rows = list(csv.DictReader(target.open()))
    looked_up = houses.post(f"/lookup/{houses.repo.batch}", {"ids": ids}).json()["predictions"]
    assert [int(row["Id"]) for row in rows] == ids
    assert [float(row["SalePrice"]) for row in rows] == looked_up


def test_parquet_keeps_the_bits(houses: Any, tmp_path: Path) -> None:
    target = tmp_path / "run.parquet"
    assert houses.verb("export", houses.repo.batch, "--to", str(target)).returncode == 0
    table = pq.read_table(target)
    ids = table["Id"].to_pylist()[:1000]
    assert ids == sorted(ids)
    looked_up = houses.post(f"/lookup/{houses.repo.batch}", {"ids": ids}).json()["predictions"]
    assert table["prediction"].to_pylist()[:1000] == looked_up


def test_what_can_not_be_exported_is_said(houses: Any, tmp_path: Path) -> None:
    keys = tmp_path / "keys.csv"
    keys.write_text("Id\n1\n987654\n")
    folder = tmp_path / "run.csv"
    folder.mkdir()
    for words, code, said in (
        (("export", houses.repo.batch, "--to", "run.xlsx"), 2, ".csv or .parquet"),
        (("export", houses.repo.hybrid, "--to", "run.csv"), 2, houses.repo.batch),
        (("export", houses.repo.batch, "--to", "run.csv", "--keys", str(keys)), 1, "987654"),
        (
            ("export", houses.repo.batch, "--to", "nowhere/run.csv"),
            2,
            "expected a folder that exists, got nowhere",
        ),
        (("export", houses.repo.batch, "--to", str(folder)), 2, "which is something else"),
        (
            ("export", houses.repo.batch, "--to", "/proc/run.csv"),
            1,
            "/proc/run.csv can't be written",
        ),
        (
            ("export", houses.repo.batch, "--to", "run.csv", "--keys", "nowhere.csv"),
            2,
            "got nowhere.csv",
        ),
        (
            ("export", houses.repo.batch, "--to", "run.csv", "--name", "Id"),
            2,
            "--name Id is the name of another",
        ),
    ):
        ended = houses.verb(*words)
        assert ended.returncode == code, ended.stderr
        assert said in ended.stderr
        assert "Traceback" not in ended.stderr
        assert not (houses.home / "run.csv").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Id\n1\n\nNA\n", "1 have none: row 2"),
        ("Id\n1\n,\n", "1 have none: row 2"),
        ("number\n1\n", "expected a CSV with the column Id; "),
        ("Id\none\n", "to be of type int64"),
        ("", "has no header"),
    ],
)
def test_a_file_of_keys_that_holds_something_else_is_told(
    houses: Any, tmp_path: Path, text: str, said: str
) -> None:
    keys = tmp_path / "keys.csv"
    keys.write_text(text)
    ended = houses.verb("export", houses.repo.batch, "--to", "run.csv", "--keys", str(keys))
    assert ended.returncode == 1
    assert said in ended.stderr


def test_keys_that_come_twice_are_told_and_answered_twice(houses: Any, tmp_path: Path) -> None:
    one, other = (row["Id"] for row in houses.population()[:2])
    keys, target = tmp_path / "keys.csv", tmp_path / "run.csv"
    keys.write_text(f"Id\n{one}.0\n{other}\n{one}\n")
    ended = houses.verb("export", houses.repo.batch, "--to", str(target), "--keys", str(keys))
    assert ended.returncode == 0, ended.stderr
    assert f"1 keys come more than once, as {keys} has them: {one}" in ended.stdout
    assert [int(row["Id"]) for row in csv.DictReader(target.open())] == [one, other, one]


def test_details_carry_probabilities_version_run_and_date(iris: Any, tmp_path: Path) -> None:
    target = tmp_path / "run.parquet"
    ended = iris.verb("export", iris.repo.batch, "--to", str(target), "--details", "--json")
    assert ended.returncode == 0, ended.stderr
    table = pq.read_table(target)
    labels = ("setosa", "versicolor", "virginica")
    shares = [f"probability_{label}" for label in labels]
    names = ["flower_id", "prediction", *shares, "model_version", "run_id", "as_of"]
    assert table.column_names == names == json.loads(ended.stdout)["columns"]
    body = iris.post(f"/lookup/{iris.repo.batch}", {"ids": table["flower_id"].to_pylist()}).json()
    for label in labels:
        assert table[f"probability_{label}"].to_pylist() == [
            row[label] for row in body["probabilities"]
        ]
    for name in ("model_version", "run_id"):
        assert set(table[name].to_pylist()) == {body[name]}
    assert {moment.isoformat() for moment in table["as_of"].to_pylist()} == {body["as_of"]}


def test_details_of_a_regression_have_no_probabilities(houses: Any, tmp_path: Path) -> None:
    target = tmp_path / "run.csv"
    assert (
        houses.verb("export", houses.repo.batch, "--to", str(target), "--details").returncode == 0
    )
    with target.open() as file:
        assert next(csv.reader(file)) == ["Id", "prediction", "model_version", "run_id", "as_of"]


def test_a_bad_source_file_leaves_everything_as_it_was(houses: Any, tmp_path: Path) -> None:
    folder = houses.settings.data_folder("house_prices")
    before = {path.name: path.read_bytes() for path in folder.rglob("*.parquet") if path.is_file()}
    bad = tmp_path / "bad.csv"
    bad.write_text("Id,SalePrice\n1,x\n")
    ended = houses.verb("ingest", str(bad), "--json")
    assert ended.returncode == 1
    assert "bad.csv" in json.loads(ended.stderr)["message"]
    assert {
        path.name: path.read_bytes() for path in folder.rglob("*.parquet") if path.is_file()
    } == before
