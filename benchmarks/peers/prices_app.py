"""The FastAPI around (a) and (c): a typed body, one record or many, prices out."""

from collections.abc import Callable, Sequence

from fastapi import FastAPI
from pydantic import BaseModel

Prices = Callable[[Sequence[BaseModel]], list[float]]


def prices_app(record: type[BaseModel], prices: Prices) -> FastAPI:
    """The coroutines block: the worker has one core, and a hop to a thread and back only costs."""
    app = FastAPI()

    @app.get("/livez")
    async def livez() -> str:
        return "alive"

    @app.post("/predict")
    async def predict(body: record) -> dict[str, float]:  # type: ignore[valid-type]
        return {"prediction": prices([body])[0]}

    @app.post("/predict/batch")
    async def predict_batch(
        body: list[record],  # type: ignore[valid-type]
    ) -> dict[str, list[float]]:
        return {"predictions": prices(body)}

    return app
