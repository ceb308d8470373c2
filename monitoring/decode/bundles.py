"""The bundles that answered, as the decoder needs them: their contract and functions, no model."""

from potluck.contract.errors import BundleError
from potluck.contract.features import FeatureContract
from potluck.scoring.bundle import FUNCTIONS_FILE
from potluck.scoring.functions import load_functions
from potluck.scoring.releases import Releases
from potluck.scoring.rows import RowBuilder


class Bundles:
    """Opens a bundle's contract and functions once."""

    def __init__(self, releases: Releases) -> None:
        self.releases = releases
        self.opened: dict[str, RowBuilder] = {}

    def rows(self, digest: str) -> RowBuilder:
        """Return the row builder of a bundle that was laid down.

        Raises:
            BundleError: the bundle is gone, or can't be read.
        """
        if digest not in self.opened:
            contract = self.contract(digest)
            try:
                source = (self.releases.bundles / digest / FUNCTIONS_FILE).read_text()
            except OSError as error:
                raise BundleError(f"bundle {digest} can't be read: {error}") from None
            self.opened[digest] = RowBuilder(contract, load_functions(source, contract))
        return self.opened[digest]

    def contract(self, digest: str) -> FeatureContract:
        """Return the contract of a bundle.

        Raises:
            BundleError: the bundle is gone, or can't be read.
        """
        return self.releases.contract_of(digest)
