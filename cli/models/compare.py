"""The verb compare: versions of a service side by side."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.options import common_options
from cli.output import print_result
from cli.startup import prepare_libraries, settings_for

if TYPE_CHECKING:
    from training.comparison import ComparedVersion, Comparison

HASH_SHOWN = 12
"""Characters of a data hash."""
ABSENT = "-"
BASELINE = "baseline."
"""Begins the names of the best constant's metrics."""

Table = list[list[str]]
"""Rows of cells, each with its name in front."""


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
    print_result(comparison, comparison_text(comparison), as_json=as_json)


def comparison_text(comparison: "Comparison") -> str:
    versions = comparison.versions
    head = [comparison.service, *map(version_title, versions)]
    lines = aligned_left([head, *facts(versions), *metric_rows(versions)])
    lines.append("")
    if len(versions) == 1:
        lines.append("there is no other version to compare it with: train one, or name versions")
    else:
        lines += [rows_text(comparison), *difference_lines(comparison)]
    return "\n".join(lines)


def version_title(version: "ComparedVersion") -> str:
    title = f"version {version.model_version}"
    return f"{title} ({version.alias})" if version.alias else title


def facts(versions: Sequence["ComparedVersion"]) -> Table:
    """What each version was made of; a fact that no version tells is left out."""
    columns = [version_facts(version) for version in versions]
    rows = []
    for name in columns[0]:
        cells = [column[name] for column in columns]
        if set(cells) != {ABSENT}:
            rows.append([name, *cells])
    return rows


def version_facts(version: "ComparedVersion") -> dict[str, str]:
    return {
        "trained at": f"{version.trained_at:%F %H:%M}",
        "as of": (version.as_of or ABSENT)[:10],
        "data": (version.data_hash or ABSENT)[:HASH_SHOWN],
        "rows": str(version.rows or ABSENT),
        "split": version.split or ABSENT,
        "columns": str(len(version.columns)),
    }


def metric_rows(versions: Sequence["ComparedVersion"]) -> Table:
    """The model's own, then those of the baseline; a run's other figures are in `--json`."""
    held: dict[str, None] = {}  # in the order in which they come
    for version in versions:
        held.update(dict.fromkeys(version.metrics))
    own = [name for name in held if "." not in name]
    baseline = [name for name in held if name.startswith(BASELINE)]
    return [metric_row(name, versions) for name in own + baseline]


def metric_row(name: str, versions: Sequence["ComparedVersion"]) -> list[str]:
    row = [name]
    for version in versions:
        value = version.metrics.get(name)
        row.append(ABSENT if value is None else f"{value:.5g}")
    return row


def rows_text(comparison: "Comparison") -> str:
    if comparison.same_rows:
        return "measured on the same rows: the metrics say which one is better"
    return (
        "NOT measured on the same rows (another data hash or split): the metrics don't say which "
        "one is better"
    )


def difference_lines(comparison: "Comparison") -> list[str]:
    lines = []
    for name, values in comparison.differing_parameters.items():
        lines.append(f"parameter {name}: {' | '.join(value or ABSENT for value in values)}")
    for name, present in comparison.differing_columns.items():
        pairs = zip(comparison.versions, present, strict=True)
        holders = [version.model_version for version, has_it in pairs if has_it]
        lines.append(f"column {name}: only in version {', '.join(holders)}")
    return lines or ["the same parameters and columns"]


def aligned_left(rows: Sequence[Sequence[str]]) -> list[str]:
    """Pad columns to their widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join(padded).rstrip())
    return lines
