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
        answering = [one for one in running if case in one.requests and one.rival.prices]
        ours = next((prices(one, case) for one in answering if one.rival.name == POTLUCK), None)
        if ours is not None:
            told[case] = {
                one.rival.name: checked(one, case, ours)
                for one in answering
                if one.rival.name != POTLUCK
            }
    return told


def agreement_notes(agreed: Agreements) -> list[str]:
    return [
        f"{name}, {case}: {described(found)}"
        for case, by in agreed.items()
        for name, found in by.items()
    ]


def described(found: Agreement) -> str:
    bits = f"{found.same_bits} of {found.compared} prices are Potluck's to the bit"
    if found.same_bits == found.compared:
        return bits
    median, largest = found.median_difference, found.largest_difference
    return f"{bits}; the median difference is {median:.2g}, the largest {largest:.2g}"


def checked(one: Running, case: str, ours: Sequence[float]) -> Agreement:
    found = agreement(ours, prices(one, case))
    gap, most = (
        (found.largest_difference, SAME_MODEL)
        if one.rival.same_model
        else (found.median_difference, OTHER_MODEL)
    )
    if gap > most:
        raise SystemExit(
            f"{one.rival.label} answers {case} otherwise than Potluck: a relative difference of "
            f"{gap:.3g}"
        )
    return found


def agreement(ours: Sequence[float], theirs: Sequence[float]) -> Agreement:
    assert len(ours) == len(theirs)
    assert all(math.isfinite(price) and price > 0 for price in (*ours, *theirs))
    gaps = [abs(their - our) / our for our, their in zip(ours, theirs, strict=True)]
    same = sum(our == their for our, their in zip(ours, theirs, strict=True))
    return Agreement(len(gaps), same, statistics.median(gaps), max(gaps))


def prices(one: Running, case: str) -> list[float]:
    assert one.rival.prices is not None
    requests = one.rival.traffic[case][: ASKED.get(case, USUALLY_ASKED)]
    return [
        price
        for request in requests
        for price in one.rival.prices(answer(one.server.port, request))
    ]


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
