"""What can be known at `potluck apply` is said there: functions on made-up rows, tags, sources and
their files."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny_repo import CONFIG, SOURCES, TIME, Ended, apply_all, apply_one, write_repo

WEAR = '    return {"age": [None if None in pair else pair[0] - pair[1] for pair in pairs]}'
PREDICTIONS = 'risk = predictions("tiny", pump)'
PRECOMPUTED = 'tags={"scored_by": "t_hybrid"}'
HYBRID = "tags={**MODEL, **NIGHT}"


def gives(text: str) -> list[tuple[str, str]]:
    return [(WEAR, f"    {text}")]


def published(schema: str, entities: str = "pump") -> list[tuple[str, str]]:
    """The predictions' view, written out."""
    history = 'risk = FeatureView(name="pump_predictions", source=parquet("tiny", "history"),'
    return [(PREDICTIONS, f"{history} entities=[{entities}], schema=[{schema}])")]


VERSION = 'Field(name="model_version", dtype=String), Field(name="run_id", dtype=String)'
CLASSES = ('"objective": "regression"', '"objective": "binary"')
ANOTHER_KEY = (
    "records = parquet",
    'site = Entity(name="site", value_type=ValueType.INT64)\nrecords = parquet',
)
TWO_KEYS = [
    ANOTHER_KEY,
    ('name="record",\n    entities=[pump],', 'name="record",\n    entities=[pump, site],'),
]
WITH_REQUEST_NAME = [
    (
        'schema=[Field(name="age", dtype=Int64)]',
        'schema=[Field(name="age", dtype=Int64), Field(name="steps", dtype=Int64)]',
    ),
    ("features=[record, gauge_columns, wear]", "features=[record, wear]"),
]

REFUSED: dict[str, tuple[list[tuple[str, str]], str]] = {
    "a function forgets an output that a request field is called like": (
        WITH_REQUEST_NAME,
        "on-demand view wear declares steps and does not give it; it gives age",
    ),
    "a function gives more than is declared": (
        gives('return {"age": [1 for _ in pairs], "more": [1]}'),
        "on-demand view wear gives more, which its schema does not declare",
    ),
    "a function gives no dict": (gives("return list(pairs)"), "wear gives list; expected a dict"),
    "a function gives a single value": (
        gives('return {"age": 1}'),
        "wear, age: expected a list with a value for each row",
    ),
    "a function gives too few values": (
        gives('return {"age": [1]}'),
        "expected a value for each of 3 rows, got 1",
    ),
    "a function gives another type": (
        gives('return {"age": [0.5 for _ in pairs]}'),
        "wear, age is declared int64",
    ),
    "a function gives a text for a number": (
        gives('return {"age": ["1" for _ in pairs]}'),
        "gives '1', a str",
    ),
    "a function gives nothing": (
        gives('return {"age": [None for _ in pairs]}'),
        "wear, age: expected a value of type int64 on made-up values",
    ),
    "a function gives a whole number for a float": (
        [('schema=[Field(name="age", dtype=Int64)]', 'schema=[Field(name="age", dtype=Float64)]')],
        "wear, age: expected a value of type float64 on made-up values",
    ),
    "a function fails on whole numbers": (
        gives("return {'age': [1 / 0 for _ in pairs]}"),
        "wear fails with ZeroDivisionError",
    ),
    "a label that nothing registers": (
        [('"label": "readings.load"', '"label": "seen.load"')],
        (
            "the label of t_hybrid is tagged with the source seen: expected a FileSource that a "
            "name in definitions.py "
            "holds, any of pump_predictions, readings, records; got no such source"
        ),
    ),
    "a label in a request": (
        [('"label": "readings.load"', '"label": "gauges.load"')],
        "got a RequestSource",
    ),
    "a population that nothing registers": (
        [('"population": "readings"', '"population": "everyone"')],
        "the population of t_hybrid is tagged with the source everyone",
    ),
    "a population of renamed columns": (
        [
            (
                'readings = parquet("tiny", "readings")',
                (
                    'readings = FileSource(name="readings", path=source_path("tiny", '
                    '"readings"), timestamp_field="event_timestamp", field_mapping={"a": "b"})'
                ),
            )
        ],
        "has a field_mapping; only a feature view's source may have one",
    ),
    "a population of a service that looks nothing up": (
        [
            (
                "features=[gauge_columns], tags=MODEL",
                "features=[gauge_columns], tags={**MODEL, **NIGHT}",
            )
        ],
        "t_realtime looks nothing up",
    ),
    "a night over two keys": (
        TWO_KEYS,
        "t_hybrid scores t_batch and so needs exactly one join key; it has pump_id, site",
    ),
    "predictions by another key": (
        [ANOTHER_KEY, *published(f'Field(name="prediction", dtype=Float64), {VERSION}', "site")],
        (
            "view pump_predictions of t_batch: expected the join key of t_hybrid, pump_id (int64); got "
            "site (int64)"
        ),
    ),
    "a regression published as text": (
        published(f'Field(name="prediction", dtype=String), {VERSION}'),
        "expected prediction to be float64, got string",
    ),
    "a version as a number": (
        published(
            'Field(name="prediction", dtype=Float64), Field(name="model_version", dtype=Int64), '
            'Field(name="run_id", dtype=String)'
        ),
        "expected model_version to be string, got int64",
    ),
    "probabilities of a regression": (
        published(
            f'Field(name="prediction", dtype=Float64), Field(name="probabilities", dtype=String), {VERSION}'
        ),
        "the nightly run fills no field probabilities of a regression",
    ),
    "probabilities as a number": (
        [
            CLASSES,
            *published(
                f'Field(name="prediction", dtype=Bool), Field(name="probabilities", dtype=Float64), {VERSION}'
            ),
        ],
        "expected probabilities to be string, got float64",
    ),
    "two services filled into one view": (
        [
            (
                PRECOMPUTED + ")",
                f'{PRECOMPUTED})\nmore = FeatureService(name="more", features=[risk], {PRECOMPUTED})',
            )
        ],
        "more and t_batch are both filled into view pump_predictions",
    ),
    "a service's policy that is none": (
        [(HYBRID, 'tags={**MODEL, **NIGHT, "unknown": "ignore"}')],
        "feature service t_hybrid: expected the tag unknown to be refuse or missing",
    ),
    "a service's policy for a view that it does not read": (
        [(HYBRID, 'tags={**MODEL, **NIGHT, "unknown": "record=missing,rekord=refuse"}')],
        (
            "feature service t_hybrid: expected the tag unknown to name each looked-up view at "
            "most once, "
            "any of record; got 'rekord=refuse'"
        ),
    ),
    "a policy of the predictions' view": (
        [(PREDICTIONS, PREDICTIONS + '\nrisk.tags = {"unknown": "missing"}')],
        (
            "feature view pump_predictions has the tag 'unknown', which means nothing here; expected "
            "none"
        ),
    ),
    "a policy of a precomputed service": (
        [(PRECOMPUTED, 'tags={"scored_by": "t_hybrid", "unknown": "missing"}')],
        "t_batch has the tag 'unknown'",
    ),
    "a default of another type": (
        [
            (
                'Field(name="steps", dtype=Int64)',
                'Field(name="steps", dtype=Int64, tags={"default": "few"})',
            )
        ],
        "gauges.steps: expected the tag default",
    ),
}

PROJECTS = ("my-pumps", "_pumps", "pumps plus", "", "2024", "[a]")


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    folder = tmp_path_factory.mktemp("repos")
    repos = [
        write_repo(folder / f"r{n}", *changes) for n, (changes, _) in enumerate(REFUSED.values())
    ]
    names = [CONFIG.replace("project: tiny", f"project: {name}") for name in PROJECTS]
    repos += [write_repo(folder / f"p{n}", config=text) for n, text in enumerate(names)]
    return dict(zip([*REFUSED, *PROJECTS], apply_all(repos), strict=True))


def said(found: Ended) -> str:
    lines = [line for line in found.stderr.splitlines() if line]
    assert len(lines) == 1, found.stderr
    return lines[0]


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_later_verb_would_refuse_is_refused_at_apply(
    ended: dict[str, Ended], case: str
) -> None:
    found = ended[case]
    assert found.returncode == 1, found.stdout + found.stderr
    assert REFUSED[case][1] in said(found)


@pytest.mark.parametrize("name", PROJECTS)
def test_a_projects_name_that_feast_refuses_is_a_usage_error_with_an_example(
    ended: dict[str, Ended], name: str
) -> None:
    assert ended[name].returncode == 2, ended[name].stdout + ended[name].stderr
    assert "begins with a letter or digit, such as pumps or pumps_2025; got" in said(ended[name])


@pytest.mark.parametrize(
    ("text", "expected"),
    [("- a\n- b\n", "got list"), ("a: [", "no valid yaml"), ("", "got NoneType")],
)
def test_a_yaml_that_is_no_mapping_is_a_usage_error(
    tmp_path: Path, text: str, expected: str
) -> None:
    found = apply_one(write_repo(tmp_path / "repo", config=text))
    assert found.returncode == 2
    assert expected in said(found)


def test_a_function_that_fails_where_all_is_missing_is_applied_with_a_warning(
    tmp_path: Path,
) -> None:
    changed = gives('return {"age": [now - built for now, built in pairs]}')
    found = apply_one(write_repo(tmp_path / "repo", *changed), "--json")
    assert found.returncode == 0, found.stderr
    (warning,) = json.loads(found.stdout)["warnings"]
    assert warning.startswith("on-demand view wear fails with TypeError: unsupported operand")
    assert "where all its inputs are missing" in warning


def without(name: str, column: str) -> dict[str, pa.Schema]:
    schema = SOURCES[name]
    return {**SOURCES, name: schema.remove(schema.get_field_index(column))}


def holding(name: str, column: str, kind: pa.DataType) -> dict[str, pa.Schema]:
    schema = SOURCES[name]
    return {**SOURCES, name: schema.set(schema.get_field_index(column), pa.field(column, kind))}


CREATED = [
    (
        'records = parquet("tiny", "records")',
        (
            'records = FileSource(name="records", path=source_path("tiny", "records"), '
            'timestamp_field="event_timestamp", created_timestamp_column="made_at")'
        ),
    )
]
BINARY = [CLASSES, (PREDICTIONS, 'risk = predictions("tiny", pump, Bool)')]

FILES: dict[str, tuple[dict[str, pa.Schema], list[tuple[str, str]], tuple[str, ...]]] = {
    "a view's column is not there": (
        without("records", "year"),
        [],
        (
            "feature view record, source records (",
            "expected the column year, got pump_id, event_timestamp, model",
        ),
    ),
    "a view's key is not there": (
        without("records", "pump_id"),
        [],
        ("feature view record", "expected the column pump_id"),
    ),
    "a view's date is not there": (
        without("records", "event_timestamp"),
        [],
        ("expected the column event_timestamp",),
    ),
    "a view's date is a text": (
        holding("records", "event_timestamp", pa.string()),
        [],
        ("feature view record", "column event_timestamp: expected a timestamp, got string"),
    ),
    "a created column is not there": (
        SOURCES,
        CREATED,
        ("feature view record", "expected the column made_at"),
    ),
    "a view's number is a text": (
        holding("records", "year", pa.string()),
        [],
        ("feature view record", "column year: expected int64, got string"),
    ),
    "a view's text is a number": (
        holding("records", "model", pa.int64()),
        [],
        ("feature view record", "column model: expected string, got int64"),
    ),
    "a view's number is a date": (
        holding("records", "year", TIME),
        [],
        ("column year: expected int64, got timestamp",),
    ),
    "a key of another type": (
        holding("records", "pump_id", pa.string()),
        [],
        ("feature view record", "column pump_id: expected a key of type int64, got string"),
    ),
    "the label is not there": (
        without("readings", "load"),
        [],
        ("the label of t_hybrid, source readings (", "expected the column load"),
    ),
    "a request field is not among the labels": (
        without("readings", "steps"),
        [],
        ("the label of t_hybrid, source readings (", "expected the column steps"),
    ),
    "the label is a list": (
        holding("readings", "load", pa.list_(pa.int64())),
        BINARY,
        ("column load: expected bool",),
    ),
    "the label is no number": (
        holding("readings", "load", pa.date32()),
        [],
        ("column load: expected a number",),
    ),
    "a class is published as another type": (
        holding("readings", "load", pa.string()),
        BINARY,
        (
            "the label of t_hybrid",
            "column load: expected bool as its prediction is declared, got string",
        ),
    ),
}


@pytest.fixture(scope="module")
def over_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    folder = tmp_path_factory.mktemp("filed")
    repos = [
        write_repo(folder / f"f{n}", *changes, sources=sources)
        for n, (sources, changes, _) in enumerate(FILES.values())
    ]
    return dict(zip(FILES, apply_all(repos), strict=True))


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_does_not_hold_what_is_declared_is_refused(
    over_files: dict[str, Ended], case: str
) -> None:
    found = over_files[case]
    assert found.returncode == 1, found.stdout + found.stderr
    for part in FILES[case][2]:
        assert part in said(found)


def test_sources_without_a_file_are_told_and_no_error(tmp_path: Path) -> None:
    found = apply_one(write_repo(tmp_path / "repo", sources={"records": SOURCES["records"]}))
    assert found.returncode == 0, found.stderr
    assert "no file yet of readings; run `potluck ingest`" in found.stdout


def test_apply_makes_the_history_that_ingest_does_not_return(tmp_path: Path) -> None:
    repo = write_repo(tmp_path / "repo", sources=SOURCES)
    found = apply_one(repo, "--json")
    assert json.loads(found.stdout)["unwritten"] == []
    schema = pq.read_schema(
        repo / "home" / "data" / "tiny" / "pump_predictions.parquet" / "schema.parquet"
    )
    assert schema.names == ["pump_id", "event_timestamp", "prediction", "model_version", "run_id"]
    assert schema.field("pump_id").type == pa.int64()
    assert schema.field("prediction").type == pa.float64()


@pytest.mark.parametrize(
    ("view", "service", "wanted"),
    [
        ({}, {}, "refuse"),
        ({"unknown": "missing"}, {}, "missing"),
        ({"unknown": "missing"}, {"unknown": "refuse"}, "refuse"),
        ({}, {"unknown": "missing"}, "missing"),
        ({}, {"unknown": "record=missing"}, "missing"),
    ],
)
def test_a_services_policy_goes_before_its_views(
    view: dict[str, str], service: dict[str, str], wanted: str
) -> None:
    from potluck.stores.definitions.tags import unknown_of_service, unknown_of_view

    policies: dict[str, Any] = {"record": unknown_of_view("view", view)}
    assert policies | unknown_of_service("service", service, ["record", "other"]) | {
        "other": 0
    } == {
        "record": wanted,
        "other": 0,
    }
