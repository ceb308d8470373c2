"""A process that is forked from the warm one is to its caller what a real one is."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import warm_python
from warm_python import COLD_VARIABLES

SHOW = """
import json, os, sys
print(json.dumps([sys.argv, __name__, os.getcwd(), os.environ.get("GIVEN"), sys.stdin.read()]))
print("told", file=sys.stderr)
"""
WAIT = "import time; print(flush=True); time.sleep(60)"

LATE = """
import threading, time
threading.Thread(target=lambda: (time.sleep(0.1), print("later"))).start()
"""

COMMANDS = {
    "shows": ["-c", SHOW, "a", "b c"],
    "ends with a code": ["-c", "import sys; sys.exit(3)"],
    "ends with words": ["-c", "import sys; sys.exit('expected more')"],
    "raises": ["-W", "ignore", "-c", "1 / 0"],
    "aborts": ["-c", "import os; os.abort()"],
    "registered something": ["-c", "import atexit; atexit.register(print, 'at the end')"],
    "left a thread": ["-c", LATE],
    "warns": ["-c", "import warnings; warnings.warn('mind')"],
    "warns nobody": ["-W", "ignore", "-c", "import warnings; warnings.warn('mind')"],
    "a module": ["-m", "cli.main", "--version"],
    "a module that refuses": ["-m", "cli.main", "train"],
}


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_it_ends_and_tells_as_a_real_process_does(words: list[str], tmp_path: Path) -> None:
    command = [sys.executable, *words]
    options: dict[str, Any] = {
        "env": {**os.environ, "GIVEN": "this"},
        "cwd": tmp_path,
        "input": "typed",
        "capture_output": True,
        "text": True,
    }
    real, warm = subprocess.run(command, **options), warm_python.run(command, **options)
    assert (warm.returncode, warm.stdout) == (real.returncode, real.stdout)
    # A traceback has the frames below the code too.
    assert warm.stderr.splitlines()[-1:] == real.stderr.splitlines()[-1:]


def test_its_environment_is_the_callers_alone() -> None:
    code = "import os; print(sorted(os.environ))"
    environment = {"ONLY": "this", "PATH": os.environ["PATH"]}
    environment |= {
        name: os.environ[name] for name in os.environ if name.startswith(COLD_VARIABLES)
    }
    ended = warm_python.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    named = set(eval(ended.stdout))
    assert named >= set(environment)
    assert "HOME" not in named


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_it_can_be_stopped_by_its_pid(number: signal.Signals) -> None:
    process = warm_python.start([sys.executable, "-c", WAIT], stdout=subprocess.PIPE)
    with process:
        assert isinstance(process, warm_python.WarmPopen)
        assert process.stdout is not None
        process.stdout.readline()
        assert process.poll() is None
        os.kill(process.pid, number)
        assert process.wait(10) == -number


LIST_DESCRIPTORS = """
import contextlib, os
for number in os.listdir("/proc/self/fd"):
    with contextlib.suppress(OSError):
        print(os.readlink(f"/proc/self/fd/{number}"))
"""


def test_it_holds_none_of_its_callers_descriptors(tmp_path: Path) -> None:
    with (tmp_path / "open").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        command = [sys.executable, "-c", LIST_DESCRIPTORS]
        ended = warm_python.run(command, capture_output=True, text=True)
    assert "pipe:" in ended.stdout
    assert str(tmp_path) not in ended.stdout


def test_it_gives_up_waiting_as_a_real_one_does() -> None:
    started = time.monotonic()
    with pytest.raises(subprocess.TimeoutExpired):
        warm_python.run([sys.executable, "-c", WAIT], capture_output=True, timeout=0.2)
    assert time.monotonic() - started < 30


def test_python_variables_of_its_own_make_it_a_real_process() -> None:
    code = "import sys; print(sys.flags.optimize)"
    ended = warm_python.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONOPTIMIZE": "1"},
        capture_output=True,
        text=True,
    )
    assert ended.stdout == "1\n"


@pytest.mark.parametrize("name", ["LANG", "LC_ALL", "MPLBACKEND", "OPENBLAS_NUM_THREADS"])
def test_what_libraries_read_at_their_import_makes_it_a_real_process(name: str) -> None:
    assert warm_python.is_cold({**os.environ, name: "another"})
    assert not warm_python.is_cold({**os.environ, "POTLUCK_HOME": "another"})


def test_what_can_not_be_written_at_the_end_is_told_as_a_real_process_does() -> None:
    # A buffer of its own: with PYTHONUNBUFFERED the print would fail, and not the end.
    code = "import sys; sys.stdout = open(1, 'w', closefd=False); print('lost')"
    command = [sys.executable, "-c", code]
    with open("/dev/full", "w") as full:
        options: dict[str, Any] = {"stdout": full, "stderr": subprocess.PIPE, "text": True}
        real, warm = subprocess.run(command, **options), warm_python.run(command, **options)
    assert real.returncode == 120
    assert warm.returncode == 120
    assert warm.stderr == real.stderr


CALLER = """
import subprocess, sys, time
sys.path.insert(0, sys.argv[1])
import warm_python
child = warm_python.start([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""


def test_it_ends_with_the_process_that_called_it_however_that_ends() -> None:
    support = str(Path(warm_python.__file__).parent)
    command = [sys.executable, "-c", CALLER, support]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as caller:
        assert caller.stdout is not None
        child = int(caller.stdout.readline())
        caller.kill()
    deadline = time.monotonic() + 10
    while is_running(child):
        assert time.monotonic() < deadline, "the child outlives its caller"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """Whether a process runs; one that is dead and not waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"
