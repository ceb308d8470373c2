"""The running server's own modules and memory hold no Feast, MLflow, pandas or scikit-learn."""

import json
from typing import Any

FORBIDDEN = {
    "feast",
    "mlflow",
    "pandas",
    "sklearn",
    "lightgbm",
    "scipy",
    "pyarrow",
    "duckdb",
    "matplotlib",
}

TELLS_ITS_MODULES = """
import atexit, json, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
atexit.register(lambda: open("modules.json", "w").write(json.dumps(sorted(sys.modules))))
from cli.main import main
main()
"""


def test_the_running_server_never_imports_the_platform(iris: Any) -> None:
    with iris.second_server(code=TELLS_ITS_MODULES) as server:
        row = server.population()[0]
        assert server.post(f"/predict/{server.repo.hybrid}", row).status_code == 200
        assert server.get(f"/lookup/{server.repo.batch}/{row['flower_id']}").status_code == 200
        assert server.get("/openapi.json").status_code == 200
        assert server.get("/metrics").status_code == 200
    loaded = {name.split(".")[0] for name in json.loads((iris.home / "modules.json").read_text())}
    assert "fastapi" in loaded
    assert loaded & FORBIDDEN == set()
