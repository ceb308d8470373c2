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
import sys
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import click

PROJECT = Path(__file__).resolve().parents[2]
ROOMS = ("potluck", "training", "serving", "batch", "scaffold", "cli", "feature_repo")
WIDTH = 100
"""Columns of the longest line."""

COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
DENSE = (*COMPREHENSIONS, ast.IfExp)


@dataclass
class Figures:
    """What was counted over some files."""

    code_lines: int = 0
    lines: int = 0
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

    @property
    def repeated_names(self) -> list[str]:
        """Top-level names of classes and functions that more than one module defines."""
        return [
            f"{name}: {', '.join(places)}"
            for name, places in sorted(self.names.items())
            if len(places) > 1
        ]

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


def measure(folders: list[Path]) -> Figures:
    """Count over every Python file below these folders."""
    figures = Figures()
    for folder in folders:
        files = [folder] if folder.is_file() else sorted(folder.rglob("*.py"))
        for path in files:
            measure_file(path, figures)
    return figures


def measure_file(path: Path, figures: Figures) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    lines = text.splitlines()
    figures.lines += len(lines)
    figures.code_lines += code_lines(tree, text)
    figures.wide += [f"{path}:{n}" for n, line in enumerate(lines, 1) if len(line) > WIDTH]
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    figures.comments += sum(token.type == tokenize.COMMENT for token in tokens)
    for node in tree.body:
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            figures.names[node.name].append(f"{path}:{node.lineno}")
    for node in ast.walk(tree):
        measure_node(node, path, figures)


def measure_node(node: ast.AST, path: Path, figures: Figures) -> None:
    figures.nodes += not isinstance(node, ast.expr_context)
    figures.comprehensions += isinstance(node, COMPREHENSIONS)
    figures.conditionals += isinstance(node, ast.IfExp)
    if isinstance(node, FUNCTIONS):
        figures.function_lengths.append((node.end_lineno or node.lineno) - node.lineno + 1)
        figures.keyword_only += bool(node.args.kwonlyargs)
    if isinstance(node, ast.ClassDef):
        figures.late_attributes += [f"{path}:{late}" for late in late_attributes(node)]
    if isinstance(node, ast.Call):
        for given in node.args:
            if isinstance(given, ast.Constant) and isinstance(given.value, bool):
                figures.positional_booleans.append(f"{path}:{node.lineno}")
    if isinstance(node, ast.stmt) and dense_expressions(node) > 1:
        figures.dense_statements.append(f"{path}:{node.lineno}")


def code_lines(tree: ast.Module, text: str) -> int:
    """Lines that are neither blank, nor a comment, nor part of a docstring."""
    skipped: set[int] = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", [])
        for statement in body if isinstance(body, list) else []:
            if is_text_alone(statement):
                skipped.update(range(statement.lineno, statement.end_lineno + 1))
    return sum(
        bool(line.strip()) and not line.strip().startswith("#")
        for number, line in enumerate(text.splitlines(), 1)
        if number not in skipped
    )


def is_text_alone(node: object) -> bool:
    """Whether a statement is a docstring, or a text that stands below an attribute."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def dense_expressions(statement: ast.stmt) -> int:
    """Comprehensions and conditional expressions of a statement, without its inner statements."""
    found, waiting = 0, list(ast.iter_child_nodes(statement))
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.stmt, ast.ExceptHandler, ast.match_case)):
            continue
        found += isinstance(node, DENSE)
        waiting.extend(ast.iter_child_nodes(node))
    return found


def late_attributes(node: ast.ClassDef) -> Iterator[str]:
    """Attributes that a method sets, and that neither the class nor its `__init__` names."""
    known = {name for statement in node.body for name in names_in_class(statement)}
    methods = [each for each in node.body if isinstance(each, FUNCTIONS)]
    for method in methods:
        if method.name in ("__init__", "__new__", "__post_init__"):
            known |= {name for name, _ in attributes_set(method)}
    if not any(method.name == "__init__" for method in methods) and node.bases:
        return  # a base class may set them
    for method in methods:
        for name, line in attributes_set(method):
            if name not in known:
                yield f"{line} {node.name}.{name}"


def names_in_class(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        yield statement.target.id
    if isinstance(statement, ast.Assign):
        for target in statement.targets:
            yield from (name.id for name in ast.walk(target) if isinstance(name, ast.Name))
            if isinstance(target, ast.Name) and target.id == "__slots__":
                words = (
                    each for each in ast.walk(statement.value) if isinstance(each, ast.Constant)
                )
                yield from (str(word.value) for word in words)
    if isinstance(statement, FUNCTIONS):
        yield statement.name  # a property that has a setter


def attributes_set(method: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(method):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and isinstance(node.value, ast.Name)
            and node.value.id == "self"
        ):
            yield node.attr, node.lineno


LISTS = ("wide", "dense_statements", "positional_booleans", "late_attributes", "repeated_names")


@click.command()
@click.option("--list", "listed", is_flag=True, help="Name each place.")
@click.argument("folders", nargs=-1, type=click.Path(exists=True, path_type=Path))
def main(listed: bool, folders: tuple[Path, ...]) -> None:
    """Print figures of style."""
    figures = measure(list(folders) or [PROJECT / room for room in ROOMS])
    if listed:
        for name in LISTS:
            click.echo(f"{name}:")
            for place in getattr(figures, name):
                click.echo(f"  {place}")
    for name, value in figures.rows():
        click.echo(f"{name:48}{value:>10}")


if __name__ == "__main__":
    sys.exit(main())
