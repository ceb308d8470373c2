"""The outcome of the last comparison with the offline store: `skew.json`, for /metrics.

It holds counts and no values, so a server under another user may read it.
"""

from datetime import datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from potluck.contract.errors import BundleError
from potluck.contract.files import write_whole
from potluck.contract.formats import NEWEST, Format


@dataclass(frozen=True)
class FeatureConsistency:
    """One feature of a service."""

    rows: int
    verdicts: dict[str, int]
    """Verdict -> compared rows."""
    left_out: dict[str, int]
    """Reason -> rows."""
    consistency: float | None


@dataclass(frozen=True)
class ServiceConsistency:
    """One service."""

    ended_at: datetime
    """Of the run that found it."""
    since: datetime | None
    until: datetime | None
    rows: int
    left_out: dict[str, int]
    consistency: float | None
    """Share of equal values among the compared ones; None where none was compared."""
    features: dict[str, FeatureConsistency]
    """`online_<feature>` or `computed_<output>`, as in the log -> what was found."""


@dataclass(frozen=True)
class Consistency:
    """What `skew.json` holds."""

    services: dict[str, ServiceConsistency]
    format: Format = NEWEST

    def save(self, path: Path) -> None:
        """Replace the file whole.

        Raises:
            OSError: it can't be written; the earlier one stays.
        """
        write_whole(path, CONSISTENCY.dump_json(self, indent=1))


CONSISTENCY = TypeAdapter(Consistency)


def read_consistency(path: Path) -> Consistency | None:
    """Read the last outcome; None where there was none yet.

    Raises:
        BundleError: the file is damaged.
        NewerFormat: a newer version wrote it.
        OSError: it can't be read.
    """
    try:
        return CONSISTENCY.validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise BundleError(f"{path} can't be read: {reason}; run `potluck skew` again") from None
