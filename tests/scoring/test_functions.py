"""On-demand functions: what a bundle's code may be, and what happens when it fails."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from potluck.contract.errors import BundleError, DataError
from potluck.contract.features import OnDemandFunction
from potluck.contract.fields import Field
from potluck.scoring.functions import load_functions, run_function
from potluck.scoring.vectors import NumberVector

DOUBLED = OnDemandFunction("doubled", ("x",), (Field("twice", "float64", "on-demand"),))


def run(code: str, inputs: dict[str, Any], rows: int = 2) -> dict[str, Sequence[Any]]:
    namespace: dict[str, Any] = {}
    exec(code, namespace)
    return run_function(DOUBLED, namespace["doubled"], inputs, rows)


def test_every_function_of_the_contract_is_bound_in_its_order(parts: Any) -> None:
    bound = load_functions(parts.functions_source, parts.contract)
    assert [declared.name for declared, _ in bound] == ["pass_through", "share"]
    assert [code.__name__ for _, code in bound] == ["pass_through", "share"]


@pytest.mark.parametrize("source", ["", "def pass_through(inputs):\n    return inputs\n"])
def test_a_lacking_function_is_named(parts: Any, source: str) -> None:
    with pytest.raises(BundleError, match=r"lacks the on-demand function '(pass_through|share)'"):
        load_functions(source, parts.contract)


@pytest.mark.parametrize(
    "source", ["def (", "import nothing_of_that_name", "1 / 0", "x = {}['absent']"]
)
def test_a_text_that_does_not_run_is_refused(parts: Any, source: str) -> None:
    with pytest.raises(BundleError, match=r"functions\.py"):
        load_functions(source, parts.contract)


def test_a_contract_without_functions_needs_none(parts: Any) -> None:
    assert load_functions("", replace(parts.contract, functions=())) == []


def test_a_function_gets_lists_of_its_inputs_alone_and_gives_its_outputs_alone() -> None:
    code = (
        "def doubled(inputs):\n"
        "    assert list(inputs) == ['x'] and type(inputs['x']) is list\n"
        "    return {'twice': tuple(2 * x for x in inputs['x']), 'more': [None, None]}\n"
    )
    assert run(code, {"x": (1.0, 2.0), "y": [3.0, 4.0]}) == {"twice": [2.0, 4.0]}


def test_what_a_function_does_to_its_inputs_stays_with_it() -> None:
    values = [1.0, 2.0]
    run(
        "def doubled(inputs):\n    inputs['x'].clear()\n    return {'twice': [1.0, 2.0]}\n",
        {"x": values},
    )
    assert values == [1.0, 2.0]


@pytest.mark.parametrize("values", ["[]", "[1.0]", "[1.0, 2.0, 3.0]"])
def test_another_number_of_values_is_refused(values: str) -> None:
    with pytest.raises(DataError, match=r"doubled gave \d values of twice for 2 rows"):
        run(f"def doubled(inputs):\n    return {{'twice': {values}}}\n", {"x": [1.0, 2.0]})


@pytest.mark.parametrize(
    "body",
    [
        "1 / 0",
        "return None",
        "return {}",
        "return {'twice': 5.0}",
        "return {'twice': None}",
        "raise ValueError",
    ],
)
def test_a_function_that_fails_is_named(body: str) -> None:
    with pytest.raises(DataError, match="on-demand function doubled failed"):
        run(f"def doubled(inputs):\n    {body}\n", {"x": [1.0, 2.0]})


def test_a_failure_does_not_repeat_a_value_of_the_request() -> None:
    with pytest.raises(DataError) as caught:
        run(
            "def doubled(inputs):\n    raise ValueError(inputs['x'])\n",
            {"x": ["a secret", "another"]},
        )
    assert "secret" not in str(caught.value)


def test_an_input_that_is_not_there_is_a_failure_of_the_function() -> None:
    with pytest.raises(DataError, match="doubled"):
        run("def doubled(inputs):\n    return {'twice': inputs['x']}\n", {"y": [1.0, 2.0]})


X = NumberVector(np.array([1.0, math.nan]), "int64")


@pytest.mark.parametrize(
    ("body", "passed_through", "twice"),
    [
        ("return {'twice': inputs['x']}", True, [1, None]),
        ("return {'twice': list(inputs['x'])}", False, [1, None]),
        ("inputs['x'][0] = 5; return {'twice': inputs['x']}", False, [5, None]),
        ("inputs['x'].reverse(); return {'twice': inputs['x']}", False, [None, 1]),
        ("inputs['x'] = [2, 3]; return {'twice': inputs['x']}", False, [2, 3]),
    ],
)
def test_a_vector_passes_through_as_it_is_unless_it_was_changed(
    body: str, passed_through: bool, twice: list[int | None]
) -> None:
    given = run(f"def doubled(inputs): {body}", {"x": X})["twice"]
    assert (given is X) == passed_through
    assert list(given) == twice
    assert list(X) == [1, None], "what a function does to its list is its own affair"
