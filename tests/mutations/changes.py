"""Small changes of Python code, such as a person makes by mistake."""

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]

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
    elif isinstance(node, ast.Raise) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    ):
        yield ast.Pass()


def other_constants(value: object) -> Iterator[ast.Constant]:
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int | float):
        yield ast.Constant(value + 1)


def is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def nodes_of(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield what runs.

    No annotations, and nothing inside of f-strings, whose places Python 3.11 does not tell.
    """
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if (
                isinstance(child, ast.AST)
                and not isinstance(child, ast.JoinedStr)
                and not is_for_types(child)
            ):
                yield child
                yield from nodes_of(child)


def is_for_types(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    )


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
