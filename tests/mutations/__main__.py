"""How many defects the tests catch: change the product code a little, and see whether a test fails.

    python tests/mutations [--of batch] [--of potluck/contract/manifest.py] [--count 20] [--seed 0]

Every mutation is made in a copy of the checkout, one at a time. The test files that name its module
run there first, then the other tests of its room, until the first test fails. A failure counts if
that test passes without the mutation; a run that is too long counts if its tests end in half the
time. A mutation that no test catches is printed: it needs a test, or it changes nothing that
matters. Run by hand; a room takes minutes to hours.
"""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
OPTIONS = ("--override-ini", "addopts=--import-mode=importlib --strict-markers")
"""The project's own, but pytest may remember which test failed."""
LAST_FAILED = ".pytest_cache/v/cache/lastfailed"
CAUGHT, LATE, SURVIVED, UNDECIDED = "caught", "caught (too long)", "SURVIVED", "UNDECIDED"

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
"""Room or module -> its tests, the longest name that fits counts."""
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
    return TESTS[max(fitting, key=len)]


def groups_of(path: str) -> list[tuple[str, ...]]:
    """Return the test files of a module in two groups: those that name it, and the others."""
    files = [file for tests in tests_of(path) for file in test_files(tests)]
    files = list(dict.fromkeys(files))
    near = [file for file in files if names_module(file, path)]
    near.sort(key=lambda file: (PROJECT / file).stat().st_size)  # a small one is mostly quick
    others = [file for file in files if file not in near]
    return [tuple(group) for group in (near, others) if group]


def test_files(tests: str) -> list[str]:
    """Return the test files of a folder, or the one file."""
    place = PROJECT / tests
    paths = sorted(place.rglob("test_*.py")) if place.is_dir() else [place]
    return [path.relative_to(PROJECT).as_posix() for path in paths]


def names_module(file: str, path: str) -> bool:
    """Tell whether a test file is called after a module, or names it."""
    module = path.removesuffix(".py").replace("/", ".")
    package, _, stem = module.rpartition(".")
    if Path(file).name == f"test_{stem}.py":
        return True
    imported = rf"from {re.escape(package)} import [^\n]*\b{stem}\b"
    named = rf"\b{re.escape(module)}\b|{imported}"
    return re.search(named, (PROJECT / file).read_text()) is not None


@dataclass(frozen=True)
class TestRun:
    """How a run of tests ended."""

    passed: bool
    late: bool
    """Ended by us, as it took too long."""
    seconds: float


def run_tests(checkout: Path, tests: Sequence[str], seconds: float) -> TestRun:
    """Run tests in a checkout until one fails, or the time is over."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", *OPTIONS, *tests]
    environment = {**os.environ, "PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1"}
    (checkout / LAST_FAILED).unlink(missing_ok=True)
    began = time.monotonic()
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
        return TestRun(passed=False, late=True, seconds=seconds)
    if code == NO_TESTS:
        raise SystemExit(f"found no tests in {', '.join(tests)}")
    return TestRun(passed=code == 0, late=False, seconds=time.monotonic() - began)


def end(process: "subprocess.Popen[bytes]") -> None:
    """Stop a run as Ctrl-C does, so that its fixtures stop their servers."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class Trial:
    """Mutations made in one checkout, one at a time."""

    def __init__(self, checkout: Path, seconds: float) -> None:
        self.checkout = checkout
        self.seconds = seconds
        self.unmutated: dict[tuple[str, ...], TestRun] = {}

    def outcome(self, mutation: Mutation) -> str:
        """Make a mutation, run its tests group by group, and say what became of it."""
        outcome = SURVIVED
        for tests in groups_of(mutation.path):
            run = self.run_mutated(mutation, tests)
            if run.passed:
                continue
            plain = self.run_unmutated(tests if run.late else self.failed_last(tests))
            if run.late and not (plain.passed and plain.seconds < self.seconds / 2):
                outcome = UNDECIDED  # the time is too short for these tests
                continue
            if not plain.passed:
                outcome = UNDECIDED  # a test that fails on its own tells nothing
                continue
            return LATE if run.late else CAUGHT
        return outcome

    def run_mutated(self, mutation: Mutation, tests: tuple[str, ...]) -> TestRun:
        path = self.checkout / mutation.path
        content = path.read_bytes()
        path.write_bytes(mutation.apply(content))
        try:
            return run_tests(self.checkout, tests, self.seconds)
        finally:
            path.write_bytes(content)

    def failed_last(self, tests: tuple[str, ...]) -> tuple[str, ...]:
        """Return the test that failed in the last run, or all of them where pytest tells none."""
        told = self.checkout / LAST_FAILED
        return tuple(json.loads(told.read_text())) if told.exists() else tests

    def run_unmutated(self, tests: tuple[str, ...]) -> TestRun:
        """Run tests as they are, once: only a failure that the mutation made is worth anything."""
        if tests not in self.unmutated:
            self.unmutated[tests] = run_tests(self.checkout, tests, self.seconds)
        return self.unmutated[tests]


def survivors_of(
    mutations: Sequence[Mutation], trial: Trial, tell: Callable[[str], None]
) -> list[Mutation]:
    """Try each mutation, and return those that no test caught."""
    survivors = []
    for number, mutation in enumerate(mutations, 1):
        outcome = trial.outcome(mutation)
        tell(f"{number}/{len(mutations)} {outcome}  {mutation.text()}")
        if outcome in (SURVIVED, UNDECIDED):
            survivors.append(mutation)
    return survivors


@click.command()
@click.option(
    "--of", "rooms", multiple=True, help="A room or a module; again for more.  [default: all rooms]"
)
@click.option("--count", default=10, show_default=True, help="Mutations of each.")
@click.option("--seed", default=0, show_default=True)
@click.option(
    "--seconds", default=900.0, show_default=True, help="The longest run of one group of tests."
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
        survivors = survivors_of(everything, Trial(checkout, seconds), print_now)
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
