"""`potluck init`: the folder that it writes, what it says, and what it asks."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tables import bank, comics, letters, taxi

import cli.data.init
from cli.main import main, potluck
from potluck.contract.errors import PotluckError, UsageError
from potluck.stores.ingest.ingest_file import load_ingest
from potluck.stores.ingest.sources import write_sources
from scaffold.decide import decide
from scaffold.folder import repo_files, write_folder
from scaffold.table import profile_table
from scaffold.wishes import Wishes, nobody_asked

STRANGERS: list[tuple[Any, list[str]]] = [
    (bank, ["--label", "y"]),
    (comics, ["--label", "ALIVE"]),
    (taxi, ["--label", "fare"]),
    (letters, ["--label", "glyph", "--key", "writer"]),
]
FILES = [".feastignore", "README.md", "definitions.py", "feature_store.yaml", "ingest.py"]


def init(*words: object, answers: str | None = None) -> Result:
    """The verb, in this process, where errors are raised."""
    return CliRunner().invoke(
        potluck, ["init", *map(str, words)], input=answers, catch_exceptions=True
    )


def exit_code(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    """As the shell sees it."""
    monkeypatch.setattr(sys, "argv", ["potluck", "init", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize(
    ("stranger", "words"), STRANGERS, ids=lambda value: getattr(value, "__name__", "")
)
def test_the_files_are_those_of_a_feature_repo_in_the_formatters_own_layout(
    tmp_path: Path, stranger: Any, words: Sequence[str]
) -> None:
    repo = tmp_path / "repo"
    assert init(stranger(tmp_path), *words, "--to", repo).exit_code == 0
    assert sorted(path.name for path in repo.iterdir()) == FILES
    assert max(len(line) for line in (repo / "ingest.py").read_text().splitlines()) <= 100
    for command in (["format", "--check"], ["check"]):
        words = [sys.executable, "-m", "ruff", *command, "--isolated", str(repo)]
        ended = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_same_table_gives_the_same_files(tmp_path: Path) -> None:
    path = comics(tmp_path)
    texts = []
    for _ in range(2):
        init(path, "--label", "ALIVE", "--to", tmp_path / "repo", "--force")
        texts.append({name: (tmp_path / "repo" / name).read_text() for name in FILES})
    assert texts[0] == texts[1]


def sources(repo: Path, *files: Path) -> dict[str, Any]:
    return dict(load_ingest(repo)(files, 1, 1))


def test_its_ingest_reads_the_file_that_it_was_made_from(tmp_path: Path) -> None:
    path = comics(tmp_path)
    init(path, "--label", "ALIVE", "--to", tmp_path / "repo")
    found = sources(tmp_path / "repo")
    assert found == sources(tmp_path / "repo", path)
    assert found["records"].column_names == [
        "page_id",
        "HAIR",
        "SEX",
        "APPEARANCES",
        "event_timestamp",
    ]
    observed = ["page_id", "ID", "ALIGN", "EYE", "ALIVE", "event_timestamp"]
    assert found["observations"].column_names == observed
    assert found["page_predictions"].names[:4] == [
        "page_id",
        "event_timestamp",
        "prediction",
        "probabilities",
    ]
    written = write_sources(tmp_path / "data", found, keys=load_ingest(tmp_path / "repo").keys)
    for account in written.accounts:
        assert account.came == 1200
        assert [each.reason for each in account.left_out] == ["no date"]
    dates = pq.read_table(tmp_path / "data" / "records.parquet")["event_timestamp"].to_pylist()
    assert min(dates).year == 1939


def test_a_file_that_went_away_is_told(tmp_path: Path) -> None:
    path = bank(tmp_path)
    init(path, "--label", "y", "--to", tmp_path / "repo")
    path.unlink()
    with pytest.raises(UsageError, match=r"bank.csv; name it: potluck ingest FILE"):
        sources(tmp_path / "repo")


def test_rows_without_an_id_are_numbered_over_all_files_and_can_not_be_appended(
    tmp_path: Path,
) -> None:
    path = bank(tmp_path, rows=60)
    init(path, "--label", "y", "--to", tmp_path / "repo")
    found = sources(tmp_path / "repo", path, path)
    assert found["records"]["row_id"].to_pylist() == list(range(1, 121))
    assert not load_ingest(tmp_path / "repo").appendable
    days = {
        name: found[name]["event_timestamp"].unique().to_pylist()
        for name in ("records", "observations")
    }
    assert len(days["records"]) == len(days["observations"]) == 1
    assert days["records"] < days["observations"]


def test_append_is_refused_where_rows_have_no_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    init(bank(tmp_path, rows=60), "--label", "y", "--to", tmp_path / "repo")
    words = ["ingest", "--append", "--repo", str(tmp_path / "repo")]
    monkeypatch.setenv("POTLUCK_HOME", str(tmp_path / "home"))
    ended = CliRunner().invoke(potluck, words)
    assert isinstance(ended.exception, UsageError)
    assert "all files at once" in str(ended.exception)


def test_parquet_gives_the_same_repo_as_csv(tmp_path: Path) -> None:
    table = pyarrow.csv.read_csv(
        letters(tmp_path), parse_options=pyarrow.csv.ParseOptions(delimiter="|")
    )
    pq.write_table(table, tmp_path / "letters.parquet")
    words = ["--label", "glyph", "--key", "writer"]
    for form in ("csv", "parquet"):
        assert (
            init(
                tmp_path / f"letters.{form}", *words, "--name", "letters", "--to", tmp_path / form
            ).exit_code
            == 0
        )
    assert sources(tmp_path / "csv") == sources(tmp_path / "parquet")
    definitions = [(tmp_path / form / "definitions.py").read_text() for form in ("csv", "parquet")]
    assert definitions[0] == definitions[1].replace("letters.parquet", "letters.csv")


def test_every_column_is_told_with_role_and_reason(tmp_path: Path) -> None:
    said = init(taxi(tmp_path), "--label", "fare", "--to", tmp_path / "repo").output
    assert "fare_with_tax" in said
    assert "tells fare by itself (100.0%)" in said
    document = json.loads(
        init(taxi(tmp_path), "--label", "fare", "--to", tmp_path / "other", "--json").stdout
    )
    columns = {each["column"]: each for each in document["columns"]}
    assert all(column in said and each["reason"] in said for column, each in columns.items())
    assert columns["distance_km"]["role"] == "request"
    assert document["data"]["decimal"] == ","
    assert document["services"] == ["other_realtime", "other_hybrid", "other_batch"]
    assert document["files"] == FILES


@pytest.mark.parametrize(
    ("folder", "name"),
    [("Größe-1 & more", "grosse_1_more"), ("2024", "data_2024"), ("__x", "x"), ("pumps", "pumps")],
)
def test_a_folders_name_becomes_one_that_feast_takes(
    tmp_path: Path, folder: str, name: str
) -> None:
    from feast.repo_operations import is_valid_name

    said = init(bank(tmp_path, rows=60), "--label", "y", "--to", tmp_path / folder).output
    assert (f"the project is called {name}" in said) == (folder != name)
    assert f"project: {name}\n" in (tmp_path / folder / "feature_store.yaml").read_text()
    assert is_valid_name(name)


def test_a_folder_that_holds_something_is_left_alone_unless_forced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, repo = bank(tmp_path, rows=60), tmp_path / "repo"
    repo.mkdir()
    (repo / "mine.txt").write_text("mine")
    assert exit_code(monkeypatch, path, "--label", "y", "--to", repo) == 2
    assert "--force" in capsys.readouterr().err
    assert [path.name for path in repo.iterdir()] == ["mine.txt"]
    assert init(path, "--label", "y", "--to", repo, "--force").exit_code == 0
    assert (repo / "mine.txt").read_text() == "mine"


def test_a_place_where_no_folder_can_be_made_is_a_usage_error(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.touch()
    with pytest.raises(UsageError, match="can't be written: Not a directory"):
        write_folder({"README.md": ""}, path / "repo", force=False)


def test_only_rows_that_can_not_be_split_by_time_get_the_tag_split(tmp_path: Path) -> None:
    undated, dated = tmp_path / "undated", tmp_path / "dated"
    assert init(bank(tmp_path, rows=60), "--label", "y", "--to", undated).exit_code == 0
    assert init(taxi(tmp_path), "--label", "fare", "--to", dated).exit_code == 0
    assert '"split": "random"' in (undated / "definitions.py").read_text()
    assert '"split"' not in (dated / "definitions.py").read_text()


@pytest.mark.parametrize(
    "words",
    [
        ["--to", "repo"],
        ["--label", "y"],
        ["--label", "y", "--to", "repo", "--delimiter", "ab"],
        ["--label", "y", "--to", "repo", "--timezone", "Mars/Olympus"],
        ["--label", "y", "--to", "repo", "--encoding", "rot13"],
        ["--label", "y", "--to", "repo", "--name", "!!!"],
        ["--label", "y", "--to", "repo", "--drop", "y"],
        ["--label", "y", "--to", "repo", "--date-format", "%d.%m.%Y"],
        ["--label", "y", "--to", "bank.csv"],
    ],
)
def test_a_wrong_command_line_ends_with_2_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    bank(tmp_path, rows=60)
    monkeypatch.chdir(tmp_path)
    assert exit_code(monkeypatch, "bank.csv", *words) == 2
    assert not (tmp_path / "repo").exists()


def test_at_a_terminal_it_asks_and_takes_the_likely_answer_for_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli.data.init, "choose_ask", lambda: cli.data.init.ask_somebody)
    answers = "\n".join(["fare", "", "", "no"]) + "\n"
    ended = init(taxi(tmp_path), "--to", tmp_path / "repo", "--json", answers=answers)
    assert ended.exit_code == 0
    asked = [
        flag for flag in ("(--label)", "(--key)", "(--time)", "(--keep)") if flag in ended.stderr
    ]
    assert len(asked) == 4
    roles = {each["column"]: each["role"] for each in json.loads(ended.stdout)["columns"]}
    assert (roles["ride_id"], roles["pickup_at"], roles["fare_with_tax"]) == (
        "key",
        "time",
        "record",
    )


CELLS = (
    *(
        "",
        "NA",
        "?",
        "-",
        "+",
        "none",
        "1",
        "2",
        "0.5",
        "1,5",
        "1.234,5",
        "007",
        "1e3",
        "inf",
        "9007199254740993",
    ),
    *("x", "y z", "a;b", 'q"', "é", "true", "2024-01-31", "31.1.2024", "1/2/2024", "12:30"),
)
WORDS = st.sampled_from(CELLS)


@given(data=st.data(), rows=st.integers(20, 60), width=st.integers(3, 6))
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_table_makes_a_repo_that_reads_it_or_is_refused_in_words(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, rows: int, width: int
) -> None:
    folder = tmp_path_factory.mktemp("any")
    kinds = [data.draw(st.lists(WORDS, min_size=1, max_size=4)) for _ in range(width)]
    cells = [
        data.draw(st.lists(st.sampled_from(kind), min_size=rows, max_size=rows)) for kind in kinds
    ]
    cells[0] = [str(row % 2) for row in range(rows)]
    delimiter = data.draw(st.sampled_from(",;\t"))
    path = folder / "any.csv"
    header = [f"c {number}" for number in range(width)]
    lines = [header, *map(list, zip(*cells, strict=True))]
    text = "\n".join(
        delimiter.join(f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in line) for line in lines
    )
    path.write_text(text)
    wishes = Wishes(label="c 0", time=data.draw(st.sampled_from([None, "none", "c 1"])))
    try:
        plan = decide(profile_table(path, wishes, nobody_asked), wishes, "any", nobody_asked)
    except PotluckError:
        return
    write_folder(repo_files(plan, folder / "repo"), folder / "repo", force=False)
    found = sources(folder / "repo")
    written = write_sources(folder / "data", found, keys=load_ingest(folder / "repo").keys)
    for account in written.accounts:
        assert account.came == rows
        assert account.kept == written.rows[account.table]
    assert isinstance(found["records"], pa.Table)
