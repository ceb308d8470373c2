"""How often each looked-up column is missing: in training, online, by night.

Where a view refuses unknown entities, a row of one is never answered: it counts as unknown, and not
as a row in which columns are missing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain

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
from potluck.stores.parquet.first_records import Mask, join_keys, policy_of_keys
from potluck.stores.parquet.population import Population
from potluck.stores.parquet.shard import Shard
from training.dataset import Gathered
from training.missing import training_shares

NIGHT_SHARDS = 4
"""So many shards of the population are read at most, at even distances: time does not grow with it.
"""
ONE_TRIP = 500
"""Entities that Redis is asked for at once."""

JoinKeys = tuple[str, ...]
HashReply = Sequence[bytes | None]


@dataclass(frozen=True)
class Shares:
    """Shares of some rows; without entries where there were no rows."""

    missing: Mapping[str, float] = field(default_factory=dict)
    """Looked-up column -> share of the answered rows."""
    unknown: Mapping[JoinKeys, float] = field(default_factory=dict)
    """Join keys -> share of all rows."""
    rows: int = 0


@dataclass(frozen=True)
class Holes:
    """Which of some rows lack what."""

    missing: Mapping[str, Mask]
    unknown: Mapping[JoinKeys, Mask]

    def shares(self, contract: FeatureContract) -> Shares:
        rows = len(next(iter(self.unknown.values())))
        answered = np.ones(rows, dtype=np.bool_)
        for keys, mask in self.unknown.items():
            if policy_of_keys(contract, keys) == "refuse":
                answered &= ~mask
        unknown = {keys: float(mask.mean()) for keys, mask in self.unknown.items()}
        if not answered.any():
            return Shares({}, unknown, rows)
        missing = {name: float(mask[answered].mean()) for name, mask in self.missing.items()}
        return Shares(missing, unknown, rows)


def shares_in_training(contract: FeatureContract, gathered: Gathered) -> Shares:
    """Compute the shares of the rows that are learnt from."""
    rows = len(gathered.dataset)
    if not rows:
        return Shares({}, gathered.unknown, rows)
    shares = training_shares(contract, gathered.dataset)
    missing = {share.column: share.missing for share in shares}
    return Shares(missing, gathered.unknown, rows)


def read_nightly_shares(
    store: FeatureStore, contract: FeatureContract, as_of: datetime
) -> tuple[Shares, pa.Table]:
    """Compute the shares of the population, as a night of this date reads it.

    Returns:
        The shares, and the keys that were read.
    """
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
    """Take a few shards, at even distances from the first to the last."""
    count = min(NIGHT_SHARDS, len(shards))
    places = np.linspace(0, len(shards) - 1, count).astype(int)
    return [shards[place] for place in np.unique(places).tolist()]


def read_online_shares(
    client: RedisClient, contract: FeatureContract, keys: pa.Table, now: datetime
) -> Shares:
    """Compute the shares of entities as Redis holds them; an expired value is missing.

    Raises:
        ServiceUnreachable: Redis does not answer.
    """
    if not keys.num_rows:
        return Shares()
    missing: dict[str, Mask] = {}
    strangers: dict[JoinKeys, Mask] = {}
    for names in join_keys(contract):
        views = [view for view in contract.views if view.join_keys == names]
        replies = read_replies(client, contract, keys, views)
        flags = np.array([flags_of(views, reply, now) for reply in replies], dtype=np.bool_)
        strangers[names] = ~flags[:, 0]
        columns = chain.from_iterable(view.features for view in views)
        for place, name in enumerate(columns, start=1):
            missing[name] = flags[:, place]
    return Holes(missing, strangers).shares(contract)


def read_replies(
    client: RedisClient, contract: FeatureContract, keys: pa.Table, views: Sequence[LookupView]
) -> list[HashReply]:
    """Read what Redis holds of each entity: for each view its timestamp, then its features."""
    names = views[0].join_keys
    dtypes = {key.name: key.dtype for key in contract.keys}
    key_of = entity_key_maker(contract.project, names, [dtypes[name] for name in names])
    fields = list[bytes]()
    for view in views:
        fields += [timestamp_field(view.name).encode(), *map(bytes.fromhex, view.field_ids)]
    columns = [keys[name].to_pylist() for name in names]
    asked = [key_of(values) for values in zip(*columns, strict=True)]
    found: list[HashReply] = []
    try:
        for start in range(0, len(asked), ONE_TRIP):
            pipeline = client.pipeline(transaction=False)
            for key in asked[start : start + ONE_TRIP]:
                pipeline.execute_command("HMGET", key, *fields)
            found += pipeline.execute(raise_on_error=False)
    except REDIS_ERRORS as error:
        raise ServiceUnreachable(f"the online store does not answer: {error}") from None
    return found


def flags_of(views: Sequence[LookupView], reply: HashReply, now: datetime) -> list[bool]:
    """Say of one entity whether any view knows it; then of each feature whether it is missing."""
    # The error of a single key, as where it holds something else than a hash, is a reply too.
    rest = iter(reply if isinstance(reply, list) else [])
    known, missing = False, []
    for view in views:
        moment = stored_event_time(next(rest, None))
        values = [next(rest, None) for _ in view.features]
        absent = moment is None or is_expired(view, moment, now)
        known |= moment is not None
        missing += [absent or is_missing(value) for value in values]
    return [known, *missing]


def is_expired(view: LookupView, moment: float, now: datetime) -> bool:
    if not view.ttl_seconds:
        return False
    return now.timestamp() - moment > view.ttl_seconds


def stored_event_time(stored: bytes | None) -> float | None:
    try:
        return decode_timestamp(stored)
    except DamagedValueError:
        return None
