"""What `potluck apply` asks of the home before, and tells after."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from potluck.contract.errors import BundleError
from potluck.contract.features import read_contract
from potluck.contract.settings import Settings
from potluck.scoring.releases import Releases

if TYPE_CHECKING:
    from potluck.stores.apply import Applied
    from potluck.stores.promises import Champion


def champions_of(settings: Settings) -> "tuple[list[Champion], list[str]]":
    """The champions of a home, and a sentence for each whose contract can't be read."""
    from potluck.stores.promises import Champion

    releases = Releases(settings.releases)
    found, unread = [], []
    for service in releases.services():
        try:
            release = releases.champion(service)
            text = (releases.bundles / release.digest / "contract.json").read_bytes()
            found.append(Champion(read_contract(text), release.model_version))
        except (BundleError, OSError) as error:
            unread.append(f"the champion of {service} can't be compared with the definitions: {error}")
    return found, unread


def applied_json(applied: "Applied", unread: list[str]) -> dict[str, Any]:
    contracts = [definition.contract for _, definition in sorted(applied.definitions.items())]
    return {
        "models": {contract.service: len(contract.columns) for contract in contracts},
        "precomputed": {p.service: contract.service for contract in contracts for p in contract.publications},
        "warnings": [*unread, *applied.warnings],
        "broken": list(applied.broken),
        "orphans": applied.orphans,
        "unwritten": list(applied.unwritten),
    }


def applied_text(repo: Path, found: dict[str, Any]) -> str:
    lines = [f"applied {repo}"]
    lines += [f"  {name}: a model of {columns} columns" for name, columns in found["models"].items()]
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
