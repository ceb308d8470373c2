"""What changed between a bundle's contract and today's registry."""

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from potluck.contract.features import FeatureContract
from potluck.contract.fields import Field
from potluck.stores.definitions.feature_contract import Definition


@dataclass(frozen=True)
class Changes:
    """Fields and functions of a bundle that are defined otherwise today."""

    fields: frozenset[str]
    """Request and looked-up fields whose type, default, view or keys changed, or that are gone."""
    outputs: frozenset[str]
    """Outputs of on-demand functions whose source or type changed, or that are gone."""


def find_changes(contract: FeatureContract, functions_source: str, today: Definition) -> Changes:
    """Compare a bundle with today's registry.

    The contract does not name a view's data source, so a source that was exchanged for another one
    of the same columns is not seen here.

    Args:
        functions_source: the bundle's `functions.py`.
    """
    before, now = origins(contract), origins(today.contract)
    fields = {name for name, origin in before.items() if now.get(name) != origin}
    code_before, code_now = function_texts(functions_source), function_texts(today.functions_source)
    kept = {
        (function.name, output.name): output.dtype
        for function in today.contract.functions
        for output in function.outputs
    }
    outputs = set()
    for function in contract.functions:
        is_kept = code_before.get(function.name) == code_now.get(function.name)
        for output in function.outputs:
            if not is_kept or kept.get((function.name, output.name)) != output.dtype:
                outputs.add(output.name)
    return Changes(frozenset(fields), frozenset(outputs))


Origin = tuple[object, ...]


def origins(contract: FeatureContract) -> dict[str, Origin]:
    """Return for each input what its value depends on."""
    found: dict[str, Origin] = {}
    for field in contract.request:
        found[field.name] = origin(field)
    fields = {field.name: field for field in contract.online}
    for view in contract.views:
        for name in view.features:
            found[name] = (*origin(fields[name]), view.name, view.join_keys)
    return found


def origin(field: Field) -> Origin:
    # The types of the defaults as well: 0 == False == 0.0.
    return field.source, field.dtype, type(field.default), field.default


def function_texts(source: str) -> dict[str, str]:
    """Return each function's text without its comments and layout."""
    nodes: Sequence[ast.stmt] = ast.parse(source).body
    return {node.name: ast.unparse(node) for node in nodes if isinstance(node, ast.FunctionDef)}
