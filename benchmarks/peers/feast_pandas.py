"""(a) FastAPI, Feast's SDK, pandas and a scikit-learn pipeline: the way that most tutorials go.

uvicorn --factory benchmarks.peers.feast_pandas:pandas_app
"""

from collections.abc import Sequence

import mlflow.sklearn
import numpy as np
from fastapi import FastAPI
from feast import FeatureStore
from pydantic import BaseModel

from benchmarks.peers.place import place_from_environment, record_model
from benchmarks.peers.prices_app import prices_app


def pandas_app() -> FastAPI:
    place = place_from_environment()
    contract = place.contract
    columns = [column["name"] for column in contract["columns"]]
    pipeline = mlflow.sklearn.load_model(str(place.pipeline))
    store = FeatureStore(repo_path=str(place.repo))
    service = store.get_feature_service(contract["service"])

    def prices(records: Sequence[BaseModel]) -> list[float]:
        rows = [record.model_dump() for record in records]
        table = store.get_online_features(features=service, entity_rows=rows).to_df()
        return np.exp(pipeline.predict(table[columns])).tolist()  # type: ignore[no-any-return]

    return prices_app(record_model(contract), prices)
