"""The feature contract: what a feature service promises, as training found it and as serving keeps
it.

It is derived from Feast's registry (`potluck.stores.definitions.registry`), completed by training
(vocabularies, fills, classes, lineage) and travels in the bundle as `contract.json`.
No other list of features stands anywhere.
"""

import hashlib
from datetime import datetime
from typing import Literal

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from potluck.contract.errors import BundleError
from potluck.contract.fields import DType, Field, FieldSource, Literals
from potluck.contract.formats import NEWEST, Format
from potluck.contract.publication import Publication

Objective = Literal["regression", "binary", "multiclass"]
Transform = Literal["identity", "log"]
SplitKind = Literal["time", "random", "key"]
"""Which rows a model is measured on: the latest, some at random, or all rows of some entities."""
UnknownPolicy = Literal["refuse", "missing"]
"""What an entity means that the feature store does not know: an error, or a row whose looked-up
values are missing."""


@dataclass(frozen=True)
class LookupView:
    """A feature view as it lies in Redis: which hash, which fields, how long a value holds."""

    name: str
    join_keys: tuple[str, ...]
    features: tuple[str, ...]
    field_ids: tuple[str, ...]
    """Hex of the 4-byte hash field of each feature."""
    ttl_seconds: int
    """Older values count as missing, as they do in Feast's point-in-time join; 0 means that none is
    too old."""
    unknown: UnknownPolicy = "refuse"


@dataclass(frozen=True)
class OnDemandFunction:
    """A function over columns: lists in, lists out."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[Field, ...]


@dataclass(frozen=True)
class Column:
    """One column of the model's matrix, in the model's order."""

    name: str
    dtype: DType
    source: FieldSource
    categorical: bool = False
    vocabulary: tuple[Literals, ...] = ()
    """Categories that training saw, in the order of their codes."""
    fill: float | None = None
    """Training's median where it never saw the column missing: LightGBM would read a missing value
    as 0.0."""


@dataclass(frozen=True)
class Lineage:
    """Where a model comes from: hashes (sha256, hex) of what it was made of."""

    registry_hash: str
    data_hash: str
    lock_hash: str | None
    git_commit: str | None
    as_of: datetime | None = None


@dataclass(frozen=True)
class FeatureContract:
    """Everything that training, serving and batch need to know of a model's feature service."""

    project: str
    service: str
    objective: Objective
    transform: Transform
    label_source: str
    label: str
    keys: tuple[Field, ...]
    request: tuple[Field, ...]
    online: tuple[Field, ...]
    views: tuple[LookupView, ...]
    functions: tuple[OnDemandFunction, ...]
    columns: tuple[Column, ...]
    population: str | None = None
    split: SplitKind = "time"
    publications: tuple[Publication, ...] = ()
    classes: tuple[Literals, ...] = ()
    lineage: Lineage | None = None
    format: Format = NEWEST

    @property
    def served_by(self) -> str:
        return "hybrid" if self.views else "realtime"

    @property
    def inputs(self) -> tuple[Field, ...]:
        """What goes into the on-demand functions and the columns: request fields, then looked-up
        ones."""
        return self.request + self.online

    @property
    def fields(self) -> tuple[Field, ...]:
        """Every field once, for people: what is taken, looked up and computed."""
        taken = self.keys + self.inputs
        known = {field.name for field in taken}
        computed = [
            out for function in self.functions for out in function.outputs if out.name not in known
        ]
        return taken + tuple(computed)

    def to_json(self) -> bytes:
        return CONTRACT.dump_json(self, indent=1)

    def digest(self) -> str:
        """sha256 of the contract's canonical JSON."""
        return hashlib.sha256(CONTRACT.dump_json(self)).hexdigest()


CONTRACT = TypeAdapter(FeatureContract)


def read_contract(text: bytes) -> FeatureContract:
    """Parse `contract.json`.

    Raises:
        BundleError: it is no contract, or one of another version.
        NewerFormat: a newer version trained it.
    """
    try:
        return CONTRACT.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole file"
        raise BundleError(
            f"contract.json does not fit this version of Potluck at {where}: {first['msg']}; train "
            "the service again"
        ) from None
