"""Verbs about who answers for a service: promote, retire."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.options import common_options
from cli.output import print_result
from cli.startup import prepare_libraries, settings_for

if TYPE_CHECKING:
    from training.promotion import Promoted, Retired


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
    print_result(promoted, promotion_text(promoted), as_json=as_json)


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
    print_result(retired, retirement_text(retired), as_json=as_json)


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
        lines += [
            f"  {names}, which its model fills, is gone with it; the rows it published stay in the",
            "  online store, where nobody reads them, and in the history",
        ]
    return "\n".join(lines)
