"""A run of the comparison: logged rows of hybrid services, beside the offline store."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb
from feast import FeatureStore

from monitoring import query
from monitoring.catch_up import caught_up
from monitoring.decode.personal import Personal
from monitoring.parts import PartFiles
from monitoring.replay.inputs import LoggedDict
from monitoring.skew.comparison import Bundle, BundleComparison
from monitoring.skew.logged import ColumnTypes, LoggedColumns
from monitoring.skew.report import FeatureSkew, ServiceSkew, ServiceTally, Skew
from potluck.contract.errors import BundleError
from potluck.contract.settings import Settings
from potluck.inference_log.consistency import Consistency, FeatureConsistency, ServiceConsistency
from potluck.inference_log.layout import LogLayout
from potluck.scoring.bundle import FUNCTIONS_FILE
from potluck.scoring.releases import Releases
from potluck.stores.definitions.feature_contract import Definition
from potluck.stores.definitions.registry import read_definitions
from potluck.stores.definitions.repo import open_store

ROWS_AT_ONCE = 20_000
"""Rows held in memory; each group of them is one join for a view."""
HYBRID = "served_by = 'hybrid'"
# A row's place in the sample depends on the row alone, so a second run takes the same rows.
IN_ORDER = "order by request_time, request_id, row"
IN_SAMPLE = "order by hash(request_id, row) limit ?"


@dataclass(frozen=True)
class Chosen:
    """Which rows to compare."""

    since: datetime | None = None
    until: datetime | None = None
    """The first moment that is out."""
    service: str | None = None
    sample: int | None = None
    """Rows of a service, at most."""


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
    logged = sorted({part.service for part in parts.all()})
    services = logged if chosen.service is None else [chosen.service]
    tallies = [runs.compare_service(parts, service, chosen) for service in services]
    skew = Skew([tally.skew() for tally in tallies if tally.rows])
    consistency_of(skew, chosen, now).save(LogLayout(settings.home).skew)
    return skew


def logged_rows(
    parts: PartFiles, service: str, chosen: Chosen
) -> Iterator[tuple[ColumnTypes, list[LoggedDict]]]:
    """Read the chosen rows of a service, some at a time, with the types of its log's columns."""
    conditions, values = [HYBRID], []
    for sign, moment in ((">=", chosen.since), ("<", chosen.until)):
        if moment is not None:
            conditions.append(f"request_time {sign} ?")
            values.append(moment)
    sql = f"select * from log where {' and '.join(conditions)} "  # noqa: S608
    with query.open_log(parts, service) as connection:
        if chosen.sample is None:
            cursor = connection.execute(sql + IN_ORDER, values)
        else:
            cursor = connection.execute(sql + IN_SAMPLE, [*values, chosen.sample])
        yield from fetched(cursor)


def fetched(cursor: duckdb.DuckDBPyConnection) -> Iterator[tuple[ColumnTypes, list[LoggedDict]]]:
    types = {column[0]: str(column[1]) for column in cursor.description or []}
    while rows := cursor.fetchmany(ROWS_AT_ONCE):
        yield types, [dict(zip(types, row, strict=True)) for row in rows]


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
            return "the service is not defined any more"
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


def consistency_of(skew: Skew, chosen: Chosen, now: datetime) -> Consistency:
    """Return what is kept of a run: counts, and no values."""
    services = {each.service: service_consistency(each) for each in skew.services}
    return Consistency(now, chosen.since, chosen.until, services)


def service_consistency(skew: ServiceSkew) -> ServiceConsistency:
    features = {column_of(each): feature_consistency(each) for each in skew.features}
    return ServiceConsistency(skew.rows, skew.left_out, skew.consistency, features)


def feature_consistency(skew: FeatureSkew) -> FeatureConsistency:
    verdicts = {str(verdict): count for verdict, count in skew.verdicts.items()}
    return FeatureConsistency(skew.rows, verdicts, skew.left_out, skew.consistency)


def column_of(skew: FeatureSkew) -> str:
    prefix = "online" if skew.kind == "online" else "computed"
    return f"{prefix}_{skew.feature}"
