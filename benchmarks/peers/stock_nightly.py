"""The night as a team would write it with Feast as it comes: join, predict, write.

    python -m benchmarks.peers.stock_nightly REPO DATA BUNDLE ROWS AS_OF

Prints a JSON object: rows, and the seconds of each step. Nothing is staged, verified or switched:
readers see it grow.
"""

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from feast import FeatureStore

from benchmarks.peers.encoding import Encoder


def main(repo: Path, data: Path, bundle: Path, rows: int, as_of: datetime) -> None:
    contract = json.loads((bundle / "contract.json").read_bytes())
    publication = contract["publications"][0]
    (key,) = contract["keys"]
    store = FeatureStore(repo_path=str(repo))
    encoder = Encoder(contract)
    service = store.get_feature_service(contract["service"])
    booster = lightgbm.Booster(model_file=str(bundle / "model.txt"))
    request = [field["name"] for field in contract["request"]]
    source = data / f"{contract['population']}.parquet"
    table = pq.read_table(source, columns=[key["name"], *request])
    population = table.slice(0, rows).to_pandas()
    population["event_timestamp"] = as_of

    started = time.perf_counter()
    joined = store.get_historical_features(entity_df=population, features=service).to_arrow()
    features = time.perf_counter()
    values = {}
    for place, name in enumerate(joined.column_names):  # by place: a name may come twice
        values[name] = joined.column(place).to_pylist()
    prices = np.exp(booster.predict(encoder.matrix(values)))
    scored = time.perf_counter()
    predictions = pd.DataFrame(
        {
            key["name"]: values[key["name"]],
            "event_timestamp": as_of,
            "prediction": prices,
            "model_version": "1",
        }
    )
    predictions["run_id"] = "stock"
    store.write_to_online_store(publication["view"], predictions)
    written = time.perf_counter()
    seconds = {
        "features": features - started,
        "score": scored - features,
        "write": written - scored,
    }
    print(json.dumps({"rows": len(predictions), "seconds": seconds}))


if __name__ == "__main__":
    repo, data, bundle = map(Path, sys.argv[1:4])
    rows = int(sys.argv[4])
    as_of = datetime.fromisoformat(sys.argv[5]).astimezone(UTC)
    main(repo, data, bundle, rows, as_of)
