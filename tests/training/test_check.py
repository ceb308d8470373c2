"""`potluck check`: what is looked up in training is there online and by night as well."""

import json
from datetime import timedelta
from typing import Any

import pytest
from labelled_shops import FIRST, Shops, label_row, place, record, shops_at


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> Any:
    home = shops_at(tmp_path_factory.mktemp("check"))
    repo = home.home / "repo" / "definitions.py"
    repo.write_text(
        repo.read_text().replace(
            '"objective": objective}',
            '"objective": objective, **({"population": "labels"} if "hybrid" in name else {})}',
        )
    )
    assert home.verb("apply").returncode == 0
    yield home
    home.verb("down")


def check(shops: Shops, *words: str) -> tuple[int, dict[str, Any], str]:
    told = shops.verb("check", "--as-of", "2024-06-01", "--json", *words)
    return told.returncode, json.loads(told.stdout), told.stderr


def lines(found: dict[str, Any], service: str = "value_hybrid") -> dict[str, list[float | None]]:
    (one,) = [each for each in found["services"] if each["service"] == service]
    return {
        each["column"]: [each["training"], each["online"], each["night"]] for each in one["columns"]
    }


def materialized(shops: Shops) -> None:
    told = shops.verb("materialize", "--as-of", "2024-06-01")
    assert told.returncode == 0, told.stderr


def test_an_online_store_that_was_not_filled_is_refused(shops: Shops) -> None:
    code, found, error = check(shops)
    assert code == 65
    assert lines(found)["size"] == [0.0, None, 0.0]
    (one,) = [each for each in found["services"] if each["service"] == "value_hybrid"]
    assert one["unknown"][0]["online"] == 1.0
    assert "run `potluck materialize`" in one["problems"][0]
    assert "value_hybrid" in error


def test_shares_agree_where_the_same_records_are_everywhere(shops: Shops) -> None:
    shops.write(
        [label_row(number) for number in range(200)],
        [record(shop, colour=None if shop % 4 == 0 else "red") for shop in range(200)],
    )
    materialized(shops)
    code, found, _ = check(shops)
    assert code == 0
    assert lines(found)["colour"] == [0.25, 0.25, 0.25]
    assert lines(found)["floors"] == [1.0, 1.0, 1.0]
    assert {each["table"] for each in found["accounts"]} == {"labels"}
    assert (
        next(each for each in found["services"] if each["service"] == "value_realtime")["columns"]
        == []
    )


def test_a_column_that_is_missing_online_only_is_warned_of(shops: Shops) -> None:
    """Records that came after the labels took the colours away."""
    late = FIRST + timedelta(days=300)
    records = [record(shop) for shop in range(200)]
    shops.write(
        [label_row(number) for number in range(200)],
        [*records, *(record(shop, event_timestamp=late, colour=None) for shop in range(200))],
    )
    materialized(shops)
    code, found, _ = check(shops, "value_hybrid")
    assert code == 0
    assert lines(found)["colour"] == [0.0, 1.0, 1.0]
    (one,) = found["services"]
    assert any(
        "record colour (training 0.0%, online 100.0%, by night 100.0%)" in each
        for each in one["warnings"]
    )


def test_people_get_a_table(shops: Shops) -> None:
    said = shops.verb("check", "value_hybrid", "--as-of", "2024-06-01").stdout.splitlines()
    assert said[0] == "value_hybrid"
    assert said[1] == "  labels: 200 rows came, 200 kept"
    assert said[2].split() == ["missing", "training", "online", "by", "night"]
    end = next(place for place, line in enumerate(said) if line.endswith("missing nowhere"))
    assert len({len(line) for line in said[2:end]}) == 1


def test_records_dated_after_every_label_are_a_problem(shops: Shops) -> None:
    late = FIRST + timedelta(days=400)
    shops.write(
        [label_row(number) for number in range(200)],
        [record(shop, event_timestamp=late) for shop in range(200)],
        [place(shop, event_timestamp=late) for shop in range(200)],
    )
    code, found, _ = check(shops, "value_hybrid")
    assert code == 65
    (one,) = found["services"]
    assert "date the records before the labels" in one["problems"][0]
    assert one["account"]["kept"] == 0


def test_a_service_that_is_not_there_is_told_with_those_that_are(shops: Shops) -> None:
    told = shops.verb("check", "valu_hybrid")
    assert told.returncode == 1
    assert "one of kind_realtime, value_hybrid" in told.stderr
