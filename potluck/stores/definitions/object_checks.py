"""Objects of a repo held against the tables of `supported`: a sentence for each that breaks a
rule."""

from collections.abc import Iterable
from typing import Any

from feast import BatchFeatureView, FeatureService, FeatureView, FileSource, RequestSource
from feast.data_source import DataSource, PushSource

from potluck.contract.errors import DefinitionError
from potluck.stores.definitions.supported import (
    FIELD,
    FILE_SOURCE,
    PROJECTION,
    PUSH_SOURCE,
    REQUEST_SOURCE,
    SERVED_VIEW,
    SERVICE,
    VIEW,
    WHOLE,
    Rule,
)


def refuse_used(kind: str, name: str, thing: Any, rules: Iterable[Rule]) -> None:
    """Hold an object against its table.

    Raises:
        DefinitionError: it uses an option that is not supported; says what to write instead.
    """
    for rule in rules:
        if rule.used(thing):
            raise DefinitionError(
                f"{kind} {name} has {rule.option}, which is not supported; {rule.instead}"
            )


def refuse_whole(thing: Any, name: str) -> None:
    """Refuse an object of a class that Potluck does not know."""
    kind = type(thing).__name__
    instead = WHOLE.get(kind, "write a FileSource over parquet, which ingest.py may fill")
    raise DefinitionError(f"{kind} {name} is not supported; {instead}")


def check_source(source: DataSource) -> None:
    known = {FileSource: FILE_SOURCE, PushSource: PUSH_SOURCE, RequestSource: REQUEST_SOURCE}
    if type(source) not in known:
        refuse_whole(source, source.name)
    refuse_used("source", source.name, source, known[type(source)])


def check_view(view: FeatureView) -> None:
    if type(view) not in (FeatureView, BatchFeatureView):
        refuse_whole(view, view.name)
    refuse_used("feature view", view.name, view, VIEW)
    for field in view.features:
        refuse_used("field", f"{view.name}.{field.name}", field, FIELD)


def check_served(view: FeatureView) -> None:
    """A view that a service reads."""
    check_view(view)
    refuse_used("feature view", view.name, view, SERVED_VIEW)


def check_projections(owner: str, projections: Iterable[Any]) -> None:
    for projection in projections:
        refuse_used(f"{owner}: its use of", projection.name, projection, PROJECTION)


def check_service(service: FeatureService) -> None:
    refuse_used("feature service", service.name, service, SERVICE)
    check_projections(f"feature service {service.name}", service.feature_view_projections)
