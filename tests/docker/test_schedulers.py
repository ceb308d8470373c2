"""The nightly run under other schedulers: their tools read the files, which mind the exit codes."""

import configparser
import importlib.util
import os
import subprocess
import sys
import types
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from tools import tool

from cli.main import potluck
from cli.nightly.cron import Cron
from cli.options import Moment
from potluck.contract.errors import Locked, Refused, UsageError

DOCKER = Path(__file__).resolve().parent.parent.parent / "docker"
SYSTEMD = DOCKER / "systemd"
DUE = datetime(2026, 3, 5, 2, tzinfo=UTC)


@pytest.fixture
def job() -> Any:
    return yaml.safe_load((DOCKER / "kubernetes" / "nightly-cronjob.yaml").read_text())


def test_kubernetes_runs_one_at_a_time_in_utc_and_late_rather_than_never(job: Any) -> None:
    spec = job["spec"]
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "CronJob")
    assert Cron(spec["schedule"]).next(DUE - timedelta(minutes=1)) == DUE
    assert (spec["timeZone"], spec["concurrencyPolicy"]) == ("Etc/UTC", "Forbid")
    assert 3600 <= spec["startingDeadlineSeconds"] < 22 * 3600  # `date` would name the next day


def test_kubernetes_retries_what_failed_and_not_what_was_refused(job: Any) -> None:
    jobs = job["spec"]["jobTemplate"]["spec"]
    fails, ignores = jobs["podFailurePolicy"]["rules"]
    pod = jobs["template"]["spec"]
    assert jobs["backoffLimit"] > 0
    assert fails["action"] == "FailJob"
    assert fails["onExitCodes"]["values"] == sorted([UsageError.exit_code, Refused.exit_code])
    assert fails["onExitCodes"]["containerName"] == pod["containers"][0]["name"]
    drained = {"type": "DisruptionTarget", "status": "True"}
    assert (ignores["action"], ignores["onPodConditions"]) == ("Ignore", [drained])
    assert pod["restartPolicy"] == "Never"


@pytest.fixture
def fake_potluck(tmp_path: Path) -> Path:
    """A command of that name that writes down its words."""
    command = tmp_path / "potluck"
    command.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/words\nexit ${{EXIT_CODE:-0}}\n')
    command.chmod(0o755)
    return command


def words_of(fake: Path) -> list[str]:
    return (fake.parent / "words").read_text().split()


def is_a_nightly_of_today(words: list[str]) -> bool:
    """Whether the verb takes the words, and which as-of date it understands."""
    verb = potluck.get_command(click.Context(potluck), words[0])
    assert verb is not None
    as_of = verb.make_context("nightly", words[1:]).params["as_of"]
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return bool(words[0] == "nightly" and as_of in (midnight, midnight - timedelta(days=1)))


def test_kubernetes_calls_the_nightly_of_the_day(job: Any, fake_potluck: Path) -> None:
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    path = f"{fake_potluck.parent}:{os.environ['PATH']}"
    subprocess.run(container["command"], env={**os.environ, "PATH": path}, check=True)
    assert is_a_nightly_of_today(words_of(fake_potluck))


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string((SYSTEMD / name).read_text())
    return parser


def test_systemd_catches_up_and_retries_what_failed_and_not_what_was_refused() -> None:
    service, timer = unit("potluck-nightly.service"), unit("potluck-nightly.timer")
    assert timer["Timer"]["OnCalendar"] == "*-*-* 02:00:00 UTC"
    assert timer["Timer"]["Persistent"] == "true"
    assert timer["Install"]["WantedBy"] == "timers.target"
    assert (service["Service"]["Type"], service["Service"]["Restart"]) == ("oneshot", "on-failure")
    never = {int(code) for code in service["Service"]["RestartPreventExitStatus"].split()}
    assert never == {UsageError.exit_code, Refused.exit_code}
    assert Locked.exit_code not in never
    assert int(service["Unit"]["StartLimitBurst"]) > 1


def test_systemd_calls_the_nightly_of_the_day(fake_potluck: Path) -> None:
    command = unit("potluck-nightly.service")["Service"]["ExecStart"]
    script = (
        command.replace("%%", "%")
        .replace("$$", "$")
        .replace("/srv/potluck/.venv/bin/potluck", str(fake_potluck))
    )
    subprocess.run(script, shell=True, check=True)
    assert is_a_nightly_of_today(words_of(fake_potluck))


def test_systemd_finds_no_fault_in_the_timer(tmp_path: Path) -> None:
    for name in ("potluck-nightly.service", "potluck-nightly.timer"):
        (tmp_path / name).write_text((SYSTEMD / name).read_text())
    files = sorted(map(str, tmp_path.iterdir()))
    command = [tool("systemd-analyze"), "verify", "--man=no", *files]
    verified = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert [line for line in verified.stderr.splitlines() if "potluck-nightly" in line] == []


class FailForGood(Exception):
    """Stands in for AirflowFailException."""


class Airflow:
    """Stands in for what the DAG takes from Airflow, and notes what it asks for."""

    def __init__(self) -> None:
        self.dags: list[dict[str, Any]] = []
        self.calls: list[tuple[dict[str, Any], tuple[Any, ...]]] = []

    def dag(self, **options: Any) -> Callable[[Callable[[], None]], Callable[[], None]]:
        self.dags.append(options)
        return lambda function: function

    def task(self, **options: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
        return lambda function: lambda *arguments: self.calls.append((options, arguments))

    def modules(self) -> dict[str, Any]:
        names = ("airflow", "airflow.sdk", "airflow.sdk.exceptions")
        modules: dict[str, Any] = {name: types.ModuleType(name) for name in names}
        modules["airflow.sdk"].dag, modules["airflow.sdk"].task = self.dag, self.task
        modules["airflow.sdk.exceptions"].AirflowFailException = FailForGood
        return modules


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Airflow:
    stub = Airflow()
    for name, module in stub.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    return stub


@pytest.fixture
def dag(airflow: Airflow) -> Any:
    spec = importlib.util.spec_from_file_location(
        "potluck_nightly", DOCKER / "airflow" / "potluck_nightly.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_airflow_runs_one_at_a_time_for_its_due_time_and_retries(
    dag: Any, airflow: Airflow
) -> None:
    (options,) = airflow.dags
    assert Cron(options["schedule"]).next(DUE - timedelta(minutes=1)) == DUE
    assert (options["catchup"], options["max_active_runs"]) == (False, 1)
    assert options["default_args"]["retries"] > 1
    assert airflow.calls == [({"task_id": "nightly"}, ("{{ dag_run.run_after.isoformat() }}",))]


@pytest.mark.parametrize(
    ("exit_code", "raised"),
    [(0, None), (65, FailForGood), (75, RuntimeError), (1, RuntimeError), (2, RuntimeError)],
)
def test_airflow_retries_what_failed_and_not_what_was_refused(
    dag: Any,
    fake_potluck: Path,
    monkeypatch: pytest.MonkeyPatch,
    exit_code: int,
    raised: type[Exception] | None,
) -> None:
    monkeypatch.setenv("POTLUCK_COMMAND", str(fake_potluck))
    monkeypatch.setenv("EXIT_CODE", str(exit_code))
    if raised is None:
        dag.run_nightly(DUE.isoformat())
    else:
        with pytest.raises(raised) as caught:
            dag.run_nightly(DUE.isoformat())
        assert type(caught.value) is raised
    verb, option, as_of = words_of(fake_potluck)
    assert (verb, option) == ("nightly", "--as-of")
    assert Moment().convert(as_of, None, None) == DUE


def test_compose_runs_the_schedule_beside_the_server_on_the_same_home() -> None:
    services = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]
    nightly, server = services["nightly"], services["server"]
    assert nightly["command"] == ["schedule"]
    assert "profiles" not in nightly
    assert nightly["volumes"] == [
        volume for volume in server["volumes"] if "/var/lib/potluck" in volume
    ]
    assert nightly["restart"] == "unless-stopped"
    assert nightly["depends_on"]["init"] == {"condition": "service_completed_successfully"}
    assert {
        **server["environment"],
        "POTLUCK_NIGHTLY_CRON": "${POTLUCK_NIGHTLY_CRON:-0 2 * * *}",
    } == nightly["environment"]
