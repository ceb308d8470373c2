"""On-demand views as Feast holds them: the function's own text, and whether it stands on its
own."""

import ast
import builtins
import dis
import textwrap
from types import CodeType

from feast import Field
from feast.on_demand_feature_view import OnDemandFeatureView

from potluck.contract.errors import DefinitionError
from potluck.stores.definitions.object_checks import check_projections, refuse_used
from potluck.stores.definitions.supported import ON_DEMAND_VIEW


def check_on_demand(view: OnDemandFeatureView) -> None:
    """Refuse a view that could not run from a bundle.

    Raises:
        DefinitionError: the view uses an option that is not supported, or its function does not
            work on columns, or leans on what stands outside of it.
    """
    refuse_used("on-demand view", view.name, view, ON_DEMAND_VIEW)
    check_projections(f"on-demand view {view.name}", view.source_feature_view_projections.values())
    check_decorators(view)
    check_self_contained(view)


def function_tree(view: OnDemandFeatureView) -> ast.FunctionDef:
    """Find the definition of the view's function.

    Raises:
        DefinitionError: the view has no function that was written with `def`.
    """
    text = getattr(view.feature_transformation, "udf_string", "") or ""
    for node in parsed(text):
        if isinstance(node, ast.FunctionDef):
            return node
    raise DefinitionError(
        f"on-demand view {view.name} has no function of its own text; "
        'write it with def under @on_demand_feature_view(mode="python", …)'
    )


def parsed(text: str) -> list[ast.stmt]:
    try:
        return ast.parse(textwrap.dedent(text)).body
    except SyntaxError:  # a lambda in the middle of a call
        return []


def check_decorators(view: OnDemandFeatureView) -> None:
    """Refuse a second decorator: it would be in force here and not where the model is served."""
    if len(function_tree(view).decorator_list) > 1:
        raise DefinitionError(
            f"on-demand view {view.name} has a second decorator, which a bundle does not keep; "
            "do within the function what it does"
        )


def check_self_contained(view: OnDemandFeatureView) -> None:
    """Refuse names from outside: a bundle keeps a function's own text and nothing around it."""
    scope = compile(function_source(view), view.name, "exec")
    strangers = sorted(global_names(scope) - set(dir(builtins)) - {function_tree(view).name})
    if strangers:
        raise DefinitionError(
            f"on-demand view {view.name} uses {strangers[0]!r} from outside its function; "
            "imports and constants have to stand inside"
        )


def global_names(code: CodeType) -> set[str]:
    """Find the names that a code object and those within it look up outside of themselves."""
    own = {
        step.argval
        for step in dis.get_instructions(code)
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")
    }
    return own.union(*(global_names(part) for part in code.co_consts if isinstance(part, CodeType)))


def function_source(view: OnDemandFeatureView) -> str:
    """The function's own text as Feast holds it, from its `def` line: the decorator is Feast's."""
    text = textwrap.dedent(view.feature_transformation.udf_string)
    node = function_tree(view)
    return "\n".join(text.splitlines()[node.lineno - 1 : node.end_lineno])


def request_fields(view: OnDemandFeatureView) -> list[tuple[str, Field]]:
    """Return the request fields that a view takes, each with the name of its request source."""
    found = []
    for source in view.source_request_sources.values():
        found += [(source.name, field) for field in source.schema]
    return found


def looked_up_fields(view: OnDemandFeatureView) -> list[tuple[str, Field]]:
    """Return the stored features that a view takes, each with the name of its feature view."""
    found = []
    for projection in view.source_feature_view_projections.values():
        found += [(projection.name, field) for field in projection.features]
    return found
