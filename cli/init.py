"""The verb that makes a feature repo from a table."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from cli.output import answer

if TYPE_CHECKING:
    from scaffold.plan import ColumnChoice, RepoPlan
    from scaffold.wishes import Asking

DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "bar": "|"}


class Names(click.ParamType[tuple[str, ...]]):
    """Column names, divided by commas."""

    name = "a,b,c"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        return tuple(name.strip() for name in str(value).split(",") if name.strip())


class Zone(click.ParamType[str]):
    """A time zone of the IANA database."""

    name = "zone"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            ZoneInfo(str(value))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self.fail(f"expected a time zone such as Europe/Vienna, got {value!r}", param, ctx)
        return str(value)


def delimiter_of(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """One character, or its name."""
    if value is None:
        return None
    found = DELIMITERS.get(value.lower(), value)
    if len(found) != 1 or found in '\r\n"':
        raise click.BadParameter(
            f"expected one character, or comma, semicolon, tab or bar; got {value!r}"
        )
    return found


def names_option(flag: str, text: str) -> Callable[..., Any]:
    return click.option(flag, type=Names(), default=(), help=text)


@click.command("init")
@click.argument("data", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--to", "folder", type=click.Path(path_type=Path), help="Folder of the new feature repo."
)
@click.option("--label", help="Column to predict.")
@click.option("--key", help="Column with the ids of what rows are about; none numbers the rows.")
@click.option("--time", help="Column that says when a row was known; none dates all rows alike.")
@click.option("--name", help="Of the project and its services.  [default: the folder's name]")
@click.option(
    "--objective",
    type=click.Choice(["regression", "binary", "multiclass"]),
    help="What the label is.",
)
@names_option("--request", "Columns that come with the request; the store looks the others up.")
@names_option("--drop", "Columns to leave out.")
@names_option("--keep", "Columns to learn from though they look like an id, free text or a leak.")
@names_option("--categorical", "Numbers that are categories.")
@click.option(
    "--missing",
    multiple=True,
    help="A text that means a missing value; may be given several times.",
)
@click.option("--date-format", help="As strptime takes it, such as %d.%m.%Y.")
@click.option(
    "--timezone",
    type=Zone(),
    default="UTC",
    show_default=True,
    help="Where the data's clocks stood.",
)
@click.option(
    "--delimiter",
    callback=delimiter_of,
    help="Between cells: a character, or tab, comma, semicolon, bar.",
)
@click.option("--encoding", help="Of a text file, such as cp1252.")
@click.option("--decimal", type=click.Choice([".", ","]), help="Before the decimals of a number.")
@click.option("--force", is_flag=True, help="Write into a folder that is not empty.")
@click.option("--repo", type=click.Path(path_type=Path), help="The same as --to.")
@click.option(
    "--json", "as_json", is_flag=True, help="Answer with one JSON document on standard output."
)
def init_verb(
    data: Path,
    folder: Path | None,
    name: str | None,
    missing: tuple[str, ...],
    force: bool,
    repo: Path | None,
    as_json: bool,
    **wished: Any,
) -> None:
    """Make a feature repo with three services from a CSV, TSV or parquet file.

    Asks at a terminal what the file can't tell; elsewhere takes what is likely, or names the flag.
    """
    from scaffold.decide import decide
    from scaffold.folder import check_folder, repo_files, write_folder
    from scaffold.names import to_project_name
    from scaffold.plan import as_document
    from scaffold.table import profile_table
    from scaffold.wishes import Wishes

    to = destination(folder, repo)
    check_folder(to, force=force)
    project = to_project_name(name or to.name)
    wishes = Wishes(missing=frozenset(missing), **wished)
    ask = asking()
    table = profile_table(data.absolute(), wishes, ask)
    plan = decide(table, wishes, project, ask)
    files = repo_files(plan, to)
    write_folder(files, to, force=force)
    answer(as_json, as_document(plan, to, list(files)), told(plan, to, name or to.name))


def destination(folder: Path | None, repo: Path | None) -> Path:
    to = folder or repo
    if to is None:
        raise click.UsageError("Missing option '--to': the folder of the new feature repo.")
    return to.expanduser().absolute()


def asking() -> "Asking":
    """Somebody at a terminal, or nobody."""
    from scaffold.wishes import nobody_asked

    return ask_somebody if sys.stdin.isatty() else nobody_asked


def ask_somebody(
    flag: str, question: str, choices: Sequence[str], likely: str | None, *, needed: bool = False
) -> str:
    """A question on standard error, which takes one of the choices."""
    answered: str = click.prompt(
        f"{question} ({flag})", type=click.Choice(choices), default=likely, err=True
    )
    return answered


def told(plan: "RepoPlan", folder: Path, wanted: str) -> str:
    """What was found and decided, for people."""
    table = plan.table
    form = (
        "parquet" if table.is_parquet else f"{table.encoding}, cells divided by {table.delimiter!r}"
    )
    comma = ", decimal comma" if table.notation.decimal == "," else ""
    lines = [
        f"{table.path}: {table.rows} rows, {len(plan.choices)} columns ({form}{comma})",
        "",
        *column_lines(plan),
        "",
    ]
    lines += [f"- {note}" for note in plan.notes]
    if wanted != plan.name:
        lines.append(
            f"- the project is called {plan.name}: letters, digits and _ are what all of its names can be made of"
        )
    lines += [
        "",
        f"wrote {folder}: {plan.objective} of {plan.label.name}; {', '.join(plan.services)}",
    ]
    lines += [f"next: make demo REPO={folder}, or the commands in {folder / 'README.md'}"]
    return "\n".join(lines)


def column_lines(plan: "RepoPlan") -> list[str]:
    """A table of all columns: name, type, missing, different values, role, reason."""
    rows = [
        ("column", "type", "missing", "different", "role", "why"),
        *map(column_row, plan.choices),
    ]
    widths = [max(len(row[place]) for row in rows) for place in range(5)]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        lines.append("  ".join([*cells, row[5]]).rstrip())
    return lines


def column_row(choice: "ColumnChoice") -> tuple[str, str, str, str, str, str]:
    profile = choice.profile
    called = (
        profile.header
        if profile.header == profile.name
        else f"{profile.header or repr('')} -> {profile.name}"
    )
    marks = sorted(profile.marks - {""})
    missing = str(profile.missing) + (f" ({' '.join(marks)})" if marks else "")
    return called, profile.dtype, missing, str(profile.distinct), choice.role, choice.reason
