"""Tags carry what Feast has no field for. Every tag is checked, and one that nobody knows is an
error."""

import math
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, get_args

from potluck.contract.errors import DefinitionError
from potluck.contract.features import Objective, SplitKind, Transform, UnknownPolicy
from potluck.contract.fields import (
    LARGEST_OF,
    REQUEST_TIME,
    DType,
    Field,
    FieldSource,
    Literals,
)

if TYPE_CHECKING:
    import feast

MODEL_TAGS = frozenset({"label", "objective", "transform", "population", "split", "unknown"})
PRECOMPUTED_TAGS = frozenset({"scored_by"})
VIEW_TAGS = frozenset({"unknown"})
FIELD_TAGS = frozenset({"required", "default", "categorical"})
NO_TAGS: frozenset[str] = frozenset()
NUMBER_DTYPES = ("int64", "int32", "float64")
DTYPES: dict[str, DType] = {
    "Int64": "int64",
    "Int32": "int32",
    "Float64": "float64",
    "String": "string",
    "Bool": "bool",
}


def check_tags(owner: str, tags: Mapping[str, str], known: frozenset[str]) -> None:
    strangers = sorted(set(tags) - known)
    if strangers:
        expected = ", ".join(sorted(known)) or "none"
        raise DefinitionError(
            f"{owner} has the tag {strangers[0]!r}, which means nothing here; expected {expected}"
        )


def objective_of(service: "feast.FeatureService") -> Objective:
    found = service.tags.get("objective")
    for choice in get_args(Objective):
        if found == choice:
            return choice  # type: ignore[no-any-return]
    raise DefinitionError(
        f"{service.name} needs the tag objective, one of {', '.join(get_args(Objective))}; it has "
        f"{found!r}"
    )


def transform_of(service: "feast.FeatureService", objective: Objective) -> Transform:
    found = service.tags.get("transform", "identity")
    if found == "identity":
        return "identity"
    if found != "log":
        raise DefinitionError(
            f"{service.name}: expected the tag transform to be identity or log, got {found!r}"
        )
    if objective != "regression":
        raise DefinitionError(
            f"{service.name}: the transform log goes with a regression, not with {objective}"
        )
    return "log"


def split_tag(service: "feast.FeatureService") -> SplitKind:
    """Which rows the service's model is measured on, where `train` is not told otherwise."""
    found = service.tags.get("split", "time")
    for choice in get_args(SplitKind):
        if found == choice:
            return choice  # type: ignore[no-any-return]
    raise DefinitionError(
        f"{service.name}: expected the tag split to be one of {', '.join(get_args(SplitKind))}; "
        f"got {found!r}"
    )


def label_of(service: "feast.FeatureService") -> tuple[str, str]:
    """Return source and column of the label."""
    source, dot, column = service.tags.get("label", "").partition(".")
    if not (source and dot and column):
        raise DefinitionError(
            f"{service.name} needs the tag label as source.column, as in sales.price"
        )
    return source, column


def unknown_of_view(owner: str, tags: Mapping[str, str]) -> UnknownPolicy:
    """Read what a view's own tag says of an entity that the store does not know."""
    return policy(owner, tags.get("unknown", "refuse"))


def unknown_of_service(
    owner: str, tags: Mapping[str, str], views: Collection[str]
) -> dict[str, UnknownPolicy]:
    """Read what a service's tag says, by view: it goes before the views' own tags.

    Raises:
        DefinitionError: it is no policy, or names a view that the service does not look up.
    """
    text = tags.get("unknown")
    if text is None:
        return {}
    if "=" not in text:
        return dict.fromkeys(views, policy(owner, text))
    found: dict[str, UnknownPolicy] = {}
    for part in text.split(","):
        view, _, says = (piece.strip() for piece in part.partition("="))
        if view not in views or view in found:
            raise DefinitionError(
                f"{owner}: expected the tag unknown to name each looked-up view at most once, "
                f"any of {', '.join(sorted(views)) or 'none'}; got {part.strip()!r}"
            )
        found[view] = policy(owner, says)
    return found


def policy(owner: str, text: str) -> UnknownPolicy:
    for choice in get_args(UnknownPolicy):
        if text == choice:
            return choice  # type: ignore[no-any-return]
    raise DefinitionError(
        f"{owner}: expected the tag unknown to be refuse or missing "
        f"(on a service also view=missing,other=refuse), got {text!r}"
    )


def dtype_of(owner: str, field: "feast.Field") -> DType:
    declared = str(field.dtype)
    if declared not in DTYPES:
        raise DefinitionError(
            f"{owner}.{field.name} is declared {declared}; expected one of {', '.join(DTYPES)} "
            "(Float32 does not come back from the online store as it went in: use Float64)"
        )
    return DTYPES[declared]


def read_field(owner: str, field: "feast.Field", source: FieldSource) -> Field:
    """Convert a Feast field and its tags to a field of the contract."""
    tags = field.tags or {}
    check_tags(f"field {owner}.{field.name}", tags, FIELD_TAGS)
    dtype = dtype_of(owner, field)
    required = flag(f"{owner}.{field.name}", tags, "required")
    default = read_default(f"{owner}.{field.name}", tags.get("default"), dtype)
    return Field(name=field.name, dtype=dtype, source=source, required=required, default=default)


def is_categorical(owner: str, field: "feast.Field") -> bool:
    """Tell whether a field is a category: text always is, a number where its tag says so."""
    return dtype_of(owner, field) == "string" or flag(
        f"{owner}.{field.name}", field.tags or {}, "categorical"
    )


def flag(owner: str, tags: Mapping[str, str], name: str) -> bool:
    value = tags.get(name, "false")
    if value not in ("true", "false"):
        raise DefinitionError(
            f"{owner}: expected the tag {name} to be true or false, got {value!r}"
        )
    return value == "true"


def read_default(owner: str, text: str | None, dtype: DType) -> Literals | None:
    if text is None or (text in REQUEST_TIME and dtype in NUMBER_DTYPES):
        return text
    try:
        return parse_literal(text, dtype)
    except (ValueError, KeyError, OverflowError):
        raise DefinitionError(
            f"{owner}: expected the tag default to be of type {dtype} or one of "
            f"{', '.join(REQUEST_TIME)}, got {text!r}"
        ) from None


def parse_literal(text: str, dtype: DType) -> Literals:
    """Parse a tag's text as a value of the field's type.

    Raises:
        ValueError, KeyError: it is none, or one that a contract can't hold.
    """
    if text in REQUEST_TIME:
        raise ValueError
    if dtype == "string":
        return text
    if dtype == "bool":
        return {"true": True, "false": False}[text]
    number = float(text) if dtype == "float64" else int(text)
    if not math.isfinite(number) or (dtype != "float64" and abs(number) > LARGEST_OF[dtype]):
        raise ValueError
    return number
