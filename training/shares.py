"""How often each looked-up column is missing, among the rows that a service answers: in training, online, by night.

A row that names an unknown entity is answered by nobody where a view refuses it; it counts among the unknown ones only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import pyarrow as pa
from feast import FeatureStore

from potluck.contract.champion import Champion
from potluck.contract.errors import ServiceUnreachable
from potluck.contract.features import FeatureContract, LookupView
from potluck.contract.redis_format import (
    DamagedValueError,
    decode_timestamp,
    entity_key_maker,
    is_missing,
    timestamp_field,
)
from potluck.redis.client import REDIS_ERRORS, RedisClient
from potluck.stores.parquet.known import join_keys, policy
from potluck.stores.parquet.population import Population
from potluck.stores.parquet.population_part import Shard
from training.dataset import Gathered
from training.missing import training_shares
from training.sieve import Mask

NIGHT_SHARDS = 4
"""Shards of the population that are read: spread over its keys, so that a large one takes no longer."""
ONE_TRIP = 500
"""Entities that Redis is asked for at once."""

Names = tuple[str, ...]
Reply = Sequence[bytes | None]


@dataclass(frozen=True)
class Shares:
    """Of some rows; without an entry where there were none."""

    missing: Mapping[str, float] = field(default_factory=dict)
    """Looked-up column -> share of the answered rows."""
    unknown: Mapping[Names, float] = field(default_factory=dict)
    """Join keys -> share of all rows."""
    rows: int = 0


@dataclass(frozen=True)
class Holes:
    """Which of some rows lack what."""

    missing: Mapping[str, Mask]
    unknown: Mapping[Names, Mask]

    def shares(self, contract: FeatureContract) -> Shares:
        rows = len(next(iter(self.unknown.values())))
        answered = np.ones(rows, dtype=np.bool_)
        for keys, mask in self.unknown.items():
            if policy(contract, keys) == "refuse":
                answered &= ~mask
        missing = {
            name: float(mask[answered].mean())
            for name, mask in self.missing.items()
            if answered.any()
        }
        return Shares(
            missing, {keys: float(mask.mean()) for keys, mask in self.unknown.items()}, rows
        )


def in_training(contract: FeatureContract, gathered: Gathered) -> Shares:
    """Among the rows that are learnt from."""
    rows = len(gathered.dataset)
    missing = (
        {share.column: share.missing for share in training_shares(contract, gathered.dataset)}
        if rows
        else {}
    )
    return Shares(missing, gathered.unknown, rows)


def by_night(
    store: FeatureStore, contract: FeatureContract, as_of: datetime
) -> tuple[Shares, pa.Table]:
    """Among the population, as a night of this date reads it; and the keys that were read."""
    population = Population.of(store, Champion("to be trained", contract), as_of)
    shards = [population.read(shard) for shard in spread_shards(population.shards())]
    read = pa.Table.from_batches([shard.batch for shard in shards])
    known = np.concatenate([shard.known.to_numpy(zero_copy_only=False) for shard in shards])
    missing = {
        field.name: np.asarray(read[field.name].is_null().to_numpy()) for field in contract.online
    }
    strangers = dict.fromkeys(join_keys(contract), ~known)
    return Holes(missing, strangers).shares(contract), read.select([contract.keys[0].name])


def spread_shards(shards: Sequence[Shard]) -> list[Shard]:
    places = np.unique(np.linspace(0, len(shards) - 1, min(NIGHT_SHARDS, len(shards))).astype(int))
    return [shards[place] for place in places.tolist()]


def online(client: RedisClient, contract: FeatureContract, keys: pa.Table, now: datetime) -> Shares:
    """Among entities as Redis holds them; a value older than its view's ttl is missing.

    Raises:
        ServiceUnreachable: Redis does not answer.
    """
    if not keys.num_rows:
        return Shares()
    missing: dict[str, Mask] = {}
    strangers: dict[Names, Mask] = {}
    for names in join_keys(contract):
        views = [view for view in contract.views if view.join_keys == names]
        known = np.array(
            [known_views(views, reply, now) for reply in replies(client, contract, keys, views)]
        )
        strangers[names] = ~known[:, 0].astype(np.bool_)
        columns = [name for view in views for name in view.features]
        missing |= {
            name: known[:, place].astype(np.bool_) for place, name in enumerate(columns, start=1)
        }
    return Holes(missing, strangers).shares(contract)


def replies(
    client: RedisClient, contract: FeatureContract, keys: pa.Table, views: Sequence[LookupView]
) -> list[Reply]:
    """What Redis holds of each entity: for each view its timestamp, then its features."""
    names = views[0].join_keys
    dtypes = {key.name: key.dtype for key in contract.keys}
    key_of = entity_key_maker(contract.project, names, [dtypes[name] for name in names])
    fields = [
        part
        for view in views
        for part in (timestamp_field(view.name).encode(), *map(bytes.fromhex, view.field_ids))
    ]
    asked = [
        key_of(values) for values in zip(*(keys[name].to_pylist() for name in names), strict=True)
    ]
    found: list[Reply] = []
    try:
        for start in range(0, len(asked), ONE_TRIP):
            pipeline = client.pipeline(transaction=False)
            for key in asked[start : start + ONE_TRIP]:
                pipeline.execute_command("HMGET", key, *fields)
            found += pipeline.execute(raise_on_error=False)
    except REDIS_ERRORS as error:
        raise ServiceUnreachable(f"the online store does not answer: {error}") from None
    return found


def known_views(views: Sequence[LookupView], reply: Reply, now: datetime) -> list[bool]:
    """Whether any view knows the entity; then for each feature whether it is missing."""
    rest = iter(reply if isinstance(reply, list) else [])
    known, missing = False, []
    for view in views:
        moment = stored_event_time(next(rest, None))
        values = [next(rest, None) for _ in view.features]
        stale = moment is None or bool(
            view.ttl_seconds and now.timestamp() - moment > view.ttl_seconds
        )
        known |= moment is not None
        missing += [stale or is_missing(value) for value in values]
    return [known, *missing]


def stored_event_time(stored: bytes | None) -> float | None:
    try:
        return decode_timestamp(stored)
    except DamagedValueError:
        return None
