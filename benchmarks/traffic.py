"""What is sent in `serving`: each case in each server's own words, entity by entity in the
population's order."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow.parquet as pq

from benchmarks.home import Home
from benchmarks.peers.encoding import Encoder
from benchmarks.peers.place import Contract
from potluck.contract.features import FeatureContract
from potluck.contract.publication import Publication

HYBRID, REALTIME, LOOKUP, BATCH = CASES = ("hybrid", "realtime", "lookup", "batch")
ROWS_IN_BATCH = 100

Record = Mapping[str, Any]
Request = tuple[str, str, str | None]
"""Method, path, body."""
Traffic = Mapping[str, Sequence[Request]]
"""By case."""


def population(home: Home, contract: FeatureContract) -> list[dict[str, Any]]:
    """Keys and request fields of every entity, without those that are missing."""
    folder = home.settings.data_folder(contract.project)
    path = folder / f"{contract.population}.parquet"
    names = [field.name for field in contract.keys + contract.request]
    rows = pq.read_table(path, columns=names).to_pylist()
    return [without_missing(row) for row in rows]


def without_missing(row: Record) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}


def product_traffic(
    hybrid: FeatureContract, realtime: FeatureContract, records: Sequence[Record]
) -> Traffic:
    """Potluck's own calls; an echo gets the very same."""
    predict = f"/predict/{hybrid.service}"
    singles = [post_request(predict, record) for record in records]
    return {
        HYBRID: singles,
        REALTIME: realtime_requests(realtime, records),
        LOOKUP: lookup_requests(hybrid, records),
        BATCH: batch_requests(predict, records),
    }


def lookup_requests(contract: FeatureContract, records: Sequence[Record]) -> list[Request]:
    """Last night's prediction of each entity."""
    published = contract.publications[0].service
    key = contract.keys[0].name
    requests: list[Request] = []
    for record in records:
        target = f"/lookup/{published}/{record[key]}"
        requests.append(("GET", target, None))
    return requests


def realtime_requests(contract: FeatureContract, records: Sequence[Record]) -> list[Request]:
    """Each record with the fields that this service asks for, and no others."""
    path = f"/predict/{contract.service}"
    asked = {field.name for field in contract.request}
    requests = []
    for record in records:
        described = {name: value for name, value in record.items() if name in asked}
        requests.append(post_request(path, described))
    return requests


def batch_requests(predict: str, records: Sequence[Record]) -> list[Request]:
    requests = []
    for batch in batches(records):
        body = {"dataframe_records": batch}
        requests.append(post_request(f"{predict}/batch", body))
    return requests


def feast_sdk_traffic(records: Sequence[Record]) -> Traffic:
    """For the servers around Feast's SDK: a record, or a list of records."""
    singles = [post_request("/predict", record) for record in records]
    lists = [post_request("/predict/batch", batch) for batch in batches(records)]
    return {HYBRID: singles, BATCH: lists}


def feast_traffic(contract: FeatureContract, records: Sequence[Record]) -> Traffic:
    """Online features of the view that the nightly run publishes."""
    published: Publication = contract.publications[0]
    names = [f"{published.view}:{feature.name}" for feature in published.features]
    key = published.key.name
    requests = []
    for record in records:
        body = {"features": names, "entities": {key: [record[key]]}}
        requests.append(post_request("/get-online-features", body))
    return {LOOKUP: requests}


def mlflow_traffic(case: str, contract: FeatureContract, rows: Sequence[Record]) -> Traffic:
    """Finished feature rows: the server knows no store."""
    names = [column.name for column in contract.columns]
    requests = []
    for row in rows:
        record = {name: row[name] for name in names}
        requests.append(post_request("/invocations", {"dataframe_records": [record]}))
    return {case: requests}


def mlserver_traffic(contract: Contract, rows: Sequence[Record]) -> Traffic:
    """Finished, encoded rows in the V2 protocol."""
    values = {}
    for column in contract["columns"]:
        name = column["name"]
        values[name] = [row[name] for row in rows]
    path = f"/v2/models/{contract['service']}/infer"
    requests = []
    for row in Encoder(contract).matrix(values).tolist():
        body = {"inputs": [tensor(row)]}
        requests.append(post_request(path, body))
    return {REALTIME: requests}


def tensor(row: Sequence[float]) -> dict[str, Any]:
    """One row in the V2 protocol."""
    data: list[float | None] = list(row)
    for place, number in enumerate(row):
        if math.isnan(number):
            data[place] = None  # JSON has no NaN
    return {
        "name": "row",
        "shape": [1, len(row)],
        "datatype": "FP64",
        "data": data,
    }


def post_request(path: str, body: Any) -> Request:
    return ("POST", path, json.dumps(body))


def batches(records: Sequence[Record]) -> list[list[Record]]:
    """Every record once, in batches of the same size; what is left over at the end goes round to
    the first."""
    found = []
    for start in range(0, len(records), ROWS_IN_BATCH):
        places = range(start, start + ROWS_IN_BATCH)
        found.append([records[place % len(records)] for place in places])
    return found
