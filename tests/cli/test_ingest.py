"""`potluck ingest`: what it says of the rows, and how it replaces or adds."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import cli.data.ingest
from cli.main import main, potluck
from potluck.contract.errors import MissingStepError, Refused

INGEST = """
import pyarrow as pa
from datetime import UTC, datetime

KEYS = {"readings": ["id"]}


def ingest(files, rows, seed):
    days = [datetime(1939, 1, 1 + number, tzinfo=UTC) for number in range(rows)]
    days = [None if day.day == 4 else day for day in days]
    return {
        "readings": pa.table(
            {
                "id": range(rows),
                "event_timestamp": pa.array(days, pa.timestamp("us", "UTC")),
                "seed": [seed] * rows,
            }
        ),
        "history": pa.schema([("id", pa.int64())]),
    }
"""


@pytest.fixture(autouse=True)
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repo that makes rows to order, and a home of this test."""
    for name in (
        "REDIS_URL",
        "MLFLOW_TRACKING_URI",
        "FEAST_REGISTRY_URL",
        "FEAST_USAGE",
        "MLFLOW_DISABLE_TELEMETRY",
    ):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("POTLUCK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("POTLUCK_REPO", str(tmp_path))
    (tmp_path / "feature_store.yaml").write_text("project: meters\n")
    (tmp_path / "ingest.py").write_text(INGEST)
    return tmp_path


def ingest(*words: str, answers: str | None = None) -> Any:
    return CliRunner().invoke(potluck, ["ingest", *words], input=answers)


def readings(said: Any) -> tuple[int, int]:
    """Rows before and after."""
    document = json.loads(said.stdout)
    return document["before"]["readings"], document["rows"]["readings"]


def test_every_row_that_came_is_kept_or_told() -> None:
    said = ingest("--rows", "10").output
    assert (
        "readings: 10 rows came, 9 kept, 1 left out: 1 no date (id=3); 0 → 9 rows in the source"
        in said
    )
    assert "history: made, for others to fill" in said


def test_the_accounts_are_there_for_machines(repo: Path) -> None:
    document = json.loads(ingest("--rows", "10", "--json").stdout)
    (account,) = document["accounts"]
    assert document["folder"] == str(repo / "home" / "data" / "meters")
    assert document["rows"] == {"readings": 9, "history": 0}
    assert (account["table"], account["came"], account["kept"]) == ("readings", 10, 9)
    assert account["left_out"] == [{"reason": "no date", "count": 1, "examples": ["id=3"]}]


def test_fewer_rows_replace_more_only_where_somebody_says_so() -> None:
    ingest("--rows", "10")
    refused = ingest("--rows", "6")
    assert isinstance(refused.exception, Refused)
    assert "readings 9 → 5 rows" in str(refused.exception)
    assert readings(ingest("--rows", "10", "--json")) == (9, 9)
    assert readings(ingest("--rows", "6", "--replace", "--json")) == (9, 5)


def test_a_refusal_ends_with_65(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ingest("--rows", "10")
    monkeypatch.setattr(sys, "argv", ["potluck", "ingest", "--rows", "6"])
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 65
    said = capsys.readouterr().err
    assert all(flag in said for flag in ("--replace", "--append"))


@pytest.mark.parametrize(("answer", "rows"), [("y\n", 5), ("n\n", 9), ("\n", 9)])
def test_at_a_terminal_it_asks(monkeypatch: pytest.MonkeyPatch, answer: str, rows: int) -> None:
    ingest("--rows", "10")
    monkeypatch.setattr(cli.data.ingest, "at_terminal", lambda: True)
    asked = ingest("--rows", "6", answers=answer)
    assert "readings holds 9 rows; it would hold 5" in asked.stderr
    assert readings(ingest("--append", "--rows", "1", "--json"))[0] == rows


def test_appended_rows_add_and_the_same_ones_replace() -> None:
    ingest("--rows", "6")
    assert readings(ingest("--rows", "10", "--seed", "1", "--append", "--json")) == (5, 9)
    assert readings(ingest("--rows", "10", "--seed", "1", "--append", "--json")) == (9, 9)


def test_append_and_replace_together_are_a_usage_error() -> None:
    assert ingest("--append", "--replace").exit_code == 2


def test_what_an_ingest_replaced_is_put_back_and_forward_again(repo: Path) -> None:
    ingest("--rows", "10")
    ingest("--rows", "6", "--replace")
    undone = ingest("--undo")
    assert undone.exit_code == 0
    assert "readings: 5 → 9 rows in the source" in undone.stdout
    assert readings(ingest("--undo", "--json")) == (9, 5)
    assert readings(ingest("--undo", "--json")) == (5, 9)
    assert readings(ingest("--rows", "10", "--json")) == (9, 9)


def test_an_append_is_undone_too() -> None:
    ingest("--rows", "6")
    ingest("--rows", "10", "--seed", "1", "--append")
    assert readings(ingest("--undo", "--json")) == (9, 5)


def test_there_is_nothing_to_undo_before_the_second_ingest(repo: Path) -> None:
    for _ in range(2):
        undone = ingest("--undo")
        assert isinstance(undone.exception, MissingStepError)
        assert "no ingest replaced a source" in str(undone.exception)
        ingest("--rows", "10")


def test_an_undo_takes_no_files_and_no_other_option() -> None:
    assert ingest("--undo", "--append").exit_code == 2
    assert ingest("--undo", "some.csv").exit_code == 2
