"""The compose file: Docker reads it, and every container is held within limits."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from drain import longest_stop
from tools import tool

DOCKER = Path(__file__).resolve().parent.parent.parent / "docker"
SERVICES: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]
FOR_EVER = "unless-stopped"
LASTING = sorted(name for name, each in SERVICES.items() if each.get("restart") == FOR_EVER)
ONCE = {"init", "potluck"}
WORKERS = {"watcher", "nightly"}
"""They answer nobody, so nobody asks them how they are."""


def seconds(period: str) -> float:
    return float(period.removesuffix("s"))


def test_docker_reads_the_file() -> None:
    config = [
        tool("docker"),
        "compose",
        "--file",
        str(DOCKER / "compose.yaml"),
        "config",
        "--quiet",
    ]
    if subprocess.run([*config[:2], "version"], capture_output=True).returncode:
        pytest.skip("expected the plug-in docker compose, found none")
    read = subprocess.run(config, capture_output=True, text=True, timeout=60)
    assert read.returncode == 0, read.stderr


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_container_can_change_nothing_but_its_volumes(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert "/tmp" in service["tmpfs"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["cap_drop"] == ["ALL"]
    assert not {"privileged", "cap_add", "network_mode", "pid"} & set(service)


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_container_has_limits_of_memory_cpu_and_processes(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"\d+g", service["mem_limit"])
    assert 0 < service["cpus"] <= 2
    assert 0 < service["pids_limit"] <= 512


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_log_is_rotated(name: str) -> None:
    logging = SERVICES[name]["logging"]
    assert logging["driver"] == "json-file"
    assert set(logging["options"]) == {"max-size", "max-file"}
    assert int(logging["options"]["max-file"]) > 1


@pytest.mark.parametrize("name", ["redis", "postgres"])
def test_the_images_of_others_run_without_root_too(name: str) -> None:
    assert SERVICES[name]["user"] == name


def test_what_lasts_is_started_again_and_asked_how_it_is() -> None:
    assert set(SERVICES) - ONCE == set(LASTING)
    asked = {name for name in LASTING if "healthcheck" in SERVICES[name]}
    asked_by_dockerfile = {"server"}
    assert asked | asked_by_dockerfile == set(LASTING) - WORKERS
    assert "HEALTHCHECK" in (DOCKER / "Dockerfile").read_text()


def test_the_server_may_answer_what_it_began_before_it_is_killed() -> None:
    server = SERVICES["server"]
    assert seconds(server["stop_grace_period"]) > longest_stop(server["environment"])
    for name in set(LASTING) - WORKERS:
        assert seconds(SERVICES[name]["stop_grace_period"]) >= 30


def test_only_the_server_and_mlflow_are_reachable_and_from_this_machine_alone() -> None:
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(ports) == {"server", "mlflow"}
    for published in ports.values():
        assert [port.startswith("127.0.0.1:") for port in published] == [True]
