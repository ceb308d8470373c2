"""New definitions never take from a champion what it reads, unless they are told to."""

import json
from pathlib import Path
from typing import Any

import pytest
from tiny_repo import SOURCES, Ended, apply_all, write_repo

from potluck.contract.features import Column, FeatureContract, LookupView
from potluck.contract.fields import Field
from potluck.contract.publication import SLOTS, Publication

KEY = Field("pump_id", "int64", "key", required=True)
MODEL = Field("model", "string", "online")
YEAR = Field("year", "int64", "online")
PUBLISHED = (
    Field("prediction", "float64", "online"),
    Field("model_version", "string", "online"),
    Field("run_id", "string", "online"),
)
NIGHT = Publication(
    service="t_batch",
    view="pump_predictions",
    key=KEY,
    features=PUBLISHED,
    field_ids=dict.fromkeys(SLOTS, ("00", "01", "02")),
    source="pump_predictions",
)


def contract(**changed: Any) -> FeatureContract:
    """What the champion of the small repo's hybrid service was promised."""
    plain: dict[str, Any] = {
        "project": "tiny",
        "service": "t_hybrid",
        "objective": "regression",
        "transform": "identity",
        "label_source": "readings",
        "label": "load",
        "keys": (KEY,),
        "request": (),
        "online": (MODEL, YEAR),
        "views": (LookupView("record", ("pump_id",), ("model", "year"), ("00", "01"), 0),),
        "functions": (),
        "columns": (Column("model", "string", "online"), Column("year", "int64", "online")),
        "population": "readings",
        "publications": (NIGHT,),
    }
    return FeatureContract(**{**plain, **changed})


def crown(repo: Path, promised: FeatureContract, version: str = "7") -> None:
    """Lay a champion down in the repo's home, as far as `apply` looks at it."""
    releases = repo / "home" / "releases"
    bundle = releases / "bundles" / f"digest-of-{promised.service}"
    bundle.mkdir(parents=True)
    (bundle / "contract.json").write_bytes(promised.to_json())
    (releases / "champions").mkdir(exist_ok=True)
    champion = {"service": promised.service, "digest": bundle.name, "model_version": version}
    (releases / "champions" / f"{promised.service}.json").write_text(json.dumps(champion))


YEARS = 'Field(name="year", dtype=Int64)'
WITHOUT_AGE = [
    ("features=[record, gauge_columns, wear]", "features=[record, gauge_columns]"),
    ("sources=[gauges, record]", "sources=[gauges]"),
    ('inputs["year"])', 'inputs["steps"])'),
]
PREDICTIONS = 'risk = predictions("tiny", pump)'
OWN_PREDICTIONS = """
risk = FeatureView(
    name="{name}", source=parquet("tiny", "pump_predictions"), entities=[pump],
    schema=[
        Field(name="prediction", dtype={dtype}),
        *(Field(name=name, dtype=String) for name in ("model_version", "run_id")),
    ],
)
"""
NO_NIGHT = [
    ("tags={**MODEL, **NIGHT}", "tags=MODEL"),
    (
        't_batch = FeatureService(name="t_batch", features=[risk], tags={"scored_by": "t_hybrid"})\n',
        "",
    ),
]

BROKEN: dict[str, tuple[list[tuple[str, str]], str]] = {
    "a feature is gone": ([*WITHOUT_AGE, (f", {YEARS}", "")], "record.year is gone"),
    "a feature is renamed": (
        [*WITHOUT_AGE, (YEARS, 'Field(name="built", dtype=Int64)')],
        "record.year is gone",
    ),
    "a feature has another type": (
        [*WITHOUT_AGE, (YEARS, 'Field(name="year", dtype=Float64)')],
        "record.year was int64 and is float64",
    ),
    "a view is gone": (
        [*WITHOUT_AGE, ('name="record",', 'name="records_of_pumps",')],
        "view record is gone",
    ),
    "a view is offline": (
        [
            *WITHOUT_AGE,
            ("features=[record, ", "features=["),
            ("source=records,\n", "source=records, online=False,\n"),
            *NO_NIGHT,
        ],
        "view record is no longer online",
    ),
    "a view has another key": (
        [
            (
                "records = parquet",
                'site = Entity(name="site", value_type=ValueType.INT64)\nrecords = parquet',
            ),
            ('name="record",\n    entities=[pump],', 'name="record",\n    entities=[site],'),
            *NO_NIGHT,
        ],
        "view record had the join keys pump_id and has site",
    ),
    "a key has another type": (
        [("ValueType.INT64", "ValueType.STRING")],
        "the key pump_id of view record was int64 and is string",
    ),
    "a view has another ttl": (
        [("source=records,\n", "source=records, ttl=timedelta(days=1),\n")],
        "view record had a ttl of 0 s and has 86400 s",
    ),
    "the predictions' view is gone": (
        [(PREDICTIONS, OWN_PREDICTIONS.format(name="other", dtype="Float64"))],
        "view pump_predictions of t_batch is gone",
    ),
    "a prediction has another type": (
        [
            (PREDICTIONS, OWN_PREDICTIONS.format(name="pump_predictions", dtype="String")),
            ('"regression"', '"binary"'),
        ],
        "pump_predictions.prediction was float64 and is string",
    ),
    "the population is gone": (
        [
            ("NIGHT = {", 'everyone = parquet("tiny", "everyone")\nNIGHT = {'),
            ('"readings"}', '"everyone"}'),
            ("readings = ", "seen = "),
            ('"tiny", "readings"', '"tiny", "seen"'),
            ('"readings.load"', '"seen.load"'),
        ],
        "its population, the source readings, is gone",
    ),
}


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    folder = tmp_path_factory.mktemp("repos")
    repos = [
        write_repo(folder / f"r{n}", *changes) for n, (changes, _) in enumerate(BROKEN.values())
    ]
    repos.append(write_repo(folder / "same"))
    for repo in repos:
        crown(repo, contract())
    return dict(zip([*BROKEN, "same"], apply_all(repos), strict=True))


@pytest.mark.parametrize("case", BROKEN)
def test_what_a_champion_reads_is_not_taken_away(ended: dict[str, Ended], case: str) -> None:
    found = ended[case]
    assert found.returncode == 65, found.stdout + found.stderr
    assert f"t_hybrid version 7: {BROKEN[case][1]}" in found.stderr
    assert (
        "Define the new beside the old until another version is promoted, or apply with --breaking"
        in found.stderr
    )


def test_the_same_definitions_break_nothing(ended: dict[str, Ended]) -> None:
    assert ended["same"].returncode == 0, ended["same"].stderr


def test_a_refused_apply_leaves_the_registry_as_it_was(tmp_path: Path) -> None:
    repo = write_repo(tmp_path / "repo", *BROKEN["a feature is gone"][0])
    crown(repo, contract())
    assert apply_all([repo])[0].returncode == 65
    assert not (repo / "home" / "feast.db").exists()


def test_all_that_would_break_is_named_in_one_message(tmp_path: Path) -> None:
    changes = [*BROKEN["a view has another ttl"][0], *BROKEN["a prediction has another type"][0]]
    repo = write_repo(tmp_path / "repo", *changes)
    crown(repo, contract())
    crown(repo, contract(service="t_other", publications=()), version="2")
    said = apply_all([repo])[0].stderr
    assert "t_hybrid version 7: view record had a ttl" in said
    assert "t_hybrid version 7: pump_predictions.prediction was float64" in said
    assert "t_other version 2: view record had a ttl" in said


def test_with_breaking_it_is_applied_and_told(tmp_path: Path) -> None:
    repo = write_repo(tmp_path / "repo", *BROKEN["a feature is gone"][0], sources=SOURCES)
    crown(repo, contract())
    text, machine = apply_all([repo], "--breaking")[0], apply_all([repo], "--breaking", "--json")[0]
    assert text.returncode == machine.returncode == 0, text.stderr
    assert "  broken: t_hybrid version 7: record.year is gone" in text.stdout
    assert json.loads(machine.stdout)["broken"] == ["t_hybrid version 7: record.year is gone"]


def test_a_service_that_is_no_longer_defined_and_still_served_is_told(tmp_path: Path) -> None:
    repo = write_repo(tmp_path / "repo")
    crown(repo, contract(service="t_old", publications=()), version="3")
    text, machine = apply_all([repo])[0], apply_all([repo], "--json")[0]
    assert text.returncode == 0, text.stderr
    assert (
        "t_old is no longer defined and still served by version 3; `potluck retire t_old` takes it "
        "out" in text.stdout
    )
    assert json.loads(machine.stdout)["orphans"] == {"t_old": "3"}


def test_champions_of_another_project_are_left_alone(tmp_path: Path) -> None:
    repo = write_repo(tmp_path / "repo", *BROKEN["a feature is gone"][0])
    crown(repo, contract(project="another", service="a_hybrid"))
    found = apply_all([repo], "--json")[0]
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["orphans"] == {}


def test_a_champion_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    repo = write_repo(tmp_path / "repo")
    crown(repo, contract())
    (repo / "home" / "releases" / "champions" / "t_hybrid.json").write_text("{")
    found = apply_all([repo], "--json")[0]
    assert found.returncode == 0, found.stderr
    assert (
        "what the champion of t_hybrid reads is not known"
        in json.loads(found.stdout)["warnings"][0]
    )
