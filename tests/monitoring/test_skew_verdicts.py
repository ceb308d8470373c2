"""The verdict of one value, from both sides of it."""

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monitoring.skew.outcome import save_consistency
from monitoring.skew.outputs import run_where_it_runs
from monitoring.skew.report import (
    NOT_IN_BUNDLE,
    FeatureTally,
    ServiceSkew,
    ServiceTally,
    Skew,
    example_of,
)
from monitoring.skew.selection import Chosen
from monitoring.skew.verdicts import seen_value, verdict_of
from potluck.contract.features import OnDemandFunction
from potluck.contract.fields import Field
from potluck.contract.settings import Settings
from potluck.inference_log.consistency import Consistency, ServiceConsistency
from potluck.inference_log.layout import LogLayout
from serving.gauges.skew_consistency import SkewConsistency

MOMENT = datetime(2026, 6, 1, tzinfo=UTC)
PLAIN = Field("size", "float64", "online")
ZERO = Field("size", "float64", "online", default=0.0)
ROUNDED = float(np.float32(0.1))


def verdict(served: Any, offline: Any, field: Field = PLAIN, **known: bool) -> str:
    known = {"is_changed": False, "is_late": False, **known}
    sides = [seen_value(value, field, MOMENT) for value in (served, offline)]
    return verdict_of(*sides, **known)


@pytest.mark.parametrize("value", [0.1, -0.0, math.inf, 3, True, "text", "", None])
def test_what_is_the_same_to_the_bit_is_equal_whatever_else_is_known(value: Any) -> None:
    assert verdict(value, value) == "equal"
    assert verdict(value, value, is_changed=True, is_late=True) == "equal"


def test_a_value_that_is_no_number_is_missing() -> None:
    assert verdict(math.nan, None) == verdict(None, math.nan) == "equal"
    assert verdict(math.nan, 0.5, ZERO) == "default"


@pytest.mark.parametrize(
    ("served", "offline"),
    [(ROUNDED, 0.1), (0.1, ROUNDED), (3, 3.0), (3, 3.7), (True, 1), (0.0, False), (3, "3")],
)
def test_values_that_are_the_same_after_a_cast_differ_by_type(served: Any, offline: Any) -> None:
    assert verdict(served, offline) == "type"


@pytest.mark.parametrize(
    ("served", "offline"),
    [(0.1, 0.10001), (3, 4), (3, 4.0), (3, math.inf), (True, False), (True, 5), ("3", "4")],
)
def test_other_values_are_different(served: Any, offline: Any) -> None:
    assert verdict(served, offline) == "different"


def test_zero_and_minus_zero_are_not_equal_to_the_bit() -> None:
    assert verdict(0.0, -0.0) != "equal"


def test_a_default_is_named_only_where_one_was_filled_in() -> None:
    assert verdict(None, 0.5, ZERO) == verdict(0.5, None, ZERO) == "default"
    assert verdict(None, 0.0, ZERO) == "default"
    assert verdict(None, 0.5) == verdict(0.5, None) == "different"


def test_a_known_cause_comes_before_what_the_values_look_like() -> None:
    assert verdict(None, 0.5, ZERO, is_late=True) == "late data"
    assert verdict(ROUNDED, 0.1, is_late=True) == "late data"
    assert verdict(0.2, 0.1, is_changed=True, is_late=True) == "changed definition"


def test_a_default_of_the_request_time_is_that_of_the_request() -> None:
    field = Field("year", "int64", "online", default="request_time.year")
    assert seen_value(None, field, MOMENT).filled == 2026


def test_a_function_that_fails_on_one_row_gives_the_others() -> None:
    output = Field("half", "float64", "on-demand")
    declared = OnDemandFunction("halves", ("size",), (output,))
    made = run_where_it_runs(
        declared,
        lambda columns: {"half": [size / 2 for size in columns["size"]]},
        {"size": [1.0, None, 3.0]},
        3,
    )
    assert made == {"half": [0.5, None, 1.5]}


def count(tally: FeatureTally, request_id: str, *values: int) -> None:
    """Count a row with these two sides."""
    sides = [seen_value(value, PLAIN, MOMENT) for value in values]
    found = verdict_of(*sides, is_changed=False, is_late=False)
    if tally.add(found):
        row = {"request_id": request_id, "row": None}
        tally.examples.append(example_of(row, found, *sides))


def test_rows_of_a_bundle_without_the_feature_are_left_out_of_it() -> None:
    tally = ServiceTally("shop")
    tally.rows = 5
    tally.left_out["answered with OVERLOADED"] = 1
    for name, value in (("a", 1), ("b", 2)):
        count(tally.feature("online", "size"), name, value, 1)
    found = tally.skew()
    (size,) = found.features
    assert (found.compared, size.compared, size.consistency) == (4, 2, 0.5)
    assert size.left_out == {"answered with OVERLOADED": 1, NOT_IN_BUNDLE: 2}
    assert [each.request_id for each in size.examples] == ["b"]


def test_at_most_five_examples_are_kept() -> None:
    counted = ServiceTally("shop").feature("online", "size")
    for number in range(9):
        count(counted, str(number), number, -1)
    assert [each.request_id for each in counted.examples] == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize(
    ("service", "kept"), [(None, {"shop": 1.0}), ("shop", {"other": 0.5, "shop": 1.0})]
)
def test_a_run_of_one_service_keeps_what_was_found_of_the_others(
    service: str | None, kept: dict[str, float], tmp_path: Path
) -> None:
    settings, path = Settings(home=tmp_path), LogLayout(tmp_path).skew
    before = [ServiceSkew(name, 2, 2, {}, 0.5, []) for name in ("other", "shop")]
    save_consistency(path, Skew(before), Chosen(), MOMENT)
    assert gauges(settings) == {"other": 0.5, "shop": 0.5}
    now = Skew([ServiceSkew("shop", 1, 1, {}, 1.0, [])])
    save_consistency(path, now, Chosen(service=service), MOMENT)
    assert gauges(settings) == kept


def gauges(settings: Settings) -> dict[str, float]:
    collector = SkewConsistency(settings)
    collector.note({})
    found = [sample for metric in collector.collect() for sample in metric.samples]
    return {sample.labels["service"]: sample.value for sample in found}


def test_the_gauge_has_the_services_of_which_a_value_was_compared(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings, path = Settings(home=tmp_path), LogLayout(tmp_path).skew
    assert gauges(settings) == {}
    services = {
        "shop": ServiceConsistency(MOMENT, None, None, 4, {}, 0.75, {}),
        "unseen": ServiceConsistency(MOMENT, None, None, 1, {"answered": 1}, None, {}),
    }
    Consistency(services).save(path)
    assert gauges(settings) == {"shop": 0.75}
    assert caplog.text == ""
    path.write_text("{}")
    assert gauges(settings) == {}
    assert "run `potluck skew` again" in caplog.text
