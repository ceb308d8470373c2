"""`potluck train` as a stranger calls it: what he is told, and what he is refused."""

import json
from datetime import timedelta
from typing import Any

import pytest
from labelled_shops import FIRST, Row, Shops, label_row, place, record, shops_at

READ = """
from training.registry import Registry
client = Registry(settings).client
(experiment,) = [e for e in client.search_experiments() if e.name == "shops"]
runs = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"])
tell([{
    "name": run.info.run_name, "params": run.data.params, "metrics": run.data.metrics,
    "files": [file.path for file in client.list_artifacts(run.info.run_id)],
} for run in runs])
"""
TYPES = """
import pyarrow as pa, pyarrow.parquet as pq
from training.dataset import labelled_dataset
path = settings.data_folder("shops") / "labels.parquet"
truth = pq.read_table(path)
found = {}
def with_won(values):
    names = truth.column_names
    pq.write_table(truth.set_column(names.index("won"), "won", values), path)
for name, values in {
    "int32": pa.array([n % 2 for n in range(len(truth))], pa.int32()),
    "float32": pa.array([n % 2 for n in range(len(truth))], pa.float32()),
    "bool": pa.array([n % 2 == 0 for n in range(len(truth))]),
    "dictionary": pa.array(["ab"[n % 2] for n in range(len(truth))]).dictionary_encode(),
    "NaN": pa.array([n % 2 if n > 4 else float("nan") for n in range(len(truth))]),
    "date": pa.array([n % 2 for n in range(len(truth))], pa.int32()).cast(pa.date32()),
    "many": pa.array([n / 7 for n in range(len(truth))]),
    "one": pa.array(["yes"] * len(truth)),
}.items():
    with_won(values)
    def labels(name=name):
        contract = contract_of("won_realtime")
        if name == "many":
            contract = dataclasses.replace(contract, objective="multiclass")
        dataset = labelled_dataset(open_store(settings.repo), contract, as_of)
        return [len(dataset), sorted(set(dataset.labels))]
    found[name] = tried(labels)
def as_value(values):
    pq.write_table(truth.set_column(truth.column_names.index("value"), "value", values), path)
    def rows():
        contract = contract_of("value_realtime")
        return len(labelled_dataset(open_store(settings.repo), contract, as_of))
    return tried(rows)
found["infinite"] = as_value(pa.array([float("inf")] * len(truth)))
found["text"] = as_value(pa.array(["12"] * len(truth)))
pq.write_table(truth.drop_columns(["won"]), path)
def without_column():
    contract = contract_of("won_realtime")
    return labelled_dataset(open_store(settings.repo), contract, as_of)
found["gone"] = tried(without_column)
tell(found)
"""


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> Shops:
    return shops_at(tmp_path_factory.mktemp("train"))


def rows(count: int = 200) -> list[Row]:
    return [label_row(number) for number in range(count)]


def train(shops: Shops, service: str, *words: str) -> dict[str, Any]:
    told = shops.verb("train", service, "--as-of", "2024-06-01", "--json", *words)
    assert told.returncode == 0, told.stderr
    return dict(json.loads(told.stdout))


@pytest.fixture(scope="module")
def hybrid(shops: Shops) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]:
    """Two versions of one service, and what MLflow holds of them."""
    shops.write(rows())
    first = train(shops, "value_hybrid", "--param", "n_estimators=60")
    second = train(shops, "value_hybrid", "--split", "random", "--seed", "4")
    return first, second, shops.python(READ)


def test_each_metric_stands_beside_its_baseline(hybrid: Any) -> None:
    first, _, _ = hybrid
    assert set(first["metrics"]) == set(first["baseline"]) == {"rmse", "mae", "r2", "rmsle"}
    assert first["metrics"]["rmse"] < first["baseline"]["rmse"]


def test_an_alias_is_used_and_recorded_under_lightgbms_own_name(hybrid: Any) -> None:
    first, _, (run, _) = hybrid
    assert first["choice"]["parameters"]["num_iterations"] == 60
    assert run["params"]["num_iterations"] == "60"
    assert "n_estimators" not in run["params"]


def test_the_run_says_what_was_chosen_split_and_left_out(hybrid: Any) -> None:
    _, second, (_, run) = hybrid
    assert run["params"]["candidate"] == second["choice"]["candidate"]
    assert run["params"]["split"] == "random"
    assert run["metrics"]["rows_came"] == run["metrics"]["rows_kept"] == 200
    assert {"baseline.rmse", "champion.rmse", "selection.random_splits"} <= set(run["metrics"])
    assert {"account.json", "looked_up.json", "feature_importance.png"} <= set(run["files"])


def test_runs_bear_names_that_tell_one_from_another(hybrid: Any) -> None:
    first, _, (run, _) = hybrid
    assert (
        run["name"]
        == f"value_hybrid · regression · {first['choice']['candidate']} · data to 2024-06-01"
    )


def test_the_champion_is_measured_on_the_same_rows_and_said_to_have_seen_them(hybrid: Any) -> None:
    first, second, _ = hybrid
    assert first["champion"] is None
    champion = second["champion"]
    assert champion["model_version"] == first["model_version"]
    assert set(champion["metrics"]) == set(second["metrics"])
    assert champion["rows"] == champion["seen"] == second["test_rows"]


def test_every_looked_up_column_is_told_with_the_share_missing(hybrid: Any) -> None:
    first, _, _ = hybrid
    shares = {each["column"]: each["missing"] for each in first["looked_up"]}
    assert shares == {"size": 0.0, "colour": 0.0, "licence": 0.0, "floors": 1.0, "town": 0.0}


def test_a_looked_up_column_that_is_missing_everywhere_is_named(hybrid: Any) -> None:
    first, _, _ = hybrid
    assert (
        "missing in every training row, so that nothing is learnt from it: floors"
        in first["warnings"]
    )


def test_the_words_for_people(shops: Shops) -> None:
    shops.write(rows())
    said = shops.verb("train", "won_realtime", "--as-of", "2024-06-01").stdout.splitlines()
    assert said[0].startswith("trained won_realtime version 1 (champion), data up to 2024-06-01")
    assert said[1] == "  labels: 200 rows came, 200 kept"
    assert said[2].startswith("  parameters of ")
    assert "log_loss" in said[2]
    assert " (baseline " in said[3]
    assert "pr_auc" in said[3]
    assert said[4] == (
        "  measured on the 40 latest rows with a model of the 160 before; refitted on all of them"
    )


def test_split_by_key_keeps_entities_whole_and_says_so(shops: Shops) -> None:
    shops.write([label_row(number, shop_id=number % 20) for number in range(200)])
    said = shops.verb("train", "value_hybrid", "--split", "key", "--as-of", "2024-06-01").stdout
    assert "measured on 40 rows of some entities with a model of the 160 rows of the others" in said


def test_one_class_in_the_earlier_part_is_told_with_the_way_out(shops: Shops) -> None:
    shops.write([label_row(number, won="yes" if number > 180 else "no") for number in range(200)])
    told = shops.verb("train", "won_realtime", "--as-of", "2024-06-01")
    assert told.returncode == 1
    assert "all 160 earlier rows of labels have the won 'no'" in told.stderr
    assert "--split random" in told.stderr
    assert "Traceback" not in told.stderr
    assert train(shops, "won_realtime", "--split", "random")["test_rows"] == 40


def test_a_class_that_only_the_later_part_holds_is_not_measured_but_told(shops: Shops) -> None:
    shops.write(
        [label_row(number, **({"kind": "z"} if number > 195 else {})) for number in range(200)]
    )
    found = train(shops, "kind_realtime")
    assert found["test_rows"] == 36
    assert {each["label"] for each in found["classes"]} == {"a", "b", "c"}
    assert (
        "classes of fewer than 20 rows, too few to learn or to measure: 'z' (4)"
        in found["warnings"]
    )
    assert any(each.startswith("4 rows were not measured, as no row") for each in found["warnings"])


def test_labels_of_one_timestamp_are_told_to_be_split_at_random(shops: Shops) -> None:
    shops.write([label_row(number, event_timestamp=FIRST) for number in range(200)])
    told = shops.verb("train", "value_realtime", "--as-of", "2024-06-01")
    assert told.returncode == 1
    assert "train with --split random" in told.stderr
    assert train(shops, "value_realtime", "--split", "random")["split"] == "random"


def test_a_model_that_knows_nothing_is_told_to_be_no_better_than_the_baseline(shops: Shops) -> None:
    """Its one column says nothing of the label."""
    shops.write([label_row(number, amount=1.0, note=None) for number in range(200)])
    warnings = train(shops, "value_realtime")["warnings"]
    assert any(
        each.startswith("no better than the baseline, which knows no feature, in ")
        for each in warnings
    )


def test_records_dated_after_the_labels_are_refused(shops: Shops) -> None:
    late = FIRST + timedelta(days=400)
    shops.write(
        rows(),
        [record(shop, event_timestamp=late) for shop in range(200)],
        [place(shop, event_timestamp=late) for shop in range(200)],
    )
    told = shops.verb("train", "value_hybrid", "--as-of", "2024-06-01")
    assert told.returncode == 65
    assert (
        "all 5 looked-up columns of value_hybrid are missing in every training row" in told.stderr
    )
    assert "the earliest record 2024-02-05, the latest label 2023-07-19" in told.stderr


def test_labels_whose_keys_no_record_bears_are_refused(shops: Shops) -> None:
    shops.write(rows(), [record(shop) for shop in range(900, 999)], [])
    told = shops.verb("train", "value_hybrid", "--as-of", "2024-06-01")
    assert told.returncode == 65
    assert "compare keys and dates of labels with those of record, place" in told.stderr


@pytest.fixture(scope="module")
def types(shops: Shops) -> dict[str, Any]:
    shops.write(rows(60))
    return dict(shops.python(TYPES))


@pytest.mark.parametrize(
    ("kind", "classes"),
    [
        ("int32", [0, 1]),
        ("float32", [0.0, 1.0]),
        ("bool", [False, True]),
        ("dictionary", ["a", "b"]),
    ],
)
def test_labels_keep_the_kind_that_the_source_holds(
    types: dict[str, Any], kind: str, classes: list[Any]
) -> None:
    assert types[kind] == [60, classes]


def test_a_label_that_is_no_number_is_no_label(types: dict[str, Any]) -> None:
    assert types["NaN"] == [55, [0.0, 1.0]]


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("date", "expected a label of numbers, text or booleans"),
        ("many", "60 classes in 60 rows"),
        ("one", "holds 1 classes ('yes'); that is no binary"),
        ("infinite", "holds an infinite number"),
        ("text", "holds text; a regression learns a number"),
        ("gone", "has no column won"),
    ],
)
def test_what_can_be_no_label_is_told_in_one_sentence(
    types: dict[str, Any], kind: str, told: str
) -> None:
    assert types[kind]["error"] == "DataError"
    assert told in types[kind]["message"]
