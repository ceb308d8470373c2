"""Whatever is left out, and however often: the counts add up to what came."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from potluck.contract.accounting import SHOWN
from potluck.stores.parquet.offline_reads import ROW
from training.sieve import Sieve

REASONS = st.lists(
    st.tuples(st.sampled_from(["no date", "no key", "no label"]), st.floats(0, 1)), max_size=6
)


@given(count=st.integers(0, 60), reasons=REASONS, seed=st.integers(0, 9))
def test_rows_that_came_are_kept_or_left_out(
    count: int, reasons: list[tuple[str, float]], seed: int
) -> None:
    random = np.random.default_rng(seed)
    keys = pa.array([None if number % 7 == 0 else number for number in range(count)], pa.int64())
    rows = pa.table({"shop": keys, ROW: pa.array(range(1, count + 1), pa.int64())})
    sieve = Sieve("labels", rows, ["shop"])
    for reason, share in reasons:
        sieve.take_out(reason, random.random(sieve.rows.num_rows) < share)
    told = sieve.account()
    assert told.came == count
    assert told.kept == sieve.rows.num_rows == count - sum(each.count for each in told.left_out)
    for each in told.left_out:
        assert 1 <= len(each.examples) <= min(SHOWN, each.count)
        assert all(example.startswith(("shop=", "row ")) for example in each.examples)
