"""What the online store should not hold: not the caller's fault, and told to the operator once."""

import logging
from functools import lru_cache

from potluck.contract.errors import FeatureStoreUnavailable
from serving.metrics import REFUSED_VALUES

logger = logging.getLogger("potluck.serving")

NO_FEATURES = "the online store holds something else than features for this entity"
NO_HASH = "the key of an entity holds no hash, or one that is too large"


def stores_fault(service: str, reason: str) -> FeatureStoreUnavailable:
    """The answer where stored values can't be used; counted, and logged the first time.

    Args:
        reason: out of a bounded set: nothing of the request, nothing of the value.
    """
    REFUSED_VALUES.labels(service).inc()
    log_once(service, reason)
    return FeatureStoreUnavailable(NO_FEATURES)


@lru_cache(maxsize=1024)
def log_once(service: str, reason: str) -> None:
    logger.error(
        "%s refuses what the online store holds: %s; `potluck materialize` or `potluck nightly` "
        "writes it anew (potluck_stored_values_refused_total counts what follows)",
        service,
        reason,
    )
