"""(e) MLServer with the native Booster of the real-time service, in an environment of its own
outside the project."""

import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks.peers.place import Contract
from benchmarks.progress import print_progress

MLSERVER_VERSION = "1.7.1"
SETTINGS = {
    "debug": False,
    "parallel_workers": 0,  # scores in the worker itself, which on one core is the fastest
}
IMPLEMENTATION = "mlserver_lightgbm.LightGBMModel"


def environment_folder() -> Path:
    """Where MLServer's environment is: among the user's caches."""
    caches = os.environ.get("XDG_CACHE_HOME")
    cache = Path(caches) if caches else Path.home() / ".cache"
    return cache / "potluck-benchmarks" / f"mlserver-{MLSERVER_VERSION}"


def mlserver_program() -> Path | None:
    """Its command, installed where it is not yet, the only step that needs the network; None where
    it can't be."""
    folder = environment_folder()
    ready = folder / ".ready"
    if not ready.exists() and install(folder):
        ready.touch()
    return folder / "bin" / "mlserver" if ready.exists() else None


def install(folder: Path) -> bool:
    """With the same HTTP parser, loop and LightGBM as everybody else's. Answers whether it could
    be."""
    print_progress(f"installing MLServer {MLSERVER_VERSION} in {folder}")
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    same = [f"{name}=={version(name)}" for name in ("lightgbm", "uvicorn", "httptools", "uvloop")]
    wanted = [f"mlserver=={MLSERVER_VERSION}", f"mlserver-lightgbm=={MLSERVER_VERSION}", *same]
    command = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", *wanted]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        end = done.stderr[-1000:]
        print(f"MLServer can't be installed, so it is left out:\n{end}", file=sys.stderr)
    return done.returncode == 0


def model_folder(contract: Contract, bundle: Path, folder: Path) -> Path:
    """What `mlserver start` wants: settings of the server and of the model."""
    folder.mkdir()
    (folder / "settings.json").write_text(json.dumps(SETTINGS))
    model = {"name": contract["service"], "implementation": IMPLEMENTATION}
    where = {"uri": str(bundle / "model.txt")}
    (folder / "model-settings.json").write_text(json.dumps({**model, "parameters": where}))
    return folder


def start_command(program: Path, folder: Path, port: int, others: Sequence[int]) -> list[str]:
    """With its three ports; gRPC and metrics are up as they are by default, and idle."""
    grpc, metrics = others
    return [
        "env",
        f"MLSERVER_HTTP_PORT={port}",
        f"MLSERVER_GRPC_PORT={grpc}",
        f"MLSERVER_METRICS_PORT={metrics}",
        "MLSERVER_HOST=127.0.0.1",
        str(program),
        "start",
        str(folder),
    ]
