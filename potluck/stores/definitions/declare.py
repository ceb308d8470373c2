"""Short forms for a repo's `definitions.py`: each makes a plain Feast object, and nothing that
Feast does not know."""

import keyword
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from feast import Entity, FeatureView, Field, FileSource, RequestSource
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.transformation.python_transformation import PythonTransformation
from feast.types import Float64, Int32, Int64, String

from potluck.contract.publication import PREDICTION, published_row
from potluck.contract.settings import source_path

COMPUTED = {Int32: Int64}
"""Feast takes every whole number that a function gives for an Int64."""


def parquet(project: str, name: str) -> FileSource:
    """Declare the source that `ingest` writes under this name.

    Args:
        project: as in `feature_store.yaml`.
    """
    return FileSource(name=name, path=source_path(project, name), timestamp_field="event_timestamp")


def pass_through(request: RequestSource, name: str | None = None) -> OnDemandFeatureView:
    """An on-demand view that puts every field of a request out as it came: each becomes a column of
    the model.

    Args:
        name: of the view; by default the request's, with `_columns` behind it.
    """
    name = name or f"{request.name}_columns"
    function = function_name(name)
    text = as_it_came(function, [field.name for field in request.schema])
    # Feast's decorator names this module too: a function of `__main__` is pickled by value.
    scope: dict[str, Any] = {"__name__": "__main__"}
    exec(text, scope)  # noqa: S102 - the text above, with quoted names
    schema = []
    for field in request.schema:
        dtype = COMPUTED.get(field.dtype, field.dtype)
        schema.append(Field(name=field.name, dtype=dtype))
    return OnDemandFeatureView(
        name=name,
        mode="python",
        sources=[request],
        schema=schema,
        feature_transformation=PythonTransformation(udf=scope[function], udf_string=text),
    )


def as_it_came(function: str, fields: Sequence[str]) -> str:
    """Write the text of a function that gives back each of these fields."""
    head = f'def {function}(inputs):\n    """What the request says, as it came."""\n'
    lines = "".join(f"        {field!r}: inputs[{field!r}],\n" for field in fields)
    return f"{head}    return {{\n{lines}    }}\n"


def function_name(name: str) -> str:
    """Turn a view's name into Python's: a view may begin with a digit, or hold a hyphen."""
    plain = re.sub(r"\W", "_", name)
    return f"f_{plain}" if plain[:1].isdigit() or keyword.iskeyword(plain) else plain


def predictions(
    project: str, entity: Entity, label: Any = Float64, name: str | None = None
) -> FeatureView:
    """Declare the view into which the nightly run publishes.

    Its source, the history of predictions, has the view's name.

    Args:
        label: Feast type of the label; anything but Float64 also keeps the classes' probabilities.
        name: of the view; by default the entity's, with `_predictions` behind it.
    """
    name = name or f"{entity.name}_predictions"
    # Text holds the probabilities of classes (as JSON), the version and the run.
    types = dict.fromkeys(published_row("string", with_probabilities=label != Float64), String)
    types[PREDICTION] = label
    schema = [Field(name=feature, dtype=dtype) for feature, dtype in types.items()]
    return FeatureView(
        name=name,
        entities=[entity],
        schema=schema,
        source=parquet(project, name),
        ttl=timedelta(0),
        online=True,
    )
