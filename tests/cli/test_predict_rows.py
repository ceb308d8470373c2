"""`potluck predict` with a file or standard input: an answer for each row in its place, and an account that adds up."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import warm_python


def predict(stack: Any, *words: str, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    command = [sys.executable, "-m", "cli.main", "predict", *words, "--url", stack.url]
    return warm_python.run(
        command,
        env=stack.environment,
        input=stdin,
        capture_output=True,
        cwd=stack.home,
        timeout=120,
        check=False,
    )


def lines(ended: "subprocess.CompletedProcess[bytes]") -> list[dict[str, Any]]:
    return [json.loads(line) for line in ended.stdout.splitlines()]


def test_every_row_of_a_csv_is_answered_as_a_single_request_is(houses: Any, tmp_path: Path) -> None:
    rows = houses.population()
    path = tmp_path / "listings.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0]])
        writer.writeheader()
        writer.writerows(rows)
    ended = predict(houses, houses.repo.hybrid, str(path))
    assert ended.returncode == 0, ended.stderr
    answers = lines(ended)
    assert [answer["row"] for answer in answers] == list(range(1, len(rows) + 1))
    for start in range(0, len(rows), 1000):
        part = {"dataframe_records": rows[start : start + 1000]}
        told = houses.post(f"/predict/{houses.repo.hybrid}/batch", part).json()["predictions"]
        assert [answer["prediction"] for answer in answers[start : start + 1000]] == told
    assert f"{len(rows)} rows came = {len(rows)} answered + 0 refused" in ended.stderr.decode()


def test_a_bad_row_stops_no_other_and_the_account_adds_up(iris: Any) -> None:
    first, second = (row["flower_id"] for row in iris.population()[:2])
    text = f"""flower_id;sepal_length;sepal_width
{first};5.1;3
x;5.1;3
{second};;3
{second};6.0
987654;5;5
{second};5.1;
"""
    ended = predict(iris, iris.repo.hybrid, "-", stdin=text.encode())
    assert ended.returncode == 1
    answers = lines(ended)
    codes = [answer.get("error_code") for answer in answers]
    assert codes == [
        None,
        "SCHEMA_VALIDATION",
        "SCHEMA_VALIDATION",
        "UNREADABLE",
        "ENTITY_NOT_FOUND",
        None,
    ]
    assert set(answers[0]["probabilities"]) == {"setosa", "versicolor", "virginica"}
    assert answers[5]["imputed"]
    said = ended.stderr.decode()
    assert "standard input: 6 rows came = 2 answered + 4 refused" in said
    assert "2 SCHEMA_VALIDATION (row 2, row 3)" in said
    assert "potluck: 4 of 6 rows were refused" in said


def test_a_row_that_spoils_a_whole_call_stops_no_other(iris: Any) -> None:
    """Nested beyond what the server's parser follows: it refuses the body, not the row."""
    deep = b'{"sepal_length": ' + b"[" * 400 + b"]" * 400 + b"}\n"
    good = b'{"sepal_length": 5.0}\n'
    ended = predict(iris, iris.repo.realtime, "-", stdin=good * 3 + deep + good * 4)
    assert [answer["row"] for answer in lines(ended) if "error_code" in answer] == [4]
    assert "8 rows came = 7 answered + 1 refused" in ended.stderr.decode()


def test_an_array_and_lines_are_answered_in_batches(iris: Any) -> None:
    records = [{"sepal_length": 4 + number / 1000} for number in range(2500)]
    one = predict(iris, iris.repo.realtime, "-", stdin=json.dumps(records).encode())
    other = predict(
        iris, iris.repo.realtime, "-", stdin="\n".join(map(json.dumps, records)).encode()
    )
    assert (one.returncode, other.returncode) == (0, 0)
    assert one.stdout == other.stdout
    assert len(lines(one)) == 2500


@pytest.mark.parametrize("name", ["answers.csv", "answers.jsonl"])
def test_answers_go_to_a_file_and_the_account_to_standard_output(
    iris: Any, tmp_path: Path, name: str
) -> None:
    target = tmp_path / name
    stdin = b'{"sepal_length": 5.0}\n{}\n'
    ended = predict(iris, iris.repo.realtime, "-", "--to", str(target), "--json", stdin=stdin)
    assert ended.returncode == 1
    told = json.loads(ended.stdout)
    assert (told["rows"], told["accounts"][0]["came"], told["accounts"][0]["kept"]) == (1, 2, 1)
    if name.endswith(".csv"):
        good, bad = csv.DictReader(target.open())
        direct = iris.post(f"/predict/{iris.repo.realtime}", {"sepal_length": 5.0}).json()
        assert good["prediction"] == direct["prediction"]
        assert float(good["probability_setosa"]) == direct["probabilities"]["setosa"]
        assert "sepal_length: required" in bad["message"]
    else:
        good, bad = (json.loads(line) for line in target.read_text().splitlines())
        assert (good["row"], bad["row"]) == (1, 2)
    assert bad["error_code"] == "SCHEMA_VALIDATION"


def test_a_broken_end_is_told_after_what_was_answered(iris: Any) -> None:
    ended = predict(iris, iris.repo.realtime, "-", stdin=b'[{"sepal_length": 5.0}, {"sepal_')
    assert ended.returncode == 1
    assert len(lines(ended)) == 1
    assert "after record 1 it can't be read" in ended.stderr.decode()
    assert "1 rows came = 1 answered" in ended.stderr.decode()


def test_usage_errors_end_with_2_and_say_what_was_expected(iris: Any, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("sepal_length,colour\n5,red\n")
    realtime = iris.repo.realtime
    for words, said in (
        ((realtime, "nowhere.csv"), "there is no file nowhere.csv"),
        ((realtime, "{sepal_length: 5}"), "expected a JSON record such as '{"),
        (
            (realtime, str(path)),
            f"{realtime} takes no colour; --only-known leaves such columns out",
        ),
        (
            (realtime, str(path), "--to", str(tmp_path / "no" / "x.csv")),
            "expected a folder that exists",
        ),
        ((realtime, str(path), "--to", str(tmp_path / "x.xlsx")), ".csv or .jsonl"),
        ((realtime, str(path), "--encoding", "morse"), "expected an encoding such as utf-8"),
        (
            (realtime, "{}", "--to", str(tmp_path / "x.csv")),
            "--to takes the answers to a file of rows",
        ),
        ((iris.repo.batch, str(path)), f"{iris.repo.batch} is precomputed: ask `potluck lookup"),
    ):
        ended = predict(iris, *words)
        assert (ended.returncode, ended.stdout) == (2, b""), (words, ended.stderr)
        assert said in ended.stderr.decode()


def test_columns_that_the_service_does_not_take_are_left_out_on_demand_and_told(iris: Any) -> None:
    ended = predict(
        iris, iris.repo.realtime, "-", "--only-known", stdin=b"sepal_length,colour\n5,red\n"
    )
    assert ended.returncode == 0
    assert f"left out, as {iris.repo.realtime} does not take them: colour" in ended.stderr.decode()


def test_a_server_that_goes_away_leaves_the_former_file(iris: Any, tmp_path: Path) -> None:
    target = tmp_path / "answers.csv"
    target.write_text("former")
    command = [
        sys.executable,
        "-m",
        "cli.main",
        "predict",
        iris.repo.realtime,
        "-",
        "--to",
        str(target),
    ]
    ended = subprocess.run(
        [*command, "--url", "http://127.0.0.1:9"],
        env=iris.environment,
        input=b"",
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 1
    assert b"no Potluck server answers" in ended.stderr
    assert target.read_text() == "former"


def test_several_ids_are_looked_up_at_once(iris: Any) -> None:
    ids = [str(row["flower_id"]) for row in iris.population()[:3]]
    found = iris.verb("lookup", iris.repo.batch, *ids, "--url", iris.url, "--json")
    assert found.returncode == 0, found.stderr
    assert None not in json.loads(found.stdout)["predictions"]
    lacking = iris.verb("lookup", iris.repo.batch, *ids, "987654", "--url", iris.url, "--json")
    assert lacking.returncode == 1
    assert json.loads(lacking.stdout)["predictions"][3] is None
    assert "1 of 4 ids have no prediction" in lacking.stderr
