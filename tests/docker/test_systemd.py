"""The units: systemd finds no fault, and they hold what the server promises."""

import configparser
import os
import re
import subprocess
from pathlib import Path

import pytest
from drain import longest_stop
from tools import tool

from potluck.contract.errors import UsageError

SYSTEMD = Path(__file__).resolve().parent.parent.parent / "docker" / "systemd"
SERVICES = ("potluck-server", "potluck-pull", "potluck-nightly")
INSTALLED = "/srv/potluck/.venv/bin/potluck"
MOST_EXPOSED = 20  # tenths of systemd's scale from 0 to 10; up to 2 it says OK


def sections(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string((SYSTEMD / f"{name}.service").read_text())
    return parser


def analyze(*words: str) -> "subprocess.CompletedProcess[str]":
    command = [tool("systemd-analyze"), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units, for an installation whose command is there and says what it is called with."""
    command = tmp_path / "potluck"
    command.write_text('#!/bin/sh\necho "$@"\n')
    command.chmod(0o755)
    for name in SERVICES:
        text = (SYSTEMD / f"{name}.service").read_text()
        assert INSTALLED in text
        (tmp_path / f"{name}.service").write_text(text.replace(INSTALLED, str(command)))
    return tmp_path


@pytest.mark.parametrize("name", SERVICES)
def test_systemd_finds_no_fault(name: str, installed: Path) -> None:
    verified = analyze("verify", "--man=no", str(installed / f"{name}.service"))
    assert [line for line in verified.stderr.splitlines() if "potluck" in line] == []


def test_a_fault_would_be_found(installed: Path) -> None:
    unit = installed / "potluck-server.service"
    unit.write_text(unit.read_text().replace("PrivateTmp=true", "PrivateTpm=true"))
    assert "PrivateTpm" in analyze("verify", "--man=no", str(unit)).stderr


@pytest.mark.parametrize("name", SERVICES)
def test_the_sandbox_leaves_little_open(name: str) -> None:
    unit = str(SYSTEMD / f"{name}.service")
    options = ["--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager"]
    looked = analyze("security", *options, unit)
    assert looked.returncode == 0, looked.stdout.splitlines()[-1]


@pytest.mark.parametrize("name", SERVICES)
def test_each_runs_as_the_same_user_in_the_same_home(name: str) -> None:
    service = sections(name)["Service"]
    assert service["User"] == "potluck"
    home = f"/var/lib/{service['StateDirectory']}"
    assert service["Environment"] == f"POTLUCK_HOME={home}"
    assert (service["ProtectSystem"], service["ReadWritePaths"]) == ("strict", home)
    assert service["EnvironmentFile"] == "/etc/potluck/environment"
    assert service["StateDirectoryMode"] == "0700"


def test_nothing_hides_what_the_nightly_lease_reads() -> None:
    """It tells hosts apart by a file below /proc/sys."""
    assert "ProcSubset" not in sections("potluck-nightly")["Service"]


def test_the_server_is_killed_only_after_it_had_time_to_stop() -> None:
    service = sections("potluck-server")["Service"]
    assert int(service["TimeoutStopSec"].removesuffix("s")) > longest_stop({})
    assert service["KillMode"] == "mixed"


@pytest.mark.parametrize("name", ["potluck-server", "potluck-pull"])
def test_it_is_started_again_for_ever_but_for_a_wrong_setting(name: str) -> None:
    unit = sections(name)
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"
    assert unit["Service"]["Restart"] == "on-failure"
    assert unit["Service"]["RestartPreventExitStatus"] == str(UsageError.exit_code)
    for limit in ("MemoryMax", "TasksMax", "LimitNOFILE"):
        assert unit["Service"][limit]


def start(installed: Path, **settings: str) -> "subprocess.CompletedProcess[str]":
    """Run the server's ExecStart as systemd would."""
    text = (installed / "potluck-server.service").read_text().replace("\\\n", " ")
    (command,) = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
    script = command.replace("$$", "$").replace("%%", "%")
    environment = {"PATH": os.environ["PATH"], **settings}
    return subprocess.run(script, shell=True, env=environment, capture_output=True, text=True)


def test_the_server_asks_for_a_redis_of_its_own(installed: Path) -> None:
    refused = start(installed)
    assert refused.returncode == UsageError.exit_code
    assert "expected REDIS_URL in /etc/potluck/environment" in refused.stderr
    assert refused.stdout == ""


def test_the_server_starts_with_as_many_workers_as_are_asked_for(installed: Path) -> None:
    redis = {"REDIS_URL": "redis://r"}
    assert start(installed, **redis).stdout == "serve --workers 1\n"
    assert start(installed, **redis, POTLUCK_WORKERS="3").stdout == "serve --workers 3\n"
