"""Python processes that start in milliseconds: forks of one that has imported Feast and MLflow.

To import Feast, MLflow and scikit-learn takes 5 s of CPU time, and the tests run hundreds of verbs.
So one process imports them all, starts no thread, and forks for each call. The child gets its own
environment, working directory, descriptors, arguments and `__main__`, runs the module or the code,
and ends as any Python process does. To the caller it is a `subprocess.Popen`: its pid can be
killed, its exit code is the child's, its pipes are the caller's.

What this can't show is how a process starts: what it imports, how long that takes, what a variable
of the environment does to Python itself. Tests of that, and every `serve`, `up` and `schedule`,
start real ones. `PYTHON…` variables of a call's own make it a real one too.
"""

import array
import atexit
import contextlib
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import types
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
ROOMS = ("cli", "training", "batch", "scaffold", "potluck")
ALSO = (
    "feast.infra.offline_stores.duckdb",
    "mlflow.lightgbm",
    "matplotlib.pyplot",
    "sklearn.metrics",
)
"""What verbs import inside functions."""
COLD_VARIABLES = ("PYTHON", "LD_", "OMP_")
"""Python, the loader and OpenMP read these when a process starts."""
START_SECONDS = 120
LENGTH_BYTES = 4


class WarmPopen(subprocess.Popen[Any]):
    """A `subprocess.Popen` whose process is forked from the warm one.

    It overrides how the process is started and how its exit is learnt; everything else (pipes,
    `communicate`, signals) is the standard library's.
    """

    def _execute_child(self, args: Sequence[str], *rest: Any) -> None:
        (executable, preexec_fn, _, passed_on, cwd, env, _, _, shell, *pipes) = rest
        (*given, _, gid, gids, uid, umask, new_session, group) = pipes
        assert not any((executable, preexec_fn, passed_on, shell, gid, gids, uid)), "start it cold"
        assert group == -1, "start it cold"
        stdin, _, _, stdout, _, stderr = given
        inherited = zip((stdin, stdout, stderr), range(3), strict=True)
        descriptors = [own if passed == -1 else passed for passed, own in inherited]
        call = {
            "arguments": [str(word) for word in args[1:]],
            "folder": str(cwd or os.getcwd()),
            "environment": dict(os.environ if env is None else env),
            "new_session": bool(new_session),
            "umask": current_umask() if umask == -1 else umask,
        }
        self._connection = warm_process().call(call, descriptors)
        self.pid = read_json(self._connection)
        self._child_created = True
        self._close_pipe_fds(*given)

    def _internal_poll(self, _deadstate: Any = None, **_: Any) -> int | None:
        return self._learn_exit(seconds=0)

    def _wait(self, timeout: float | None) -> int:
        code = self._learn_exit(seconds=timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        return code

    def _learn_exit(self, seconds: float | None) -> int | None:
        with self._waitpid_lock:
            if self.returncode is None:
                readable, _, _ = select.select([self._connection], [], [], seconds)
                if readable:
                    self.returncode = os.waitstatus_to_exitcode(read_json(self._connection))
                    self._connection.close()
            return self.returncode


def start(command: Sequence[str], **options: Any) -> "subprocess.Popen[Any]":
    """Start `python [-W ignore] -m MODULE …` or `-c CODE …` as `subprocess.Popen` does."""
    assert command[0] == sys.executable, command
    environment = os.environ if options.get("env") is None else options["env"]
    if is_cold(environment):
        return subprocess.Popen(command, **options)
    return WarmPopen(command, **options)


def run(
    command: Sequence[str],
    *,
    input: str | bytes | None = None,  # noqa: A002 # as subprocess.run calls it
    capture_output: bool = False,
    timeout: float | None = None,
    check: bool = False,
    **options: Any,
) -> "subprocess.CompletedProcess[Any]":
    """Run a command as `subprocess.run` does."""
    if capture_output:
        options |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    if input is not None:
        options["stdin"] = subprocess.PIPE
    with start(command, **options) as process:
        try:
            out, err = process.communicate(input, timeout=timeout)
        except BaseException:
            process.kill()
            raise
    ended = subprocess.CompletedProcess(command, process.returncode, out, err)
    if check:
        ended.check_returncode()
    return ended


def is_cold(environment: Mapping[str, str]) -> bool:
    """Whether a call's environment differs in what only a new process would read."""
    names = {name for name in {*environment, *os.environ} if name.startswith(COLD_VARIABLES)}
    return any(environment.get(name) != os.environ.get(name) for name in names)


def current_umask() -> int:
    """The umask, which a child inherits; the system has no call that only reads it."""
    current = os.umask(0o077)
    os.umask(current)
    return current


class WarmProcess:
    """The caller's side of the process that forks."""

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = f"{self.folder.name}/socket"
        command = [sys.executable, __file__, self.path]
        # It ends when its standard input does: with this process, however that ends.
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
        )
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], START_SECONDS)
        assert ready, "the warm process does not start"
        assert self.process.stdout.readline() == b"ready\n"

    def call(self, call: Mapping[str, Any], descriptors: list[int]) -> socket.socket:
        """Have it fork; the answer is a connection that tells the child's pid, and how it ended."""
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(self.path)
        numbers = array.array("i", descriptors)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers)]
        connection.sendmsg([b"."], rights)
        send_json(connection, call)
        return connection

    def stop(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(10)
        self.folder.cleanup()


WARM: list[WarmProcess] = []
STARTING = threading.Lock()


def warm_process() -> WarmProcess:
    """The one of this process, started when it is needed first."""
    with STARTING:
        if not WARM:
            WARM.append(WarmProcess())
            atexit.register(WARM[0].stop)
    return WARM[0]


def send_json(connection: socket.socket, value: Any) -> None:
    text = json.dumps(value).encode()
    connection.sendall(len(text).to_bytes(LENGTH_BYTES, "big") + text)


def read_json(connection: socket.socket) -> Any:
    length = int.from_bytes(read_exactly(connection, LENGTH_BYTES), "big")
    return json.loads(read_exactly(connection, length))


def read_exactly(connection: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        more = connection.recv(count - len(found))
        if not more:
            raise ConnectionError("the warm process is gone")
        found += more
    return found


# What follows runs in the warm process and in its children.


def import_all() -> dict[str, str]:
    """Import what verbs import.

    Returns:
        Variables that the imports set: Feast names a folder of metrics.
    """
    import importlib
    import pkgutil

    before = dict(os.environ)
    for room in ROOMS:
        package = importlib.import_module(room)
        for found in pkgutil.walk_packages(package.__path__, f"{room}."):
            # Ray's engine imports Ray, and starts it
            if found.name not in ("batch.on_ray", "cli.main"):
                importlib.import_module(found.name)
    for name in ALSO:
        importlib.import_module(name)
    return {name: value for name, value in os.environ.items() if before.get(name) != value}


def serve(path: str) -> None:
    """Fork for each connection, and tell it how the child ended."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    imported = import_all()
    assert threading.active_count() == 1, threading.enumerate()
    gc.freeze()  # so that a collection in a child copies no page
    woken, wake = os.pipe()
    for end in (woken, wake):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for pytest and for the children
    children: dict[int, socket.socket] = {}
    print("ready", flush=True)
    while True:
        readable, _, _ = select.select([listener, woken, sys.stdin], [], [])
        if sys.stdin in readable:
            os._exit(0)
        if woken in readable:
            os.read(woken, 4096)
            tell_ended(children)
        if listener in readable:
            connection, _ = listener.accept()
            fork(connection, imported, children)


def tell_ended(children: dict[int, socket.socket]) -> None:
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
    connection: socket.socket, imported: Mapping[str, str], children: dict[int, socket.socket]
) -> None:
    _, descriptors, _, _ = socket.recv_fds(connection, 1, 3)
    call = read_json(connection)
    pid = os.fork()
    if pid == 0:
        become(call, imported, descriptors)
    for number in descriptors:
        os.close(number)
    children[pid] = connection
    send_json(connection, pid)


def become(call: Mapping[str, Any], imported: Mapping[str, str], descriptors: list[int]) -> None:
    """Be the process that the caller asked for, to its end."""
    code = 1
    try:
        settle(call, imported, descriptors)
        code = execute(list(call["arguments"]))
    except KeyboardInterrupt:
        traceback.print_exc()
        end_process()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    end_process()
    os._exit(code)


def settle(call: Mapping[str, Any], imported: Mapping[str, str], descriptors: list[int]) -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if call["new_session"]:
        os.setsid()
    os.umask(call["umask"])
    # Above 0 to 2 first: one of them may be where another is to go.
    copies = [os.dup(number) for number in descriptors]
    for target, copy in enumerate(copies):
        os.dup2(copy, target)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.chdir(call["folder"])
    os.environ.clear()
    os.environ.update({**imported, **call["environment"]})
    time.tzset()
    import numpy as np

    np.random.seed()


def execute(arguments: list[str]) -> int:
    """Run `[-W ignore] -m MODULE …` or `-c CODE …`.

    Returns:
        The exit code.
    """
    if arguments[0] == "-W":
        warnings.simplefilter(arguments[1])  # type: ignore[arg-type]
        sys.warnoptions.append(arguments[1])
        arguments = arguments[2:]
    kind, what, *words = arguments
    try:
        if kind == "-m":
            sys.path[0] = os.getcwd()
            sys.argv = [what, *words]
            sys.modules.pop(what, None)  # some module had imported it
            runpy.run_module(what, run_name="__main__", alter_sys=True)
        else:
            assert kind == "-c", arguments
            sys.path[0] = ""
            sys.argv = ["-c", *words]
            main = types.ModuleType("__main__")
            sys.modules["__main__"] = main
            exec(compile(what, "<string>", "exec"), main.__dict__)
    except SystemExit as ended:
        return exit_code(ended.code)
    return 0


def exit_code(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    print(code, file=sys.stderr)
    return 1


def end_process() -> None:
    """Do what Python does at its end: wait for threads, call what was registered, flush."""
    for step in (threading._shutdown, atexit._run_exitfuncs, *flushes()):  # type: ignore[attr-defined]
        with contextlib.suppress(Exception):
            step()


def flushes() -> Iterator[Any]:
    yield sys.stdout.flush
    yield sys.stderr.flush


if __name__ == "__main__":
    serve(sys.argv[1])
