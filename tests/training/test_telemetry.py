"""No command of ours has MLflow report to its makers, whatever order modules are imported in."""

import os
import subprocess
import sys

import pytest

ASK = """
import {module}
from mlflow.telemetry.client import get_telemetry_client
print("CLIENT", get_telemetry_client())
"""


@pytest.mark.parametrize("module", ["training.train", "training.pull", "training.registry"])
def test_mlflow_starts_no_telemetry(module: str) -> None:
    switches = ("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK", "CI")
    environment = {name: value for name, value in os.environ.items() if name not in switches}
    command = [sys.executable, "-c", ASK.format(module=module)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True, timeout=120
    )
    assert "CLIENT None" in done.stdout
