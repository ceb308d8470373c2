"""The verb apply: the repo's definitions are checked and registered with Feast."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.options import common_options
from cli.output import print_result
from cli.startup import prepare_libraries, settings_for

if TYPE_CHECKING:
    from potluck.stores.apply.run import Applied


@click.command("apply")
@click.option(
    "--breaking", is_flag=True, help="Apply even what takes away a feature that a champion reads."
)
@common_options
def apply_verb(breaking: bool, repo: Path | None, as_json: bool) -> None:
    """Check the repo's definitions against each other, the data and the champions, and register
    them with Feast.
    """
    settings = settings_for(repo)
    prepare_libraries(settings)
    from cli.data.champions import champions_of
    from potluck.stores.apply.run import apply_repo
    from potluck.stores.definitions.repo import project_name

    champions, unread = champions_of(settings, project_name(settings.repo))
    applied = apply_repo(settings.repo, champions=champions, breaking=breaking)
    found = applied_json(applied, unread)
    print_result(found, applied_text(settings.repo, found), as_json=as_json)


def applied_json(applied: "Applied", unread: list[str]) -> dict[str, Any]:
    """The result as `--json` shows it.

    Args:
        unread: a warning for each champion that can't be read.
    """
    models, precomputed = {}, {}
    for _, definition in sorted(applied.definitions.items()):
        contract = definition.contract
        models[contract.service] = len(contract.columns)
        for publication in contract.publications:
            precomputed[publication.service] = contract.service
    return {
        "models": models,
        "precomputed": precomputed,
        "warnings": [*unread, *applied.warnings],
        "broken": list(applied.broken),
        "orphans": applied.orphans,
        "unwritten": list(applied.unwritten),
    }


def applied_text(repo: Path, found: dict[str, Any]) -> str:
    """The same for people."""
    lines = [f"applied {repo}"]
    for name, columns in found["models"].items():
        lines.append(f"  {name}: a model of {columns} columns")
    for name, model in found["precomputed"].items():
        lines.append(f"  {name}: precomputed by {model}")
    if found["unwritten"]:
        lines.append(f"  no file yet of {', '.join(found['unwritten'])}; run `potluck ingest`")
    lines += [f"  warning: {sentence}" for sentence in found["warnings"]]
    lines += [f"  broken: {sentence}" for sentence in found["broken"]]
    for name, version in found["orphans"].items():
        served = f"{name} is no longer defined and still served by version {version}"
        lines.append(f"  {served}; `potluck retire {name}` takes it out")
    return "\n".join(lines)
