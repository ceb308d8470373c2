"""Wisconsin's breast cancer data.

The clinician types the means of the visit; the laboratory's spread is on record.
"""

from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, RequestSource, ValueType
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Bool, Float64, Int64, String

from potluck.stores.declare import parquet

MEASURES = (
    *("radius", "texture", "perimeter", "area", "smoothness", "compactness"),
    *("concavity", "concave_points", "symmetry", "fractal_dimension"),
)

# What `potluck ingest` writes: `ingest.py` gives the content of each.
diagnoses = parquet("breast_cancer", "diagnoses")
population = parquet("breast_cancer", "population")
slides = parquet("breast_cancer", "slides")
predictions = parquet("breast_cancer", "predictions")

patient = Entity(name="patient", join_keys=["patient_id"], value_type=ValueType.STRING)

slide_record = FeatureView(
    name="slide_record",
    entities=[patient],
    ttl=timedelta(days=3652),
    schema=[
        *(Field(name=f"{name}_error", dtype=Float64) for name in MEASURES),
        *(Field(name=f"worst_{name}", dtype=Float64) for name in MEASURES),
    ],
    source=slides,
)

TAGS = {"radius": {"required": "true"}, "area": {"required": "true"}}
MEANS = [Field(name=f"mean_{name}", dtype=Float64, tags=TAGS.get(name, {})) for name in MEASURES]
visit = RequestSource(name="visit", schema=MEANS)

# Feast wants an on-demand view's schema without tags. A field that an on-demand view hands on as it
# came keeps the tags of its request field.
UNTAGGED = [Field(name=field.name, dtype=field.dtype) for field in MEANS]


@on_demand_feature_view(
    mode="python",
    sources=[visit],
    schema=[
        *UNTAGGED,
        Field(name="size_band", dtype=String),
        Field(name="radius_step", dtype=Int64),
    ],
)
def means(inputs):
    """The means, a band of the mean area (pixels), and the mean radius in steps of 2 pixels."""
    names = (
        *("mean_radius", "mean_texture", "mean_perimeter", "mean_area", "mean_smoothness"),
        *("mean_compactness", "mean_concavity", "mean_concave_points", "mean_symmetry"),
        "mean_fractal_dimension",
    )

    def band(area):
        if area is None:
            return None
        if area < 420:
            return "small"
        return "medium" if area < 780 else "large"

    radii = inputs["mean_radius"]
    columns = {name: inputs[name] for name in names}
    columns["size_band"] = [band(area) for area in inputs["mean_area"]]
    columns["radius_step"] = [None if radius is None else int(radius // 2) for radius in radii]
    return columns


@on_demand_feature_view(
    mode="python",
    sources=[visit, slide_record],
    schema=[Field(name="worst_to_mean_radius", dtype=Float64), Field(name="uneven", dtype=Bool)],
)
def spread(inputs):
    """How far the worst nuclei stand out from the mean.

    Missing where either is, or where the mean is 0.
    """
    pairs = zip(inputs["worst_radius"], inputs["mean_radius"])
    ratios = [None if worst is None or not mean else worst / mean for worst, mean in pairs]
    uneven = [None if ratio is None else ratio > 1.25 for ratio in ratios]
    return {"worst_to_mean_radius": ratios, "uneven": uneven}


diagnosis_predictions = FeatureView(
    name="diagnosis_predictions",
    entities=[patient],
    schema=[
        Field(name="prediction", dtype=String),
        Field(name="probabilities", dtype=String),
        Field(name="model_version", dtype=String),
        Field(name="run_id", dtype=String),
    ],
    source=predictions,
)

MODEL = {"label": "diagnoses.diagnosis", "objective": "binary"}

breast_cancer_realtime = FeatureService(name="breast_cancer_realtime", features=[means], tags=MODEL)
breast_cancer_hybrid = FeatureService(
    name="breast_cancer_hybrid",
    features=[slide_record, means, spread],
    tags={**MODEL, "population": "population"},
)
breast_cancer_batch = FeatureService(
    name="breast_cancer_batch",
    features=[diagnosis_predictions],
    tags={"scored_by": "breast_cancer_hybrid"},
)
