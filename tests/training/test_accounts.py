"""Every row of a label source is learnt from, or left out for a reason that is told."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from labelled_shops import AS_OF, Row, Shops, label_row, place, record, shops_at

from potluck.contract import accounting

GATHER = """
from training.dataset import check_gathered, gather
found = {}
for service in ("value_hybrid", "value_realtime"):
    contract = contract_of(service)
    missing = tuple(dataclasses.replace(view, unknown="missing") for view in contract.views)
    for policy in (contract, dataclasses.replace(contract, views=missing)):
        gathered = gather(store, policy, as_of)
        name = service if policy is contract else f"{service} missing"
        found[name] = {
            "account": dataclasses.asdict(gathered.account),
            "text": gathered.account.text(),
            "keys": gathered.dataset.entities.column("shop_id").to_pylist(),
            "years": sorted({time.year for time in gathered.dataset.inputs.times}),
            "labels": gathered.dataset.labels,
            "size": gathered.dataset.inputs.columns.get("size"),
            "unknown": list(gathered.unknown.values()),
        }
tell(found)
"""
LATE = AS_OF + timedelta(days=1)


def rows() -> list[Row]:
    """Good ones, and some of each kind that is left out."""
    return [
        *(label_row(number) for number in range(40)),
        label_row(100, event_timestamp=None),
        label_row(101, event_timestamp=datetime(1500, 1, 1, tzinfo=UTC)),
        label_row(102, event_timestamp=LATE),
        label_row(103, value=None),
        label_row(104, shop_id=None),
        label_row(5, value=-5.0),
        label_row(6, note=None),
        label_row(7, amount=None),
        label_row(105, amount=None),
        label_row(200, event_timestamp=datetime(1939, 5, 1, tzinfo=UTC)),
        label_row(106),
        label_row(107),
    ]


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> Shops:
    return shops_at(tmp_path_factory.mktemp("accounts"))


@pytest.fixture(scope="module")
def found(shops: Shops) -> dict[str, Any]:
    """Shop 106 has no record, 107 one without the required licence, 200 one of 1938."""
    known = [*range(40), 7, 100, 101, 102, 103, 105]
    records = [
        *(record(shop) for shop in known),
        record(107, licence=None),
        record(200, event_timestamp=datetime(1938, 1, 1, tzinfo=UTC)),
    ]
    shops.write(rows(), records, [place(shop) for shop in range(40)])
    return dict(shops.python(GATHER))


def reasons(found: dict[str, Any], service: str) -> dict[str, int]:
    return {each["reason"]: each["count"] for each in found[service]["account"]["left_out"]}


def test_rows_that_came_are_rows_kept_and_rows_left_out_by_reason(found: dict[str, Any]) -> None:
    account = found["value_hybrid"]["account"]
    assert account["came"] == len(rows())
    assert account["came"] == account["kept"] + sum(reasons(found, "value_hybrid").values())
    assert reasons(found, "value_hybrid") == {
        accounting.NO_DATE: 1,
        accounting.OUT_OF_RANGE: 1,
        accounting.AFTER_AS_OF: 1,
        accounting.NO_LABEL: 1,
        accounting.NO_KEY: 1,
        accounting.DUPLICATE: 1,
        "no value of amount, which is required": 2,
        accounting.UNKNOWN_ENTITY: 1,
        "no value of licence, which is required": 1,
    }


def test_a_row_that_was_left_out_is_named_so_that_it_can_be_found(found: dict[str, Any]) -> None:
    examples = {
        each["reason"]: each["examples"] for each in found["value_hybrid"]["account"]["left_out"]
    }
    assert examples[accounting.UNKNOWN_ENTITY] == ["shop_id=106"]
    assert examples[accounting.NO_DATE] == ["shop_id=100"]
    assert examples[accounting.NO_KEY] == ["row 45"]
    assert "shop_id=102" in found["value_hybrid"]["text"]


def test_a_row_dated_before_1970_is_learnt_from(found: dict[str, Any]) -> None:
    assert 200 in found["value_hybrid"]["keys"]
    assert 1939 in found["value_hybrid"]["years"]


def test_of_two_rows_alike_the_one_further_down_counts_once(found: dict[str, Any]) -> None:
    labels = dict(zip(found["value_hybrid"]["keys"], found["value_hybrid"]["labels"], strict=True))
    assert found["value_hybrid"]["keys"].count(5) == 1
    assert labels[5] == -5.0


def test_the_same_entity_at_the_same_time_with_another_request_is_no_duplicate(
    found: dict[str, Any],
) -> None:
    assert found["value_hybrid"]["keys"].count(6) == 2


def test_an_entity_that_http_answers_with_404_is_not_learnt_from(found: dict[str, Any]) -> None:
    assert 106 not in found["value_hybrid"]["keys"]
    assert found["value_hybrid"]["unknown"] == [pytest.approx(1 / 44)]


def test_an_unknown_entity_that_http_answers_is_learnt_from_with_nulls(
    found: dict[str, Any],
) -> None:
    told = found["value_hybrid missing"]
    assert accounting.UNKNOWN_ENTITY not in reasons(found, "value_hybrid missing")
    assert reasons(found, "value_hybrid missing")["no value of licence, which is required"] == 2
    assert None not in told["size"]


def test_a_service_without_keys_learns_from_rows_without_a_key(found: dict[str, Any]) -> None:
    told = reasons(found, "value_realtime")
    assert accounting.NO_KEY not in told
    assert None in found["value_realtime"]["keys"]
    assert told[accounting.DUPLICATE] == 1  # the registry knows shop_id as a key all the same


def test_without_any_key_no_row_is_a_duplicate(shops: Shops, tmp_path: Path) -> None:
    same = [label_row(1, shop_id=None) for _ in range(30)]
    shops.write([*same, *(label_row(number) for number in range(30))])
    found = shops.python(GATHER)
    assert found["value_realtime"]["account"]["kept"] == 60


def test_labels_of_which_most_are_dated_in_the_future_are_told_with_a_warning(shops: Shops) -> None:
    late = [label_row(number, event_timestamp=LATE) for number in range(100, 300)]
    shops.write([*(label_row(number) for number in range(60)), *late])
    told = shops.verb("train", "value_realtime", "--as-of", str(AS_OF.date()))
    assert told.returncode == 0, told.stderr
    assert (
        "labels: 260 rows came, 60 kept, 200 left out: 200 dated after the as-of date (shop_id="
        in told.stdout
    )
    assert "warning: only 60 of 260 labelled rows were trained on" in told.stdout


def test_too_few_rows_are_refused_with_the_account(shops: Shops) -> None:
    shops.write([label_row(number, value=None if number > 9 else 1.0) for number in range(30)])
    told = shops.verb("train", "value_realtime")
    assert told.returncode == 1
    assert "has 10 rows to learn from" in told.stderr
    assert "labels: 30 rows came, 10 kept, 20 left out: 20 no label" in told.stderr


def test_the_order_of_the_file_does_not_change_what_is_learnt(shops: Shops) -> None:
    code = GATHER.replace('"labels": gathered.dataset.labels', '"digest": gathered.dataset.digest')
    found = []
    for order in (1, -1):
        shops.write([label_row(number) for number in range(50)][::order])
        found.append(shops.python(code)["value_hybrid"]["digest"])
    assert found[0] == found[1]
