"""What `potluck apply` tells."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from potluck.stores.apply.applying import Applied


def applied_json(applied: "Applied", unread: list[str]) -> dict[str, Any]:
    contracts = [definition.contract for _, definition in sorted(applied.definitions.items())]
    return {
        "models": {contract.service: len(contract.columns) for contract in contracts},
        "precomputed": {
            p.service: contract.service for contract in contracts for p in contract.publications
        },
        "warnings": [*unread, *applied.warnings],
        "broken": list(applied.broken),
        "orphans": applied.orphans,
        "unwritten": list(applied.unwritten),
    }


def applied_text(repo: Path, found: dict[str, Any]) -> str:
    lines = [f"applied {repo}"]
    lines += [
        f"  {name}: a model of {columns} columns" for name, columns in found["models"].items()
    ]
    lines += [f"  {name}: precomputed by {model}" for name, model in found["precomputed"].items()]
    if found["unwritten"]:
        lines.append(f"  no file yet of {', '.join(found['unwritten'])}; run `potluck ingest`")
    lines += [f"  warning: {told}" for told in found["warnings"]]
    lines += [f"  broken: {told}" for told in found["broken"]]
    lines += [
        f"  {name} is no longer defined and still served by version {version}; `potluck retire {name}` takes it out"
        for name, version in found["orphans"].items()
    ]
    return "\n".join(lines)
