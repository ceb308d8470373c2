"""How long ago each champion was laid down in this home, told to those who scrape /metrics."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily, Metric

from potluck.contract.errors import PotluckError
from potluck.scoring.releases import Release, Releases
from serving.gauges.store_metrics import StoreCollector
from serving.online.store import Call, Reply
from serving.services.champions import Champions


class ChampionAges(StoreCollector):
    """Those that answer now; one that was refused is none, however new its file is."""

    def __init__(self, champions: Champions, now: Callable[[], datetime]) -> None:
        self.champions, self.now = champions, now
        self.since: dict[Release, float] = {}
        """Seconds since 1970."""

    def calls(self) -> dict[str, Call]:
        return {}

    def note(self, _: Mapping[str, Reply]) -> None:
        live = [predictor.release for predictor in self.champions.live.predictors.values()]
        since = {release: self.since[release] for release in live if release in self.since}
        for release in live:
            moment = None if release in since else laid_down_at(self.champions.releases, release)
            if moment is not None:
                since[release] = moment
        self.since = since

    def collect(self) -> Iterable[Metric]:
        gauge = GaugeMetricFamily(
            "potluck_champion_age_seconds",
            "Seconds since the champion that answers was laid down in this home.",
            labels=["service"],
        )
        now = self.now().timestamp()
        for release, moment in self.since.items():
            gauge.add_metric([release.service], now - moment)
        return [gauge]


def laid_down_at(releases: Releases, release: Release) -> float | None:
    """Seconds since 1970; None where another one is the champion by now, or it can't be seen."""
    try:
        moment = (releases.champions / f"{release.service}.json").stat().st_mtime
        return moment if releases.champion(release.service) == release else None
    except (OSError, PotluckError):
        return None
