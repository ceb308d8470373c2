"""What is sent in `serving`: each case in each server's own words, entity by entity in the
population's order."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow.parquet as pq

from benchmarks.home import Home
from benchmarks.peers.encoding import Encoder
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
    path = home.settings.data_folder(contract.project) / f"{contract.population}.parquet"
    names = [field.name for field in contract.keys + contract.request]
    rows = pq.read_table(path, columns=names).to_pylist()
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def product_traffic(
    hybrid: FeatureContract, realtime: FeatureContract, records: Sequence[Record]
) -> Traffic:
    """Potluck's own calls; an echo gets the very same."""
    asked = {field.name for field in realtime.request}
    described = [
        {name: value for name, value in record.items() if name in asked} for record in records
    ]
    single, key = f"/predict/{hybrid.service}", hybrid.keys[0].name
    return {
        HYBRID: [post_request(single, record) for record in records],
        REALTIME: [post_request(f"/predict/{realtime.service}", record) for record in described],
        LOOKUP: [
            ("GET", f"/lookup/{hybrid.publications[0].service}/{record[key]}", None)
            for record in records
        ],
        BATCH: [
            post_request(f"{single}/batch", {"dataframe_records": batch})
            for batch in batches(records)
        ],
    }


def feast_sdk_traffic(records: Sequence[Record]) -> Traffic:
    return {
        HYBRID: [post_request("/predict", record) for record in records],
        BATCH: [post_request("/predict/batch", batch) for batch in batches(records)],
    }


def feast_traffic(contract: FeatureContract, records: Sequence[Record]) -> Traffic:
    """Online features of the view that the nightly run publishes."""
    published: Publication = contract.publications[0]
    names, key = (
        [f"{published.view}:{feature.name}" for feature in published.features],
        published.key.name,
    )
    bodies = [{"features": names, "entities": {key: [record[key]]}} for record in records]
    return {LOOKUP: [post_request("/get-online-features", body) for body in bodies]}


def mlflow_traffic(case: str, contract: FeatureContract, rows: Sequence[Record]) -> Traffic:
    """Finished feature rows: the server knows no store."""
    names = [column.name for column in contract.columns]
    bodies = [{"dataframe_records": [{name: row[name] for name in names}]} for row in rows]
    return {case: [post_request("/invocations", body) for body in bodies]}


def mlserver_traffic(contract: Mapping[str, Any], rows: Sequence[Record]) -> Traffic:
    """Finished, encoded rows in the V2 protocol."""
    values = {
        column["name"]: [row[column["name"]] for row in rows] for column in contract["columns"]
    }
    path = f"/v2/models/{contract['service']}/infer"
    return {
        REALTIME: [
            post_request(path, {"inputs": [tensor(row)]})
            for row in Encoder(contract).matrix(values).tolist()
        ]
    }


def tensor(row: Sequence[float]) -> dict[str, Any]:
    data = [None if number != number else number for number in row]
    return {"name": "row", "shape": [1, len(row)], "datatype": "FP64", "data": data}


def post_request(path: str, body: Any) -> Request:
    return ("POST", path, json.dumps(body))


def batches(records: Sequence[Record]) -> list[list[Record]]:
    """Every record once, in batches of the same size; what is left over at the end goes round to
    the first."""
    starts = range(0, len(records), ROWS_IN_BATCH)
    return [
        [records[(start + row) % len(records)] for row in range(ROWS_IN_BATCH)] for start in starts
    ]
