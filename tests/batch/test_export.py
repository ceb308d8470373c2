"""The published run as a file."""

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq


def test_a_submission_file_has_the_contests_ids_and_column(houses: Any, tmp_path: Path) -> None:
    ids = [row["Id"] for row in houses.population()][5:25][::-1]
    keys = tmp_path / "test.csv"
    keys.write_text("MSZoning,Id\n" + "".join(f"RL,{entity}\n" for entity in ids))
    target = tmp_path / "submission.csv"
    ended = houses.verb("export", houses.repo.batch, "--to", str(target), "--name", "SalePrice", "--keys", str(keys))
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
    for words, code, said in (
        (("export", houses.repo.batch, "--to", "run.xlsx"), 2, ".csv or .parquet"),
        (("export", houses.repo.hybrid, "--to", "run.csv"), 2, houses.repo.batch),
        (("export", houses.repo.batch, "--to", "run.csv", "--keys", str(keys)), 1, "987654"),
    ):
        ended = houses.verb(*words)
        assert ended.returncode == code, ended.stderr
        assert said in ended.stderr


def test_a_bad_source_file_leaves_everything_as_it_was(houses: Any, tmp_path: Path) -> None:
    folder = houses.settings.data_folder("house_prices")
    before = {path.name: path.read_bytes() for path in folder.rglob("*.parquet") if path.is_file()}
    bad = tmp_path / "bad.csv"
    bad.write_text("Id,SalePrice\n1,x\n")
    ended = houses.verb("ingest", str(bad), "--json")
    assert ended.returncode == 1
    assert "bad.csv" in json.loads(ended.stderr)["message"]
    assert {path.name: path.read_bytes() for path in folder.rglob("*.parquet") if path.is_file()} == before
