"""Before anything is measured: does everybody answer the same question, and is the answer a
price?"""

import http.client
import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.rivals import POTLUCK
from benchmarks.rounds import Running
from benchmarks.traffic import BATCH, Request

ASKED = {BATCH: 1}
USUALLY_ASKED = 25
SAME_MODEL, OTHER_MODEL = 1e-9, 0.25


@dataclass(frozen=True)
class Agreement:
    """How a rival's answers compare with Potluck's, entity by entity."""

    compared: int
    same_bits: int
    median_difference: float
    """Relative."""
    largest_difference: float


Agreements = dict[str, dict[str, Agreement]]
"""By case and rival."""


def agreements(running: Sequence[Running], cases: Sequence[str]) -> Agreements:
    """Compare everybody's first answers.

    Raises:
        SystemExit: a rival fails, or with the same model answers something else, or with another
            nothing like it.
    """
    told: Agreements = {}
    for case in cases:
        asked = [one for one in running if case in one.requests]
        answering = [one for one in asked if one.rival.prices]
        ours = [one for one in answering if one.rival.name == POTLUCK]
        if not ours:  # a trial may leave Potluck out
            continue
        expected = prices(ours[0], case)
        told[case] = {}
        for one in answering:
            if one.rival.name != POTLUCK:
                told[case][one.rival.name] = checked(one, case, expected)
    return told


def agreement_notes(agreed: Agreements) -> list[str]:
    notes = []
    for case, by_rival in agreed.items():
        for name, found in by_rival.items():
            notes.append(f"{name}, {case}: {described(found)}")
    return notes


def described(found: Agreement) -> str:
    bits = f"{found.same_bits} of {found.compared} prices are Potluck's to the bit"
    if found.same_bits == found.compared:
        return bits
    median = f"the median difference is {found.median_difference:.2g}"
    largest = f"the largest {found.largest_difference:.2g}"
    return f"{bits}; {median}, {largest}"


def checked(one: Running, case: str, ours: Sequence[float]) -> Agreement:
    """Compare a rival's answers with Potluck's, and stop where they are not alike.

    The same model may differ by rounding only. Another one is only to be of the same kind, so its
    median counts and not its worst.
    """
    found = agreement(ours, prices(one, case))
    gap, most = found.median_difference, OTHER_MODEL
    if one.rival.same_model:
        gap, most = found.largest_difference, SAME_MODEL
    if gap > most:
        raise SystemExit(
            f"{one.rival.label} answers {case} otherwise than Potluck: a relative difference of "
            f"{gap:.3g}"
        )
    return found


def agreement(ours: Sequence[float], theirs: Sequence[float]) -> Agreement:
    assert len(ours) == len(theirs)
    for price in (*ours, *theirs):
        assert math.isfinite(price)
        assert price > 0
    gaps, same = [], 0
    for our, their in zip(ours, theirs, strict=True):
        gaps.append(abs(their - our) / our)
        same += our == their
    return Agreement(len(gaps), same, statistics.median(gaps), max(gaps))


def prices(one: Running, case: str) -> list[float]:
    """The prices in a rival's first answers, in the order of the requests."""
    assert one.rival.prices is not None
    count = ASKED.get(case, USUALLY_ASKED)
    found: list[float] = []
    for request in one.rival.traffic[case][:count]:
        body = answer(one.server.port, request)
        found += one.rival.prices(body)
    return found


def answer(port: int, request: Request) -> Any:
    method, path, body = request
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body, {"content-type": "application/json"})
        response = connection.getresponse()
        text = response.read()
    finally:
        connection.close()
    if response.status != 200:
        raise SystemExit(f"{method} {path} was answered {response.status}: {text[:500]!r}")
    return json.loads(text)
