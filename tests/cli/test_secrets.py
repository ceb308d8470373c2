"""No password is printed, the home is its owner's alone, and no output steers a terminal."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import pytest
import warm_python

from cli.main import run_command
from cli.output import printable
from cli.stack.supervisor import commands
from potluck.contract.home import is_open_to_others
from potluck.contract.secrets import masked
from potluck.contract.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "s3cr3t-w0rd"
URLS = {
    "REDIS_URL": f"redis://user:{PASSWORD}@127.0.0.1:1/0",
    "MLFLOW_TRACKING_URI": f"postgresql+psycopg://user:{PASSWORD}@127.0.0.1:1/mlflow",
    "FEAST_REGISTRY_URL": f"postgresql+psycopg://user:{PASSWORD}@127.0.0.1:1/feast",
}
SECONDS = 120


def called(home: Path, *words: str, repo: Path = ROOT / "examples" / "iris", **more: str) -> Any:
    """A verb in a process of its own, with no settings but these."""
    ours = ("POTLUCK_", "REDIS_URL", "MLFLOW_", "FEAST_REGISTRY_URL")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environment = {**inherited, "POTLUCK_HOME": str(home), "POTLUCK_REPO": str(repo), **more}
    command = [sys.executable, "-W", "ignore", "-m", "cli.main", *words]
    return warm_python.run(
        command,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        stdin=subprocess.DEVNULL,
    )


def words_in(folder: Path) -> str:
    """All text of all files of a home."""
    return "".join(path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    "words",
    [("status",), ("apply",), ("materialize",), ("train", "iris_hybrid"), ("pull",), ("nightly",)],
    ids=lambda words: str(words[0]),
)
def test_no_verb_prints_a_password(tmp_path: Path, words: tuple[str, ...]) -> None:
    ended = called(tmp_path / "home", *words, **URLS)
    assert (ended.returncode == 0) == (words == ("status",))
    assert PASSWORD not in ended.stdout + ended.stderr + words_in(tmp_path)


def test_env_prints_them_as_it_is_evaluated(tmp_path: Path) -> None:
    printed = called(tmp_path / "home", "env", **URLS).stdout
    assert printed.count(PASSWORD) == len(URLS)


def test_the_processes_of_up_bear_no_password() -> None:
    settings = Settings(
        redis_url=URLS["REDIS_URL"],
        mlflow_tracking_uri=URLS["MLFLOW_TRACKING_URI"],
        feast_registry_url=URLS["FEAST_REGISTRY_URL"],
    )
    words = [
        word for command in commands(settings, "127.0.0.1", 8000, 1).values() for word in command
    ]
    assert not [word for word in words if PASSWORD in word]


@pytest.mark.parametrize(
    ("text", "environment", "expected"),
    [
        ("can't connect to redis://:a'b@host", {}, "can't connect to redis://:a'b@host"),
        (
            "can't connect to redis://:a'b\"c@h",
            {"REDIS_URL": "redis://:a'b\"c@h"},
            "can't connect to redis://:***@h",
        ),
        (
            "password p@ss is wrong",
            {"MLFLOW_TRACKING_URI": "http://u:p%40ss@h/"},
            "password *** is wrong",
        ),
        ("password p%40ss", {"MLFLOW_TRACKING_URI": "http://u:p%40ss@h/"}, "password ***"),
        ("an abc of errors", {"REDIS_URL": "redis://:abc@h"}, "an abc of errors"),
        (
            "key s3/key is wrong",
            {"POTLUCK_INFERENCE_LOG_URL": "s3://id:s3%2Fkey@bucket/log"},
            "key *** is wrong",
        ),
        ("session tok-1234 ended", {"AWS_SESSION_TOKEN": "tok-1234"}, "session *** ended"),
        ("token tok-1234 expired", {"MLFLOW_TRACKING_TOKEN": "tok-1234"}, "token *** expired"),
        ("redis://h?sentinel_password=x&db=1", {}, "redis://h?sentinel_password=***&db=1"),
    ],
)
def test_known_passwords_are_masked_wherever_they_stand(
    text: str, environment: Mapping[str, str], expected: str
) -> None:
    assert masked(text, environment) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain, with umlauts: Größe 3 m² → 5", "plain, with umlauts: Größe 3 m² → 5"),
        ("two\n\tlines", "two\n\tlines"),
        ("\x1b[31mred\x1b]0;title\x07", "\\x1b[31mred\\x1b]0;title\\x07"),
        ("\x9b31m and \r over", "\\x9b31m and \\r over"),
        ("invoice\u202efdp.exe", "invoice\\u202efdp.exe"),
        ("half a pair \ud800", "half a pair \\ud800"),
    ],
)
def test_what_a_terminal_would_obey_is_written_out(text: str, expected: str) -> None:
    assert printable(text) == expected


INGEST = """
import pyarrow as pa
from potluck.stores.ingest.csv_cells import CsvColumn
from potluck.stores.ingest.csv_source import read_csv


def ingest(files, rows, seed):
    return {"readings": read_csv(files[0], {"id": CsvColumn(pa.int64())}).table}
"""


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A repo that reads one CSV file."""
    folder = tmp_path / "repo"
    folder.mkdir()
    (folder / "feature_store.yaml").write_text("project: meters\n")
    (folder / "ingest.py").write_text(INGEST)
    return folder


def test_escape_codes_of_a_file_are_not_printed_raw(tmp_path: Path, repo: Path) -> None:
    evil = tmp_path / "in\x1b[31mvoice.csv"
    evil.write_text("id,\x1b]0;owned\x07name\n1,2\n")
    ended = called(tmp_path / "home", "ingest", str(evil), repo=repo)
    assert ended.returncode == 1
    assert "\\x1b]0;owned\\x07name" in ended.stderr
    assert "\x1b" not in ended.stderr
    evil.write_text("id\n\x1b[31m\n")
    cell = called(tmp_path / "home", "ingest", str(evil), repo=repo)
    assert "\x1b" not in cell.stdout + cell.stderr


def test_escape_codes_of_the_command_line_are_not_printed_raw(tmp_path: Path) -> None:
    for words in (("\x1b[31m",), ("train", "\x1b[31m"), ("ingest", "--rows", "\x1b[31m")):
        ended = called(tmp_path / "home", *words)
        assert ended.returncode != 0
        assert "\x1b" not in ended.stderr


@pytest.mark.parametrize("special", ["/dev/zero", "pipe"])
def test_what_has_no_end_is_no_file(tmp_path: Path, repo: Path, special: str) -> None:
    if special == "pipe":
        special = str(tmp_path / "pipe")
        os.mkfifo(special)
    ended = called(tmp_path / "home", "ingest", special, repo=repo)
    assert ended.returncode == 2
    assert f"expected a file, got {special}, which is a device, a pipe or a socket" in ended.stderr
    begun = called(
        tmp_path / "home", "init", special, "--to", str(tmp_path / "made"), "--label", "x"
    )
    assert begun.returncode != 0
    assert "Traceback" not in begun.stderr


def test_a_reader_of_csv_refuses_what_has_no_end() -> None:
    from potluck.contract.errors import DataError
    from potluck.stores.ingest.csv_source import read_csv

    with pytest.raises(DataError, match="/dev/zero, but it is a device, a pipe or a socket"):
        read_csv(Path("/dev/zero"), {})


@pytest.mark.parametrize("verb", ["ingest", "apply", "pull", "unforeseen"])
def test_a_new_home_is_its_owners_alone(
    tmp_path: Path, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "deep" / "home"
    former = os.umask(0)
    try:
        if verb == "unforeseen":
            monkeypatch.setenv("POTLUCK_HOME", str(home))
            fail_unforeseen()
        else:
            called(home, verb)
    finally:
        os.umask(former)
    assert home.stat().st_mode & 0o777 == 0o700
    assert home.parent.stat().st_mode & 0o777 == 0o777


def fail_unforeseen() -> None:
    @click.command()
    def broken() -> None:
        raise RuntimeError("nobody foresaw this")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["potluck"])
        with pytest.raises(SystemExit):
            run_command(broken)


def test_a_home_that_is_there_keeps_its_mode_and_status_says_so(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    told = called(home, "status")
    assert "other users of this machine may enter it" in told.stdout
    assert is_open_to_others(home)
    called(home, "ingest")
    assert home.stat().st_mode & 0o777 == 0o755
    home.chmod(0o700)
    assert "other users" not in called(home, "status").stdout
