"""The rows that came are the rows that were kept and those that were left out."""

import pytest

from potluck.contract.accounting import Account, LeftOut, account

NO_LABEL = LeftOut("without a label", 3, ("Id=91", "Id=92"))
TWICE = LeftOut("came twice", 1, ("line 17",))


def test_what_no_reason_left_out_is_kept() -> None:
    told = account("sales", 10, [NO_LABEL, LeftOut("no key", 0), TWICE])
    assert told == Account("sales", 10, 6, (NO_LABEL, TWICE)), "a reason without rows is no reason"
    assert told.count("without a label") == 3
    assert told.count("no key") == 0


@pytest.mark.parametrize("kept", [5, 7])
def test_counts_that_do_not_add_up_are_a_defect(kept: int) -> None:
    with pytest.raises(ValueError, match="the rows of sales don't add up"):
        Account("sales", 10, kept, (NO_LABEL, TWICE))


def test_a_person_reads_how_many_and_why() -> None:
    assert account("sales", 10, []).text() == "sales: 10 rows came, 10 kept"
    assert account("sales", 10, [NO_LABEL, TWICE]).text() == (
        "sales: 10 rows came, 6 kept, 4 left out: 3 without a label (Id=91, Id=92, …); 1 came "
        "twice (line 17)"
    )
    assert LeftOut("no key", 2).text() == "2 no key"
