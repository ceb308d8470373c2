"""The champions that a home holds, for the verbs that must not take away what they read."""

from potluck.contract.champion import Champion
from potluck.contract.errors import BundleError, MissingStepError
from potluck.contract.features import read_contract
from potluck.contract.settings import Settings
from potluck.scoring.bundle import CONTRACT_FILE
from potluck.scoring.releases import Releases


def champions_of(settings: Settings, project: str) -> tuple[list[Champion], list[str]]:
    """Read the champions of a project.

    Returns:
        Its models that answer now, by service, and a sentence for each champion that can't be
        read.
    """
    releases = Releases(settings.releases)
    found, unread = [], []
    for service in releases.services():
        try:
            release = releases.champion(service)
            folder = releases.bundles / release.digest
            contract = read_contract((folder / CONTRACT_FILE).read_bytes())
        except (BundleError, MissingStepError, OSError) as error:
            unread.append(f"what the champion of {service} reads is not known: {error}")
            continue
        if contract.project == project:
            found.append(Champion(release.model_version, contract))
    return found, unread
