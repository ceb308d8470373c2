"""What /openapi.json says of the answers."""

from typing import Any

from serving.services.precomputed import PrecomputedService
from serving.services.predictor import Predictor

Schema = dict[str, Any]

STRING, NUMBER, INTEGER = {"type": "string"}, {"type": "number"}, {"type": "integer"}
NAMES = {"type": "array", "items": STRING}
DETAIL = {"type": "object", "properties": {"field": STRING, "reason": STRING}}
ERROR_PROPERTIES: Schema = {
    "error_code": STRING,
    "message": STRING,
    "details": {"type": "array", "items": DETAIL},
}
ERROR = {"type": "object", "properties": {**ERROR_PROPERTIES, "request_id": STRING}}
ROW_ERRORS = {
    "type": "array",
    "items": {"type": "object", "properties": {"row": INTEGER, **ERROR_PROPERTIES}},
}
NOTES: Schema = dict.fromkeys(("overridden", "not_found", "unseen", "imputed"), NAMES)
ROW_NOTES = {"type": "array", "items": {"type": "object", "properties": {"row": INTEGER, **NOTES}}}
RUN: Schema = {
    "model_version": STRING,
    "run_id": STRING,
    "as_of": {"type": "string", "format": "date-time"},
    "age_seconds": NUMBER,
}
JSON_TYPES = {
    "int64": "integer",
    "int32": "integer",
    "float64": "number",
    "string": "string",
    "bool": "boolean",
}
OPTIONS: Schema = {
    "details": {"type": "boolean", "description": "Add where each feature came from."}
}
"""In the URL of a record, beside the rows of a batch."""
FEATURE: Schema = {
    "type": "object",
    "properties": {
        "value": {},
        "source": {"enum": ["request", "online", "on-demand", "default", "overridden"]},
        "status": {"enum": ["PRESENT", "NULL_VALUE", "NOT_FOUND", "OUTSIDE_MAX_AGE"]},
        "event_time": {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]},
        "age_seconds": {"anyOf": [NUMBER, {"type": "null"}]},
    },
    "required": ["value", "source"],
}
FEATURES: Schema = {"type": "object", "additionalProperties": FEATURE}
PROVENANCE: Schema = {"bundle": STRING, "definition": STRING}


def prediction_type(predictor: Predictor) -> Schema:
    classes = predictor.contract.classes
    return {"enum": list(classes)} if classes else NUMBER


def probabilities_type() -> Schema:
    return {"type": "object", "additionalProperties": NUMBER}


def answer_schema(predictor: Predictor) -> Schema:
    properties = {
        "prediction": prediction_type(predictor),
        "service": STRING,
        "model_version": STRING,
        "served_by": {"const": predictor.contract.served_by},
        **NOTES,
        "features": FEATURES,
        **PROVENANCE,
        "request_id": STRING,
    }
    if predictor.contract.classes:
        properties["probabilities"] = probabilities_type()
    required = ["prediction", "service", "model_version", "served_by", "request_id"]
    return {"type": "object", "properties": properties, "required": required}


def batch_schema(predictor: Predictor) -> Schema:
    properties = {
        "predictions": {"type": "array", "items": nullable(prediction_type(predictor))},
        "errors": ROW_ERRORS,
        "notes": ROW_NOTES,
        "features": {"type": "array", "items": nullable(FEATURES)},
        **PROVENANCE,
        "service": STRING,
        "model_version": STRING,
        "served_by": {"type": "array", "items": nullable(STRING)},
        "request_id": STRING,
    }
    if predictor.contract.classes:
        properties["probabilities"] = {"type": "array", "items": nullable(probabilities_type())}
    return {"type": "object", "properties": properties}


def lookup_schema(service: PrecomputedService) -> Schema:
    common = {
        "service": STRING,
        "entity_id": {"type": JSON_TYPES[service.publication.key.dtype]},
        "served_by": STRING,
    }
    return {
        "type": "object",
        "properties": {"prediction": stored_type(service), **common, **RUN, "request_id": STRING},
    }


def lookups_schema(service: PrecomputedService) -> Schema:
    predictions = {"type": "array", "items": nullable(stored_type(service))}
    properties = {
        "predictions": predictions,
        "errors": ROW_ERRORS,
        "service": STRING,
        **RUN,
        "request_id": STRING,
    }
    return {"type": "object", "properties": properties}


def stored_type(service: PrecomputedService) -> Schema:
    dtype = next(
        field.dtype for field in service.publication.features if field.name == "prediction"
    )
    return {"type": JSON_TYPES[dtype]}


def nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}
