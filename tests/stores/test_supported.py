"""Every Feast object and option that a repo may hold works, or is refused at `apply` in one
sentence."""

from pathlib import Path
from typing import Any

import pytest
from tiny_repo import CONFIG, SOURCES, Ended, apply_all, run_in, write_repo

VIEW = 'name="record",\n    entities=[pump],'
WEAR = '@on_demand_feature_view(mode="python", sources=[gauges, record],'
REALTIME = "features=[gauge_columns], tags=MODEL"
HYBRID = "features=[record, gauge_columns, wear]"
END = 'tags={"scored_by": "t_hybrid"})\n'


def view(options: str) -> tuple[str, str]:
    return VIEW, f"{VIEW} {options},"


def more(text: str) -> tuple[str, str]:
    return END, f"{END}{text}\n"


def source(arguments: str) -> tuple[str, str]:
    return (
        'records = parquet("tiny", "records")',
        f'records = FileSource(name="records", {arguments})',
    )


DATED = 'timestamp_field="event_timestamp"'
HERE = 'path=source_path("tiny", "records")'
A_BATCH_VIEW = f"""
more_records = FileSource(name="more_records", path=source_path("tiny", "more"), {DATED})
@batch_feature_view(entities=[pump], mode="python", source=more_records, schema=[Field(name="twice", dtype=Int64)])
def doubled(frame):
    return frame
"""
A_BATCH_AGGREGATE = """
totals = BatchFeatureView(
    name="totals", entities=[pump], source=records, online=True, schema=[Field(name="total", dtype=Int64)],
    aggregations=[Aggregation(column="year", function="sum", time_window=timedelta(days=1))],
)
"""
A_STREAM = """
from feast.data_format import JsonFormat
clicks = KafkaSource(
    name="clicks", timestamp_field="event_timestamp", message_format=JsonFormat("pump_id int"), topic="t",
    kafka_bootstrap_servers="localhost:9092", batch_source=records,
)
"""
A_STREAM_VIEW = f"""{A_STREAM}
streamed = StreamFeatureView(
    name="streamed", entities=[pump], source=clicks, schema=[Field(name="n", dtype=Int64)], timestamp_field="ts",
    aggregations=[Aggregation(column="n", function="sum", time_window=timedelta(days=1))], mode="spark",
)
"""
A_LABEL_VIEW = """
from feast import LabelView
truth = LabelView(name="truth", entities=[pump], source=readings, schema=[Field(name="load", dtype=Float64)])
"""
A_PERMISSION = """
from feast.permissions.permission import Permission
everybody = Permission(name="everybody", types=[FeatureView])
"""
A_SAVED_DATASET = """
from feast.infra.offline_stores.file_source import SavedDatasetFileStorage
from feast.saved_dataset import SavedDataset
kept = SavedDataset(name="kept", features=["record:year"], join_keys=["pump_id"],
                    storage=SavedDatasetFileStorage(path="/tmp/x.parquet"))
"""
A_CHILD = """
child = FeatureView(name="child", entities=[pump], source=record, sink_source=readings,
                    schema=[Field(name="year", dtype=Int64)])
"""
A_SNOWFLAKE = """
from feast import SnowflakeSource
cold = SnowflakeSource(name="cold", table="T", timestamp_field="ts")
"""
A_LOG = """
from feast.feature_logging import LoggingConfig
from feast.infra.offline_stores.file_source import FileLoggingDestination
LOGGED = LoggingConfig(destination=FileLoggingDestination(path="/tmp/logs"))
MODEL ="""

REFUSED: dict[str, tuple[list[tuple[str, str]], str]] = {
    "entity without a type": ([(", value_type=ValueType.INT64", "")], "declare value_type"),
    "entity with a double": (
        [("ValueType.INT64", "ValueType.DOUBLE")],
        "entity pump has a value_type other than",
    ),
    "entity with two join keys": (
        [('join_keys=["pump_id"]', 'join_keys=["a", "b"]')],
        "write one Entity for each key",
    ),
    "one join key in two types": (
        [more('other = Entity(name="other", join_keys=["pump_id"], value_type=ValueType.STRING)')],
        "have the join key pump_id in two types",
    ),
    "entity with a tag": (
        [("join_keys=[", 'tags={"team": "a"}, join_keys=[')],
        "entity pump has the tag 'team'",
    ),
    "vector field": (
        [('Field(name="year", dtype=Int64)', 'Field(name="year", dtype=Int64, vector_index=True)')],
        "field record.year has a vector index",
    ),
    "array field": (
        [('Field(name="year", dtype=Int64)', 'Field(name="year", dtype=Array(Int64))')],
        "is declared Array",
    ),
    "tag of a field that no service reads": (
        [
            (
                "features=[record, gauge_columns, wear]",
                'features=[record[["model"]], gauge_columns]',
            ),
            (
                'Field(name="year", dtype=Int64)',
                'Field(name="year", dtype=Int64, tags={"requird": "true"})',
            ),
        ],
        "field record.year has the tag 'requird'",
    ),
    "tag of a request field that no service reads": (
        [
            more(
                'alone = RequestSource(name="alone", schema=[Field(name="x", dtype=Int64, tags={"defualt": "1"})])'
            )
        ],
        "field alone.x has the tag 'defualt'",
    ),
    "tag of a join key": (
        [
            (
                'schema=[Field(name="model"',
                'schema=[Field(name="pump_id", dtype=Int64, tags={"required": "true"}), Field(name="model"',
            )
        ],
        "join key record.pump_id has the tag 'required'",
    ),
    "a feature that is the record's date": (
        [
            (
                'Field(name="year", dtype=Int64)',
                'Field(name="year", dtype=Int64), Field(name="event_timestamp", dtype=Int64)',
            )
        ],
        "is the date of a record",
    ),
    "source on s3": (
        [source(f'path="s3://bucket/records.parquet", {DATED}')],
        "source records has a remote path",
    ),
    "source with an endpoint": (
        [source(f's3_endpoint_override="http://x", {HERE}, {DATED}')],
        "source records has an s3_endpoint_override",
    ),
    "source by a relative path": (
        [source(f'path="records.parquet", {DATED}')],
        "source records has a relative path",
    ),
    "source in delta": (
        [
            source(f"file_format=DeltaFormat(), {HERE}, {DATED}"),
            ("from datetime", "from feast.data_format import DeltaFormat\nfrom datetime"),
        ],
        "have ingest.py write parquet",
    ),
    "source without a timestamp_field": ([source(HERE)], "source records has no timestamp_field"),
    "source with a connection": (
        [
            source(f'{HERE}, {DATED}, connection_ref=ConnectionRef(provider="env", name="S3")'),
            ("from datetime", "from feast.credentials import ConnectionRef\nfrom datetime"),
        ],
        "source records has a connection_ref",
    ),
    "source with a tag": (
        [source(f'{HERE}, {DATED}, tags={{"team": "a"}}')],
        "source records has the tag 'team'",
    ),
    "kafka source": ([more(A_STREAM)], "KafkaSource clicks is not supported; write a PushSource"),
    "snowflake source": (
        [more(A_SNOWFLAKE)],
        "SnowflakeSource cold is not supported; write a FileSource",
    ),
    "push source without a batch source": (
        [more('pushed = PushSource(name="pushed")')],
        "source pushed has no FileSource as batch_source",
    ),
    "request source with a timestamp": (
        [('name="gauges", schema', 'name="gauges", timestamp_field="t", schema')],
        "source gauges has a timestamp_field",
    ),
    "request source with a tag": (
        [('name="gauges", schema', 'name="gauges", tags={"pass": "x"}, schema')],
        "source gauges has the tag 'pass'",
    ),
    "request source without a field": (
        [more('empty = RequestSource(name="empty", schema=[])')],
        "source empty has an empty schema",
    ),
    "view over a view": ([more(A_CHILD)], "feature view child has a view as source"),
    "view without a source": (
        [
            more(
                'bare = FeatureView(name="bare", entities=[pump], schema=[Field(name="x", dtype=Int64)])'
            )
        ],
        "feature view bare has no source",
    ),
    "view without a schema": (
        [more('bare = FeatureView(name="bare", entities=[pump], source=records)')],
        "feature view bare has no schema",
    ),
    "view without entities": (
        [("entities=[pump],\n    schema", "entities=[],\n    schema")],
        "feature view record has entities=[]",
    ),
    "view with a mode": ([view('mode="python"')], "feature view record has a mode"),
    "view with validation": (
        [view("enable_validation=True")],
        "feature view record has enable_validation=True",
    ),
    "view of a version": ([view('version="v2"')], "feature view record has a pinned version"),
    "view switched off": ([view("enabled=False")], "feature view record has enabled=False"),
    "view written back": ([view("offline=True")], "feature view record has offline=True"),
    "view not online": (
        [view("online=False")],
        "feature view record has online=False, and a service reads it",
    ),
    "view with a ttl of half a second": (
        [view("ttl=timedelta(milliseconds=500)")],
        "a ttl that is not in whole seconds",
    ),
    "view with a ttl below 0": (
        [view("ttl=timedelta(days=-1)")],
        "a ttl that is not in whole seconds",
    ),
    "view with a tag": ([view('tags={"team": "a"}')], "feature view record has the tag 'team'"),
    "view with another policy": ([view('tags={"unknown": "ignore"}')], "to be refuse or missing"),
    "view that only a list holds": (
        [(HYBRID, 'features=[record, pass_through(gauges, "hidden"), wear]')],
        "t_hybrid uses the view hidden, which no name in definitions.py holds",
    ),
    "two views of one name": (
        [
            more(
                'again = FeatureView(name="record", entities=[pump], source=records, '
                'schema=[Field(name="z", dtype=Int64)])'
            )
        ],
        "feature view record is defined more than once",
    ),
    "view named like a path": ([('name="record",', 'name="a/b",')], "expected a name of letters"),
    "batch view with a transformation": (
        [more(A_BATCH_VIEW)],
        "feature view doubled has a transformation",
    ),
    "batch view with aggregations": (
        [more(A_BATCH_AGGREGATE)],
        "feature view totals has aggregations",
    ),
    "batch view with an engine": (
        [
            (
                "record = FeatureView(",
                'record = BatchFeatureView(online=True, batch_engine={"type": "local"},',
            )
        ],
        "feature view record has a batch_engine of its own",
    ),
    "batch view that is not online": (
        [("record = FeatureView(", "record = BatchFeatureView(")],
        "feature view record has online=False, and a service reads it",
    ),
    "stream view": (
        [more(A_STREAM_VIEW)],
        "StreamFeatureView streamed is not supported; write a FeatureView over a PushSource",
    ),
    "label view": ([more(A_LABEL_VIEW)], "LabelView truth is not supported; the label is a column"),
    "pandas function": (
        [(WEAR, WEAR.replace("python", "pandas"))],
        "on-demand view wear has a function of another form",
    ),
    "singleton function": ([(WEAR, f"{WEAR} singleton=True,")], "without singleton"),
    "on-demand aggregations": (
        [(WEAR, f'{WEAR} aggregations=[Aggregation(column="steps", function="sum")],')],
        "on-demand view wear has aggregations",
    ),
    "on-demand input schema": (
        [(WEAR, f'{WEAR} input_schema=[Field(name="z", dtype=Int64)],')],
        "on-demand view wear has an input_schema",
    ),
    "on-demand view written online": (
        [(WEAR, f"{WEAR} entities=[pump], write_to_online_store=True,")],
        "on-demand view wear has write_to_online_store=True",
    ),
    "on-demand view with entities": (
        [(WEAR, f"{WEAR} entities=[pump],")],
        "on-demand view wear has entities of its own",
    ),
    "on-demand view with metrics": (
        [(WEAR, f"{WEAR} track_metrics=True,")],
        "on-demand view wear has track_metrics",
    ),
    "on-demand view of a version": (
        [(WEAR, f'{WEAR} version="v1",')],
        "on-demand view wear has a pinned version",
    ),
    "on-demand view with a tag": (
        [(WEAR, f'{WEAR} tags={{"team": "a"}},')],
        "on-demand view wear has the tag 'team'",
    ),
    "on-demand output of 32 bits": (
        [('Field(name="age", dtype=Int64)', 'Field(name="age", dtype=Int32)')],
        "on-demand view wear has an Int32 in its schema, which is not supported; declare Int64",
    ),
    "on-demand output with a tag": (
        [
            (
                'Field(name="age", dtype=Int64)',
                'Field(name="age", dtype=Int64, tags={"categorical": "true"})',
            )
        ],
        "on-demand view wear has tags in its schema",
    ),
    "on-demand view without a schema": (
        [('schema=[Field(name="age", dtype=Int64)]', "schema=[]")],
        "on-demand view wear has no schema",
    ),
    "on-demand view over a renamed key": (
        [
            (
                WEAR,
                WEAR.replace(
                    "record]", 'record.with_join_key_map({"pump_id": "other_id"}).projection]'
                ),
            )
        ],
        "on-demand view wear: its use of record has a view under another join key",
    ),
    "service with a text": (
        [(REALTIME, 'features=["gauges_columns"], tags=MODEL')],
        "t_realtime has a feature named by a text",
    ),
    "service with logging": (
        [(REALTIME, f"{REALTIME}, logging_config=LOGGED"), ("\nMODEL =", A_LOG)],
        "t_realtime has a logging_config",
    ),
    "precomputed by Feast": (
        [(REALTIME, f"{REALTIME}, precompute_online=True")],
        "t_realtime has precompute_online",
    ),
    "service over a renamed key": (
        [(HYBRID, 'features=[record.with_join_key_map({"pump_id": "x"}), gauge_columns]')],
        "t_hybrid: its use of record has a view under another join key",
    ),
    "service over a renamed view": (
        [(HYBRID, 'features=[record.with_name("other"), gauge_columns]')],
        "t_hybrid: its use of record has a view under another name",
    ),
    "service named like a path": (
        [('name="t_realtime"', 'name="t/realtime"')],
        "expected a name of letters",
    ),
    "service with a tag": (
        [("tags=MODEL", 'tags={**MODEL, "team": "a"}')],
        "t_realtime has the tag 'team'",
    ),
    "project of another name": (
        [more('other = Project(name="other")')],
        "expected no Project but that of feature_store.yaml",
    ),
    "project with a tag": (
        [more('own = Project(name="tiny", tags={"team": "a"})')],
        "project tiny has the tag 'team'",
    ),
    "permission": ([more(A_PERMISSION)], "Permission everybody is not supported"),
    "saved dataset": ([more(A_SAVED_DATASET)], "SavedDataset kept is not supported"),
}

CONFIGS = {
    "another provider": (
        ("provider: local", "provider: gcp"),
        "provider is not supported as it stands; expected local",
    ),
    "a registry in a file": (
        ('  registry_type: sql\n  path: "sqlite:///?plugin=potluck"', "  path: registry.db"),
        "FEAST_REGISTRY_URL",
    ),
    "versioned views": (
        (
            "  registry_type: sql",
            "  registry_type: sql\n  enable_online_feature_view_versioning: true",
        ),
        "enable_online",
    ),
    "another online store": (
        ("potluck.stores.online.PotluckOnlineStore", "sqlite"),
        "online_store is not supported",
    ),
    "another offline store": (
        ("potluck.stores.duckdb_offline.PotluckOfflineStore", "duckdb"),
        "offline_store is not supported",
    ),
    "another engine": (
        ("potluck.stores.engine.PotluckEngine", "spark.engine"),
        "batch_engine is not supported",
    ),
    "another Redis than the server's": (
        (
            "PotluckOnlineStore\n",
            'PotluckOnlineStore\n  connection_string: "redis://elsewhere:6379"\n',
        ),
        "say it by REDIS_URL",
    ),
    "keys that expire": (
        ("PotluckOnlineStore\n", "PotluckOnlineStore\n  key_ttl_seconds: 60\n"),
        "key_ttl_seconds",
    ),
    "other keys": (("version: 3", "version: 2"), "entity_key_serialization_version"),
    "users": (("version: 3", "version: 3\nauth: {type: kubernetes}"), "auth is not supported"),
    "times without a zone": (
        ("version: 3", "version: 3\ncoerce_tz_aware: false"),
        "coerce_tz_aware",
    ),
    "a misspelt option": (("batch_engine:", "batch_engin:"), "batch_engin is not supported"),
    "flags": (("version: 3", "version: 3\nflags: {alpha: true}"), "flags is not supported"),
    "only the latest": (
        ("version: 3", "version: 3\nmaterialization: {pull_latest_features: true}"),
        "pull_latest_features",
    ),
}


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    """How `apply` ends over each repo."""
    folder = tmp_path_factory.mktemp("repos")
    repos = [
        write_repo(folder / f"r{n}", *changes) for n, (changes, _) in enumerate(REFUSED.values())
    ]
    repos += [
        write_repo(folder / f"c{n}", config=CONFIG.replace(*change))
        for n, (change, _) in enumerate(CONFIGS.values())
    ]
    repos.append(write_repo(folder / "fine"))
    return dict(zip([*REFUSED, *CONFIGS, "fine"], apply_all(repos), strict=True))


def said(found: Ended) -> str:
    """The one line on standard error."""
    lines = [line for line in found.stderr.splitlines() if line]
    assert len(lines) == 1, found.stderr
    return lines[0]


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_supported_is_refused_in_one_sentence(
    ended: dict[str, Ended], case: str
) -> None:
    found = ended[case]
    assert found.returncode == 1, found.stdout + found.stderr
    assert REFUSED[case][1] in said(found)


@pytest.mark.parametrize("case", CONFIGS)
def test_an_option_of_the_yaml_that_is_not_supported_is_a_usage_error(
    ended: dict[str, Ended], case: str
) -> None:
    found = ended[case]
    assert found.returncode == 2, found.stdout + found.stderr
    assert CONFIGS[case][1] in said(found)


def test_the_small_repo_itself_is_applied(ended: dict[str, Any]) -> None:
    assert ended["fine"].returncode == 0, ended["fine"].stderr
    assert "t_batch: precomputed by t_hybrid" in ended["fine"].stdout


def test_nothing_is_registered_of_a_repo_that_is_refused(
    ended: dict[str, Ended], tmp_path: Path
) -> None:
    found = apply_all([write_repo(tmp_path / "repo", view("offline=True"))])[0]
    assert found.returncode == 1
    assert not (tmp_path / "repo" / "home").exists()


FEAST = "from feast.cli.cli import cli; cli()"


def test_what_plain_feast_registered_is_refused_when_it_is_read_back(tmp_path: Path) -> None:
    """`feast apply` knows none of our rules: the verb that comes next says them."""
    repo = write_repo(tmp_path / "repo", view("enable_validation=True"), sources=SOURCES)
    applied = run_in(repo, "-c", FEAST, "apply")
    assert applied.returncode == 0, applied.stdout + applied.stderr
    found = run_in(repo, "-m", "cli.main", "train", "t_hybrid")
    assert found.returncode == 1
    assert "feature view record has enable_validation=True, which is not supported" in said(found)
