"""Fisher's irises: sepals are measured by the visitor, petals are on record."""

from feast import Entity, FeatureService, FeatureView, Field, RequestSource, ValueType
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float64, String

from potluck.stores.declare import parquet

# What `potluck ingest` writes: `ingest.py` gives the content of each.
observations = parquet("iris", "observations")
population = parquet("iris", "population")
petals = parquet("iris", "petals")
predictions = parquet("iris", "predictions")

flower = Entity(name="flower", join_keys=["flower_id"], value_type=ValueType.INT64)

petal_record = FeatureView(
    name="petal_record",
    entities=[flower],
    schema=[Field(name="petal_length", dtype=Float64), Field(name="petal_width", dtype=Float64)],
    source=petals,
)

SEPALS = [
    Field(name="sepal_length", dtype=Float64, tags={"required": "true"}),
    Field(name="sepal_width", dtype=Float64),
]
visit = RequestSource(name="visit", schema=SEPALS)

# Feast wants an on-demand view's schema without tags. A field that an on-demand view hands on as it
# came keeps the tags of its request field.
UNTAGGED = [Field(name=field.name, dtype=field.dtype) for field in SEPALS]


@on_demand_feature_view(
    mode="python", sources=[visit], schema=[*UNTAGGED, Field(name="sepal_area", dtype=Float64)]
)
def sepals(inputs):
    """The visitor's measurements (cm), and their area (cm²)."""
    pairs = zip(inputs["sepal_length"], inputs["sepal_width"])
    return {
        "sepal_length": inputs["sepal_length"],
        "sepal_width": inputs["sepal_width"],
        "sepal_area": [None if None in pair else pair[0] * pair[1] for pair in pairs],
    }


@on_demand_feature_view(
    mode="python",
    sources=[visit, petal_record],
    schema=[Field(name="petal_to_sepal_length", dtype=Float64)],
)
def proportions(inputs):
    """Petal length as a share of sepal length.

    Missing where either is, or where the sepal has no length.
    """
    pairs = zip(inputs["petal_length"], inputs["sepal_length"])
    shares = [None if petal is None or not sepal else petal / sepal for petal, sepal in pairs]
    return {"petal_to_sepal_length": shares}


species_predictions = FeatureView(
    name="species_predictions",
    entities=[flower],
    schema=[
        Field(name="prediction", dtype=String),
        Field(name="probabilities", dtype=String),
        Field(name="model_version", dtype=String),
        Field(name="run_id", dtype=String),
    ],
    source=predictions,
)

MODEL = {"label": "observations.species", "objective": "multiclass"}

iris_realtime = FeatureService(name="iris_realtime", features=[sepals], tags=MODEL)
iris_hybrid = FeatureService(
    name="iris_hybrid",
    features=[petal_record, sepals, proportions],
    tags={**MODEL, "population": "population"},
)
iris_batch = FeatureService(
    name="iris_batch", features=[species_predictions], tags={"scored_by": "iris_hybrid"}
)
