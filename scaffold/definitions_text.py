"""The repo's `definitions.py` and `feature_store.yaml`."""

from scaffold.plan import ColumnChoice, RepoPlan
from scaffold.python_text import (
    Expression,
    blocks,
    call_of,
    comment,
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
    """The use case in Feast's words: an entity, what is looked up, what is requested, three services."""
    return blocks([*definitions_head(plan), *view_definitions(plan), *service_definitions(plan)])


def definitions_head(plan: RepoPlan) -> list[str]:
    title = docstring(
        f"{plan.name}: {plan.label.name}, from what a request brings and what is on record.",
        f"Written by `potluck init` from {plan.table.path.name}; yours to edit.",
    )
    used = {choice.profile.dtype for choice in [*plan.of("request"), *plan.of("record")]} | {
        plan.label_dtype
    }
    types = ", ".join(sorted(FEAST_TYPES[dtype] for dtype in used))
    imports = "\n".join(
        [
            "from feast import Entity, FeatureService, FeatureView, Field, RequestSource, ValueType",
            f"from feast.types import {types}",
            "from potluck.stores.declare import parquet, pass_through, predictions",
        ]
    )
    return [title, imports, f"PROJECT = {string_of(plan.name)}  # as in feature_store.yaml"]


def view_definitions(plan: RepoPlan) -> list[str]:
    key, name = plan.key, plan.key.entity
    entity = call_of(
        "Entity",
        name=string_of(name),
        join_keys=f"[{string_of(key.name)}]",
        value_type=f"ValueType.{VALUE_TYPES[key.dtype]}",
    )
    record = call_of(
        "FeatureView",
        name=string_of(f"{name}_record"),
        entities="[entity]",
        schema=list_of(field(choice) for choice in plan.of("record")),
        source='parquet(PROJECT, "records")',
        tags=dict_of({"unknown": string_of("missing")}),
    )
    request = call_of(
        "RequestSource",
        name=string_of("request"),
        schema=list_of(request_field(c) for c in plan.of("request")),
    )
    published = call_of(
        "predictions",
        "PROJECT",
        "entity",
        FEAST_TYPES[plan.label_dtype],
        string_of(f"{name}_predictions"),
    )
    told = f"What the store brings, by {key.name}. One that it does not know is scored with missing values"
    return [
        statement("entity = ", entity),
        comment(
            f'{told}, and named under not_found ("refuse" instead of "missing" would answer 404).'
        )
        + "\n"
        + statement("record = ", record),
        comment("What a request brings; required is what no row of the file lacked.")
        + "\n"
        + statement("request = ", request),
        comment("A request field becomes a column of the model by passing through.")
        + "\n"
        + "columns = pass_through(request)",
        comment("What the night computes.") + "\n" + statement("published = ", published),
        comment("The truth; its latest row of each entity is what the night scores.")
        + "\n"
        + 'observations = parquet(PROJECT, "observations")',
    ]


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
    return field(choice) if choice.profile.missing else field(choice, required="true")


def service_definitions(plan: RepoPlan) -> list[str]:
    realtime, hybrid, batch = plan.services
    tags: dict[str, Expression] = {
        "label": string_of(f"observations.{plan.label.name}"),
        "objective": string_of(plan.objective),
    }
    if plan.transform != "identity":
        tags["transform"] = string_of(plan.transform)
    if plan.split != "time":
        tags["split"] = string_of(plan.split)
    scored = '{**MODEL, "population": "observations"}'
    made = [
        (
            "realtime",
            call_of("FeatureService", name=string_of(realtime), features="[columns]", tags="MODEL"),
        ),
        (
            "hybrid",
            call_of(
                "FeatureService", name=string_of(hybrid), features="[record, columns]", tags=scored
            ),
        ),
        (
            "batch",
            call_of(
                "FeatureService",
                name=string_of(batch),
                features="[published]",
                tags=dict_of({"scored_by": string_of(hybrid)}),
            ),
        ),
    ]
    lines = [statement(f"{name} = ", expression) for name, expression in made]
    return ["\n".join([statement("MODEL = ", dict_of(tags))]), "\n".join(lines)]
