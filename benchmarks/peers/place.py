"""Where a peer finds what it serves: the bundle's contract and model, a Feast repo and a
pipeline."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, create_model

TYPES: dict[str, type] = {
    "int64": int,
    "int32": int,
    "float64": float,
    "string": str,
    "bool": bool,
}
BUNDLE, REPO, PIPELINE = "PEER_BUNDLE", "PEER_REPO", "PEER_PIPELINE"
OUR_TIME = "request_time."  # a default that peers don't know: their callers send the value

Contract = Mapping[str, Any]
"""A bundle's `contract.json`, as a peer reads it."""


@dataclass(frozen=True)
class Place:
    """Folders, as the peer's environment names them."""

    bundle: Path
    repo: Path
    pipeline: Path

    @property
    def contract(self) -> Contract:
        found: Contract = json.loads((self.bundle / "contract.json").read_bytes())
        return found

    @property
    def variables(self) -> dict[str, str]:
        return {BUNDLE: str(self.bundle), REPO: str(self.repo), PIPELINE: str(self.pipeline)}


def place_from_environment() -> Place:
    return Place(
        bundle=Path(os.environ[BUNDLE]),
        repo=Path(os.environ[REPO]),
        pipeline=Path(os.environ[PIPELINE]),
    )


def record_model(contract: Contract) -> type[BaseModel]:
    """The pydantic model that a team would have written for the service's body."""
    fields = {}
    for field in (*contract["keys"], *contract["request"]):
        fields[field["name"]] = declared(field)
    return create_model("Record", **fields)  # type: ignore[call-overload, no-any-return]


def declared(field: Mapping[str, Any]) -> tuple[Any, Any]:
    """A field's type and default as pydantic takes them."""
    kind, default = TYPES[field["dtype"]], field["default"]
    ours = str(default).startswith(OUR_TIME)
    if field["source"] == "key" or field["required"] or ours:
        return kind, ...
    if default is None:
        return kind | None, None
    return kind, default
