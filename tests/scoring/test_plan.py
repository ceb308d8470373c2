"""The plan gives what the row builder and the model give, for any rows, in batches of any size."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from potluck.contract.errors import DataError
from potluck.contract.fields import Field
from potluck.contract.redis_format import NULL, DamagedValueError, encode_value
from potluck.scoring import remembered as memory
from potluck.scoring.model import Model
from potluck.scoring.plan import Marks, Outcome, Plan

NOW = datetime(2010, 7, 31, 23, 30, tzinfo=UTC)
Row = tuple[dict[str, Any], list[bytes | None]]


def some_rows(count: int, seed: int) -> list[Row]:
    """Records with fields absent, null, unseen and odd, and stored values of every kind."""
    dice = random.Random(seed)
    values = {
        "weight": [1.5, 0.0, -0.0, 7, 1e300, 5e-324, None],
        "quantity": [0, 1, 8, -3, 2**53, None],
        "colour": ["red", "green", "", "mauve", "RED", None],
        "fresh": [True, False, None],
        "month": [1, 12, 99, None],
    }
    stored = [
        encode_value(float(dice.randint(0, 60)), "float64"),
        encode_value(2.25, "float64"),
        None,
        NULL,
        b"",
    ]
    out = []
    for _ in range(count):
        record = {
            name: dice.choice(choices) for name, choices in values.items() if dice.random() < 0.9
        }
        out.append((record, [dice.choice(stored)]))
    return out


def planned(plan: Plan, rows: Sequence[Row]) -> Outcome:
    return plan.score([record for record, _ in rows], [stored for _, stored in rows], NOW)


def by_the_model(model: Model, rows: Sequence[Row]) -> tuple[list[Any], dict[int, Marks]]:
    """The same rows by way of `Model.score`."""
    from potluck.contract.redis_format import decode_value

    inputs = {
        field.name: [record.get(field.name) for record, _ in rows]
        for field in model.contract.request
    }
    inputs |= {
        field.name: [decode_value(stored[place]) for _, stored in rows]
        for place, field in enumerate(model.contract.online)
    }
    scored = model.score(inputs, [NOW] * len(rows))
    marks: dict[int, Marks] = {}
    for column in model.contract.columns:
        for kind, marked in (("unseen", scored.rows.unseen), ("imputed", scored.rows.imputed)):
            for row in marked.get(column.name, []):
                marks.setdefault(row, []).append((kind, column.name))  # type: ignore[arg-type]
    return scored.predictions.values, marks


@pytest.mark.parametrize("size", [1, 3, 16, 17, 64, 500])
def test_batches_of_any_size_score_as_the_model_does(model: Model, size: int) -> None:
    plan, rows = Plan(model), some_rows(500, seed=size)
    for start in range(0, len(rows), size):
        batch = rows[start : start + size]
        outcome = planned(plan, batch)
        assert (outcome.predictions.values, outcome.marks) == by_the_model(model, batch)


def test_what_is_remembered_changes_nothing(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MOST_REMEMBERED", 3)
    forgetful, rows = Plan(model), some_rows(200, seed=1)
    answers = [planned(forgetful, [row]).predictions.values for row in rows]
    assert answers == [planned(Plan(model), [row]).predictions.values for row in rows]
    assert max(len(cells) for cells in forgetful.cells) <= 3


@pytest.mark.parametrize("default", [4.0, "request_time.day"])
def test_a_default_of_a_stored_field_is_taken(parts: Any, default: Any) -> None:
    online = (replace(parts.contract.online[0], default=default),)
    model = Model(replace(parts.contract, online=online), parts.functions_source, parts.model_text)
    rows: list[Row] = [({"weight": 2.0}, [None]), ({"weight": 2.0}, [encode_value(9.0, "float64")])]
    assert (planned(Plan(model), rows).predictions.values, {}) == by_the_model(model, rows)


def test_a_column_that_no_tree_asks_for_is_marked_all_the_same(parts: Any) -> None:
    text = parts.model_text
    blocks = [b"num_leaves=1", b"leaf_value=0.5"]
    head, _, rest = text.partition(b"Tree=0")
    constant = (
        head
        + b"Tree=0\n"
        + b"\n".join(blocks)
        + b"\n\nend of trees\n"
        + rest.partition(b"end of trees")[2]
    )
    model = Model(parts.contract, parts.functions_source, constant)
    assert model.scorer.used == ()
    outcome = planned(Plan(model), [({"weight": 1.0, "colour": "mauve"}, [None])])
    assert outcome.marks == {0: [("imputed", "stock"), ("unseen", "colour")]}


def test_a_failing_function_is_an_error_and_leaves_no_mark_behind(model: Model) -> None:
    plan = Plan(model)
    with pytest.raises(DataError, match="on-demand function share failed"):
        planned(plan, [({"weight": "heavy"}, [encode_value(2.0, "float64")])])
    assert planned(plan, [({"weight": 1.0}, [encode_value(2.0, "float64")])]).marks == {}


def test_a_row_that_fails_behind_a_mark_leaves_none_to_the_next(model: Model) -> None:
    plan = Plan(model)
    with pytest.raises(DataError, match="quantity is declared int64, but holds"):
        planned(plan, [({"weight": 1.0, "quantity": ["eight"]}, [None])])
    assert plan.row_marks.noted == [("imputed", "stock")]
    assert planned(plan, [({"weight": 1.0}, [encode_value(2.0, "float64")])]).marks == {}


@pytest.mark.parametrize("value", [["red"], {}, 1.5])
def test_a_function_that_gives_what_can_be_no_value_is_an_error(parts: Any, value: Any) -> None:
    source = parts.functions_source.replace(
        "for name in names}", "for name in names} | {'month': [MADE]}"
    )
    model = Model(parts.contract, source.replace("MADE", repr(value)), parts.model_text)
    with pytest.raises(DataError, match="month is declared int64, but holds"):
        planned(Plan(model), [({"weight": 1.0}, [None])])


def test_stored_bytes_that_are_no_value_are_an_error(model: Model) -> None:
    with pytest.raises(DamagedValueError):
        planned(Plan(model), [({"weight": 1.0}, [b"\x29\x00"])])


def test_no_row_gives_no_answer(model: Model) -> None:
    assert planned(Plan(model), []).predictions.values == []


def test_every_kind_of_field_is_in_the_shop(model: Model) -> None:
    """Else the tests above would say less than they seem to."""
    assert {field.source for field in model.contract.fields} >= {"request", "online", "on-demand"}
    assert isinstance(model.contract.online[0], Field)
