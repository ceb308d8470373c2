"""On-demand views as Feast holds them: the function's own text, and whether it stands on its own."""

import ast
import builtins
import dis
import textwrap
from types import CodeType

from feast.on_demand_feature_view import OnDemandFeatureView

from potluck.contract.errors import DefinitionError


def check_on_demand(view: OnDemandFeatureView) -> None:
    """Refuse a view that could not run from a bundle.

    Raises:
        DefinitionError: the function does not work on columns, or leans on what stands outside of it.
    """
    if str(getattr(view.mode, "value", view.mode)) != "python" or view.singleton:
        raise DefinitionError(f'on-demand view {view.name} needs mode="python" over lists, without singleton')
    check_self_contained(view)


def function_tree(view: OnDemandFeatureView) -> ast.FunctionDef:
    tree = ast.parse(textwrap.dedent(view.feature_transformation.udf_string))
    return next(node for node in tree.body if isinstance(node, ast.FunctionDef))


def check_self_contained(view: OnDemandFeatureView) -> None:
    """A bundle keeps a function's own text and nothing around it."""
    scope = compile(function_source(view), view.name, "exec")
    strangers = sorted(global_names(scope) - set(dir(builtins)) - {function_tree(view).name})
    if strangers:
        raise DefinitionError(
            f"on-demand view {view.name} uses {strangers[0]!r} from outside its function; "
            "imports and constants have to stand inside"
        )


def global_names(code: CodeType) -> set[str]:
    """Names that a code object and those within it look up outside of themselves."""
    own = {step.argval for step in dis.get_instructions(code) if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    return own.union(*(global_names(part) for part in code.co_consts if isinstance(part, CodeType)))


def function_source(view: OnDemandFeatureView) -> str:
    """The function's own text as Feast holds it, from its `def` line: the decorator is Feast's."""
    text = textwrap.dedent(view.feature_transformation.udf_string)
    node = function_tree(view)
    return "\n".join(text.splitlines()[node.lineno - 1 : node.end_lineno])
