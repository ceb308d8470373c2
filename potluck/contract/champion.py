"""A model that answers for a service now, as those see it whom it needs: `apply`, `materialize` and
the nightly run."""

from dataclasses import dataclass

from potluck.contract.features import FeatureContract


@dataclass(frozen=True)
class Champion:
    """What it reads, and which version it is."""

    model_version: str
    contract: FeatureContract

    @property
    def name(self) -> str:
        """For people: `risk_hybrid version 3`."""
        return f"{self.contract.service} version {self.model_version}"
