"""Where a peer finds what it serves: the bundle's contract and model, a Feast repo and a
pipeline."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, create_model

TYPES: dict[str, type] = {"int64": int, "int32": int, "float64": float, "string": str, "bool": bool}
BUNDLE, REPO, PIPELINE = "PEER_BUNDLE", "PEER_REPO", "PEER_PIPELINE"
OUR_TIME = "request_time."  # a default that peers don't know: their callers send the value


@dataclass(frozen=True)
class Place:
    """Folders, as the peer's environment names them."""

    bundle: Path
    repo: Path
    pipeline: Path

    @property
    def contract(self) -> Mapping[str, Any]:
        return json.loads((self.bundle / "contract.json").read_bytes())  # type: ignore[no-any-return]

    @property
    def variables(self) -> dict[str, str]:
        return {BUNDLE: str(self.bundle), REPO: str(self.repo), PIPELINE: str(self.pipeline)}


def place_from_environment() -> Place:
    return Place(*(Path(os.environ[name]) for name in (BUNDLE, REPO, PIPELINE)))


def record_model(contract: Mapping[str, Any]) -> type[BaseModel]:
    """The pydantic model that a team would have written for the service's body."""
    fields = {field["name"]: declared(field) for field in (*contract["keys"], *contract["request"])}
    return create_model("Record", **fields)  # type: ignore[call-overload, no-any-return]


def declared(field: Mapping[str, Any]) -> tuple[Any, Any]:
    """A field's type and default as pydantic takes them."""
    kind, default = TYPES[field["dtype"]], field["default"]
    if field["source"] == "key" or field["required"] or str(default).startswith(OUR_TIME):
        return kind, ...
    return (kind | None, None) if default is None else (kind, default)
