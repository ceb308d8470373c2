"""The night publishes what HTTP answers, to the bit; what HTTP refuses fails for that reason."""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import FeatureStore
from feast import Field as Feature
from feast.types import Int64, String
from small_repo import SERVICES, Service, SmallHome, night, small_home, tasks_of

import potluck.stores.definitions.tags
from batch.admission import NO_REQUEST_VALUE, NO_STORED_VALUE, UNKNOWN, refusals
from batch.summary import RunSummary
from batch.tasks import Task
from potluck.contract.errors import Refused
from potluck.contract.features import FeatureContract, LookupView
from potluck.contract.fields import Field
from potluck.stores.definitions.repo import open_store
from potluck.stores.parquet.population import Population, ShardRows
from serving.services.entities import Known

MERGED = "not_found" in Known._fields and hasattr(potluck.stores.definitions.tags, "VIEW_TAGS")

Row = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One entity of the population, and what the store knows of it."""

    size: float | None = 2.0
    extra: int | None = 1
    days_old: int | None = 1
    """Age of its record; None is none at all."""
    stored: Mapping[str, Any] = None  # type: ignore[assignment]


HELD = {"value": 3.0, "zero": 1, "flag": True, "word": "b", "need": 4.0}
CASES = {
    "known": Case(),
    "unknown": Case(days_old=None),
    "unknown and without a size": Case(size=None, days_old=None),
    "stale": Case(days_old=60),
    "of 1939": Case(days_old=31_750),
    "of the future": Case(days_old=-2),
    "without a size": Case(size=None),
    "without extra": Case(extra=None),
    "without anything but need": Case(stored={"need": 4.0}),
    "without need": Case(stored={**HELD, "need": None}),
    "without zero": Case(stored={**HELD, "zero": None}),
    "without flag": Case(stored={**HELD, "flag": None}),
    "without word": Case(stored={**HELD, "word": None}),
    "with an unseen word": Case(stored={**HELD, "word": "c"}),
    "of size 0, which makes a function fail": Case(size=0.0),
    "of infinite size": Case(size=float("inf")),
    "of infinite value": Case(stored={**HELD, "value": float("inf")}),
    "of too large a number": Case(extra=2**53 + 2),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallHome]:
    with small_home(tmp_path_factory.mktemp("rule")) as started:
        yield started


@pytest.fixture(scope="module")
def store(home: SmallHome) -> FeatureStore:
    return open_store(home.settings.repo)


@pytest.fixture(scope="module")
def now(home: SmallHome) -> datetime:
    """When the cases were written and materialized."""
    moment = datetime.now(UTC).replace(microsecond=0)
    for kind in ("number", "text"):
        home.write(
            f"{kind}_population", [asked(kind, place, moment) for place in range(len(CASES))]
        )
        records = [record(kind, place, moment) for place in range(len(CASES))]
        home.write(f"{kind}_records", [each for each in records if each])
    home.verbs(["materialize", "--force", "other entities than those that were trained on"])
    return moment


@pytest.fixture(scope="module")
def url(home: SmallHome, now: datetime) -> Iterator[str]:
    with home.serving() as address:
        yield address


def entity(kind: str, place: int) -> int | str:
    return 9000 + place if kind == "number" else f"case {place}"


def asked(kind: str, place: int, now: datetime) -> Row:
    case = [*CASES.values()][place]
    key = {f"{kind}_id": entity(kind, place), "event_timestamp": now}
    return {**key, "size": case.size, "extra": case.extra}


def record(kind: str, place: int, now: datetime) -> Row | None:
    case = [*CASES.values()][place]
    if case.days_old is None:
        return None
    at = now - timedelta(days=case.days_old)
    return {f"{kind}_id": entity(kind, place), "event_timestamp": at, **(case.stored or HELD)}


def by_http(url: str, service: Service, now: datetime) -> dict[Any, Any]:
    """Entity -> prediction, or the error's code and field."""
    answers = {}
    for place in range(len(CASES)):
        sent = {
            name: value
            for name, value in asked(service.kind, place, now).items()
            if value is not None
        }
        del sent["event_timestamp"]
        body = httpx.post(f"{url}/predict/{service.name}", content=json.dumps(sent)).json()
        answers[sent[service.key]] = body.get("prediction", error_of(body))
    return answers


def error_of(body: Row) -> tuple[str, str]:
    code = body.get("error_code", "")
    return code, "" if code == "ENTITY_NOT_FOUND" else field_of(
        body.get("details") or [{"field": "", "reason": ""}]
    )


def field_of(details: Sequence[Row]) -> str:
    """The field that an error names, or the reason where it names none."""
    named: str = details[0]["field"] or details[0]["reason"]
    return "size" if "JSON" in named or "Infinity" in named else named


def by_night(url: str, service: Service, told: RunSummary, now: datetime) -> dict[Any, Any]:
    """Entity -> published prediction, or the reason of its failure as HTTP would put it."""
    ids = [entity(service.kind, place) for place in range(len(CASES))]
    body = httpx.post(f"{url}/lookup/{service.batch}", content=json.dumps({"ids": ids})).json()
    assert body["run_id"] == told.run_id
    failures = failures_of(told)
    pairs = zip(ids, body["predictions"], strict=True)
    return {
        key: failures[f"{service.key}={key}"] if value is None else value for key, value in pairs
    }


def failures_of(told: RunSummary) -> dict[str, tuple[str, str]]:
    assert told.account is not None
    found = {}
    for each in told.account.left_out:
        assert each.count == len(each.examples), "few enough to be named"
        reason = each.reason.removeprefix("could not be scored: ")
        code = "ENTITY_NOT_FOUND" if reason == UNKNOWN else "SCHEMA_VALIDATION"
        field = (
            ""
            if reason == UNKNOWN
            else reason
            if "function" in reason
            else reason.partition(":")[0]
        )
        found |= dict.fromkeys(each.examples, (code, field))
    return found


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_every_entity_gets_the_same_answer_by_night_and_over_http(
    home: SmallHome, store: FeatureStore, now: datetime, url: str, service: Service
) -> None:
    told = night(home, store, tasks_of(home)[service.name], now)
    online, nightly = by_http(url, service, now), by_night(url, service, told, now)
    names = {entity(service.kind, place): name for place, name in enumerate(CASES)}
    assert {names[key]: each for key, each in nightly.items()} == {
        names[key]: each for key, each in online.items()
    }
    assert told.account is not None
    assert told.account.kept == sum(isinstance(each, float) for each in online.values())
    if service.unknown == "refuse":
        assert nightly[entity(service.kind, 1)] == ("ENTITY_NOT_FOUND", "")
    else:
        assert isinstance(nightly[entity(service.kind, 1)], float) != service.strict


NEED = Field("need", "float64", "online", required=True)
ZERO = Field("zero", "int64", "online", required=True, default=0)
FLAG = Field("flag", "bool", "online", required=True, default=False)
WORD = Field("word", "string", "online", required=True, default="")
SIZE = Field("size", "float64", "request", required=True)
LookedUp = tuple[Field, ...]


def contract(
    *views: LookupView, online: LookedUp = (NEED,), request: LookedUp = (SIZE,)
) -> FeatureContract:
    return FeatureContract(
        project="shop",
        service="price",
        objective="regression",
        transform="identity",
        label_source="sales",
        label="price",
        keys=(Field("id", "int64", "key", required=True),),
        request=request,
        online=online,
        views=views,
        functions=(),
        columns=(),
    )


def view(unknown: str) -> LookupView:
    return LookupView("v", ("id",), (), (), 0, unknown)  # type: ignore[arg-type]


def reasons(
    found: FeatureContract, known: Sequence[bool], **columns: pa.Array
) -> list[str | None] | None:
    batch = pa.RecordBatch.from_pydict({"id": pa.array(range(len(known)), pa.int64()), **columns})
    told = refusals(found, ShardRows(batch, pa.array(known)))
    return None if told is None else told.to_pylist()


def test_where_every_row_may_be_scored_nothing_is_copied() -> None:
    assert (
        reasons(contract(view("refuse")), [True], size=pa.array([1.0]), need=pa.array([2.0]))
        is None
    )


@pytest.mark.parametrize(
    ("policies", "refused"),
    [
        (["refuse"], True),
        (["missing"], False),
        (["missing", "refuse"], True),
        (["missing", "missing"], False),
        ([], False),
    ],
)
def test_one_view_that_refuses_unknown_entities_is_enough(
    policies: list[str], refused: bool
) -> None:
    found = contract(*map(view, policies), online=())
    told = reasons(found, [True, False], size=pa.array([1.0, 1.0]))
    assert told == ([None, UNKNOWN] if refused else None)


def test_a_row_has_the_first_reason_that_http_would_give() -> None:
    told = reasons(
        contract(view("refuse")),
        [False, False, True, True],
        size=pa.array([None, 1.0, 1.0, None]),
        need=pa.array([None, None, None, 1.0]),
    )
    lacks = f"size: {NO_REQUEST_VALUE}"
    assert told == [lacks, UNKNOWN, f"need: {NO_STORED_VALUE}", lacks]


@pytest.mark.parametrize("field", [ZERO, FLAG, WORD], ids=lambda field: field.name)
def test_a_default_of_zero_false_or_an_empty_text_is_one(field: Field) -> None:
    empty = {field.name: pa.nulls(1), "size": pa.array([1.0])}
    assert reasons(contract(view("refuse"), online=(field,)), [True], **empty) is None
    without = replace(field, default=None)
    assert reasons(contract(view("refuse"), online=(without,)), [True], **empty) == [
        f"{field.name}: {NO_STORED_VALUE}"
    ]
    asked = replace(field, source="request")
    assert reasons(contract(online=(), request=(asked,)), [True], **empty) is None


FEATURES = {
    "taken out of the view": None,
    "declared as text": Feature(name="value", dtype=String),
    "declared as a whole number": Feature(name="value", dtype=Int64),
}


@pytest.mark.parametrize("change", FEATURES)
def test_a_feature_that_only_the_champion_knows_is_read_while_the_source_holds_it(
    home: SmallHome, store: FeatureStore, now: datetime, change: str
) -> None:
    task = tasks_of(home)[SERVICES[0].name]
    before = all_rows(store, task, now)
    with view_with(store, "number_lasting_view", FEATURES[change]):
        assert all_rows(store, task, now).equals(before)


def all_rows(store: FeatureStore, task: Task, now: datetime) -> pa.RecordBatch:
    population = Population.of(store, task.champion, now)
    (shard,) = population.shards()
    return population.read(shard).batch


@contextlib.contextmanager
def view_with(store: FeatureStore, name: str, feature: Feature | None) -> Iterator[None]:
    """The view with another feature in the place of `value`, or none."""
    view = store.get_feature_view(name)
    features = view.features
    others = [each for each in features if each.name != "value"]
    view.features = [*others, feature] if feature else others
    with put_back(store, name, features):
        store.registry.apply_feature_view(view, store.project)
        yield


@contextlib.contextmanager
def put_back(store: FeatureStore, name: str, features: list[Feature]) -> Iterator[None]:
    view = store.get_feature_view(name)
    try:
        yield
    finally:
        view.features = features
        store.registry.apply_feature_view(view, store.project)


@pytest.mark.parametrize("harm", ["renamed", "made text"])
def test_a_feature_that_left_the_source_refuses_the_night(
    home: SmallHome, store: FeatureStore, now: datetime, harm: str
) -> None:
    path = home.settings.data_folder("small") / "number_records.parquet"
    content, rows = path.read_bytes(), pq.read_table(path)
    place = rows.schema.get_field_index("value")
    name, found = (
        ("worth", "has no column value any more")
        if harm == "renamed"
        else ("value", "holds value as VARCHAR")
    )
    pq.write_table(rows.set_column(place, name, pa.array(["3.0"] * rows.num_rows)), path)
    try:
        with (
            view_with(store, "number_lasting_view", Feature(name="worth", dtype=String)),
            pytest.raises(
                Refused,
                match=sentence(f"looks up value .* number_lasting_view, .* number_records {found}"),
            ),
        ):
            night(home, store, tasks_of(home)["number_lasting"], now)
    finally:
        path.write_bytes(content)


def sentence(lost: str) -> str:
    missing = rf"^champion version 1 of number_lasting {lost}.*"
    return missing + "; put it back, or train and promote .* the last .* run stays$"


def test_a_view_that_left_the_registry_refuses_the_night(
    home: SmallHome, store: FeatureStore, now: datetime
) -> None:
    name = "number_lasting_view"
    with put_back(store, name, store.get_feature_view(name).features):
        store.registry.delete_feature_view(name, store.project)
        with pytest.raises(
            Refused,
            match=sentence(f"looks up value, .* in view {name}, which the registry does not"),
        ):
            night(home, store, tasks_of(home)["number_lasting"], now)


def test_a_ttl_that_was_changed_after_training_changes_nothing_by_night(
    home: SmallHome, store: FeatureStore, now: datetime
) -> None:
    """The server takes it from the champion's contract, too."""
    task, name = tasks_of(home)["number_fading"], "number_fading_view"
    before, view = all_rows(store, task, now), store.get_feature_view("number_fading_view")
    with put_back(store, name, view.features):
        view.ttl = timedelta(0)
        store.registry.apply_feature_view(view, store.project)
        assert all_rows(store, task, now).equals(before)


def test_records_that_are_all_dated_later_refuse_the_night_and_say_what_to_do(
    home: SmallHome, store: FeatureStore, now: datetime
) -> None:
    before = now - timedelta(days=90)
    home.write("number_population", [{**asked("number", 0, now), "event_timestamp": before}])
    records = pq.read_table(
        home.settings.data_folder("small") / "number_records.parquet"
    ).to_pylist()
    home.write("number_records", [row for row in records if row["event_timestamp"] > before])
    told = (
        r"none of the feature views \(number_lasting_view\) holds a record up to .* "
        r"15 dated after the as-of date .*"
    )
    with pytest.raises(Refused, match=f"{told}date the records in ingest.py when they were known"):
        night(home, store, tasks_of(home)["number_lasting"], before)
