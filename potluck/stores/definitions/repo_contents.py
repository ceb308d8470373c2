"""What a repo's Python files define, held against the tables of `supported` before Feast registers
it."""

import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from feast import Entity, FeatureService, FeatureView, RequestSource
from feast.data_source import DataSource, PushSource
from feast.feature_view import DUMMY_ENTITY_NAME
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.repo_contents import RepoContents
from feast.repo_operations import get_repo_files, parse_repo, py_path_to_module
from feast.saved_dataset import SavedDataset, ValidationReference

from potluck.contract.errors import DefinitionError, PotluckError
from potluck.stores.definitions.object_checks import (
    check_served,
    check_service,
    check_source,
    check_view,
    refuse_used,
    refuse_whole,
)
from potluck.stores.definitions.on_demand import check_on_demand
from potluck.stores.definitions.repo import one_line
from potluck.stores.definitions.supported import DEFINED_VIEW, ENTITY, FIELD
from potluck.stores.definitions.tags import (
    FIELD_TAGS,
    NO_TAGS,
    VIEW_TAGS,
    check_tags,
    unknown_of_view,
)

NAME = re.compile(r"\w[\w.-]*")
"""What may stand in a URL, in a file's name and in a Redis key alike."""

HINTS = {
    "may only have a single join key": (
        "write one Entity for each key, and name them all in the view's entities"
    ),
    "batch_source needs to be specified": "give the push source a FileSource as batch_source",
    "need a batch source": (
        "give it a FileSource; what is pushed goes through a FeatureView over a PushSource"
    ),
}
"""What to write instead, where Feast refuses an object before Potluck sees it."""


def read_contents(repo: Path) -> RepoContents:
    """Import the repo's files and collect what they define.

    Raises:
        DefinitionError: a file can't be imported, or Feast refuses an object.
    """
    try:
        contents = parse_repo(repo)
    except PotluckError:
        raise
    except Exception as error:
        said = one_line(error)
        hint = next((f"; {instead}" for part, instead in HINTS.items() if part in said), "")
        raise DefinitionError(
            f"Feast can't read the definitions in {repo}: {type(error).__name__}: {said}{hint}"
        ) from error
    for name, thing in overlooked(repo):
        refuse_whole(thing, name)
    return contents


def overlooked(repo: Path) -> Iterator[tuple[str, Any]]:
    """Yield objects of the repo that Feast does not collect."""
    for file in get_repo_files(repo):
        for thing in vars(sys.modules[py_path_to_module(file)]).values():
            if isinstance(thing, SavedDataset | ValidationReference):
                yield thing.name, thing


def check_contents(contents: RepoContents, project: str) -> None:
    """Refuse what Potluck does not support, by object and option.

    Raises:
        DefinitionError: the first thing that is not supported, and what to write instead.
    """
    for thing in (*contents.stream_feature_views, *contents.label_views, *contents.permissions):
        refuse_whole(thing, thing.name)
    check_projects(contents, project)
    for source in all_sources(contents):
        check_source(source)
        check_named("source", source.name, source.tags)
        if isinstance(source, RequestSource):
            for field in source.schema:
                check_field(source.name, field)
    check_entities(contents)
    for view in contents.feature_views:
        check_stored_view(view)
    for view in contents.on_demand_feature_views:
        check_on_demand(view)
        check_named("on-demand view", view.name, view.tags)
    check_services(contents)


def check_projects(contents: RepoContents, project: str) -> None:
    for found in contents.projects:
        check_tags(f"project {found.name}", found.tags, NO_TAGS)
        if found.name != project or len(contents.projects) > 1:
            raise DefinitionError(
                f"expected no Project but that of feature_store.yaml, {project}; got {found.name}; "
                "take it out"
            )


def all_sources(contents: RepoContents) -> list[DataSource]:
    """Collect the sources of module level, and those that stand within a view."""
    found = list(contents.data_sources)
    for view in contents.on_demand_feature_views:
        found += view.source_request_sources.values()
    pushed = [source for source in found if isinstance(source, PushSource)]
    found += [source.batch_source for source in pushed if source.batch_source]
    unique = list({id(source): source for source in found}.values())
    refuse_alike("source", unique)
    return unique


def check_named(kind: str, name: str, tags: Any, known: frozenset[str] = NO_TAGS) -> None:
    check_tags(f"{kind} {name}", tags or {}, known)


def check_field(owner: str, field: Any) -> None:
    refuse_used("field", f"{owner}.{field.name}", field, FIELD)
    check_tags(f"field {owner}.{field.name}", field.tags or {}, FIELD_TAGS)


def check_entities(contents: RepoContents) -> None:
    own = [entity for entity in contents.entities if entity.name != DUMMY_ENTITY_NAME]
    refuse_alike("entity", own)
    types: dict[str, Entity] = {}
    for entity in own:
        refuse_used("entity", entity.name, entity, ENTITY)
        check_named("entity", entity.name, entity.tags)
        other = types.setdefault(entity.join_key, entity)
        if other.value_type != entity.value_type:
            raise DefinitionError(
                f"entities {other.name} and {entity.name} have the join key {entity.join_key} in "
                "two types; give both the same value_type, or one another join key"
            )


def check_stored_view(view: FeatureView) -> None:
    check_view(view)
    refuse_used("feature view", view.name, view, DEFINED_VIEW)
    check_named("feature view", view.name, view.tags, VIEW_TAGS)
    unknown_of_view(f"feature view {view.name}", view.tags or {})
    if not NAME.fullmatch(view.name):
        refuse_name("feature view", view.name)
    for field in view.features:
        check_field(view.name, field)
    for field in view.entity_columns:
        check_tags(f"join key {view.name}.{field.name}", field.tags or {}, NO_TAGS)
    dates = {view.batch_source.timestamp_field, view.batch_source.created_timestamp_column}
    for field in view.features:
        if field.name in dates | {"event_timestamp"}:
            raise DefinitionError(
                f"field {view.name}.{field.name} is the date of a record, and so no feature; "
                "take it out of the schema, or have ingest.py write a copy under another name"
            )


def check_services(contents: RepoContents) -> None:
    if not contents.feature_services:
        raise DefinitionError(
            "definitions.py defines no feature service; expected at least one FeatureService, "
            "assigned to a name at the top level: it is the signature of a model"
        )
    views = [*contents.feature_views, *contents.on_demand_feature_views]
    refuse_alike("feature view", views)
    refuse_alike("feature service", contents.feature_services)
    known: dict[str, FeatureView | OnDemandFeatureView] = {view.name: view for view in views}
    entities = {entity.name for entity in contents.entities}
    for view in contents.feature_views:
        refuse_hidden(f"feature view {view.name}", "entity", view.entities, entities)
    for service in contents.feature_services:
        check_used_views(service, known)


def check_used_views(
    service: FeatureService, known: "dict[str, FeatureView | OnDemandFeatureView]"
) -> None:
    owner = f"feature service {service.name}"
    if not NAME.fullmatch(service.name):
        refuse_name("feature service", service.name)
    check_service(service)
    own = [projection.name for projection in service.feature_view_projections]
    refuse_hidden(owner, "view", own, known)
    for name in own:
        view = known[name]
        if isinstance(view, FeatureView):
            check_served(view)
            continue
        refuse_hidden(f"on-demand view {name}", "view", view.source_feature_view_projections, known)
        for below in view.source_feature_view_projections:
            check_served(known[below])


def refuse_hidden(owner: str, kind: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Feast registers what a name of a module holds, and nothing that stands in a list or a
    function."""
    hidden = [name for name in names if name not in known]
    if hidden:
        raise DefinitionError(
            f"{owner} uses the {kind} {hidden[0]}, which no name in definitions.py holds, and so "
            "Feast does not register it; assign it to a name of its own at the top level"
        )


def refuse_alike(kind: str, things: Iterable[Any]) -> None:
    """Refuse two different things under one name: Feast would register either."""
    found: dict[str, list[Any]] = defaultdict(list)
    for thing in things:
        found[thing.name].append(thing)
    for name, same in sorted(found.items()):
        if any(each != same[0] for each in same):
            raise DefinitionError(
                f"{kind} {name} is defined more than once; rename one, or define it once"
            )


def refuse_name(kind: str, name: str) -> None:
    raise DefinitionError(
        f"{kind} {name!r}: expected a name of letters, digits, '_', '.' and '-', such as "
        "pump_failure"
    )
