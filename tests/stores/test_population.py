"""The nightly run's reading gives, shard by shard, what the whole point-in-time join gives."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent

SCENARIO = """
import json, sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from batch.score import population_inputs
from potluck.contract.settings import load_settings
from potluck.stores.apply import apply_repo
from potluck.stores.population import Population
from potluck.stores.repo import open_store
from potluck.stores.sources import load_ingest, write_sources

repo, project, service, rows, moments = Path(sys.argv[1]), *sys.argv[2:4], int(sys.argv[4]), sys.argv[5:]
write_sources(load_settings().data_folder(project), load_ingest(repo)([], rows, 3))
contract = apply_repo(repo)[service].contract
store = open_store(repo)
found = []
for moment in moments:
    as_of = datetime.fromisoformat(moment)
    population = Population.of(store, contract, as_of)
    batches = [population.read(shard) for shard in population.shards(rows=37)]
    whole = population_inputs(store, SimpleNamespace(contract=contract), as_of).table
    whole = whole.sort_by(contract.keys[0].name).drop_columns(["event_timestamp"])
    hexed = lambda table: {n: [v.hex() if isinstance(v, float) else v for v in table[n].to_pylist()] for n in names}
    names = whole.column_names
    import pyarrow as pa
    read = pa.Table.from_batches(batches)
    found.append({
        "read": hexed(read), "whole": hexed(whole), "names": [read.column_names, names],
        "types": [list(map(str, read.schema.types)), list(map(str, whole.schema.types))],
        "entities": population.counted().entities, "rows": [batch.num_rows for batch in batches],
    })
print("FOUND" + json.dumps(found))
"""

REPOS = {
    "houses": ("feature_repo", "house_prices", "house_price_hybrid", "300", ["2008-03-01", "2026-06-01"]),
    "iris": ("examples/iris", "iris", "iris_hybrid", "150", ["2020-02-20", "2026-06-01"]),
}


@pytest.mark.parametrize("repo", REPOS)
def test_every_shard_holds_the_bits_of_the_whole_join(repo: str, tmp_path: Path) -> None:
    folder, project, service, rows, days = REPOS[repo]
    moments = [f"{day}T00:00:00+00:00" for day in days]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("POTLUCK_", "REDIS"))}
    command = [sys.executable, "-W", "ignore", "-c", SCENARIO, str(ROOT / folder), project, service, rows, *moments]
    ended = subprocess.run(
        command, env={**environment, "POTLUCK_HOME": str(tmp_path)}, capture_output=True, text=True, cwd=ROOT
    )
    assert ended.returncode == 0, ended.stderr
    for found in json.loads(ended.stdout.split("FOUND")[1]):
        assert found["read"] == found["whole"]
        for ours, theirs in (found["names"], found["types"]):
            assert ours == theirs
        assert sum(found["rows"]) == found["entities"] == len(next(iter(found["whole"].values())))
        assert set(found["rows"][:-1]) <= {37}
