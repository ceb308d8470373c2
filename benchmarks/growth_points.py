"""What `growth` measures: points on four axes, the services that answer there, and the requests."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benchmarks.synthetic_repo import Store, SyntheticService
from benchmarks.traffic import Request, post_request

BASE_STORE = Store("base", features=100, views=1)
BASE = SyntheticService("base_service", BASE_STORE, trees=200)
GROWING: Mapping[str, Mapping[int, SyntheticService]] = {
    "features": {
        10: SyntheticService("features_10", Store("narrow", 10, 1), BASE.trees),
        100: BASE,
        1000: SyntheticService("features_1000", Store("wide", 1000, 1), BASE.trees),
    },
    "trees": {
        100: SyntheticService("trees_100", BASE_STORE, 100),
        200: BASE,
        1000: SyntheticService("trees_1000", BASE_STORE, 1000),
        5000: SyntheticService("trees_5000", BASE_STORE, 5000),
    },
    "views": {
        1: BASE,
        5: SyntheticService("views_5", Store("five", 100, 5), BASE.trees),
        20: SyntheticService("views_20", Store("twenty", 100, 20), BASE.trees),
    },
}
"""Axis -> value -> service."""
ROWS = (1, 10, 100, 1000)
REQUESTS = 200


@dataclass(frozen=True)
class GrowthPoint:
    """Where on which axis."""

    axis: str
    value: int
    service: SyntheticService
    rows: int = 1

    @property
    def case(self) -> str:
        """Points that ask the same are measured once."""
        return f"{self.service.name} x {self.rows}"


def axes() -> dict[str, list[GrowthPoint]]:
    """Axis -> its points, in the order of their values."""
    found = {}
    for axis, services in GROWING.items():
        found[axis] = [GrowthPoint(axis, value, each) for value, each in services.items()]
    found["rows"] = [GrowthPoint("rows", rows, BASE, rows) for rows in ROWS]
    return found


AXES = axes()
POINTS = [point for points in AXES.values() for point in points]
BASE_POINT = GrowthPoint("rows", 1, BASE)
SERVICES = tuple(dict.fromkeys(point.service for point in POINTS))
"""Each once, in the order of the axes."""


def requests_for(point: GrowthPoint, entities: int) -> Iterator[Request]:
    """Entities in turn, each with a number of its own."""
    path = f"/predict/{point.service.name}"
    key = point.service.store.key
    for number in range(REQUESTS):
        first = number * point.rows
        records = []
        for place in range(first, first + point.rows):
            entity = place % entities + 1
            records.append({key: entity, "x": math.sin(entity + number)})
        if point.rows == 1:
            yield post_request(path, records[0])
        else:
            yield post_request(f"{path}/batch", {"dataframe_records": records})
