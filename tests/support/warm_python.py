"""Python processes that start in milliseconds: forks of one that has imported Feast and MLflow.

To import Feast, MLflow and scikit-learn takes 5 s of CPU time, and the tests run hundreds of verbs.
So one process imports them all, starts no thread, and forks for each call. The child gets its own
environment, working directory, descriptors, arguments and `__main__`, runs the module or the code,
and ends as any Python process does. To the caller it is a `subprocess.Popen`: its pid can be
killed, its exit code is the child's, its pipes are the caller's.

What this can't show is how a process starts: what it imports, how long that takes, what a variable
of the environment does to Python itself. Tests of that, and every `serve`, `up` and `schedule`,
start real ones. Variables of a call's own that are read while Python or a library starts make it a
real one too (`COLD_VARIABLES`). `tests/cli/test_cold_verbs.py` runs each verb as a real `potluck`.

This is the caller's side. The process that forks is `warm_server`, its child `warm_child`.
"""

import array
import atexit
import os
import select
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from warm_wire import read_json, send_json

ROOT = Path(__file__).resolve().parent.parent.parent
SERVER = Path(__file__).with_name("warm_server.py")
COLD_VARIABLES = (
    *("PYTHON", "LD_", "LANG", "LC_", "MALLOC_", "GLIBC_"),
    *("OMP_", "OPENBLAS_", "MKL_", "MPL", "MLFLOW_LOGGING_", "MLFLOW_ENABLE_"),
)
"""Beginnings of the variables that are read when a process starts or a library is imported.

The first line's are Python's, the loader's and the C library's, the second line's are OpenMP's, the
linear algebra's, Matplotlib's and MLflow's.
"""
START_SECONDS = 120


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
    if environment.get("POTLUCK_LOG_LEVEL", "").upper() == "DEBUG":
        return True  # then `prepare_libraries` leaves Feast and MLflow as they are
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
        command = [sys.executable, str(SERVER), self.path]
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
