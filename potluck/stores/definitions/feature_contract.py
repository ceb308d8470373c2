"""One feature service of the registry -> its feature contract.

A feature service is a model's signature; nothing else lists its features.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property

from feast import FeatureService, FeatureStore, FeatureView
from feast.on_demand_feature_view import OnDemandFeatureView

from potluck.contract.features import (
    Column,
    FeatureContract,
    LookupView,
    OnDemandFunction,
    UnknownPolicy,
)
from potluck.contract.fields import Field, FieldSource
from potluck.contract.publication import Publication
from potluck.stores.definitions.object_checks import check_served, check_service
from potluck.stores.definitions.on_demand import check_on_demand, function_source, function_tree
from potluck.stores.definitions.publications import field_id, read_key
from potluck.stores.definitions.registered_objects import registered_view
from potluck.stores.definitions.service_rules import (
    check_contract,
)
from potluck.stores.definitions.tags import (
    MODEL_TAGS,
    VIEW_TAGS,
    check_tags,
    is_categorical,
    label_of,
    objective_of,
    read_field,
    split_tag,
    transform_of,
    unknown_of_service,
    unknown_of_view,
)


@dataclass(frozen=True)
class Definition:
    """What the registry says of one service that has a model."""

    contract: FeatureContract
    functions_source: str
    """The on-demand functions' own text: the bundle's `functions.py`."""


class ServiceReader:
    """One feature service, read view by view."""

    def __init__(self, store: FeatureStore, service: FeatureService) -> None:
        self.store = store
        self.service = service

    def definition(self, publications: tuple[Publication, ...]) -> Definition:
        check_tags(f"feature service {self.service.name}", self.service.tags, MODEL_TAGS)
        check_service(self.service)  # plain `feast apply` may have registered it
        objective = objective_of(self.service)
        label_source, label = label_of(self.service)
        contract = FeatureContract(
            project=self.store.project,
            service=self.service.name,
            objective=objective,
            transform=transform_of(self.service, objective),
            label_source=label_source,
            label=label,
            keys=self.keys,
            request=self.request,
            online=self.online,
            views=tuple(self.lookup_view(view) for view in self.views.values()),
            functions=tuple(self.function(view) for view in self.on_demand),
            columns=self.columns(),
            population=self.service.tags.get("population"),
            split=split_tag(self.service),
            publications=publications,
        )
        check_contract(contract)
        return Definition(
            contract, "\n\n".join(function_source(view) for view in self.on_demand) + "\n"
        )

    @cached_property
    def on_demand(self) -> list[OnDemandFeatureView]:
        known = {view.name: view for view in self.store.list_on_demand_feature_views()}
        chosen = [known[p.name] for p in self.service.feature_view_projections if p.name in known]
        for view in chosen:
            check_on_demand(view)  # plain `feast apply` may have registered it
        return chosen

    @cached_property
    def views(self) -> dict[str, FeatureView]:
        """The stored views that the service needs, its own and those below its on-demand views."""
        on_demand = {view.name for view in self.on_demand}
        direct = [p.name for p in self.service.feature_view_projections if p.name not in on_demand]
        below = [name for view in self.on_demand for name in view.source_feature_view_projections]
        views = {
            name: registered_view(self.store, name, self.service.name)
            for name in dict.fromkeys([*direct, *below])
        }
        for view in views.values():
            check_served(view)
        return views

    @cached_property
    def unknown(self) -> dict[str, UnknownPolicy]:
        """What an entity means that the store does not know, by view."""
        owner = f"feature service {self.service.name}"
        own = unknown_of_service(owner, self.service.tags, self.views)
        views = {name: self.unknown_of(view) for name, view in self.views.items()}
        return views | own

    def unknown_of(self, view: FeatureView) -> UnknownPolicy:
        owner = f"feature view {view.name}"
        check_tags(owner, view.tags or {}, VIEW_TAGS)
        return unknown_of_view(owner, view.tags or {})

    @cached_property
    def needed(self) -> dict[str, list[str]]:
        """Names that the service needs of each stored view, in the view's order."""
        projections = [p for p in self.service.feature_view_projections if p.name in self.views]
        projections += [
            p for view in self.on_demand for p in view.source_feature_view_projections.values()
        ]
        wanted = {(p.name, feature.name) for p in projections for feature in p.features}
        return {
            name: [f.name for f in view.features if (name, f.name) in wanted]
            for name, view in self.views.items()
        }

    @cached_property
    def keys(self) -> tuple[Field, ...]:
        names = dict.fromkeys(key for view in self.views.values() for key in view.join_keys)
        return tuple(read_key(self.store, name) for name in names)

    @cached_property
    def request(self) -> tuple[Field, ...]:
        sources = [
            source for view in self.on_demand for source in view.source_request_sources.values()
        ]
        fields = {
            (s.name, f.name): read_field(s.name, f, "request") for s in sources for f in s.schema
        }
        return tuple(fields.values())

    @cached_property
    def online(self) -> tuple[Field, ...]:
        return tuple(
            read_field(name, field, "online")
            for name, view in self.views.items()
            for field in view.features
            if field.name in self.needed[name]
        )

    def lookup_view(self, view: FeatureView) -> LookupView:
        features = tuple(self.needed[view.name])
        return LookupView(
            name=view.name,
            join_keys=tuple(view.join_keys),
            features=features,
            field_ids=tuple(field_id(view.name, feature) for feature in features),
            ttl_seconds=int(view.ttl.total_seconds()) if view.ttl else 0,
            unknown=self.unknown[view.name],
        )

    def function(self, view: OnDemandFeatureView) -> OnDemandFunction:
        request = [f.name for s in view.source_request_sources.values() for f in s.schema]
        looked_up = [
            f.name for p in view.source_feature_view_projections.values() for f in p.features
        ]
        return OnDemandFunction(
            name=function_tree(view).name,
            inputs=(*request, *looked_up),
            outputs=tuple(read_field(view.name, field, "on-demand") for field in view.features),
        )

    def columns(self) -> tuple[Column, ...]:
        on_demand = {view.name: view for view in self.on_demand}
        categorical = self.categorical_inputs()
        columns = []
        for projection in self.service.feature_view_projections:
            source: FieldSource = "on-demand" if projection.name in on_demand else "online"
            for feature in projection.features:
                field = read_field(projection.name, feature, source)
                category = field.name in categorical or is_categorical(projection.name, feature)
                columns.append(
                    Column(name=field.name, dtype=field.dtype, source=source, categorical=category)
                )
        return tuple(columns)

    def categorical_inputs(self) -> set[str]:
        """Names of inputs that are categories, so that a pass-through need not repeat the tag."""
        sources = [
            (s.name, f)
            for v in self.on_demand
            for s in v.source_request_sources.values()
            for f in s.schema
        ]
        sources += [(name, field) for name, view in self.views.items() for field in view.features]
        return {field.name for owner, field in sources if is_categorical(owner, field)}


def definition_hash(definition: Definition) -> str:
    """sha256 of a feature service's definition, its functions included."""
    return hashlib.sha256(
        (definition.contract.digest() + definition.functions_source).encode()
    ).hexdigest()
