"""An on-demand function has to stand on its own: a bundle keeps its text and nothing around it."""

from typing import Any

import pytest
from feast import Field, RequestSource
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.transformation.python_transformation import PythonTransformation
from feast.types import Float64

from potluck.contract.errors import DefinitionError
from potluck.stores.definitions.on_demand import check_on_demand, function_source

ALONE = '''
@on_demand_feature_view(mode="python", sources=[visit], schema=FIELDS)
def area(inputs: "Columns"):
    """Width by length."""
    import math

    def times(pair):
        return math.prod(pair)

    return {"area": [times(pair) for pair in zip(inputs["width"], inputs["length"])]}
'''
USES_A_CONSTANT = (
    'def area(inputs):\n    return {"area": [SCALE * width for width in inputs["width"]]}\n'
)
USES_AN_IMPORT = 'def area(inputs):\n    return {"area": [[np.sqrt(w) for w in inputs["width"]]]}\n'
USES_AN_ANNOTATION = "def area(inputs: Columns):\n    return inputs\n"


def view(text: str, **changed: Any) -> OnDemandFeatureView:
    def nothing(inputs: Any) -> Any:
        return inputs

    sides = RequestSource(
        name="sides", schema=[Field(name=name, dtype=Float64) for name in ("width", "length")]
    )
    plain = {
        "name": "area",
        "mode": "python",
        "sources": [sides],
        "schema": [Field(name="area", dtype=Float64)],
        "feature_transformation": PythonTransformation(udf=nothing, udf_string=text),
    }
    return OnDemandFeatureView(**{**plain, **changed})


def test_a_function_that_imports_within_itself_is_taken_without_its_decorator() -> None:
    check_on_demand(view(ALONE))
    source = function_source(view(ALONE))
    assert source.startswith("def area(")
    namespace: dict[str, Any] = {}
    exec(source, namespace)
    assert namespace["area"]({"width": [2, 3], "length": [5, 7]}) == {"area": [10, 21]}


@pytest.mark.parametrize(
    ("text", "name"),
    [(USES_A_CONSTANT, "SCALE"), (USES_AN_IMPORT, "np"), (USES_AN_ANNOTATION, "Columns")],
)
def test_a_function_that_leans_on_its_module_is_refused_by_name(text: str, name: str) -> None:
    with pytest.raises(DefinitionError, match=f"'{name}' from outside"):
        check_on_demand(view(text))


@pytest.mark.parametrize("changed", [{"mode": "pandas"}, {"singleton": True}])
def test_another_mode_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError, match='mode="python"'):
        check_on_demand(view(ALONE, **changed))


def test_a_function_without_a_name_is_refused() -> None:
    with pytest.raises(
        DefinitionError, match="area has no function of its own text; write it with def"
    ):
        check_on_demand(view("area = view(udf=lambda inputs: inputs, mode='python')"))


def test_a_second_decorator_is_refused_as_a_bundle_would_lose_it() -> None:
    with pytest.raises(DefinitionError, match="area has a second decorator"):
        check_on_demand(view(ALONE.replace("def area", "@cached\ndef area")))
