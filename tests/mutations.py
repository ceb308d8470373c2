"""How many defects the tests catch: change the product code a little, and see whether a test fails.

    python tests/mutations.py [--of batch] [--of potluck/contract/manifest.py] [--count 20] [--seed 0]

Every mutation is made in a copy of the checkout, one at a time, and the tests of its module run there until the first
one fails. A mutation that no test catches is printed: it needs a test, or it changes nothing that matters. Run by hand;
a room takes minutes to hours.
"""

import ast
import copy
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

PROJECT = Path(__file__).resolve().parents[1]
NOT_COPIED = shutil.ignore_patterns(".venv", ".git", ".potluck", "__pycache__", "results", "node_modules")
END_SECONDS = 30
"""How long a run of tests that took too long may stop its servers, before it is killed."""
NO_TESTS = 5
"""Pytest's exit code where it found no test."""

TESTS = {
    "potluck/contract": ("tests/contract",),
    "potluck/scoring": ("tests/scoring",),
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
    "training": ("tests/training",),
    "serving": ("tests/serving",),
    "scaffold": ("tests/scaffold",),
    "cli": ("tests/cli",),
}
"""Room or module -> its tests, the quickest first; the longest name that fits counts."""
ROOMS = tuple(name for name in TESTS if not name.endswith(".py"))

FLIPPED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.LtE: ast.Gt,
    ast.Gt: ast.LtE,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
SHIFTED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
}
SWAPPED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
}


@dataclass(frozen=True)
class Mutation:
    """One change of one file."""

    path: str
    """Relative to the project."""
    line: int
    start: int
    end: int
    """Bytes of the file that are replaced."""
    old: str
    new: str

    def apply(self, content: bytes) -> bytes:
        return content[: self.start] + self.new.encode() + content[self.end :]

    def text(self) -> str:
        return f"{self.path}:{self.line}: {one_line(self.old)}  ->  {one_line(self.new)}"


def one_line(code: str) -> str:
    short = " ".join(code.split())
    return short if len(short) <= 70 else f"{short[:67]}..."


def variants(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what could stand in a node's place by mistake."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        for table in (FLIPPED, SHIFTED):
            if type(node.ops[0]) in table:
                changed = copy.deepcopy(node)
                changed.ops = [table[type(node.ops[0])]()]
                yield changed
    elif isinstance(node, ast.BoolOp):
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield ast.BoolOp(other, node.values)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node.operand
    elif isinstance(node, ast.BinOp) and type(node.op) in SWAPPED:
        yield ast.BinOp(node.left, SWAPPED[type(node.op)](), node.right)
    elif isinstance(node, ast.Constant):
        yield from other_constants(node.value)
    elif isinstance(node, ast.Return) and node.value is not None and not is_none(node.value):
        yield ast.Return(ast.Constant(None))
    elif isinstance(node, ast.Raise) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        yield ast.Pass()


def other_constants(value: object) -> Iterator[ast.Constant]:
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int | float):
        yield ast.Constant(value + 1)


def is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def nodes_of(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield what runs: no annotations, and nothing inside of f-strings, whose places Python 3.11 does not tell."""
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not isinstance(child, ast.JoinedStr) and not is_for_types(child):
                yield child
                yield from nodes_of(child)


def is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def mutations_of(path: str) -> list[Mutation]:
    """Find all mutations of one file."""
    content = (PROJECT / path).read_bytes()
    starts = [0]
    for line in content.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found = []
    for node in nodes_of(ast.parse(content)):
        for changed in variants(node):
            start = starts[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]
            end = starts[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]
            new = ast.unparse(ast.fix_missing_locations(changed))
            if isinstance(changed, ast.expr) and not isinstance(changed, ast.Constant):
                new = f"({new})"  # whatever stands around it binds no tighter
            old = content[start:end].decode()
            found.append(Mutation(path, node.lineno, start, end, old, new))  # type: ignore[attr-defined]
    return found


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
    return TESTS[max(fitting, key=len)]


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
@click.option("--of", "rooms", multiple=True, help="A room or a module; again for more.  [default: all rooms]")
@click.option("--count", default=10, show_default=True, help="Mutations of each.")
@click.option("--seed", default=0, show_default=True)
@click.option("--seconds", default=900.0, show_default=True, help="Tests that take longer have failed.")
@click.option("--dry-run", is_flag=True, help="Print the mutations only.")
def main(rooms: tuple[str, ...], count: int, seed: int, seconds: float, dry_run: bool) -> None:
    """Print the share of mutations that the tests catch, and the mutations that they do not."""
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
