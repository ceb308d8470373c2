"""Every verb with every wrong input that came to mind.

It ends with an exit code and a line or two that say what to do, and without a trace.
"""

import shutil
import socket
from pathlib import Path

import pytest
from wrong import HOUSES, IRIS, Wrong, check, run, wrong


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What the commands name: files and folders that are not what is expected."""
    (tmp_path / "a_file").write_text("x")
    (tmp_path / "a_folder").mkdir()
    (tmp_path / "empty.csv").touch()
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)) * 10)
    (tmp_path / "long.csv").write_text("a," * 300_000)
    (tmp_path / "header.csv").write_text("Id,SalePrice\n")
    (tmp_path / "broken.csv").write_text('Id,"x\n1,2\n')
    return tmp_path


FILES = [
    wrong("ingest nowhere.csv", "expected a CSV file"),
    wrong("ingest a_folder", "can't be read"),
    wrong("ingest empty.csv", "is empty"),
    wrong("ingest binary.csv", "expected UTF-8"),
    wrong("ingest long.csv", "each column once"),
    wrong("ingest header.csv", "expected also the column"),
    wrong("ingest broken.csv", "expected CSV"),
]


@pytest.mark.parametrize("found", FILES, ids=str)
def test_a_file_that_is_none_of_the_repos(found: Wrong, folder: Path) -> None:
    ended = run(found, folder, HOUSES)
    check(found, ended.returncode, ended.stderr)
    assert ended.stdout == ""


SURROUNDINGS = [
    *(
        wrong(verb, "expected a folder for the home", POTLUCK_HOME=home)
        for home in ("a_file", "a_file/within")
        for verb in (
            "ingest",
            "apply",
            "status",
            "env",
            "train iris_hybrid",
            "nightly",
            "serve",
            "up",
            "pull",
        )
    ),
    wrong("ingest", "set POTLUCK_HOME", POTLUCK_HOME="/sys/potluck"),
    wrong("status", "REDIS_URL is not valid", REDIS_URL="http://x"),
    wrong("nightly", "REDIS_URL is not valid", REDIS_URL="redis://127.0.0.1:99999"),
    wrong("env", "POTLUCK_LOG_LEVEL", POTLUCK_LOG_LEVEL="LOUD"),
    wrong("serve", "POTLUCK_MAX_IN_FLIGHT", POTLUCK_MAX_IN_FLIGHT="none"),
    wrong("up", "minute, hour, day", POTLUCK_NIGHTLY_CRON="every day"),
    wrong("schedule --cron off", "off; give one"),
    wrong("up --nightly 61", "minute, hour, day"),
    wrong("serve --host no.such.host.invalid", "no address of this machine"),
    wrong("serve --port 99999", "not in the range"),
    wrong("serve --workers 0", "not in the range"),
    wrong("materialize --as-of 0001-01-01T00:00+14:00", "expected a date from 1678"),
    wrong("nightly --as-of 1677-12-31", "expected a date from 1678"),
    wrong("train iris_hybrid --as-of 9999-12-31", "before 2262"),
    wrong("materialize --as-of yesterday", "such as 2010-07-31"),
    wrong("nightly --as-of 2026-02-30", "such as 2010-07-31"),
    wrong("nightly --rollback --force x", "takes none of"),
    wrong("train", "Missing argument"),
    wrong("train iris_hybrid --param x", "expected name=value"),
    wrong("train iris_hybrid --seed -1", "not in the range"),
    wrong("ingest --rows many", "not a valid integer"),
    wrong("pull --every 0", "not in the range"),
    wrong("predict iris_hybrid {} --url http://127.0.0.1:9", "potluck serve"),
    wrong("lookup iris_batch 1 --url http://127.0.0.1:9", "potluck serve"),
    *(
        wrong(f"{asked} --url {url}", "expected --url to name a server")
        for asked in (
            "predict iris_hybrid {}",
            "predict iris_hybrid header.csv",
            "lookup iris_batch 1",
        )
        for url in ("nonsense", "http://[::1", "http://x:99999")
    ),
    wrong("ingest --repo a_folder", "feature_store.yaml"),
    wrong("apply --repo a_file", "feature_store.yaml"),
    wrong("bake", "No such command"),
]


@pytest.mark.parametrize("found", SURROUNDINGS, ids=str)
def test_surroundings_and_options_that_are_wrong(found: Wrong, folder: Path) -> None:
    ended = run(found, folder)
    check(found, ended.returncode, ended.stderr)


@pytest.mark.parametrize("verb", ["serve", "up"])
def test_a_port_that_is_taken(verb: str, folder: Path) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        found = wrong(f"{verb} --port {listening.getsockname()[1]}", "is taken")
        try:
            ended = run(found, folder)
        finally:
            run(wrong("down", ""), folder)
    check(found, ended.returncode, ended.stderr)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"\xff\xfe\x00", "expected text in UTF-8"),
        (b"A=1\nREDIS_URL redis://x\n", "something else at line 2"),
    ],
)
def test_an_env_file_that_is_broken(text: bytes, says: str, folder: Path) -> None:
    (folder / ".env").write_bytes(text)
    found = wrong("status", says)
    ended = run(found, folder)
    check(found, ended.returncode, ended.stderr)


REPOS = [
    ("feature_store.yaml", "project: [", "apply", "feature_store.yaml"),
    ("feature_store.yaml", "project: iris", "apply", "expected {type:"),
    *(
        ("feature_store.yaml", "project: iris", verb, "names no registry")
        for verb in ("materialize", "train iris_hybrid", "nightly", "check")
    ),
    ("definitions.py", "import (", "apply", "SyntaxError"),
    ("definitions.py", "import no_such_module_here", "apply", "no_such_module_here"),
    ("definitions.py", "1 / 0", "apply", "ZeroDivisionError"),
    ("definitions.py", "raise SystemExit(0)", "apply", "SystemExit"),
    ("definitions.py", "", "apply", "feature service"),
    ("ingest.py", "import (", "ingest", "SyntaxError"),
    ("ingest.py", "x = 1", "ingest", "has no function ingest"),
    ("ingest.py", "def ingest(files, rows, seed): return {}['x']", "ingest", "KeyError"),
]


@pytest.mark.parametrize(("name", "text", "verb", "says"), REPOS)
def test_a_repo_that_is_broken(name: str, text: str, verb: str, says: str, folder: Path) -> None:
    repo = folder / "repo"
    shutil.copytree(IRIS, repo)
    (repo / name).write_text(text + "\n")
    found = wrong(verb, says)
    ended = run(found, folder, repo)
    check(found, ended.returncode, ended.stderr)
