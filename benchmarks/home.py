"""A home of its own for one benchmark, filled through the command line as a user would, and gone
afterwards."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.progress import print_progress
from potluck.contract.settings import Settings

HOUSE_MODEL: Mapping[str, object] = {
    "num_iterations": 200,
    "learning_rate": 0.05,
    "num_leaves": 16,
    "min_data_in_leaf": 20,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 3.0,
    "cat_smooth": 2.0,
    "cat_l2": 10.0,  # LightGBM's own, as another candidate brings one
    "min_data_per_group": 10,
    "extra_trees": "true",
}
"""`train` chooses among candidates, so a model's size would change with the data, and with each new
candidate. What is measured here is the cost of serving: with these parameters, the defaults of the
first release, figures of any date and machine are those of one model."""

BIN = Path(sys.executable).parent
STEP_SECONDS = 600


def program(name: str) -> str:
    """The command of this name that belongs to this Python."""
    return str(BIN / name)


@dataclass(frozen=True)
class Data:
    """What to ingest: a file, or rows made to order."""

    file: Path | None
    rows: int
    seed: int

    @property
    def arguments(self) -> list[str]:
        """What `potluck ingest` is called with."""
        if self.file:
            return [str(self.file)]
        return ["--rows", str(self.rows), "--seed", str(self.seed)]

    def described(self) -> dict[str, Any]:
        """The data without its path."""
        if self.file is None:
            return {"kind": "made by the repo's ingest", "rows": self.rows, "seed": self.seed}
        digest = hashlib.sha256(self.file.read_bytes()).hexdigest()
        return {"kind": "file", "file_sha256": digest}


@dataclass(frozen=True)
class Home:
    """A home and the environment in which every command sees it and no other."""

    settings: Settings
    environment: dict[str, str]

    def potluck(self, *arguments: str) -> Any:
        """Run a verb that answers one JSON object, and answer it."""
        told = self.run(*arguments)
        return json.loads(told[told.index("{") :])

    def run(self, *arguments: str) -> str:
        """Run a verb and answer what it printed."""
        command = [program("potluck"), *arguments, "--json"]
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=STEP_SECONDS
        )
        if done.returncode != 0:
            raise SystemExit(
                f"potluck {' '.join(arguments)} failed with "
                f"{done.returncode}:\n{done.stderr[-2000:]}"
            )
        return done.stdout


@contextmanager
def fresh_home(repo: Path) -> Iterator[Home]:
    """A home in a temporary folder; what runs for it is stopped at the end, whatever the end is."""
    with tempfile.TemporaryDirectory(prefix="potluck-bench-") as folder:
        settings = settings_of(Path(folder), repo)
        home = Home(settings, environment(settings, folder))
        try:
            yield home
        finally:
            home.potluck("down")


def settings_of(folder: Path, repo: Path) -> Settings:
    """The home's own Redis, registry and MLflow, whatever the caller's environment names."""
    alone: dict[str, Any] = dict.fromkeys(
        ("redis_url", "mlflow_tracking_uri", "feast_registry_url")
    )
    return Settings.model_validate({"home": folder, "repo": repo, **alone})


def environment(settings: Settings, folder: str) -> dict[str, str]:
    """The caller's, with this home's settings; MLflow finds uvicorn on PATH, gunicorn keeps its
    socket under HOME."""
    path = os.pathsep.join([str(BIN), os.environ.get("PATH", os.defpath)])
    quiet = {"PYTHONWARNINGS": "ignore", "NO_COLOR": "1"}
    return {**os.environ, **settings.variables(), **quiet, "PATH": path, "HOME": folder}


def lay_down(
    home: Home,
    data: Data,
    services: Sequence[str],
    *,
    parameters: Mapping[str, object] = HOUSE_MODEL,
) -> dict[str, Any]:
    """From ingest to trained champions; answers what each training told, by service."""
    home.potluck("ingest", *data.arguments)
    home.potluck("apply")
    home.potluck("materialize")
    trained = {}
    for service in services:
        print_progress(f"training {service}")
        trained[service] = train(home, service, parameters)
    return trained


def train(home: Home, service: str, parameters: Mapping[str, object]) -> Any:
    """Train with these parameters; without any, with those that `train` chooses."""
    options = []
    for name, value in parameters.items():
        options += ["--param", f"{name}={value}"]
    return home.potluck("train", service, *options)


def stop_like_ctrl_c() -> None:
    """Let SIGTERM unwind as Ctrl-C does, so that everything that was started is stopped."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
