"""What nobody foresaw ends with one line, a file with the trace, and exit code 1."""

import errno
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import warm_python

import cli.stack
from cli.main import main
from potluck.contract.secrets import masked
from potluck.contract.settings import Settings

SECRET = "redis://admin:s3cret/w@rd@store:6379/0?password=hunter2"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of this test; a verb also writes its settings to the environment, which is put back."""
    for name in Settings(home=tmp_path).variables():
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("POTLUCK_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def status_raises(monkeypatch: pytest.MonkeyPatch, error: BaseException, *options: str) -> int:
    """The exit code of a `potluck status` that fails with this error."""

    def fail(_: Settings) -> Any:
        raise error

    monkeypatch.setattr(cli.stack, "home_status", fail)
    monkeypatch.setattr(sys, "argv", ["potluck", "status", *options])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(str(ended.value.code))


def one_line(said: str) -> str:
    (line,) = said.splitlines()
    return line


def test_an_unforeseen_error_is_one_line_and_a_log_file_with_the_trace(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = status_raises(monkeypatch, ValueError(f"no answer from {SECRET}\nand a second line"))
    said = capsys.readouterr()
    assert (code, said.out) == (1, "")
    (log,) = (home / "logs").glob("*-status.log")
    line = one_line(said.err)
    assert line.startswith(
        "potluck: unexpected failure of `potluck status`: ValueError: no answer from redis://"
    )
    assert f"the whole trace stands in {log}" in line
    text = log.read_text()
    assert "Traceback" in text
    assert "and a second line" in text
    for secret in ("s3cret", "w@rd", "hunter2"):
        assert secret not in line + text


def test_with_json_it_is_a_document_on_standard_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_raises(monkeypatch, KeyError("x"), "--json") == 1
    said = json.loads(capsys.readouterr().err)
    assert said["error"] == "Unforeseen"
    assert "KeyError: 'x'" in said["message"]


@pytest.mark.parametrize(
    "error", [EOFError("cut off"), BrokenPipeError(errno.EPIPE, "a store went away")]
)
def test_an_end_of_file_or_a_pipe_within_a_verb_is_no_interrupt_and_no_quiet_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    assert status_raises(monkeypatch, error) == 1
    assert f"{type(error).__name__}: {error}" in one_line(capsys.readouterr().err)


def test_where_the_home_takes_no_file_the_trace_lies_among_the_temporary_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("POTLUCK_HOME", "/proc/potluck")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert status_raises(monkeypatch, ValueError("odd")) == 1
    (log,) = tmp_path.glob("*-status.log")
    assert str(log) in one_line(capsys.readouterr().err)


def test_where_no_file_can_be_written_at_all_the_trace_is_on_standard_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("POTLUCK_HOME", "/proc/potluck")
    monkeypatch.setattr(tempfile, "tempdir", "/proc/nowhere")
    assert status_raises(monkeypatch, ValueError("odd")) == 1
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert said.splitlines()[-1].startswith("potluck: unexpected failure")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.EACCES, "this user may not do that"),
        (errno.EPERM, "not permitted"),
        (errno.EROFS, "read-only"),
        (errno.ENOSPC, "no space is left"),
        (errno.ENOTDIR, "expected a folder, found a file"),
        (errno.EEXIST, "expected a folder, found a file"),
        (errno.EISDIR, "expected a file, found a folder"),
    ],
)
def test_a_failing_disk_is_foreseen_and_told_with_its_path(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    code: int,
    words: str,
) -> None:
    assert status_raises(monkeypatch, OSError(code, "in the system's words", "/some/path")) == 1
    line = one_line(capsys.readouterr().err)
    assert line.startswith("potluck: /some/path: ")
    assert words in line
    assert not (home / "logs").exists()


def run(*words: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "cli.main", *words]
    return warm_python.run(
        command, stderr=subprocess.PIPE, text=True, timeout=60, check=False, **options
    )


def test_who_reads_only_the_head_of_an_answer_sees_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    ended = run("env", stdout=writing)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (1, "")


def test_an_answer_that_finds_no_room_is_told() -> None:
    with Path("/dev/full").open("w") as full:
        ended = run("env", stdout=full)
    assert ended.returncode == 1
    assert "no space is left" in one_line(ended.stderr)


def test_a_terminal_without_utf_8_gets_the_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    monkeypatch.setenv("POTLUCK_HOME", str(tmp_path / "häuser"))
    assert run("env", stdout=subprocess.DEVNULL).returncode == 0


@pytest.mark.parametrize(
    "words", [["train"], ["nope"], ["serve", "--port", "x"], ["nightly", "--as-of", "x"]]
)
def test_with_json_a_usage_error_is_a_document_too(words: list[str]) -> None:
    ended = run(*words, "--json", stdout=subprocess.PIPE)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert json.loads(ended.stderr)["error"] == "UsageError"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("at redis://:pass@host:1 now", "at redis://:***@host:1 now"),
        ("postgresql+psycopg://u:p@ss:w/rd@host/x", "postgresql+psycopg://u:***@host/x"),
        ("rediss://h:1?password=p&db=2", "rediss://h:1?password=***&db=2"),
        (
            "expected redis://[user:password@]host:port",
            "expected redis://[user:password@]host:port",
        ),
        ("redis://[::1]:6379 and http://host:8000/x", "redis://[::1]:6379 and http://host:8000/x"),
    ],
)
def test_passwords_are_masked_and_nothing_else(text: str, expected: str) -> None:
    assert masked(text) == expected


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "repo"
    folder.mkdir()
    (folder / "feature_store.yaml").write_text("project: pumps\n")
    monkeypatch.setenv("POTLUCK_REPO", str(folder))
    return folder


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import (", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import sys; sys.exit(0)", "SystemExit"),
        ("def ingest(files, rows, seed): return {}['pumps']", "KeyError: 'pumps'"),
        ("import no_such_module_here", "imports no_such_module_here, which is not installed"),
    ],
)
def test_an_error_of_the_repos_own_code_is_told_as_such_with_file_and_line(
    repo: Path, code: str, words: str
) -> None:
    (repo / "ingest.py").write_text(code + "\n")
    ended = run("ingest", stdout=subprocess.PIPE)
    assert ended.returncode in (1, 2)
    line = one_line(ended.stderr)
    assert f"{repo}/ingest.py, line 1" in line
    assert words in line
    assert "please report" not in line
