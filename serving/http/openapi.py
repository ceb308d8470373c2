"""/openapi.json with the true schema of every live service, made once for a set of champions."""

from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from potluck import __version__
from serving.bodies.batch_body import MOST_ROWS
from serving.http.answer_schemas import (
    ERROR,
    JSON_TYPES,
    OPTIONS,
    STRING,
    Schema,
    answer_schema,
    batch_schema,
    lookup_schema,
    lookups_schema,
)
from serving.loop.turns import Turns
from serving.services.champions import Champions, Live
from serving.services.precomputed import PrecomputedService
from serving.services.predictor import Predictor

ERROR_STATUSES = {
    "404": "ENTITY_NOT_FOUND or SERVICE_NOT_FOUND",
    "413": "BODY_TOO_LARGE or BATCH_TOO_LARGE",
    "422": "SCHEMA_VALIDATION",
    "429": "OVERLOADED",
    "503": "FEATURE_STORE_UNAVAILABLE or MODEL_NOT_READY",
}


class OpenApi:
    """The answer to `GET /openapi.json`."""

    path = "/openapi.json"

    def __init__(self, champions: Champions, turns: Turns) -> None:
        self.champions, self.turns = champions, turns
        self.described: Live | None = None
        self.text = b""

    async def __call__(self, _: Request) -> Response:
        live = self.champions.live
        if live is not self.described:
            async with self.turns:
                self.text, self.described = to_json(await openapi_document(live, self.turns)), live
        return Response(self.text, media_type="application/json")

    @property
    def route(self) -> Route:
        return Route(self.path, self.__call__)


async def openapi_document(live: Live, turns: Turns) -> Schema:
    """The OpenAPI 3.1 document of these services; the part of each takes milliseconds."""
    paths: Schema = {}
    for predictor in live.predictors.values():
        paths.update(predict_paths(predictor))
        await turns.over()
    for service in live.precomputed.values():
        paths.update(lookup_paths(service))
    paths.update(common_paths())
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Potluck",
            "version": __version__,
            "description": "You bring some features, the store the rest.",
        },
        "paths": paths,
        "components": {"schemas": {"Error": ERROR}},
    }


def predict_paths(predictor: Predictor) -> Schema:
    service = predictor.release.service
    record = predictor.schema.json_schema
    rows = {"type": "array", "items": record, "maxItems": MOST_ROWS}
    envelope = {
        "type": "object",
        "properties": {"dataframe_records": rows, **OPTIONS},
        "required": ["dataframe_records"],
    }
    one = operation(service, "Predict one record", answer_schema(predictor), record)
    options = [
        {"name": name, "in": "query", "required": False, "schema": schema}
        for name, schema in OPTIONS.items()
    ]
    return {
        f"/predict/{service}": {"post": {**one, "parameters": options}},
        f"/predict/{service}/batch": {
            "post": operation(
                service, f"Predict up to {MOST_ROWS} records", batch_schema(predictor), envelope
            )
        },
    }


def lookup_paths(service: PrecomputedService) -> Schema:
    name = service.publication.service
    key = {"type": JSON_TYPES[service.publication.key.dtype]}
    ids = {"type": "array", "items": {"anyOf": [key, STRING]}, "maxItems": MOST_ROWS}
    envelope = {"type": "object", "properties": {"ids": ids}, "required": ["ids"]}
    parameter = {"name": "entity_id", "in": "path", "required": True, "schema": key}
    one = operation(name, "Look one prediction up", lookup_schema(service))
    return {
        f"/lookup/{name}/{{entity_id}}": {"get": {**one, "parameters": [parameter]}},
        f"/lookup/{name}": {
            "post": operation(
                name, f"Look up to {MOST_ROWS} predictions up", lookups_schema(service), envelope
            )
        },
    }


def operation(tag: str, summary: str, answer: Schema, body: Schema | None = None) -> Schema:
    errors = {
        status: response(codes, {"$ref": "#/components/schemas/Error"})
        for status, codes in ERROR_STATUSES.items()
    }
    described: Schema = {
        "tags": [tag],
        "summary": summary,
        "responses": {"200": response("The answer", answer), **errors},
    }
    if body is not None:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": body}},
        }
    return described


def response(description: str, schema: Schema) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def common_paths() -> Schema:
    calls = {
        "/services": "The services that are live",
        "/services/{service}": "One service's contract",
        "/livez": "Whether the process lives",
        "/readyz": "Whether it can answer",
        "/metrics": "Prometheus metrics",
    }
    paths: Schema = {
        path: {"get": {"summary": text, "responses": {"200": {"description": text}}}}
        for path, text in calls.items()
    }
    parameter = {"name": "service", "in": "path", "required": True, "schema": STRING}
    unknown = response("SERVICE_NOT_FOUND", {"$ref": "#/components/schemas/Error"})
    paths["/services/{service}"]["get"]["parameters"] = [parameter]
    paths["/services/{service}"]["get"]["responses"]["404"] = unknown
    return paths
