"""An on-demand function has to stand on its own: a bundle keeps its text and nothing around it."""

from types import SimpleNamespace
from typing import Any

import pytest

from potluck.contract.errors import DefinitionError
from potluck.stores.on_demand import check_on_demand, function_source

ALONE = '''
@on_demand_feature_view(mode="python", sources=[visit], schema=FIELDS)
def area(inputs: "Columns"):
    """Width by length."""
    import math

    def times(pair):
        return math.prod(pair)

    return {"area": [times(pair) for pair in zip(inputs["width"], inputs["length"])]}
'''
USES_A_CONSTANT = 'def area(inputs):\n    return {"area": [SCALE * width for width in inputs["width"]]}\n'
USES_AN_IMPORT = 'def area(inputs):\n    return {"area": [[np.sqrt(w) for w in inputs["width"]]]}\n'
USES_AN_ANNOTATION = "def area(inputs: Columns):\n    return inputs\n"


def view(text: str, **changed: Any) -> Any:
    transformation = SimpleNamespace(udf_string=text)
    plain = {"name": "area", "mode": "python", "singleton": False, "feature_transformation": transformation}
    return SimpleNamespace(**{**plain, **changed})


def test_a_function_that_imports_within_itself_is_taken_without_its_decorator() -> None:
    check_on_demand(view(ALONE))
    source = function_source(view(ALONE))
    assert source.startswith("def area(")
    namespace: dict[str, Any] = {}
    exec(source, namespace)
    assert namespace["area"]({"width": [2, 3], "length": [5, 7]}) == {"area": [10, 21]}


@pytest.mark.parametrize(
    ("text", "name"), [(USES_A_CONSTANT, "SCALE"), (USES_AN_IMPORT, "np"), (USES_AN_ANNOTATION, "Columns")]
)
def test_a_function_that_leans_on_its_module_is_refused_by_name(text: str, name: str) -> None:
    with pytest.raises(DefinitionError, match=f"'{name}' from outside"):
        check_on_demand(view(text))


@pytest.mark.parametrize("changed", [{"mode": "pandas"}, {"singleton": True}])
def test_another_mode_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError, match='mode="python"'):
        check_on_demand(view(ALONE, **changed))
