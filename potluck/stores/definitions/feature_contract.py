"""One feature service of the registry -> its feature contract.

A feature service is a model's signature; nothing else lists its features.
"""

import hashlib
from collections import defaultdict
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
from potluck.stores.definitions.on_demand import (
    check_on_demand,
    function_source,
    function_tree,
    looked_up_fields,
    request_fields,
)
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
        """Make the contract, hold it against the rules, and add the functions' text.

        Args:
            publications: what the nightly run fills with this service's model.

        Raises:
            MissingStepError: the registry lacks a view or an entity of the service.
            DefinitionError: the service breaks a rule.
        """
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
            views=tuple(map(self.lookup_view, self.views.values())),
            functions=tuple(map(self.function, self.on_demand)),
            columns=self.columns(),
            population=self.service.tags.get("population"),
            split=split_tag(self.service),
            publications=publications,
        )
        check_contract(contract)
        return Definition(contract, self.functions_source())

    def functions_source(self) -> str:
        return "\n\n".join(map(function_source, self.on_demand)) + "\n"

    @cached_property
    def on_demand(self) -> list[OnDemandFeatureView]:
        """The on-demand views of the service, in its order."""
        known = {view.name: view for view in self.store.list_on_demand_feature_views()}
        used = [projection.name for projection in self.service.feature_view_projections]
        chosen = [known[name] for name in used if name in known]
        for view in chosen:
            check_on_demand(view)  # plain `feast apply` may have registered it
        return chosen

    @cached_property
    def views(self) -> dict[str, FeatureView]:
        """The stored views that the service needs, its own and those below its on-demand views."""
        on_demand = {view.name for view in self.on_demand}
        used = [projection.name for projection in self.service.feature_view_projections]
        names = [name for name in used if name not in on_demand]
        for view in self.on_demand:
            names += view.source_feature_view_projections
        views = {}
        for name in dict.fromkeys(names):
            views[name] = registered_view(self.store, name, self.service.name)
        for stored_view in views.values():
            check_served(stored_view)
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
        projections = list(self.service.feature_view_projections)
        for view in self.on_demand:
            projections += view.source_feature_view_projections.values()
        wanted: dict[str, set[str]] = defaultdict(set)
        for projection in projections:
            wanted[projection.name].update(feature.name for feature in projection.features)
        needed = {}
        for name, stored_view in self.views.items():
            held = [feature.name for feature in stored_view.features]
            needed[name] = [feature for feature in held if feature in wanted[name]]
        return needed

    @cached_property
    def keys(self) -> tuple[Field, ...]:
        names: dict[str, None] = {}  # a set that keeps its order
        for view in self.views.values():
            names |= dict.fromkeys(view.join_keys)
        return tuple(read_key(self.store, name) for name in names)

    @cached_property
    def request(self) -> tuple[Field, ...]:
        """Each request field once, however many on-demand views take it."""
        fields = {}
        for view in self.on_demand:
            for owner, field in request_fields(view):
                fields[owner, field.name] = read_field(owner, field, "request")
        return tuple(fields.values())

    @cached_property
    def online(self) -> tuple[Field, ...]:
        fields = []
        for name, view in self.views.items():
            needed = [field for field in view.features if field.name in self.needed[name]]
            fields += [read_field(name, field, "online") for field in needed]
        return tuple(fields)

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
        taken = [*request_fields(view), *looked_up_fields(view)]
        return OnDemandFunction(
            name=function_tree(view).name,
            inputs=tuple(field.name for _, field in taken),
            outputs=tuple(read_field(view.name, field, "on-demand") for field in view.features),
        )

    def columns(self) -> tuple[Column, ...]:
        """The model's columns: every feature of the service, in its order."""
        on_demand = {view.name for view in self.on_demand}
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
        inputs = []
        for view in self.on_demand:
            inputs += request_fields(view)
        for name, stored_view in self.views.items():
            inputs += [(name, field) for field in stored_view.features]
        return {field.name for owner, field in inputs if is_categorical(owner, field)}


def definition_hash(definition: Definition) -> str:
    """sha256 of a feature service's definition, its functions included."""
    text = definition.contract.digest() + definition.functions_source
    return hashlib.sha256(text.encode()).hexdigest()
