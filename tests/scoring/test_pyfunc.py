"""What MLflow loads: a bundle that takes raw columns, whatever the table's form, and gives the
scorer's bits."""

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from potluck.contract.errors import BundleError, DataError
from potluck.scoring.model import Model
from potluck.scoring.pyfunc import PyFunc, _load_pyfunc, moment_of

MOMENT = "2010-07-31T12:00:00+00:00"


@pytest.fixture
def loaded(bundle: Path) -> PyFunc:
    return _load_pyfunc(str(bundle))


@pytest.fixture
def frame(parts: Any) -> pd.DataFrame:
    """Raw rows as pandas makes a frame of them: integers with gaps are floats."""
    return pd.DataFrame(
        {name: list(values) for name, values in parts.inputs.items()}
    ).convert_dtypes(
        convert_string=False, convert_integer=False, convert_boolean=False, convert_floating=False
    )


def expected(parts: Any) -> bytes:
    times = [datetime.fromisoformat(MOMENT)] * len(parts.times)
    values = parts.open().score(parts.inputs, times).predictions.values
    return np.array(values).tobytes()


def test_a_frame_of_raw_columns_gives_the_scorers_bits(
    parts: Any, loaded: PyFunc, frame: pd.DataFrame
) -> None:
    assert frame["quantity"].dtype == np.float64
    assert loaded.predict(frame, {"request_time": MOMENT}).tobytes() == expected(parts)


def test_records_columns_and_frames_give_the_same(
    parts: Any, loaded: PyFunc, frame: pd.DataFrame
) -> None:
    records = frame.astype(object).where(frame.notna(), None).to_dict("records")
    for data in (
        records,
        dict(parts.inputs),
        frame.sample(frac=1, axis=1),
        frame.astype({"colour": "category"}),
    ):
        assert loaded.predict(data, {"request_time": MOMENT}).tobytes() == expected(parts)


def test_the_moment_stands_for_defaults_of_request_time(
    loaded: PyFunc, frame: pd.DataFrame
) -> None:
    without = frame.drop(columns="month")
    for month in (1, 7):
        told = loaded.predict(frame.assign(month=month))
        assert (
            loaded.predict(without, {"request_time": f"2010-{month:02}-15"}).tobytes()
            == told.tobytes()
        )


def test_no_row_gives_no_prediction(loaded: PyFunc, frame: pd.DataFrame) -> None:
    assert loaded.predict(frame.iloc[:0]).shape == (0,)
    assert loaded.predict([{"weight": 1.0}]).shape == (1,)


def test_classes_come_as_a_frame_with_the_rows_index(parts: Any, frame: pd.DataFrame) -> None:
    model = parts.open()
    contract = replace(
        model.contract, objective="binary", transform="identity", classes=(False, True)
    )
    loaded = PyFunc(Model(contract, parts.functions_source, parts.model_text))
    rows = frame.set_index(frame.index + 100)
    answered = loaded.predict(rows)
    assert list(answered.columns) == ["prediction", "probability_false", "probability_true"]
    assert list(answered.index) == list(rows.index)
    records = loaded.predict(rows.astype(object).where(rows.notna(), None).to_dict("records"))
    assert records == answered.to_dict("records")


def test_a_changed_bundle_is_not_opened(bundle: Path) -> None:
    text = (bundle / "model.txt").read_bytes()
    (bundle / "model.txt").write_bytes(text[: len(text) // 2])
    with pytest.raises(BundleError, match=r"model\.txt .* is changed"):
        _load_pyfunc(str(bundle))


@pytest.mark.parametrize(
    "given",
    [
        "2010-07-31",
        "2010-07-31T00:00:00",
        "2010-07-31T02:00:00+02:00",
        date(2010, 7, 31),
        datetime(2010, 7, 31),
    ],
)
def test_a_moment_is_utc_unless_it_says_otherwise(given: Any) -> None:
    assert moment_of(given) == datetime(2010, 7, 31, tzinfo=UTC)


@pytest.mark.parametrize("given", ["yesterday", "", 5])
def test_what_is_no_moment_is_refused(given: Any) -> None:
    with pytest.raises(DataError, match="expected request_time"):
        moment_of(given)
