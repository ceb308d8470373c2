"""A run of the comparison: logged rows of hybrid services, beside the offline store."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from feast import FeatureStore

from monitoring import query
from monitoring.catch_up import caught_up
from monitoring.decode.personal import Personal
from monitoring.parts import PartFiles
from monitoring.replay.inputs import LoggedDict
from monitoring.skew.comparison import Bundle, BundleComparison
from monitoring.skew.logged import ColumnTypes, LoggedColumns
from monitoring.skew.outcome import save_consistency
from monitoring.skew.report import ServiceTally, Skew
from monitoring.skew.selection import Chosen, logged_rows
from potluck.contract.errors import BundleError
from potluck.contract.settings import Settings
from potluck.inference_log.layout import LogLayout
from potluck.scoring.bundle import FUNCTIONS_FILE
from potluck.scoring.releases import Releases
from potluck.stores.definitions.feature_contract import Definition
from potluck.stores.definitions.registry import read_definitions
from potluck.stores.definitions.repo import open_store


def measure_skew(settings: Settings, chosen: Chosen, now: datetime) -> Skew:
    """Compare logged rows with the offline store, and keep the outcome in the home.

    Raises:
        MissingStepError: nothing was logged or applied, or a source was never written.
        DataError: an offline source can't be read as declared.
        Locked: another process has decoded for a minute.
    """
    store = open_store(settings.repo)
    definitions = read_definitions(store)
    with caught_up(settings) as decoder:
        parts, personal = decoder.parts, decoder.personal
        query.open_log(parts, chosen.service).close()  # says so where nothing was logged
    runs = Comparisons(store, definitions, Releases(settings.releases), personal)
    services = {part.service for part in parts.all()}
    if chosen.service is not None:
        services = {chosen.service}
    skew = Skew([])
    for service in sorted(services):
        tally = runs.compare_service(parts, service, chosen)
        if tally.rows:
            skew.services.append(tally.skew())
    save_consistency(LogLayout(settings.home).skew, skew, chosen, now)
    return skew


class Comparisons:
    """The comparisons of all bundles that answered, each made once."""

    def __init__(
        self,
        store: FeatureStore,
        definitions: dict[str, Definition],
        releases: Releases,
        personal: Personal,
    ) -> None:
        self.store, self.definitions = store, definitions
        self.releases, self.personal = releases, personal
        self.made: dict[tuple[str, str], BundleComparison | str] = {}

    def compare_service(self, parts: PartFiles, service: str, chosen: Chosen) -> ServiceTally:
        """Compare the chosen rows of a service.

        Raises:
            DataError, MissingStepError: an offline source can't be read.
        """
        tally = ServiceTally(service)
        for types, rows in logged_rows(parts, service, chosen):
            self.compare(rows, types, tally)
        return tally

    def compare(self, rows: Sequence[LoggedDict], types: ColumnTypes, tally: ServiceTally) -> None:
        """Compare rows of one service; count those that can't be by reason."""
        tally.rows += len(rows)
        groups: dict[str, list[LoggedDict]] = defaultdict(list)
        for row in rows:
            if row["error_code"] is not None:
                tally.left_out[f"answered with {row['error_code']}"] += 1
            else:
                groups[row["bundle"]].append(row)
        for digest, group in groups.items():
            comparison = self.comparison(tally.service, digest, types)
            if isinstance(comparison, str):
                tally.left_out[comparison] += len(group)
            else:
                comparison.compare(group, tally)

    def comparison(self, service: str, digest: str, types: ColumnTypes) -> BundleComparison | str:
        """Return the comparison of a bundle, or why there can be none."""
        if (service, digest) not in self.made:
            self.made[service, digest] = self.make(service, digest, types)
        return self.made[service, digest]

    def make(self, service: str, digest: str, types: ColumnTypes) -> BundleComparison | str:
        today = self.definitions.get(service)
        if today is None:
            return "the registry does not define the service"
        try:
            bundle = self.bundle(digest)
        except BundleError:
            return "its bundle can't be read"
        logged = LoggedColumns(self.personal, types, bundle.contract)
        if not logged.holds_keys():
            return "the log does not keep the join keys"
        return BundleComparison(self.store, bundle, today, logged)

    def bundle(self, digest: str) -> Bundle:
        """Read what a bundle says, without its model.

        Raises:
            BundleError: it is gone, or can't be read.
        """
        contract = self.releases.contract_of(digest)
        try:
            source = (self.releases.bundles / digest / FUNCTIONS_FILE).read_text()
        except OSError as error:
            raise BundleError(f"bundle {digest} can't be read: {error}") from None
        return Bundle(contract, source)
