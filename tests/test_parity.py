"""No skew: every entity gets the same bits over HTTP, from the nightly run, and from Feast's own
join + the model.

The referee shares no code with us: Feast's `get_historical_features` of the whole feature service,
its on-demand views run by Feast, defaults and an encoding written out here, and `lightgbm.Booster`.
"""

import json
from typing import Any

import pyarrow.parquet as pq

from potluck.contract.redis_format import entity_key
from potluck.redis.embedded import client

BROUGHT = ("key", "request")
AS_OF = "2026-06-01T00:00:00+00:00"

REFEREE = """
import json, sys
from pathlib import Path
import lightgbm, numpy as np, pandas as pd
from feast import FeatureStore

repo, service, bundle, rows_file, as_of = sys.argv[1:]
contract = json.loads((Path(bundle) / "contract.json").read_text())
records = json.loads(Path(rows_file).read_text())
inputs = contract["request"] + contract["online"]
defaults = {f["name"]: f["default"] for f in inputs if f["default"] is not None}
for record in records:
    absent = {name for name in defaults if name in record and record[name] is None}
    said = {name: defaults[name] for name in absent}
    record.update(said)
rows = pd.DataFrame(records)
rows["event_timestamp"] = pd.Timestamp(as_of)
rows["order"] = range(len(rows))
store = FeatureStore(repo_path=repo)
joined = store.get_historical_features(rows, store.get_feature_service(service)).to_arrow()
order = np.argsort(joined.column("order").to_numpy())
last = {name: index for index, name in enumerate(joined.column_names)}
matrix = np.empty((len(rows), len(contract["columns"])))
for place, column in enumerate(contract["columns"]):
    found = joined.column(last[column["name"]]).to_pylist()
    values = [defaults.get(column["name"]) if found[row] is None else found[row] for row in order]
    if column["categorical"]:
        codes = {value: float(code) for code, value in enumerate(column["vocabulary"])}
        matrix[:, place] = [codes.get(value, np.nan) for value in values]
    else:
        numbers = [np.nan if value is None else float(value) for value in values]
        fill = np.nan if column["fill"] is None else column["fill"]
        matrix[:, place] = [fill if np.isnan(number) else number for number in numbers]
model = lightgbm.Booster(model_file=str(Path(bundle) / "model.txt"))
raw = model.predict(matrix, raw_score=True, num_threads=1)
predicted = np.exp(raw) if contract["transform"] == "log" else raw
if contract["objective"] == "multiclass":
    shares = np.exp(raw - raw.max(axis=1, keepdims=True))
    predicted = shares / shares.sum(axis=1, keepdims=True)
if contract["objective"] == "binary":
    predicted = 1.0 / (1.0 + np.exp(-raw))
print(json.dumps(predicted.tolist()))
"""

SDK_READ = """
import json, sys
from feast import FeatureStore

repo, service, rows_file, names = sys.argv[1:]
store = FeatureStore(repo_path=repo)
rows = json.loads(open(rows_file).read())
found = store.get_online_features(store.get_feature_service(service), rows).to_dict()
print(json.dumps({name: found[name] for name in json.loads(names)}))
"""

SDK_WRITE = """
import sys
from datetime import UTC, datetime
import pandas as pd
from feast import FeatureStore

repo, view, row = sys.argv[1], sys.argv[2], pd.read_json(sys.argv[3], orient="records", dtype=False)
row["event_timestamp"] = datetime(2026, 6, 2, tzinfo=UTC)
FeatureStore(repo_path=repo).write_to_online_store(view, row)
"""

SDK_PUSH = """
import sys
from datetime import UTC, datetime
import pandas as pd
from feast import FeatureStore

repo, source = sys.argv[1:3]
row = pd.read_json(sys.argv[3], orient="records", dtype=False)
row["event_timestamp"] = datetime(2026, 6, 2, tzinfo=UTC)
FeatureStore(repo_path=repo).push(source, row)
"""


def join_key(stack: Any) -> str:
    return stack.get(f"/services/{stack.repo.hybrid}").json()["entity"][0]


def key_type(value: str | int) -> str:
    return "int64" if isinstance(value, int) else "string"


def online(stack: Any, rows: list[dict[str, Any]], service: str | None = None) -> list[Any]:
    """Numbers of every row over HTTP: predictions, or probabilities in the order of the classes."""
    answers, service = [], service or stack.repo.hybrid
    for start in range(0, len(rows), 1000):
        body = stack.post(
            f"/predict/{service}/batch", {"dataframe_records": rows[start : start + 1000]}
        ).json()
        assert body["errors"] == []
        answers += (
            [list(p.values()) for p in body["probabilities"]]
            if "probabilities" in body
            else body["predictions"]
        )
    return answers


def nightly(stack: Any, rows: list[dict[str, Any]]) -> list[Any]:
    key, answers = join_key(stack), []
    for start in range(0, len(rows), 1000):
        ids = [row[key] for row in rows[start : start + 1000]]
        body = stack.post(f"/lookup/{stack.repo.batch}", {"ids": ids}).json()
        answers += (
            [list(p.values()) for p in body["probabilities"]]
            if "probabilities" in body
            else body["predictions"]
        )
    return answers


def champion_bundle(stack: Any, service: str) -> Any:
    releases = stack.settings.releases
    return (
        releases
        / "bundles"
        / json.loads((releases / "champions" / f"{service}.json").read_text())["digest"]
    )


def saved(stack: Any, rows: Any) -> str:
    path = stack.home / "rows.json"
    path.write_text(json.dumps(rows))
    return str(path)


def test_every_entity_gets_the_same_bits_online_and_by_night(stack: Any) -> None:
    rows = stack.population()
    assert len(rows) >= 150
    assert online(stack, rows) == nightly(stack, rows)


def test_one_row_gets_the_same_bits_as_a_batch(stack: Any) -> None:
    rows = stack.population()[:40]
    body = stack.post(f"/predict/{stack.repo.hybrid}/batch", {"dataframe_records": rows}).json()
    singly = [stack.post(f"/predict/{stack.repo.hybrid}", row).json()["prediction"] for row in rows]
    assert singly == body["predictions"]


def test_every_entity_gets_the_same_bits_from_feasts_own_join_and_the_model(stack: Any) -> None:
    rows = stack.population()
    bundle = champion_bundle(stack, stack.repo.hybrid)
    arguments = (str(stack.repo.path), stack.repo.hybrid, str(bundle), saved(stack, rows), AS_OF)
    referee = json.loads(stack.python(REFEREE, *arguments))
    ours = online(stack, rows)
    if isinstance(ours[0], list) and len(ours[0]) == 2:
        ours = [shares[1] for shares in ours]
    assert ours == referee


def test_a_service_over_several_keys_gets_the_same_bits_from_feasts_own_join_and_the_model(
    everything: Any,
) -> None:
    (service,) = everything.repo.others
    names = [
        f["name"]
        for f in everything.get(f"/services/{service}").json()["fields"]
        if f["source"] in BROUGHT
    ]
    sales = everything.settings.data_folder("everything") / "sales.parquet"
    rows = pq.read_table(sales, columns=names).to_pylist()
    arguments = (str(everything.repo.path), service, str(champion_bundle(everything, service)))
    referee = json.loads(everything.python(REFEREE, *arguments, saved(everything, rows), AS_OF))
    assert len(rows) > 500
    assert [shares[1] for shares in online(everything, rows, service)] == referee


def test_realtime_gets_the_same_bits_from_feasts_on_demand_views_and_the_model(stack: Any) -> None:
    key = join_key(stack)
    records = [
        {name: value for name, value in row.items() if name != key}
        for row in stack.population()[:300]
    ]
    body = stack.post(
        f"/predict/{stack.repo.realtime}/batch", {"dataframe_records": records}
    ).json()
    bundle = champion_bundle(stack, stack.repo.realtime)
    arguments = (
        str(stack.repo.path),
        stack.repo.realtime,
        str(bundle),
        saved(stack, records),
        AS_OF,
    )
    referee = json.loads(stack.python(REFEREE, *arguments))
    assert body["errors"] == []
    if "probabilities" in body:
        shares = [list(p.values()) for p in body["probabilities"]]
        assert [s[1] for s in shares] == referee if len(shares[0]) == 2 else shares == referee
    else:
        assert body["predictions"] == referee


def test_feasts_sdk_reads_the_predictions_that_we_wrote(stack: Any) -> None:
    key = join_key(stack)
    ids = [row[key] for row in stack.population()[:100]]
    names = json.dumps(["prediction", "run_id", "model_version"])
    found = json.loads(
        stack.python(
            SDK_READ,
            str(stack.repo.path),
            stack.repo.batch,
            saved(stack, [{key: i} for i in ids]),
            names,
        )
    )
    body = stack.post(f"/lookup/{stack.repo.batch}", {"ids": ids}).json()
    assert found["prediction"] == body["predictions"]
    assert set(found["run_id"]) == {body["run_id"]}
    assert set(found["model_version"]) == {body["model_version"]}


def test_we_read_what_feasts_sdk_wrote(stack: Any) -> None:
    """A record written through Feast changes our answer to what overriding by hand gives."""
    key = join_key(stack)
    contract = json.loads((champion_bundle(stack, stack.repo.hybrid) / "contract.json").read_text())
    view = contract["views"][0]
    rows = stack.population()
    one, other = rows[0], rows[len(rows) // 2]
    names = json.dumps(view["features"])
    rows = [{**row} for row in (one, other)]
    both = json.loads(
        stack.python(SDK_READ, str(stack.repo.path), stack.repo.hybrid, saved(stack, rows), names)
    )
    # Where the other's record has no value, its own stays: a request can't override a value with
    # none.
    own, others = ({name: values[place] for name, values in both.items()} for place in (0, 1))
    record = {name: own[name] if value is None else value for name, value in others.items()}
    assert record != own, "the write changes something"
    redis, stored = (
        client(stack.settings),
        entity_key(contract["project"], [key], [one[key]], [key_type(one[key])]),
    )
    before = redis.dump(stored)
    wanted = stack.post(
        f"/predict/{stack.repo.hybrid}",
        {**one, **{n: v for n, v in record.items() if v is not None}},
    )
    assert wanted.json()["overridden"]
    try:
        stack.python(
            SDK_WRITE, str(stack.repo.path), view["name"], saved(stack, [{key: one[key], **record}])
        )
        answer = stack.post(f"/predict/{stack.repo.hybrid}", one).json()
    finally:
        redis.restore(
            stored, 0, before, replace=True
        )  # its newer timestamp would win over every later materialize
    for name in ("prediction", "probabilities"):
        assert answer.get(name) == wanted.json().get(name)
    assert "overridden" not in answer
    assert stack.post(f"/predict/{stack.repo.hybrid}", one).status_code == 200


def test_what_is_pushed_through_feasts_sdk_is_answered_with(everything: Any) -> None:
    """A push source's row counts at once, as if the request itself had brought its columns."""
    row = everything.population()[1]
    pushed = {"item_id": row["item_id"], "clicks": 10**6, "last_page": "cart"}
    stored = entity_key("everything", ["item_id"], [row["item_id"]], ["int64"])
    redis = client(everything.settings)
    before = redis.dump(stored)
    path = f"/predict/{everything.repo.hybrid}"
    wanted = everything.post(path, {**row, "clicks": 10**6, "last_page": "cart"}).json()
    assert wanted["overridden"]
    try:
        everything.python(
            SDK_PUSH, str(everything.repo.path), "click_push", saved(everything, [pushed])
        )
        answer = everything.post(path, row).json()
    finally:
        redis.restore(stored, 0, before, replace=True)
    assert answer["prediction"] == wanted["prediction"]
    assert "overridden" not in answer
