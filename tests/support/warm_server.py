"""The process that has imported Feast and MLflow, and forks for each call of `warm_python`."""

import contextlib
import gc
import importlib
import logging
import os
import pkgutil
import select
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Mapping
from pathlib import Path

from warm_child import become
from warm_wire import read_json, send_json

ROOMS = ("cli", "training", "batch", "scaffold", "potluck")
ALSO = (
    "feast.infra.offline_stores.duckdb",
    "mlflow.lightgbm",
    "matplotlib.pyplot",
    "sklearn.metrics",
)
"""What verbs import inside functions."""


def import_all() -> dict[str, str]:
    """Import what verbs import, prepared as verbs prepare it.

    Returns:
        Variables that the imports set: Feast names a folder of metrics.
    """
    before = dict(os.environ)
    shown_warning, feast_level = warnings.showwarning, logging.getLogger("feast").level
    prepare()
    for room in ROOMS:
        package = importlib.import_module(room)
        for found in pkgutil.walk_packages(package.__path__, f"{room}."):
            # Ray's engine imports Ray, and starts it
            if found.name not in ("batch.on_ray", "cli.main"):
                importlib.import_module(found.name)
    for name in ALSO:
        importlib.import_module(name)
    # A child that is no verb warns as any Python does; a verb prepares the libraries again.
    warnings.showwarning = shown_warning
    logging.getLogger("feast").setLevel(feast_level)
    return {name: value for name, value in os.environ.items() if before.get(name) != value}


def prepare() -> None:
    """Do what a verb does before it imports Feast and MLflow."""
    from cli.startup import prepare_libraries
    from potluck.contract.settings import Settings

    prepare_libraries(Settings(home=Path("nowhere"), log_level="INFO"))


def open_descriptors() -> set[int]:
    """Descriptors above the standard three."""
    found = {int(name) for name in os.listdir("/proc/self/fd")}
    listing = {number for number in found if not os.path.exists(f"/proc/self/fd/{number}")}
    return found - listing - {0, 1, 2}


def serve(path: str) -> None:
    """Fork for each connection, and tell it how the child ended."""
    imported = import_all()
    assert threading.active_count() == 1, threading.enumerate()
    # A library that opened one would miss it: children close all others.
    held = open_descriptors()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    gc.freeze()  # so that a collection in a child copies no page
    woken = wake_on_child()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for pytest and for the children
    children: dict[int, socket.socket] = {}
    print("ready", flush=True)
    while True:
        readable, _, _ = select.select([listener, woken, sys.stdin], [], [])
        if sys.stdin in readable:
            os._exit(0)  # pytest is gone; the kernel kills the children then
        if woken in readable:
            os.read(woken, 4096)
            tell_ended(children)
        if listener in readable:
            connection, _ = listener.accept()
            fork(connection, imported, held, children)


def wake_on_child() -> int:
    """Have the end of a child make a descriptor readable.

    Returns:
        The descriptor.
    """
    woken, wake = os.pipe()
    for end in (woken, wake):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return woken


def tell_ended(children: dict[int, socket.socket]) -> None:
    """Tell the callers of the children that ended how they did."""
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            connection = children.pop(pid)
            with contextlib.suppress(OSError):  # the caller does not want to know any more
                send_json(connection, status)
            connection.close()


def fork(
    connection: socket.socket,
    imported: Mapping[str, str],
    held: set[int],
    children: dict[int, socket.socket],
) -> None:
    """Fork for one call, and tell its caller the child's pid."""
    _, descriptors, _, _ = socket.recv_fds(connection, 1, 3)
    call = read_json(connection)
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        ours = open_descriptors() - held
        become(call, imported, descriptors, ours=ours, parent=parent)
    for number in descriptors:
        os.close(number)
    children[pid] = connection
    send_json(connection, pid)


if __name__ == "__main__":
    serve(sys.argv[1])
