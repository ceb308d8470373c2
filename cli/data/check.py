"""The verb check: does training learn from what is there online and by night as well?"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.options import as_of_option, common_options, now_or
from cli.output import jsonable, print_result
from cli.startup import prepare_libraries, settings_for
from potluck.contract.errors import Refused

if TYPE_CHECKING:
    from training.check import Checked, Line

HEAD = ("missing", "training", "online", "by night")


@click.command("check")
@click.argument("service", required=False)
@as_of_option
@common_options
def check_verb(
    service: str | None, as_of: datetime | None, repo: Path | None, as_json: bool
) -> None:
    """Tell how often what SERVICE looks up is missing: in training, online and by night.

    Without SERVICE all services that have a model are checked. Ends with 65 where one learns from
    nothing, or would be served with nothing.
    """
    settings = settings_for(repo)
    prepare_libraries(settings)
    from training.check import check_lookups

    moment = now_or(as_of)
    found = check_lookups(settings, moment, datetime.now(UTC), service)
    document = {
        "as_of": moment.isoformat(),
        "services": jsonable(found),
        "accounts": jsonable([each.account for each in found]),
    }
    print_result(document, "\n".join(map(checked_text, found)), as_json=as_json)
    failed = [each.service for each in found if each.problems]
    if failed:
        raise Refused(f"{', '.join(failed)}: see what is said under problem")


def checked_text(checked: "Checked") -> str:
    """The account, a table of what is missing anywhere, and what is strange."""
    lines = [checked.account.text()]
    if checked.columns:
        lines += missing_lines(checked)
    lines += [f"warning: {sentence}" for sentence in checked.warnings]
    lines += [f"problem: {sentence}" for sentence in checked.problems]
    return "\n".join([checked.service, *(f"  {line}" for line in lines)])


def missing_lines(checked: "Checked") -> list[str]:
    somewhere = [line for line in checked.columns if line.training or line.online or line.night]
    rows = [missing_row(line) for line in (*checked.unknown, *somewhere)]
    nowhere = len(checked.columns) - len(somewhere)
    asked = f"{checked.asked_online} entities asked for online"
    if checked.asked_by_night:
        asked += f", {checked.asked_by_night} read by night"
    return [*aligned([HEAD, *rows]), f"{nowhere} columns are missing nowhere", asked]


def missing_row(line: "Line") -> tuple[str, ...]:
    shares = (line.training, line.online, line.night)
    return (f"{line.view}: {line.column}", *map(share_text, shares))


def share_text(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Pad columns to their widest cell: the first one to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        padded = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *padded]))
    return lines
