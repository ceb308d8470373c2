"""The champions that a home holds, as the feature store has to know them."""

from typing import TYPE_CHECKING

import click

from potluck.contract.errors import BundleError, MissingStepError
from potluck.contract.features import read_contract
from potluck.contract.settings import Settings
from potluck.scoring.bundle import CONTRACT_FILE
from potluck.scoring.releases import Releases

if TYPE_CHECKING:
    from potluck.stores.feeding import Champion


def champions(settings: Settings, project: str) -> "list[Champion]":
    """The models of a project that answer now, by service.

    One that can't be read, and so can't be served either, is told and left out.
    """
    from potluck.stores.feeding import Champion

    releases, found = Releases(settings.releases), []
    for service in releases.services():
        try:
            release = releases.champion(service)
            folder = releases.bundles / release.digest
            contract = read_contract((folder / CONTRACT_FILE).read_bytes())
        except (BundleError, MissingStepError, OSError) as error:
            click.echo(f"potluck: what champion {service} reads is not known: {error}", err=True)
            continue
        if contract.project == project:
            found.append(Champion(release.model_version, contract))
    return found
