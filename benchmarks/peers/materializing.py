"""Feast's own `materialize` over whatever stores the repo names, timed without imports and registry.

    python -m benchmarks.peers.materializing REPO VIEW

Prints the seconds. Stock or not is a matter of the repo's `feature_store.yaml`.
"""

import contextlib
import io
import sys
import time
from datetime import UTC, datetime

from feast import FeatureStore


def main(repo: str, view: str) -> float:
    store = FeatureStore(repo_path=repo)
    started = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        store.materialize(datetime(2000, 1, 1, tzinfo=UTC), datetime.now(UTC), feature_views=[view])
    return time.perf_counter() - started


if __name__ == "__main__":
    print(main(*sys.argv[1:3]))
