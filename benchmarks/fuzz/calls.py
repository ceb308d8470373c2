"""Calls that a server answers, made from what it tells of its services: the fuzzers' seeds."""

import http.client
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

VALUES: Mapping[str, Any] = {
    "int64": 1,
    "int32": 1,
    "float64": 1.5,
    "string": "a",
    "bool": True,
}
"""By data type: a value that fits."""


@dataclass(frozen=True)
class Call:
    """Method, target and body of a request."""

    method: str
    target: str
    body: bytes | None = None


@dataclass(frozen=True)
class LiveService:
    """A live service, and ids that its store may know."""

    name: str
    fields: Sequence[Mapping[str, Any]]
    precomputed: bool
    ids: Sequence[Any]

    def record(self) -> dict[str, Any]:
        """Fields that a request brings, with the first id."""
        values = {}
        for field in self.fields:
            if field["source"] == "request":
                values[field["name"]] = VALUES[field["dtype"]]
            elif field["source"] == "key":
                values[field["name"]] = self.ids[0]
        return values

    def calls(self) -> list[Call]:
        """One that is good, and some that are refused."""
        return self.lookups() if self.precomputed else self.predictions()

    def lookups(self) -> list[Call]:
        path = f"/lookup/{self.name}"
        known = list(self.ids[:3])
        calls = [Call("GET", f"{path}/{entity}") for entity in (*known, "nobody")]
        for ids in (known, [None], 1):
            body = json_bytes({"ids": ids})
            calls.append(Call("POST", path, body))
        return calls

    def predictions(self) -> list[Call]:
        path = f"/predict/{self.name}"
        record = self.record()
        records = [record, {}, {**record, "nothing of that name": 1}]
        calls = [Call("POST", path, json_bytes(body)) for body in (*records, [], "text")]
        batch = json_bytes({"dataframe_records": records})
        return [
            *calls,
            Call("POST", f"{path}/batch", batch),
            Call("POST", path, b"{"),
            Call("POST", path, b""),
        ]


COMMON = (
    Call("GET", "/livez"),
    Call("GET", "/readyz"),
    Call("GET", "/services"),
    Call("GET", "/metrics"),
    Call("GET", "/nowhere"),
    Call("POST", "/predict/nobody", b"{}"),
    Call("GET", "/lookup/nobody/1"),
)


def json_bytes(body: object) -> bytes:
    return json.dumps(body).encode()


def services_of(port: int, ids: Sequence[Any]) -> list[LiveService]:
    """What the server on this port tells of its services."""
    found = []
    for listed in get(port, "/services")["services"]:
        told = get(port, f"/services/{listed['service']}")
        precomputed = told["served_by"] == "precomputed"
        found.append(LiveService(told["service"], told["fields"], precomputed, ids))
    return found


def calls_of(services: Sequence[LiveService]) -> list[Call]:
    calls = list(COMMON)
    for service in services:
        calls += service.calls()
    return calls


def get(port: int, path: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path)
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def some(dice: random.Random, calls: Sequence[Call], most: int) -> list[Call]:
    """One call at least; any of them may come twice."""
    count = dice.randint(1, most)
    return [dice.choice(calls) for _ in range(count)]
