"""The repo's `definitions.py` and `feature_store.yaml`."""

from scaffold.plan import Choice, Plan
from scaffold.python_text import (
    Expression,
    blocks,
    call,
    comment,
    docstring,
    listed,
    mapping,
    quoted,
    statement,
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


def feature_store_text(plan: Plan) -> str:
    return FEATURE_STORE.format(name=plan.name)


def definitions_text(plan: Plan) -> str:
    """The use case in Feast's words: an entity, what is looked up, what is requested, three services."""
    return blocks([*head(plan), *views(plan), *services(plan)])


def head(plan: Plan) -> list[str]:
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
    return [title, imports, f"PROJECT = {quoted(plan.name)}  # as in feature_store.yaml"]


def views(plan: Plan) -> list[str]:
    key, name = plan.key, plan.key.entity
    entity = call(
        "Entity",
        name=quoted(name),
        join_keys=f"[{quoted(key.name)}]",
        value_type=f"ValueType.{VALUE_TYPES[key.dtype]}",
    )
    record = call(
        "FeatureView",
        name=quoted(f"{name}_record"),
        entities="[entity]",
        schema=listed(field(choice) for choice in plan.of("record")),
        source='parquet(PROJECT, "records")',
        tags=mapping({"unknown": quoted("missing")}),
    )
    request = call(
        "RequestSource",
        name=quoted("request"),
        schema=listed(request_field(c) for c in plan.of("request")),
    )
    published = call(
        "predictions",
        "PROJECT",
        "entity",
        FEAST_TYPES[plan.label_dtype],
        quoted(f"{name}_predictions"),
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


def field(choice: Choice, **tags: str) -> Expression:
    if choice.categorical:
        tags["categorical"] = "true"
    named: dict[str, Expression] = {
        "name": quoted(choice.name),
        "dtype": FEAST_TYPES[choice.profile.dtype],
    }
    if tags:
        named["tags"] = mapping({tag: quoted(value) for tag, value in tags.items()})
    return call("Field", **named)


def request_field(choice: Choice) -> Expression:
    return field(choice) if choice.profile.missing else field(choice, required="true")


def services(plan: Plan) -> list[str]:
    realtime, hybrid, batch = plan.services
    tags: dict[str, Expression] = {
        "label": quoted(f"observations.{plan.label.name}"),
        "objective": quoted(plan.objective),
    }
    if plan.transform != "identity":
        tags["transform"] = quoted(plan.transform)
    if plan.split != "time":
        tags["split"] = quoted(plan.split)
    scored = '{**MODEL, "population": "observations"}'
    made = [
        (
            "realtime",
            call("FeatureService", name=quoted(realtime), features="[columns]", tags="MODEL"),
        ),
        (
            "hybrid",
            call("FeatureService", name=quoted(hybrid), features="[record, columns]", tags=scored),
        ),
        (
            "batch",
            call(
                "FeatureService",
                name=quoted(batch),
                features="[published]",
                tags=mapping({"scored_by": quoted(hybrid)}),
            ),
        ),
    ]
    lines = [statement(f"{name} = ", expression) for name, expression in made]
    return ["\n".join([statement("MODEL = ", mapping(tags))]), "\n".join(lines)]
