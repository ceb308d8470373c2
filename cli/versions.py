"""Verbs about who answers for a service: promote, compare, retire."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.output import answer, common_options, prepare_libraries, settings_for

if TYPE_CHECKING:
    from training.comparison import ComparedVersion, Comparison
    from training.promotion import Promoted, Retired

HASH_SHOWN = 12
ABSENT = "-"
BASELINE = "baseline."


@click.command("promote")
@click.argument("service")
@click.argument("version", required=False)
@common_options
def promote_verb(service: str, version: str | None, repo: Path | None, as_json: bool) -> None:
    """Make VERSION of SERVICE its champion: the challenger, if none is named.

    It is fetched from MLflow and checked first. An earlier version brings the service back to it.
    """
    settings = settings_for(repo)
    prepare_libraries(settings)
    from training.promotion import promote_version

    promoted = promote_version(settings, service, version)
    answer(as_json, promoted, promotion_text(promoted))


def promotion_text(promoted: "Promoted") -> str:
    name = f"{promoted.service} version {promoted.model_version}"
    if not promoted.changed:
        return f"{name} is the champion already"
    if promoted.former == promoted.model_version:
        return f"{name} is the champion; it was laid down here"
    if promoted.former is None:
        return f"promoted {name}; there was no champion before it"
    back = f"`potluck promote {promoted.service} {promoted.former}` takes it back"
    return f"promoted {name}; the champion before it was version {promoted.former}: {back}"


@click.command("retire")
@click.argument("service")
@common_options
def retire_verb(service: str, repo: Path | None, as_json: bool) -> None:
    """Take SERVICE out: nothing answers for it any more. Its versions are kept."""
    settings = settings_for(repo)
    prepare_libraries(settings)
    from training.promotion import retire_service

    retired = retire_service(settings, service)
    answer(as_json, retired, retirement_text(retired))


def retirement_text(retired: "Retired") -> str:
    if not retired.changed:
        return f"{retired.service} has no champion: nothing answers for it"
    name = f"{retired.service} version {retired.model_version}"
    lines = [
        f"retired {name}: a running server drops it within a second",
        f"  `potluck promote {retired.service} {retired.model_version}` brings it back",
    ]
    if retired.precomputed:
        names = ", ".join(retired.precomputed)
        lines.append(
            f"  {names}, which its model fills, is gone with it; the rows it published stay in the"
        )
        lines.append("  online store, where nobody reads them, and in the history")
    return "\n".join(lines)


@click.command("compare")
@click.argument("service")
@click.argument("versions", nargs=-1, metavar="[VERSION]...")
@common_options
def compare_verb(service: str, versions: tuple[str, ...], repo: Path | None, as_json: bool) -> None:
    """Show versions of SERVICE side by side: champion and challenger, if none is named."""
    settings = settings_for(repo)
    prepare_libraries(settings)
    from training.comparison import compare_versions

    comparison = compare_versions(settings, service, versions)
    answer(as_json, comparison, comparison_text(comparison))


def comparison_text(comparison: "Comparison") -> str:
    versions = comparison.versions
    lines = table_lines(
        [[comparison.service, *map(title, versions)], *facts(versions), *metric_rows(versions)]
    )
    if len(versions) == 1:
        return "\n".join(
            [
                *lines,
                "",
                "there is no other version to compare it with: train one, or name versions",
            ]
        )
    return "\n".join([*lines, "", rows_text(comparison), *differences(comparison)])


def title(version: "ComparedVersion") -> str:
    return f"version {version.model_version}" + (f" ({version.alias})" if version.alias else "")


def facts(versions: Sequence["ComparedVersion"]) -> list[list[str]]:
    known = {
        "trained at": [f"{version.trained_at:%F %H:%M}" for version in versions],
        "as of": [(version.as_of or ABSENT)[:10] for version in versions],
        "data": [(version.data_hash or ABSENT)[:HASH_SHOWN] for version in versions],
        "rows": [str(version.rows or ABSENT) for version in versions],
        "split": [version.split or ABSENT for version in versions],
        "columns": [str(len(version.columns)) for version in versions],
    }
    told = {name: cells for name, cells in known.items() if set(cells) != {ABSENT}}
    return [[name, *cells] for name, cells in told.items()]


def metric_rows(versions: Sequence["ComparedVersion"]) -> list[list[str]]:
    """The model's own, then those of the baseline; a run's other figures are in `--json`."""
    held = dict.fromkeys(name for version in versions for name in version.metrics)
    own = [name for name in held if "." not in name]
    names = own + [name for name in held if name.startswith(BASELINE)]
    return [[name, *(metric_cell(version, name) for version in versions)] for name in names]


def metric_cell(version: "ComparedVersion", name: str) -> str:
    return f"{version.metrics[name]:.5g}" if name in version.metrics else ABSENT


def rows_text(comparison: "Comparison") -> str:
    if comparison.same_rows:
        return "measured on the same rows: the metrics say which one is better"
    return "NOT measured on the same rows (another data hash or split): the metrics don't say which one is better"


def differences(comparison: "Comparison") -> list[str]:
    lines = []
    for name, values in comparison.differing_parameters.items():
        lines.append(f"parameter {name}: {' | '.join(value or ABSENT for value in values)}")
    for name, present in comparison.differing_columns.items():
        holders = [
            v.model_version for v, has in zip(comparison.versions, present, strict=True) if has
        ]
        lines.append(f"column {name}: only in version {', '.join(holders)}")
    return lines or ["the same parameters and columns"]


def table_lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """Cells in columns, padded with spaces."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    return ["  ".join(row).rstrip() for row in padded]
