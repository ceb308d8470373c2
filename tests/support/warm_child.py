"""A child of the warm process: it becomes the process that the caller asked for, to its end."""

import atexit
import contextlib
import ctypes
import os
import runpy
import signal
import sys
import threading
import time
import traceback
import types
import warnings
from collections.abc import Mapping
from typing import Any, TextIO

FLUSH_FAILED = 120
"""Python's exit code where what was printed can't be written at its end."""
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


def become(
    call: Mapping[str, Any],
    imported: Mapping[str, str],
    descriptors: list[int],
    *,
    ours: set[int],
    parent: int,
) -> None:
    """Be the process that the caller asked for; does not return.

    Args:
        call: arguments, folder, environment, new_session and umask.
        imported: variables that the imports set.
        descriptors: what are to be standard input, output and error.
        ours: descriptors of the warm process, which this one has no use for.
        parent: the warm process.
    """
    code = 1
    try:
        die_with(parent)
        settle(call, imported, descriptors, ours)
        code = execute(list(call["arguments"]))
    except KeyboardInterrupt:
        traceback.print_exc()
        end_process()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    if not end_process():
        code = FLUSH_FAILED
    os._exit(code)


def die_with(parent: int) -> None:
    """Have the kernel kill this process when the warm one ends, which ends with pytest."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the call
        os._exit(1)


def settle(
    call: Mapping[str, Any], imported: Mapping[str, str], descriptors: list[int], ours: set[int]
) -> None:
    """Take the caller's signals, session, umask, descriptors, folder and environment."""
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
    # Not a range: what lies between may be held by a library that was imported.
    for number in {*ours, *copies}:
        os.close(number)
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


def end_process() -> bool:
    """Do what Python does at its end: wait for threads, call what was registered, flush.

    Returns:
        Whether all that was printed is written.
    """
    for step in (threading._shutdown, atexit._run_exitfuncs):  # type: ignore[attr-defined]
        with contextlib.suppress(Exception):
            step()
    written = [flush(sys.stdout, told=True), flush(sys.stderr, told=False)]
    return all(written)


def flush(stream: TextIO | None, *, told: bool) -> bool:
    """Write what is left in a stream.

    Returns:
        Whether it is written, or there is nothing to write to.
    """
    if stream is None or stream.closed:
        return True
    try:
        stream.flush()
    except Exception as error:
        if told:
            print(f"Exception ignored in: {stream!r}", file=sys.stderr)
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return False
    return True
