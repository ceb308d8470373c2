"""Write Python expressions as text, in the layout of the usual formatters."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import TypeAlias

WIDTH = 88
STEP = 4


@dataclass(frozen=True)
class Group:
    """Items between brackets: on one line where they fit, else a line for each item."""

    start: str
    """What stands before the items, the bracket included."""
    items: "tuple[tuple[str, Expression], ...]"
    """What goes before an item (`name=`, `"key": `), and the item."""
    end: str

    @property
    def line(self) -> str:
        items = ", ".join(before + on_one_line(item) for before, item in self.items)
        return f"{self.start}{items}{self.end}"


Expression: TypeAlias = str | Group


def call_of(name: str, /, *plain: Expression, **named: Expression) -> Group:
    by_place = [("", item) for item in plain]
    by_name = [(f"{key}=", item) for key, item in named.items()]
    return Group(f"{name}(", (*by_place, *by_name), ")")


def list_of(items: Iterable[Expression]) -> Group:
    return Group("[", tuple(("", item) for item in items), "]")


def set_of(texts: Iterable[str]) -> Group:
    return Group("{", tuple(("", string_of(text)) for text in sorted(texts)), "}")


def dict_of(pairs: Mapping[str, Expression]) -> Group:
    return Group("{", tuple((f"{string_of(key)}: ", item) for key, item in pairs.items()), "}")


def string_of(text: str) -> str:
    """Write a string literal, in double quotes unless it holds one."""
    if '"' in text or not text.isprintable():
        return repr(text)
    return json.dumps(text, ensure_ascii=False)


def list_of_strings(texts: Iterable[str]) -> Group:
    return list_of(map(string_of, texts))


def on_one_line(expression: Expression) -> str:
    return expression.line if isinstance(expression, Group) else expression


def statement(before: str, expression: Expression, after: str = "", indent: int = 0) -> str:
    """Write the lines of `before expression after`, at an indent."""
    margin = " " * indent
    line = margin + before + on_one_line(expression) + after
    if len(line) <= WIDTH or isinstance(expression, str) or not expression.items:
        return line
    inner = [statement(name, item, ",", indent + STEP) for name, item in expression.items]
    return "\n".join([margin + before + expression.start, *inner, margin + expression.end + after])


def comment(text: str) -> str:
    return "\n".join(
        wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)
    )


def commented(text: str, code: str) -> str:
    """Write code below a comment."""
    return f"{comment(text)}\n{code}"


def docstring(first: str, *more: str) -> str:
    """Write the docstring of a module."""
    # Without quotes and backslashes: a file's name, which may hold them, could end the string.
    lines = [line.replace("\\", "/").replace('"', "'") for line in (first, *more)]
    if not more:
        return f'"""{lines[0]}"""'
    text = "\n".join([lines[0], "", *lines[1:]])
    return f'"""{text}\n"""'


def blocks(parts: Sequence[str]) -> str:
    """Join the parts of a module, with a blank line between and an end of line."""
    return "\n\n".join(part for part in parts if part) + "\n"
