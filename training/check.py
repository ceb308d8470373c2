"""`potluck check`: what each service looks up, and how often it is missing in training, online and by night."""

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
from potluck.stores.definitions.contracts import read_definitions
from potluck.stores.definitions.repo import open_store
from potluck.stores.parquet.known import join_keys
from training.dataset import Gathered, check_gathered, gather
from training.shares import Shares, by_night, in_training, online
from training.split import distinct
from training.warn import empty, few_kept, first_names

SAMPLE_ENTITIES = 2_000
WORTH_WARNING = 0.1
UNKNOWN = "unknown entities"


@dataclass(frozen=True)
class Line:
    """A looked-up column, or the unknown entities: the share missing, None where no row was there to ask."""

    view: str
    column: str
    training: float | None
    online: float | None
    night: float | None

    @property
    def differs(self) -> list[str]:
        """Where it is missing far more or less often than in training."""
        others = {"online": self.online, "by night": self.night}
        return [
            f"{place} {share:.1%}"
            for place, share in others.items()
            if share is not None
            and self.training is not None
            and abs(share - self.training) > WORTH_WARNING
        ]


@dataclass(frozen=True)
class Checked:
    """One service."""

    service: str
    account: Account
    columns: list[Line]
    unknown: list[Line]
    """One for each entity that the service looks up; its view is the join keys."""
    asked_online: int
    asked_by_night: int
    problems: list[str]
    """What must be mended before the service is trained or served."""
    warnings: list[str]


def check_services(
    settings: Settings, as_of: datetime, now: datetime, service: str | None = None
) -> list[Checked]:
    """Look at one service, or at all that have a model.

    Args:
        as_of: which records and labels are visible in training and by night.
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
    learnt, served, night = in_training(contract, gathered), Shares(), Shares()
    if contract.views:
        keys = distinct(gathered.dataset.inputs.keys)
        if contract.population:
            night, keys = by_night(store, contract, as_of)
        served = online(client(settings), contract, draw_entities(keys), now)
    columns, strangers = lines(contract, learnt, served, night)
    return Checked(
        service=contract.service,
        account=gathered.account,
        columns=columns,
        unknown=strangers,
        asked_online=served.rows,
        asked_by_night=night.rows,
        problems=[
            *training_problem(contract, gathered, as_of),
            *empty_places(contract, served, night),
        ],
        warnings=check_warnings(contract, gathered, [*strangers, *columns]),
    )


def draw_entities(keys: pa.Table) -> pa.Table:
    """Some entities, the same ones each time."""
    chosen = np.random.default_rng(0).permutation(keys.num_rows)[:SAMPLE_ENTITIES]
    return keys.take(pa.array(np.sort(chosen)))


def lines(
    contract: FeatureContract, learnt: Shares, served: Shares, night: Shares
) -> tuple[list[Line], list[Line]]:
    """The columns' lines, and those of the unknown entities."""
    places = (learnt, served, night)
    columns = [
        Line(view.name, name, *(place.missing.get(name) for place in places))
        for view in contract.views
        for name in view.features
    ]
    strangers = [
        Line(", ".join(keys), UNKNOWN, *(place.unknown.get(keys) for place in places))
        for keys in join_keys(contract)
    ]
    return columns, strangers


def training_problem(contract: FeatureContract, gathered: Gathered, as_of: datetime) -> list[str]:
    """Why `potluck train` would refuse these rows."""
    try:
        check_gathered(contract, gathered, as_of)
    except (DataError, Refused) as error:
        return [str(error)]
    return []


def empty_places(contract: FeatureContract, served: Shares, night: Shares) -> list[str]:
    """Where the store brings nothing at all."""
    found = []
    if is_empty(served):
        found.append(
            f"online, all looked-up columns of {contract.service} are missing for all {served.rows} entities that were "
            "asked for: run `potluck materialize`, and look at the views' ttl"
        )
    if is_empty(night):
        found.append(
            f"by night, all looked-up columns of {contract.service} are missing for all {night.rows} entities of "
            f"{contract.population} that were read: compare its keys and dates with those of the views"
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
    found = [
        f"{line.view} {line.column} (training {line.training:.1%}, {', '.join(line.differs)})"
        for line in compared
        if line.differs
    ]
    return f"missing far more or less often than in training: {first_names(found)}" if found else ""
