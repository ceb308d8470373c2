"""What came in adds up to what was kept and what was left out, by reason, whatever a repo's tables
hold.

The referee is a plain-Python model of the rules, which shares no code with the verbs.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from feast import FeatureStore
from hypothesis import given, settings
from hypothesis import strategies as st
from small_repo import AS_OF, SERVICES, TTL, Service, SmallHome, night, small_home, tasks_of

from batch.tasks import Task
from potluck.contract.accounting import (
    AFTER_AS_OF,
    DUPLICATE,
    NO_DATE,
    NO_KEY,
    NO_LABEL,
    OUT_OF_RANGE,
    SUPERSEDED,
    UNKNOWN_ENTITY,
    Account,
)
from potluck.contract.errors import MissingStepError, Refused
from potluck.contract.features import FeatureContract
from potluck.stores.definitions.repo import open_store
from potluck.stores.materialize.run import materialize
from training.dataset import gather

Row = Mapping[str, Any]
MANY = settings(max_examples=20, deadline=None)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallHome]:
    with small_home(tmp_path_factory.mktemp("accounts")) as started:
        yield started


@pytest.fixture(scope="module")
def store(home: SmallHome) -> FeatureStore:
    return open_store(home.settings.repo)


@pytest.fixture(scope="module")
def tasks(home: SmallHome) -> dict[str, Task]:
    return tasks_of(home)


DATES = st.sampled_from(
    [
        None,
        datetime(1600, 1, 1, tzinfo=UTC),
        datetime(1939, 5, 1, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(1970, 1, 1, tzinfo=UTC),
        AS_OF - TTL - timedelta(microseconds=1),
        AS_OF - TTL,
        AS_OF - timedelta(days=2),
        AS_OF,
        AS_OF + timedelta(microseconds=1),
        datetime(2300, 1, 1, tzinfo=UTC),
    ]
)
KEYS = {
    "number": st.none() | st.integers(1, 5),
    "text": st.none() | st.sampled_from(["", "a", "ä", "a b", "'"]),
}
NUMBERS = st.none() | st.sampled_from([0.0, 1.5, -2.0])


def rows_of(
    service: Service, most: int, **columns: st.SearchStrategy[Any]
) -> st.SearchStrategy[list[Row]]:
    row = {service.key: KEYS[service.kind], "event_timestamp": DATES, **columns}
    return st.lists(st.fixed_dictionaries(row), max_size=most)


def populations(service: Service) -> st.SearchStrategy[list[Row]]:
    return rows_of(service, 12, size=NUMBERS)


def records(service: Service) -> st.SearchStrategy[list[Row]]:
    return rows_of(service, 8, value=NUMBERS, need=NUMBERS)


def defect(row: Row, key: str) -> str | None:
    """Why a row does not count by itself."""
    at = row["event_timestamp"]
    if row[key] is None:
        return NO_KEY
    if at is None:
        return NO_DATE
    if not datetime(1678, 1, 1, tzinfo=UTC) <= at < datetime(2262, 1, 1, tzinfo=UTC):
        return OUT_OF_RANGE
    return AFTER_AS_OF if at > AS_OF else None


def latest_rows(rows: Sequence[Row], key: str) -> tuple[dict[Any, Row], Counter[str]]:
    """The row of each entity that counts, and how many do not, by reason."""
    left_out = Counter(reason for row in rows if (reason := defect(row, key)))
    latest: dict[Any, Row] = {}
    ties: Counter[Any] = Counter()
    for row in rows:
        entity, at = row[key], row["event_timestamp"]
        if defect(row, key):
            continue
        before = latest.get(entity)
        if before is not None and before["event_timestamp"] > at:
            left_out[SUPERSEDED] += 1
            continue
        if before is not None and before["event_timestamp"] == at:
            ties[entity] += 1
        elif before is not None:
            left_out[SUPERSEDED] += 1 + ties.pop(entity, 0)
        latest[entity] = row
    left_out[DUPLICATE] += ties.total()
    return latest, left_out


def failure(row: Row, record: Row | None, service: Service, policy: str) -> str | None:
    """Why HTTP would not answer for an entity."""
    if row["size"] is None:
        return "could not be scored: size: required, and the population holds no value"
    if record is None and policy == "refuse":
        return "could not be scored: the feature store knows no such entity"
    fresh = record is not None and (not service.fading or AS_OF - record["event_timestamp"] <= TTL)
    if service.strict and not (fresh and record is not None and record["need"] is not None):
        return (
            "could not be scored: need: required, "
            "and the feature store holds no value for this entity"
        )
    return (
        "could not be scored: on-demand function shares failed: ZeroDivisionError"
        if not row["size"]
        else None
    )


def counts(account: Account) -> dict[str, int]:
    """Reason -> rows; the sum is checked by the way."""
    found = {each.reason: each.count for each in account.left_out}
    assert account.came == account.kept + sum(found.values())
    assert all(0 < len(each.examples) <= each.count for each in account.left_out)
    return found


def with_policy(contract: FeatureContract, policy: str) -> FeatureContract:
    return replace(contract, views=tuple(replace(view, unknown=policy) for view in contract.views))


EACH_SERVICE = pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)


@EACH_SERVICE
def test_a_night_accounts_for_every_row_of_its_population(
    home: SmallHome, store: FeatureStore, tasks: dict[str, Task], service: Service
) -> None:
    @MANY
    @given(populations(service), records(service), st.sampled_from(["refuse", "missing"]))
    def accounts(population: list[Row], known: list[Row], policy: str) -> None:
        home.write(service.source("population"), population)
        home.write(service.source("records"), known)
        task = tasks[service.name]
        task.model.contract = with_policy(task.model.contract, policy)
        entities, left_out = latest_rows(population, service.key)
        stored, _ = latest_rows(known, service.key)
        if not entities:
            with pytest.raises(
                MissingStepError, match=f"population: {len(population)} rows came, 0 kept"
            ):
                night(home, store, task, AS_OF)
            return
        if not stored and policy == "refuse":
            with pytest.raises(
                Refused, match=r"none of the feature views .* holds a record up to 2026-06-01"
            ):
                night(home, store, task, AS_OF)
            return
        told = night(home, store, task, AS_OF)
        failures = Counter(
            reason
            for entity, row in entities.items()
            if (reason := failure(row, stored.get(entity), service, policy))
        )
        assert told.account is not None
        assert told.account.came == len(population)
        assert told.account.kept == told.rows == len(entities) - failures.total()
        assert counts(told.account) == dict(+(left_out + failures))

    accounts()


@EACH_SERVICE
def test_materialize_accounts_for_every_row_of_a_views_source(
    home: SmallHome, store: FeatureStore, service: Service
) -> None:
    @MANY
    @given(records(service))
    def accounts(known: list[Row]) -> None:
        home.write(service.source("records"), known)
        entities, left_out = latest_rows(known, service.key)
        views = materialize(home.settings, store, AS_OF, force="other entities each time")
        told = {view.view: view for view in views}[f"{service.name}_view"]
        account: Account = told.account
        assert account.came == len(known)
        assert account.kept == told.entities == len(entities)
        assert counts(account) == dict(+left_out)

    accounts()


def learnt_from(
    labels: Sequence[Row], known: Sequence[Row], service: Service, policy: str
) -> tuple[int, Counter[str]]:
    """How many label rows a model learns from, and how many not, by reason; what HTTP refuses is
    one of them."""
    left_out: Counter[str] = Counter()
    last: dict[Any, Row] = {}
    for row in labels:
        reason = without_label(row, service.key)
        if reason:
            left_out[reason] += 1
            continue
        alike = (row[service.key], row["event_timestamp"], row["size"])
        left_out[DUPLICATE] += alike in last
        last[alike] = row
    for row in last.values():
        record = record_at(row, known, service.key)
        refused = refused_label(row, record, service, policy)
        left_out[refused or "kept"] += 1
    return left_out.pop("kept", 0), left_out


def without_label(row: Row, key: str) -> str | None:
    """The same reasons as `defect`, in the order in which training looks for them: no key comes
    last."""
    if row["event_timestamp"] is not None and row[key] is None:
        dated = defect({**row, key: 0}, key)
        return dated or (NO_LABEL if row["y"] is None else NO_KEY)
    return (NO_DATE if row["event_timestamp"] is None else defect(row, key)) or (
        NO_LABEL if row["y"] is None else None
    )


def record_at(row: Row, known: Sequence[Row], key: str) -> Row | None:
    """What the store knew of a row's entity at the row's time; of records of one moment the last
    one counts."""
    earlier = [
        record
        for record in known
        if not defect(record, key)
        and record[key] == row[key]
        and record["event_timestamp"] <= row["event_timestamp"]
    ]
    return (
        max(enumerate(earlier), key=lambda at: (at[1]["event_timestamp"], at[0]))[1]
        if earlier
        else None
    )


def refused_label(row: Row, record: Row | None, service: Service, policy: str) -> str | None:
    if row["size"] is None:
        return "no value of size, which is required"
    if record is None and policy == "refuse":
        return UNKNOWN_ENTITY
    fresh = record is not None and (
        not service.fading or row["event_timestamp"] - record["event_timestamp"] <= TTL
    )
    held = record["need"] if record is not None and fresh else None
    return "no value of need, which is required" if service.strict and held is None else None


@EACH_SERVICE
def test_training_accounts_for_every_label(
    home: SmallHome, store: FeatureStore, tasks: dict[str, Task], service: Service
) -> None:
    @MANY
    @given(
        rows_of(service, 12, size=NUMBERS), records(service), st.sampled_from(["refuse", "missing"])
    )
    def accounts(asked: list[Row], known: list[Row], policy: str) -> None:
        labels = [
            {**row, "y": None if row["size"] == 0 else 1.0} for row in asked
        ]  # rows that are alike are so in y
        home.write(service.source("labels"), labels)
        home.write(service.source("records"), known)
        contract = with_policy(tasks[service.name].model.contract, policy)
        account: Account = gather(store, contract, AS_OF).account
        kept, left_out = learnt_from(labels, known, service, policy)
        assert (account.came, account.kept) == (len(labels), kept)
        assert counts(account) == dict(+left_out)

    accounts()
