"""(c) FastAPI, Feast's SDK and the very Booster that Potluck serves, without pandas: (a) after a
week of profiling.

uvicorn --factory benchmarks.peers.feast_booster:booster_app
"""

from collections.abc import Sequence

import lightgbm
import numpy as np
from fastapi import FastAPI
from feast import FeatureStore
from pydantic import BaseModel

from benchmarks.peers.encoding import Encoder
from benchmarks.peers.place import place_from_environment, record_model
from benchmarks.peers.prices_app import prices_app


def booster_app() -> FastAPI:
    place = place_from_environment()
    contract = place.contract
    encoder = Encoder(contract)
    booster = lightgbm.Booster(model_file=str(place.bundle / "model.txt"))
    store = FeatureStore(repo_path=str(place.repo))
    service = store.get_feature_service(contract["service"])

    def prices(records: Sequence[BaseModel]) -> list[float]:
        rows = [record.model_dump() for record in records]
        values = store.get_online_features(features=service, entity_rows=rows).to_dict()
        logarithms = booster.predict(encoder.matrix(values), num_threads=1)
        return np.exp(logarithms).tolist()  # type: ignore[no-any-return]

    return prices_app(record_model(contract), prices)
