"""`potluck check`: how often what a service looks up is missing, in training, online, by night."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
from feast import FeatureStore

from potluck.contract.accounting import Account
from potluck.contract.errors import DataError, DefinitionError, Refused
from potluck.contract.features import FeatureContract
from potluck.contract.settings import Settings
from potluck.redis.embedded import client, ensure_redis
from potluck.stores.definitions.registry import read_definitions
from potluck.stores.definitions.repo import open_store
from potluck.stores.parquet.first_records import join_keys
from training.dataset import Gathered, check_gathered, gather
from training.shares import Shares, read_nightly_shares, read_online_shares, shares_in_training
from training.split import distinct
from training.warn import empty, few_kept, first_names

SAMPLE_ENTITIES = 2_000
WORTH_WARNING = 0.1
UNKNOWN = "unknown entities"


@dataclass(frozen=True)
class Line:
    """A looked-up column, or the unknown entities, and the share that is missing in each place.

    A share is None where there was no row to look at.
    """

    view: str
    column: str
    training: float | None
    online: float | None
    night: float | None

    @property
    def differs(self) -> list[str]:
        """The places where it is missing far more or less often than in training."""
        if self.training is None:
            return []
        found = []
        for place, share in (("online", self.online), ("by night", self.night)):
            if share is not None and abs(share - self.training) > WORTH_WARNING:
                found.append(f"{place} {share:.1%}")
        return found


@dataclass(frozen=True)
class Checked:
    """One service."""

    service: str
    account: Account
    columns: list[Line]
    unknown: list[Line]
    """A line for each entity that the service looks up; the join keys stand in place of a view."""
    asked_online: int
    asked_by_night: int
    problems: list[str]
    """What must be corrected before the service is trained or served."""
    warnings: list[str]


def check_lookups(
    settings: Settings, as_of: datetime, now: datetime, service: str | None = None
) -> list[Checked]:
    """Check one service, or all services that have a model.

    Args:
        as_of: records and labels up to this date are visible in training and by night.
        now: when the online store is asked.

    Raises:
        MissingStepError: nothing was applied or ingested.
        DefinitionError, DataError: the definitions or the data don't allow it.
        ServiceUnreachable: Redis does not answer.
    """
    store = open_store(settings.repo)
    definitions = read_definitions(store)
    if service is not None and service not in definitions:
        names = ", ".join(sorted(definitions))
        raise DefinitionError(
            f"expected a feature service with a model, one of {names}; got {service}"
        )
    ensure_redis(settings)
    chosen = [definitions[name].contract for name in sorted(definitions) if service in (None, name)]
    return [look_at_service(settings, store, contract, as_of, now) for contract in chosen]


def look_at_service(
    settings: Settings,
    store: FeatureStore,
    contract: FeatureContract,
    as_of: datetime,
    now: datetime,
) -> Checked:
    gathered = gather(store, contract, as_of)
    learnt, served, night = shares_in_training(contract, gathered), Shares(), Shares()
    if contract.views:
        keys = distinct(gathered.dataset.inputs.keys)
        if contract.population:
            night, keys = read_nightly_shares(store, contract, as_of)
        served = read_online_shares(client(settings), contract, draw_entities(keys), now)
    columns, strangers = lines(contract, learnt, served, night)
    problems = [
        *training_problem(contract, gathered, as_of),
        *empty_places(contract, served, night),
    ]
    return Checked(
        service=contract.service,
        account=gathered.account,
        columns=columns,
        unknown=strangers,
        asked_online=served.rows,
        asked_by_night=night.rows,
        problems=problems,
        warnings=check_warnings(contract, gathered, [*strangers, *columns]),
    )


def draw_entities(keys: pa.Table) -> pa.Table:
    """Draw some entities, the same ones each time."""
    chosen = np.random.default_rng(0).permutation(keys.num_rows)[:SAMPLE_ENTITIES]
    return keys.take(pa.array(np.sort(chosen)))


def lines(
    contract: FeatureContract, learnt: Shares, served: Shares, night: Shares
) -> tuple[list[Line], list[Line]]:
    """Return the lines of the columns, and the lines of the unknown entities."""
    places = (learnt, served, night)
    columns, strangers = [], []
    for view in contract.views:
        for name in view.features:
            shares = [place.missing.get(name) for place in places]
            columns.append(Line(view.name, name, *shares))
    for keys in join_keys(contract):
        shares = [place.unknown.get(keys) for place in places]
        strangers.append(Line(", ".join(keys), UNKNOWN, *shares))
    return columns, strangers


def training_problem(contract: FeatureContract, gathered: Gathered, as_of: datetime) -> list[str]:
    """Say why `potluck train` would refuse these rows; empty where it would not."""
    try:
        check_gathered(contract, gathered, as_of)
    except (DataError, Refused) as error:
        return [str(error)]
    return []


def empty_places(contract: FeatureContract, served: Shares, night: Shares) -> list[str]:
    """Name the places where all looked-up columns are missing in all rows."""
    missing = f"all looked-up columns of {contract.service} are missing for all"
    found = []
    if is_empty(served):
        found.append(
            f"online, {missing} {served.rows} entities that were asked for: "
            "run `potluck materialize`, and look at the views' ttl"
        )
    if is_empty(night):
        found.append(
            f"by night, {missing} {night.rows} entities of {contract.population} that were read: "
            "compare its keys and dates with those of the views"
        )
    return found


def is_empty(shares: Shares) -> bool:
    return shares.rows > 0 and all(share == 1.0 for share in shares.missing.values())


def check_warnings(
    contract: FeatureContract, gathered: Gathered, compared: Sequence[Line]
) -> list[str]:
    found = [few_kept(gathered), empty(contract, gathered), different(compared)]
    return [sentence for sentence in found if sentence]


def different(compared: Iterable[Line]) -> str:
    found = []
    for line in compared:
        if line.differs:
            shares = f"training {line.training:.1%}, {', '.join(line.differs)}"
            found.append(f"{line.view} {line.column} ({shares})")
    if not found:
        return ""
    return f"missing far more or less often than in training: {first_names(found)}"
