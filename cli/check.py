"""The verb check: is what training learns from there online and by night as well?"""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.output import (
    answer,
    as_of_option,
    common_options,
    now_or,
    plain,
    prepare_libraries,
    settings_for,
)
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

    Without SERVICE all services that have a model are checked. Ends with 65 where one learns from nothing, or would be
    served with nothing.
    """
    settings = settings_for(repo)
    prepare_libraries(settings)
    from training.check import check_services

    moment = now_or(as_of)
    found = check_services(settings, moment, datetime.now(UTC), service)
    accounts = [plain(each.account) for each in found]
    told = {
        "as_of": moment.isoformat(),
        "services": [plain(each) for each in found],
        "accounts": accounts,
    }
    answer(as_json, told, "\n".join(map(service_text, found)))
    failed = [each.service for each in found if each.problems]
    if failed:
        raise Refused(f"{', '.join(failed)}: see what is said under problem")


def service_text(checked: "Checked") -> str:
    """The account, a table of what is missing anywhere, and what is strange."""
    lines = [checked.account.text()]
    shown = [
        *checked.unknown,
        *(line for line in checked.columns if line.training or line.online or line.night),
    ]
    if checked.columns:
        lines += table([HEAD, *map(cells, shown)])
        lines.append(
            f"{len(checked.columns) - len(shown) + len(checked.unknown)} columns are missing nowhere"
        )
        asked = f"{checked.asked_online} entities asked for online"
        lines.append(
            f"{asked}, {checked.asked_by_night} read by night" if checked.asked_by_night else asked
        )
    lines += [f"warning: {sentence}" for sentence in checked.warnings]
    lines += [f"problem: {sentence}" for sentence in checked.problems]
    return "\n".join([checked.service, *(f"  {line}" for line in lines)])


def cells(line: "Line") -> tuple[str, ...]:
    shares = (
        "-" if share is None else f"{share:.1%}"
        for share in (line.training, line.online, line.night)
    )
    return (f"{line.view}: {line.column}", *shares)


def table(rows: list[tuple[str, ...]]) -> list[str]:
    """Columns as wide as they need to be, the first to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            [
                first.ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)),
            ]
        )
        for first, *rest in rows
    ]
