"""What is kept of a run for /metrics: counts, and no values."""

from datetime import datetime
from pathlib import Path

from monitoring.skew.report import FeatureSkew, ServiceSkew, Skew
from monitoring.skew.selection import Chosen
from potluck.contract.errors import PotluckError
from potluck.inference_log.consistency import (
    Consistency,
    FeatureConsistency,
    ServiceConsistency,
    read_consistency,
)

PREFIXES = {"online": "online", "on-demand": "computed"}
"""Of the log's columns."""


def save_consistency(path: Path, skew: Skew, chosen: Chosen, now: datetime) -> None:
    """Replace the outcome of the last run; of other services only where all were looked at.

    Raises:
        OSError: it can't be written; the earlier one stays.
    """
    services: dict[str, ServiceConsistency] = {}
    if chosen.service is not None:
        services.update(earlier_services(path))
        services.pop(chosen.service, None)
    for each in skew.services:
        services[each.service] = service_consistency(each, chosen, now)
    Consistency(services).save(path)


def earlier_services(path: Path) -> dict[str, ServiceConsistency]:
    try:
        earlier = read_consistency(path)
    except PotluckError:  # damaged: it is about to be replaced
        return {}
    return {} if earlier is None else earlier.services


def service_consistency(skew: ServiceSkew, chosen: Chosen, now: datetime) -> ServiceConsistency:
    """Return the counts of a service."""
    features = {}
    for each in skew.features:
        features[f"{PREFIXES[each.kind]}_{each.feature}"] = feature_consistency(each)
    counts = skew.rows, skew.left_out, skew.consistency
    return ServiceConsistency(now, chosen.since, chosen.until, *counts, features)


def feature_consistency(skew: FeatureSkew) -> FeatureConsistency:
    verdicts = {str(verdict): count for verdict, count in skew.verdicts.items()}
    return FeatureConsistency(skew.rows, verdicts, skew.left_out, skew.consistency)
