"""How many defects the tests catch: change the product code a little, and see whether a test fails.

    python tests/mutations [--of batch] [--of potluck/contract/manifest.py] [--count 20] [--seed 0]

Every mutation is made in a copy of the checkout, one at a time, and the tests of its module run there until the first
one fails. A mutation that no test catches is printed: it needs a test, or it changes nothing that matters. Run by hand;
a room takes minutes to hours.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import click
from changes import PROJECT, Mutation, mutations_of

NOT_COPIED = shutil.ignore_patterns(
    ".venv", ".git", ".potluck", "__pycache__", "results", "node_modules"
)
END_SECONDS = 30
"""How long a run of tests that took too long may stop its servers, before it is killed."""
NO_TESTS = 5
"""Pytest's exit code where it found no test."""

TESTS = {
    "potluck/contract": ("tests/contract",),
    "potluck/scoring": ("tests/scoring",),
    "potluck/redis": ("tests/redis", "tests/stores"),
    "potluck/stores": ("tests/stores",),
    "batch": ("tests/batch/test_one_rule.py", "tests/batch/test_nightly.py"),
    "batch/admission.py": ("tests/batch/test_one_rule.py",),
    "batch/export.py": ("tests/batch/test_export.py",),
    "batch/history.py": ("tests/batch/test_history.py", "tests/batch/test_nightly.py"),
    "batch/lease.py": ("tests/batch/test_lease.py",),
    "batch/preflight.py": ("tests/batch/test_verify.py",),
    "batch/profile.py": ("tests/batch/test_profile.py", "tests/batch/test_verify.py"),
    "batch/prune.py": ("tests/batch/test_verify.py",),
    "batch/publish.py": ("tests/batch/test_verify.py", "tests/batch/test_nightly.py"),
    "batch/verify.py": ("tests/batch/test_verify.py",),
    "batch/view.py": ("tests/batch/test_verify.py", "tests/batch/test_nightly.py"),
    "training": ("tests/training",),
    "serving": ("tests/serving",),
    "scaffold": ("tests/scaffold",),
    "cli": ("tests/cli",),
}
"""Room or module -> its tests, the quickest first; the longest name that fits counts."""
ROOMS = tuple(name for name in TESTS if not name.endswith(".py"))


def draw(room: str, count: int, seed: int) -> list[Mutation]:
    """Draw mutations of a room, or of one module.

    A room's modules take turns, so that a long one does not crowd out the others.
    """
    chance = random.Random(f"{room} {seed}")
    files = [PROJECT / room] if room.endswith(".py") else sorted((PROJECT / room).rglob("*.py"))
    by_module = [mutations_of(path.relative_to(PROJECT).as_posix()) for path in files]
    chance.shuffle(by_module)
    for found in by_module:
        chance.shuffle(found)
    longest = max(map(len, by_module), default=0)
    turns = [found[turn] for turn in range(longest) for found in by_module if turn < len(found)]
    return turns[:count]


def tests_of(path: str) -> tuple[str, ...]:
    fitting = [name for name in TESTS if path == name or path.startswith(f"{name}/")]
    if not fitting or not (PROJECT / path).exists():
        raise SystemExit(f"expected a room or module of {', '.join(ROOMS)}; got {path}")
    tests = TESTS[max(fitting, key=len)]
    named = Path(tests[0]) / f"test_{Path(path).name}"  # fails first, if it fails
    return (named.as_posix(), *tests) if (PROJECT / named).exists() else tests


def run_tests(checkout: Path, tests: Sequence[str], seconds: float) -> bool:
    """Run tests in a checkout until one fails.

    Returns:
        Whether all passed; tests that take too long have not.
    """
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", *tests]
    environment = {**os.environ, "PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1"}
    process = subprocess.Popen(
        command,
        cwd=checkout,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        end(process)
        return False
    if code == NO_TESTS:
        raise SystemExit(f"found no tests in {', '.join(tests)}")
    return code == 0


def end(process: "subprocess.Popen[bytes]") -> None:
    """Stop a run as Ctrl-C does, so that its fixtures stop their servers."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def survivors_of(
    mutations: Sequence[Mutation], checkout: Path, seconds: float, tell: Callable[[str], None]
) -> list[Mutation]:
    """Make each mutation in the checkout, run its tests, and undo it."""
    survivors = []
    for number, mutation in enumerate(mutations, 1):
        path = checkout / mutation.path
        content = path.read_bytes()
        path.write_bytes(mutation.apply(content))
        try:
            survived = run_tests(checkout, tests_of(mutation.path), seconds)
        finally:
            path.write_bytes(content)
        tell(f"{number}/{len(mutations)} {'SURVIVED' if survived else 'caught'}  {mutation.text()}")
        if survived:
            survivors.append(mutation)
    return survivors


@click.command()
@click.option(
    "--of", "rooms", multiple=True, help="A room or a module; again for more.  [default: all rooms]"
)
@click.option("--count", default=10, show_default=True, help="Mutations of each.")
@click.option("--seed", default=0, show_default=True)
@click.option(
    "--seconds", default=900.0, show_default=True, help="Tests that take longer have failed."
)
@click.option("--dry-run", is_flag=True, help="Print the mutations only.")
def main(rooms: tuple[str, ...], count: int, seed: int, seconds: float, dry_run: bool) -> None:
    """Print the share of mutations that the tests catch, and the mutations that they do not."""
    for room in rooms:
        tests_of(room)
    drawn = {room: draw(room, count, seed) for room in rooms or ROOMS}
    everything = [mutation for mutations in drawn.values() for mutation in mutations]
    if dry_run:
        print("\n".join(mutation.text() for mutation in everything))
        return
    with tempfile.TemporaryDirectory(prefix="potluck-mutations-") as folder:
        checkout = Path(folder) / "checkout"
        shutil.copytree(PROJECT, checkout, ignore=NOT_COPIED)
        for tests in dict.fromkeys(tests_of(mutation.path) for mutation in everything):
            if not run_tests(checkout, tests, seconds):
                raise SystemExit(f"{', '.join(tests)} fail without any mutation")
        survivors = survivors_of(everything, checkout, seconds, print_now)
    report(drawn, survivors)


def print_now(text: str) -> None:
    print(text, flush=True)


def report(drawn: dict[str, list[Mutation]], survivors: Sequence[Mutation]) -> None:
    for room, mutations in drawn.items():
        caught = sum(mutation not in survivors for mutation in mutations)
        print(f"{room}: {caught} of {len(mutations)} caught")
    taken = sum(map(len, drawn.values()))
    caught = taken - len(survivors)
    print(f"caught {caught} of {taken}, {caught / max(1, taken):.0%}")
    for mutation in survivors:
        print(f"survived: {mutation.text()}")


if __name__ == "__main__":
    main()
