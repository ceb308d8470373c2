"""How densely the code is written: figures of style, for this project and for others.

    python tests/style                      this project's rooms
    python tests/style potluck/redis        one room
    python tests/style --list potluck       and each place that the house habits would not have
    python tests/style FOLDER ...           any other package, for comparison

Run by hand. A figure serves the reader: where a figure and a reader disagree, the reader is right.
"""

import ast
import io
import statistics
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeGuard

import click

PROJECT = Path(__file__).resolve().parents[2]
ROOMS = ("potluck", "training", "serving", "batch", "scaffold", "cli", "feature_repo")
WIDTH = 100
"""Columns of the longest line."""
PROGRAM = "main"
"""What each program may call its own; no repeated name."""

COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
DENSE = (*COMPREHENSIONS, ast.IfExp)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
CONSTRUCTORS = ("__init__", "__new__", "__post_init__")
LISTS = ("wide", "dense_statements", "positional_booleans", "late_attributes", "repeated_names")
"""Figures that are lists of places."""


@dataclass
class Figures:
    """What was counted over some files; a place is `file:line`."""

    lines: int = 0
    code_lines: int = 0
    nodes: int = 0
    comments: int = 0
    comprehensions: int = 0
    conditionals: int = 0
    function_lengths: list[int] = field(default_factory=list)
    keyword_only: int = 0
    wide: list[str] = field(default_factory=list)
    dense_statements: list[str] = field(default_factory=list)
    positional_booleans: list[str] = field(default_factory=list)
    late_attributes: list[str] = field(default_factory=list)
    names: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Top-level name of a class or function -> where it is defined."""

    @property
    def repeated_names(self) -> list[str]:
        """Names that more than one module defines."""
        repeated = []
        for name, places in sorted(self.names.items()):
            if len(places) > 1 and name != PROGRAM:
                repeated.append(f"{name}: {', '.join(places)}")
        return repeated

    def rows(self) -> Iterator[tuple[str, str]]:
        """Each figure's name and value."""
        thousand = self.code_lines / 1000
        lengths = sorted(self.function_lengths)
        yield "lines of code", f"{self.code_lines:,}"
        yield "AST nodes a line of code", f"{self.nodes / self.code_lines:.2f}"
        yield "comprehensions per 1,000 lines", f"{self.comprehensions / thousand:.1f}"
        yield "conditional expressions per 1,000 lines", f"{self.conditionals / thousand:.1f}"
        yield "comments per 1,000 lines", f"{self.comments / thousand:.1f}"
        yield f"lines above {WIDTH} columns, percent", f"{100 * len(self.wide) / self.lines:.2f}"
        yield "functions", f"{len(lengths):,}"
        yield "function length, median", f"{statistics.median(lengths):.0f}"
        yield "function length, 9 in 10 up to", str(lengths[int(len(lengths) * 0.9)])
        yield "functions with keyword-only arguments", str(self.keyword_only)
        yield "statements with two dense expressions or more", str(len(self.dense_statements))
        yield "booleans passed by position", str(len(self.positional_booleans))
        yield "attributes first set outside __init__", str(len(self.late_attributes))
        yield "names defined in more than one module", str(len(self.repeated_names))


def python_files(path: Path) -> list[Path]:
    """A file, or those below a folder; hidden folders, such as `.venv`, are left out."""
    if path.is_file():
        return [path]
    found = []
    for file in sorted(path.rglob("*.py")):
        inner = file.relative_to(path).parts
        if not any(part.startswith(".") for part in inner):
            found.append(file)
    return found


def measure_file(path: Path, figures: Figures) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    lines = text.splitlines()
    figures.lines += len(lines)
    figures.code_lines += count_code_lines(tree, lines)
    figures.wide += [f"{path}:{n}" for n, line in enumerate(lines, 1) if len(line) > WIDTH]
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            figures.comments += 1
    for node in tree.body:
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            figures.names[node.name].append(f"{path}:{node.lineno}")
    for inner in ast.walk(tree):
        measure_node(inner, path, figures)


def measure_node(node: ast.AST, path: Path, figures: Figures) -> None:
    if isinstance(node, ast.expr_context):  # `Load` or `Store`: Python adds one to every name
        return
    figures.nodes += 1
    if isinstance(node, COMPREHENSIONS):
        figures.comprehensions += 1
    elif isinstance(node, ast.IfExp):
        figures.conditionals += 1
    elif isinstance(node, FUNCTIONS):
        figures.function_lengths.append((node.end_lineno or node.lineno) - node.lineno + 1)
        if node.args.kwonlyargs:
            figures.keyword_only += 1
    elif isinstance(node, ast.ClassDef):
        figures.late_attributes += [f"{path}:{late}" for late in late_attributes(node)]
    elif isinstance(node, ast.Call):
        for given in node.args:
            if isinstance(given, ast.Constant) and isinstance(given.value, bool):
                figures.positional_booleans.append(f"{path}:{node.lineno}")
    if isinstance(node, ast.stmt) and dense_expressions(node) > 1:
        figures.dense_statements.append(f"{path}:{node.lineno}")


def count_code_lines(tree: ast.Module, lines: list[str]) -> int:
    """Lines that are neither blank, nor a comment, nor part of a docstring."""
    in_docstrings: set[int] = set()
    for node in ast.walk(tree):
        if is_docstring(node):
            in_docstrings.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    count = 0
    for number, line in enumerate(lines, 1):
        content = line.strip()
        if content and not content.startswith("#") and number not in in_docstrings:
            count += 1
    return count


def is_docstring(node: ast.AST) -> TypeGuard[ast.Expr]:
    """Whether a node is a docstring, or a text that stands below an attribute."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def dense_expressions(statement: ast.stmt) -> int:
    """Comprehensions and conditional expressions of a statement, without its inner statements."""
    count, waiting = 0, list(ast.iter_child_nodes(statement))
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.stmt, ast.ExceptHandler, ast.match_case)):
            continue
        if isinstance(node, DENSE):
            count += 1
        waiting.extend(ast.iter_child_nodes(node))
    return count


def late_attributes(node: ast.ClassDef) -> Iterator[str]:
    """Attributes that a method sets, and that neither the class nor its `__init__` names."""
    methods = [statement for statement in node.body if isinstance(statement, FUNCTIONS)]
    if node.bases and not any(method.name == "__init__" for method in methods):
        return  # a base class may set them
    known = {method.name for method in methods}  # a property may have a setter
    for statement in node.body:
        known.update(names_in_class(statement))
    for method in methods:
        if method.name in CONSTRUCTORS:
            known.update(name for name, _ in attributes_set(method))
    for method in methods:
        for name, line in attributes_set(method):
            if name not in known:
                yield f"{line} {node.name}.{name}"


def names_in_class(statement: ast.stmt) -> Iterator[str]:
    """Names that a statement of a class's body gives to attributes, also by `__slots__`."""
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        yield statement.target.id
    if isinstance(statement, ast.Assign):
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id
            elif isinstance(node, ast.Constant):
                yield str(node.value)  # a word of `__slots__`, if it is a name at all


def attributes_set(method: ast.AST) -> Iterator[tuple[str, int]]:
    """Attributes of `self` that a method sets, and the line of each."""
    for node in ast.walk(method):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and isinstance(node.value, ast.Name)
            and node.value.id == "self"
        ):
            yield node.attr, node.lineno


@click.command()
@click.option("--list", "listed", is_flag=True, help="Name each place.")
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
def main(listed: bool, paths: tuple[Path, ...]) -> None:
    """Print figures of style."""
    figures = Figures()
    for path in paths or [PROJECT / room for room in ROOMS]:
        for file in python_files(path):
            measure_file(file, figures)
    if not figures.function_lengths:
        raise click.UsageError("found no function in these folders")
    if listed:
        for name in LISTS:
            click.echo(f"{name}:")
            for place in getattr(figures, name):
                click.echo(f"  {place}")
    for name, value in figures.rows():
        click.echo(f"{name:48}{value:>10}")


if __name__ == "__main__":
    main()
