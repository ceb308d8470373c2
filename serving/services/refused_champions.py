"""Champions that could not be opened: each is told once, and looked at again after a pause that
grows.

The reason may pass (a full disk, too many open files, a volume that is still being copied), so no
refusal is for ever. Looking again costs a check in a child process: hence the pause, which ends
early when a file of the champion changes.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from serving.metrics import CHAMPION_REFUSED, REFUSED_BUNDLES

logger = logging.getLogger("potluck.serving")

FIRST_PAUSE, LONGEST_PAUSE = 2.0, 300.0
"""Seconds. Each pause is twice as long as the one before."""


@dataclass(frozen=True)
class RefusedBundle:
    """Why a champion is not served."""

    traces: object
    """What lay there; a change of it ends the pause."""
    said: str
    pause: float
    again_at: float


class Refusals:
    """Those of all services of one worker."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        """Seconds of any origin."""
        self.of: dict[str, RefusedBundle] = {}

    def waits(self, service: str, traces: Callable[[str], object]) -> bool:
        """Whether a service was refused and need not be looked at yet."""
        refusal = self.of.get(service)
        return (
            refusal is not None
            and self.clock() < refusal.again_at
            and traces(service) == refusal.traces
        )

    def add(self, service: str, traces: object, said: str, goes_on: str) -> None:
        """Note that a champion can't be opened; the same reason is counted and told once."""
        former = self.of.get(service)
        is_known = former is not None and former.said == said
        pause = (
            min(former.pause * 2, LONGEST_PAUSE) if former is not None and is_known else FIRST_PAUSE
        )
        self.of[service] = RefusedBundle(traces, said, pause, self.clock() + pause)
        if is_known:
            return
        REFUSED_BUNDLES.labels(service).inc()
        CHAMPION_REFUSED.labels(service).set(1)
        logger.error(
            "refused the champion of %s: %s; %s; looked at again later", service, said, goes_on
        )

    def end(self, service: str) -> None:
        """Note that a champion was opened, or is one no more."""
        REFUSED_BUNDLES.labels(service)  # at 0, so that an alert sees the first one as an increase
        CHAMPION_REFUSED.labels(service).set(0)
        self.of.pop(service, None)
