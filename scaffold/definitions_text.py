"""The repo's `definitions.py` and `feature_store.yaml`."""

from scaffold.plan import ColumnChoice, Key, RepoPlan
from scaffold.python_text import (
    Expression,
    blocks,
    call_of,
    commented,
    dict_of,
    docstring,
    list_of,
    statement,
    string_of,
)

FEAST_TYPES = {"int64": "Int64", "float64": "Float64", "string": "String", "bool": "Bool"}
VALUE_TYPES = {"int64": "INT64", "string": "STRING"}

FEATURE_STORE = """\
project: {name}
provider: local
registry:
  registry_type: sql
  path: "sqlite:///?plugin=potluck"
offline_store:
  type: potluck.stores.duckdb_offline.PotluckOfflineStore
online_store:
  type: potluck.stores.online.PotluckOnlineStore
batch_engine:
  type: potluck.stores.engine.PotluckEngine
entity_key_serialization_version: 3
"""


def feature_store_text(plan: RepoPlan) -> str:
    return FEATURE_STORE.format(name=plan.name)


def definitions_text(plan: RepoPlan) -> str:
    """Write the use case in Feast's words: an entity, lookups, request fields, three services."""
    return blocks([*definitions_head(plan), *view_definitions(plan), *service_definitions(plan)])


def definitions_head(plan: RepoPlan) -> list[str]:
    title = docstring(
        f"{plan.name}: {plan.label.name}, from what a request brings and what is on record.",
        f"Written by `potluck init` from {plan.table.path.name}; yours to edit.",
    )
    choices = [*plan.of("request"), *plan.of("record")]
    used = {plan.label_dtype, *(choice.profile.dtype for choice in choices)}
    types = ", ".join(sorted(FEAST_TYPES[dtype] for dtype in used))
    classes = "Entity, FeatureService, FeatureView, Field, RequestSource, ValueType"
    imports = "\n".join(
        [
            f"from feast import {classes}",
            f"from feast.types import {types}",
            "from potluck.stores.declare import parquet, pass_through, predictions",
        ]
    )
    return [title, imports, f"PROJECT = {string_of(plan.name)}  # as in feature_store.yaml"]


def view_definitions(plan: RepoPlan) -> list[str]:
    """Write the entity, the views, and what the request brings."""
    return [
        entity_definition(plan.key),
        record_definition(plan),
        request_definition(plan),
        commented(
            "A request field becomes a column of the model by passing through.",
            "columns = pass_through(request)",
        ),
        published_definition(plan),
        commented(
            "The truth; its latest row of each entity is what the night scores.",
            'observations = parquet(PROJECT, "observations")',
        ),
    ]


def entity_definition(key: Key) -> str:
    entity = call_of(
        "Entity",
        name=string_of(key.entity),
        join_keys=f"[{string_of(key.name)}]",
        value_type=f"ValueType.{VALUE_TYPES[key.dtype]}",
    )
    return statement("entity = ", entity)


def record_definition(plan: RepoPlan) -> str:
    told = (
        f"What the store brings, by {plan.key.name}. One that it does not know is scored with "
        "missing values, and named under not_found "
        '("refuse" instead of "missing" would answer 404).'
    )
    record = call_of(
        "FeatureView",
        name=string_of(f"{plan.key.entity}_record"),
        entities="[entity]",
        schema=list_of(map(field, plan.of("record"))),
        source='parquet(PROJECT, "records")',
        tags=dict_of({"unknown": string_of("missing")}),
    )
    return commented(told, statement("record = ", record))


def request_definition(plan: RepoPlan) -> str:
    told = "What a request brings; required is what no row of the file lacked."
    request = call_of(
        "RequestSource",
        name=string_of("request"),
        schema=list_of(map(request_field, plan.of("request"))),
    )
    return commented(told, statement("request = ", request))


def published_definition(plan: RepoPlan) -> str:
    published = call_of(
        "predictions",
        "PROJECT",
        "entity",
        FEAST_TYPES[plan.label_dtype],
        string_of(f"{plan.key.entity}_predictions"),
    )
    return commented("What the night computes.", statement("published = ", published))


def field(choice: ColumnChoice, **tags: str) -> Expression:
    if choice.categorical:
        tags["categorical"] = "true"
    named: dict[str, Expression] = {
        "name": string_of(choice.name),
        "dtype": FEAST_TYPES[choice.profile.dtype],
    }
    if tags:
        named["tags"] = dict_of({tag: string_of(value) for tag, value in tags.items()})
    return call_of("Field", **named)


def request_field(choice: ColumnChoice) -> Expression:
    if choice.profile.missing:
        return field(choice)
    return field(choice, required="true")


def service_definitions(plan: RepoPlan) -> list[str]:
    """Write the three services, and the tags of a model that two of them share."""
    realtime, hybrid, batch = plan.services
    services = {
        "realtime": service_call(realtime, features="[columns]", tags="MODEL"),
        "hybrid": service_call(
            hybrid,
            features="[record, columns]",
            tags='{**MODEL, "population": "observations"}',
        ),
        "batch": service_call(
            batch,
            features="[published]",
            tags=dict_of({"scored_by": string_of(hybrid)}),
        ),
    }
    lines = [statement(f"{name} = ", call) for name, call in services.items()]
    return [statement("MODEL = ", model_tags(plan)), "\n".join(lines)]


def service_call(name: str, *, features: str, tags: Expression) -> Expression:
    return call_of("FeatureService", name=string_of(name), features=features, tags=tags)


def model_tags(plan: RepoPlan) -> Expression:
    tags: dict[str, Expression] = {
        "label": string_of(f"observations.{plan.label.name}"),
        "objective": string_of(plan.objective),
    }
    if plan.transform != "identity":
        tags["transform"] = string_of(plan.transform)
    if plan.split != "time":
        tags["split"] = string_of(plan.split)
    return dict_of(tags)
