"""Wisconsin's breast cancer data: the clinician types the means of the visit, the laboratory's spread is on record."""

from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource, RequestSource, ValueType
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Bool, Float64, Int64, String

from potluck.contract.settings import source_path

MEASURES = (
    "radius",
    "texture",
    "perimeter",
    "area",
    "smoothness",
    "compactness",
    "concavity",
    "concave_points",
    "symmetry",
    "fractal_dimension",
)


def parquet(name: str) -> FileSource:
    return FileSource(
        name=name, path=source_path("breast_cancer", name), timestamp_field="event_timestamp"
    )


diagnoses, population, slides, predictions = map(
    parquet, ("diagnoses", "population", "slides", "predictions")
)

patient = Entity(name="patient", join_keys=["patient_id"], value_type=ValueType.STRING)

slide_record = FeatureView(
    name="slide_record",
    entities=[patient],
    ttl=timedelta(days=3652),
    schema=[Field(name=f"{name}_error", dtype=Float64) for name in MEASURES]
    + [Field(name=f"worst_{name}", dtype=Float64) for name in MEASURES],
    source=slides,
)

NEEDED = ("radius", "area")
MEANS = [
    Field(name=f"mean_{name}", dtype=Float64, tags={"required": "true"} if name in NEEDED else {})
    for name in MEASURES
]
visit = RequestSource(name="visit", schema=MEANS)

# Feast wants an on-demand view's schema without tags; a pass-through keeps those of its request field.
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
    """The visit's means, a band of the mean area (pixels) and the mean radius in whole steps of two pixels."""
    names = (
        "mean_radius",
        "mean_texture",
        "mean_perimeter",
        "mean_area",
        "mean_smoothness",
        "mean_compactness",
        "mean_concavity",
        "mean_concave_points",
        "mean_symmetry",
        "mean_fractal_dimension",
    )

    def band(area):
        return "small" if area < 420 else "medium" if area < 780 else "large"

    return {
        **{name: inputs[name] for name in names},
        "size_band": [None if area is None else band(area) for area in inputs["mean_area"]],
        "radius_step": [
            None if radius is None else int(radius // 2) for radius in inputs["mean_radius"]
        ],
    }


@on_demand_feature_view(
    mode="python",
    sources=[visit, slide_record],
    schema=[Field(name="worst_to_mean_radius", dtype=Float64), Field(name="uneven", dtype=Bool)],
)
def spread(inputs):
    """How far the worst nuclei stand out from the mean; missing where either is, or where the mean is nothing."""
    pairs = list(zip(inputs["worst_radius"], inputs["mean_radius"]))
    ratios = [None if worst is None or not mean else worst / mean for worst, mean in pairs]
    return {
        "worst_to_mean_radius": ratios,
        "uneven": [None if ratio is None else ratio > 1.25 for ratio in ratios],
    }


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
